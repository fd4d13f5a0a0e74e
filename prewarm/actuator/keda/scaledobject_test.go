package keda

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"sigs.k8s.io/yaml"
)

// TestScaledObject checks that the manifest is one of KEDA's, and that the scaler finds the function in what KEDA sends of it.
func TestScaledObject(t *testing.T) {
	text, err := os.ReadFile("../../deploy/scaledobject.yaml")
	require.NoError(t, err)
	type trigger struct {
		Type     string            `json:"type"`
		Metadata map[string]string `json:"metadata"`
	}
	var object struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name      string `json:"name"`
			Namespace string `json:"namespace"`
		} `json:"metadata"`
		Spec struct {
			ScaleTargetRef struct {
				Name string `json:"name"`
			} `json:"scaleTargetRef"`
			MinReplicaCount int       `json:"minReplicaCount"`
			MaxReplicaCount int       `json:"maxReplicaCount"`
			PollingInterval int       `json:"pollingInterval"`
			CooldownPeriod  int       `json:"cooldownPeriod"`
			Triggers        []trigger `json:"triggers"`
		} `json:"spec"`
	}
	require.NoError(t, yaml.UnmarshalStrict(text, &object))
	require.Equal(t, "keda.sh/v1alpha1 ScaledObject", object.APIVersion+" "+object.Kind)
	require.NotEmpty(t, object.Spec.ScaleTargetRef.Name)
	require.Greater(t, object.Spec.MaxReplicaCount, object.Spec.MinReplicaCount)
	require.Len(t, object.Spec.Triggers, 2, "prewarm's, and that of what the platform does by itself")
	push := object.Spec.Triggers[0]
	require.Equal(t, "external-push", push.Type)
	require.NotEmpty(t, push.Metadata["scalerAddress"])

	ref := dynamicpb.NewMessage(refMessage)
	ref.Set(refMessage.Fields().ByName("name"), protoreflect.ValueOfString("another name"))
	sent := ref.Mutable(refMessage.Fields().ByName("scalerMetadata")).Map()
	for k, v := range push.Metadata {
		sent.Set(protoreflect.ValueOfString(k).MapKey(), protoreflect.ValueOfString(v))
	}
	name, err := functionOf(ref)
	require.NoError(t, err)
	require.Equal(t, object.Spec.ScaleTargetRef.Name, name)
}
