package keda

import (
	"bytes"
	"os"
	"strings"
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
		// AuthenticationRef names an object that has what must not stand in the metadata.
		AuthenticationRef struct {
			Name string `json:"name"`
		} `json:"authenticationRef"`
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
	scaledObject, authentication, ok := bytes.Cut(text, []byte("\n---\n"))
	require.True(t, ok)
	require.NoError(t, yaml.UnmarshalStrict(scaledObject, &object))
	require.Equal(t, "keda.sh/v1alpha1 ScaledObject", object.APIVersion+" "+object.Kind)
	require.NotEmpty(t, object.Spec.ScaleTargetRef.Name)
	require.Greater(t, object.Spec.MaxReplicaCount, object.Spec.MinReplicaCount)
	require.Len(t, object.Spec.Triggers, 2, "prewarm's, and that of what the platform does by itself")
	push := object.Spec.Triggers[0]
	require.Equal(t, "external-push", push.Type)
	// The address is that of the Service, whose port speaks TLS with a certificate of one's own.
	service, err := os.ReadFile("../../deploy/prewarm.yaml")
	require.NoError(t, err)
	address, port, ok := strings.Cut(push.Metadata["scalerAddress"], ":")
	require.True(t, ok)
	require.Equal(t, "prewarm.tppfaas.svc", address)
	require.Contains(t, string(service), "{name: keda, port: "+port+", ")
	require.Equal(t, "true", push.Metadata["enableTLS"])
	var secret struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name      string `json:"name"`
			Namespace string `json:"namespace"`
		} `json:"metadata"`
		Spec struct {
			SecretTargetRef []struct {
				Parameter string `json:"parameter"`
				Name      string `json:"name"`
				Key       string `json:"key"`
			} `json:"secretTargetRef"`
		} `json:"spec"`
	}
	require.NoError(t, yaml.UnmarshalStrict(authentication, &secret))
	require.Equal(t, "keda.sh/v1alpha1 TriggerAuthentication", secret.APIVersion+" "+secret.Kind)
	require.Equal(t, object.Metadata.Namespace+" "+push.AuthenticationRef.Name, secret.Metadata.Namespace+" "+secret.Metadata.Name)
	require.Len(t, secret.Spec.SecretTargetRef, 1)
	require.Equal(t, "caCert", secret.Spec.SecretTargetRef[0].Parameter)

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
