package deploy

import (
	"bytes"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// kinds maps the kinds of objects that manifests may contain to constructors of their types.
var kinds = map[string]func() any{
	"v1/Namespace":                           func() any { return new(core.Namespace) },
	"v1/ConfigMap":                           func() any { return new(core.ConfigMap) },
	"v1/Secret":                              func() any { return new(core.Secret) },
	"v1/Service":                             func() any { return new(core.Service) },
	"apps/v1/Deployment":                     func() any { return new(apps.Deployment) },
	"apps/v1/StatefulSet":                    func() any { return new(apps.StatefulSet) },
	"autoscaling/v2/HorizontalPodAutoscaler": func() any { return new(autoscaling.HorizontalPodAutoscaler) },
	"policy/v1/PodDisruptionBudget":          func() any { return new(policy.PodDisruptionBudget) },
	"networking.k8s.io/v1/NetworkPolicy":     func() any { return new(networking.NetworkPolicy) },
}

// object is a decoded manifest.
type object struct {
	file, kind string
	meta       meta.ObjectMeta
	value      any
}

// decode decodes a document as Kubernetes does, which knows fields by their exact names, and fails where it would warn.
func decode(t *testing.T, document []byte, value any, place string) {
	t.Helper()
	text, err := yaml.YAMLToJSONStrict(document)
	require.NoError(t, err, place)
	unknown, err := json.UnmarshalStrict(text, value)
	require.NoError(t, err, place)
	require.Empty(t, unknown, place)
}

func read(t *testing.T, file string) []object {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var objects []object
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		var header meta.TypeMeta
		require.NoError(t, yaml.Unmarshal(document, &header), file)
		make, ok := kinds[header.APIVersion+"/"+header.Kind]
		require.True(t, ok, "%s: %s/%s", file, header.APIVersion, header.Kind)
		value := make()
		decode(t, document, value, file+": "+header.Kind)
		o := object{file: file, kind: header.Kind, value: value}
		o.meta = reflect.ValueOf(value).Elem().FieldByName("ObjectMeta").Interface().(meta.ObjectMeta)
		require.NotEmpty(t, o.meta.Name, file)
		if o.kind != "Namespace" {
			require.Equal(t, "tppfaas", o.meta.Namespace, "%s: %s %s", file, o.kind, o.meta.Name)
		}
		objects = append(objects, o)
	}
	return objects
}

// kustomization is what kustomization.yaml says.
type kustomization struct {
	meta.TypeMeta `json:",inline"`
	Namespace     string   `json:"namespace"`
	Resources     []string `json:"resources"`
	Images        []struct {
		Name    string `json:"name"`
		NewName string `json:"newName"`
		NewTag  string `json:"newTag"`
	} `json:"images"`
}

func customization(t *testing.T) (k kustomization) {
	t.Helper()
	text, err := os.ReadFile("kustomization.yaml")
	require.NoError(t, err)
	decode(t, text, &k, "kustomization.yaml")
	require.Equal(t, meta.TypeMeta{APIVersion: "kustomize.config.k8s.io/v1beta1", Kind: "Kustomization"}, k.TypeMeta)
	require.Equal(t, "tppfaas", k.Namespace)
	return k
}

// resources returns the files listed in kustomization.yaml.
func resources(t *testing.T) []string { return customization(t).Resources }

// sets returns the collections of objects that are applied together.
func sets(t *testing.T) map[string][]object {
	files := resources(t)
	var memory, elasticsearch []object
	for _, file := range append(files, "secret.example.yaml") {
		objects := slices.DeleteFunc(read(t, file), func(o object) bool { return o.kind == "Namespace" && file != "namespace.yaml" })
		memory = append(memory, objects...)
		if file == "zipkin.yaml" {
			objects = read(t, "zipkin-elasticsearch.yaml")
		}
		elasticsearch = append(elasticsearch, objects...)
	}
	return map[string][]object{"zipkin in memory": memory, "zipkin before elasticsearch": elasticsearch}
}

// pods returns the pod templates by the name of the object that contains them.
func pods(objects []object) map[string]core.PodTemplateSpec {
	m := map[string]core.PodTemplateSpec{}
	for _, o := range objects {
		switch v := o.value.(type) {
		case *apps.Deployment:
			m[v.Name] = v.Spec.Template
		case *apps.StatefulSet:
			m[v.Name] = v.Spec.Template
		}
	}
	return m
}
