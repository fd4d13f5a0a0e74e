package deploy

import (
	"bytes"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// kinds maps the kinds of objects that manifests may contain to constructors of their types. None of them gives rights.
var kinds = map[string]func() any{
	"v1/Namespace":                       func() any { return new(core.Namespace) },
	"v1/ConfigMap":                       func() any { return new(core.ConfigMap) },
	"v1/Secret":                          func() any { return new(core.Secret) },
	"v1/Service":                         func() any { return new(core.Service) },
	"v1/ServiceAccount":                  func() any { return new(core.ServiceAccount) },
	"v1/PersistentVolumeClaim":           func() any { return new(core.PersistentVolumeClaim) },
	"apps/v1/Deployment":                 func() any { return new(apps.Deployment) },
	"networking.k8s.io/v1/NetworkPolicy": func() any { return new(networking.NetworkPolicy) },
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

// read returns the objects of a file, by kind and name.
func read(t *testing.T, file string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	objects := map[string]any{}
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		var header meta.TypeMeta
		require.NoError(t, yaml.Unmarshal(document, &header), file)
		make, ok := kinds[header.APIVersion+"/"+header.Kind]
		require.True(t, ok, "%s: %s/%s", file, header.APIVersion, header.Kind)
		value := make()
		decode(t, document, value, file+": "+header.Kind)
		m := reflect.ValueOf(value).Elem().FieldByName("ObjectMeta").Interface().(meta.ObjectMeta)
		if header.Kind != "Namespace" {
			require.Equal(t, "tppfaas", m.Namespace, "%s: %s %s", file, header.Kind, m.Name)
		}
		key := header.Kind + " " + m.Name
		require.NotContains(t, objects, key)
		objects[key] = value
	}
	return objects
}

// object returns an object of the manifests.
func object[T any](t *testing.T, key string) T {
	t.Helper()
	value, ok := read(t, "prewarm.yaml")[key].(T)
	require.True(t, ok, key)
	return value
}

func pod(t *testing.T) core.PodTemplateSpec {
	t.Helper()
	return object[*apps.Deployment](t, "Deployment prewarm").Spec.Template
}

// TestDeployment checks that there is one controller at a time, whose state survives, that its pod is as the namespace wants it, and that what it
// names is there.
func TestDeployment(t *testing.T) {
	d := object[*apps.Deployment](t, "Deployment prewarm")
	require.EqualValues(t, 1, *d.Spec.Replicas)
	require.Equal(t, apps.RecreateDeploymentStrategyType, d.Spec.Strategy.Type)
	require.Equal(t, d.Spec.Selector.MatchLabels, d.Spec.Template.Labels)
	p := d.Spec.Template.Spec
	require.True(t, *p.SecurityContext.RunAsNonRoot)
	require.EqualValues(t, 65532, *p.SecurityContext.RunAsUser, "the user of the image")
	require.EqualValues(t, 65532, *p.SecurityContext.FSGroup)
	require.Equal(t, core.SeccompProfileTypeRuntimeDefault, p.SecurityContext.SeccompProfile.Type)
	require.Len(t, p.Containers, 1)
	c := p.Containers[0]
	require.False(t, *c.SecurityContext.AllowPrivilegeEscalation)
	require.True(t, *c.SecurityContext.ReadOnlyRootFilesystem)
	require.Equal(t, []core.Capability{"ALL"}, c.SecurityContext.Capabilities.Drop)

	// It has no rights, whose token could be stolen.
	require.False(t, *p.AutomountServiceAccountToken)
	require.False(t, *object[*core.ServiceAccount](t, "ServiceAccount "+p.ServiceAccountName).AutomountServiceAccountToken)

	volumes := map[string]core.Volume{}
	for _, v := range p.Volumes {
		volumes[v.Name] = v
	}
	paths := map[string]string{}
	for _, m := range c.VolumeMounts {
		require.Contains(t, volumes, m.Name)
		paths[m.Name] = m.MountPath
		require.Equal(t, m.Name != "state" && m.Name != "tmp", m.ReadOnly, m.Name)
	}
	require.Len(t, paths, len(volumes))
	object[*core.PersistentVolumeClaim](t, "PersistentVolumeClaim "+volumes["state"].PersistentVolumeClaim.ClaimName)
	secrets := read(t, "secret.example.yaml")
	arguments := map[string]string{}
	for _, a := range c.Args[1:] {
		name, value, _ := strings.Cut(a, "=")
		require.NotContains(t, arguments, name)
		arguments[name] = value
	}
	require.Equal(t, "serve", c.Args[0])
	require.Equal(t, paths["state"], arguments["-state"])
	for argument, volume := range map[string]string{"-cert": "tls", "-key": "tls", "-token-file": "token"} {
		key, ok := strings.CutPrefix(arguments[argument], paths[volume]+"/")
		require.True(t, ok, argument)
		s, ok := secrets["Secret "+volumes[volume].Secret.SecretName].(*core.Secret)
		require.True(t, ok, argument)
		require.Contains(t, s.StringData, key)
	}
	require.Contains(t, secrets, "ConfigMap "+volumes["models"].ConfigMap.Name)
	require.NotContains(t, arguments, "-act", "it looks on until somebody decides otherwise")
	require.Less(t, 0, c.Resources.Limits.Memory().Cmp(*c.Resources.Requests.Memory()))
}

// TestPorts checks that every port of the pod is listened on or is KEDA's, is in the service, and that probes ask by TLS.
func TestPorts(t *testing.T) {
	c := pod(t).Spec.Containers[0]
	ports := map[string]int32{}
	for _, p := range c.Ports {
		ports[p.Name] = p.ContainerPort
	}
	require.Equal(t, map[string]int32{"https": 4320, "otlp-grpc": 4321, "keda": 4322}, ports)
	require.Contains(t, c.Args, "-listen=:4320")
	require.Contains(t, c.Args, "-grpc=:4321")
	s := object[*core.Service](t, "Service prewarm")
	require.Equal(t, pod(t).Labels, s.Spec.Selector)
	require.Len(t, s.Spec.Ports, len(ports))
	for _, p := range s.Spec.Ports {
		require.Equal(t, ports[p.TargetPort.StrVal], p.Port)
	}
	for path, probe := range map[string]*core.Probe{"/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		require.Equal(t, path, probe.HTTPGet.Path)
		require.Equal(t, "https", probe.HTTPGet.Port.StrVal)
		require.Equal(t, core.URISchemeHTTPS, probe.HTTPGet.Scheme)
	}
	require.Equal(t, "/healthz", c.StartupProbe.HTTPGet.Path)
}

// TestNetworkPolicy checks for every port who may open a connection to it.
func TestNetworkPolicy(t *testing.T) {
	policy := object[*networking.NetworkPolicy](t, "NetworkPolicy prewarm")
	require.Equal(t, pod(t).Labels, policy.Spec.PodSelector.MatchLabels)
	require.Equal(t, []networking.PolicyType{networking.PolicyTypeIngress}, policy.Spec.PolicyTypes)
	matches := func(s *meta.LabelSelector, labels map[string]string) bool {
		if s == nil {
			return true
		}
		for k, v := range s.MatchLabels {
			if labels[k] != v {
				return false
			}
		}
		return true
	}
	admits := func(namespace string, labels map[string]string, port string) bool {
		for _, rule := range policy.Spec.Ingress {
			require.NotEmpty(t, rule.From, "a rule without peers admits everyone")
			require.NotEmpty(t, rule.Ports, "a rule without ports admits to all")
			if !slices.ContainsFunc(rule.Ports, func(p networking.NetworkPolicyPort) bool { return p.Port.StrVal == port }) {
				continue
			}
			for _, from := range rule.From {
				require.Nil(t, from.IPBlock)
				home := from.NamespaceSelector != nil || namespace == policy.Namespace
				if home && matches(from.NamespaceSelector, map[string]string{"kubernetes.io/metadata.name": namespace}) && matches(from.PodSelector, labels) {
					return true
				}
			}
		}
		return false
	}
	for _, c := range []struct {
		who, namespace string
		labels         map[string]string
		ports          []string
	}{
		{"collector", "tppfaas", map[string]string{"app.kubernetes.io/name": "collector"}, []string{"otlp-grpc", "https"}},
		{"a pod that says that it is a collector", "elsewhere", map[string]string{"app.kubernetes.io/name": "collector"}, nil},
		{"gateway", "shop", map[string]string{"prewarm-client": "true"}, []string{"https"}},
		{"Prometheus", "monitoring", map[string]string{"app.kubernetes.io/name": "prometheus"}, []string{"https"}},
		{"KEDA", "keda", map[string]string{"app": "keda-operator"}, []string{"keda"}},
		{"function", "openwhisk", map[string]string{"name": "a-function"}, nil},
		{"front", "tppfaas", map[string]string{"app.kubernetes.io/name": "collector-front"}, nil},
	} {
		for _, port := range []string{"https", "otlp-grpc", "keda"} {
			require.Equal(t, slices.Contains(c.ports, port), admits(c.namespace, c.labels, port), "%s to %s", c.who, port)
		}
	}
}

// TestKustomization checks that everything is applied, the namespace, which is that of the collector, first, with the image that make prewarm-image
// makes.
func TestKustomization(t *testing.T) {
	var k struct {
		meta.TypeMeta `json:",inline"`
		Namespace     string   `json:"namespace"`
		Resources     []string `json:"resources"`
		Images        []struct {
			Name   string `json:"name"`
			NewTag string `json:"newTag"`
		} `json:"images"`
	}
	text, err := os.ReadFile("kustomization.yaml")
	require.NoError(t, err)
	decode(t, text, &k, "kustomization.yaml")
	require.Equal(t, meta.TypeMeta{APIVersion: "kustomize.config.k8s.io/v1beta1", Kind: "Kustomization"}, k.TypeMeta)
	require.Equal(t, "tppfaas", k.Namespace)
	require.Equal(t, []string{"namespace.yaml", "prewarm.yaml"}, k.Resources)
	require.Equal(t, read(t, "../../collector/deploy/namespace.yaml"), read(t, "namespace.yaml"))
	require.Len(t, k.Images, 1)
	require.Equal(t, k.Images[0].Name, pod(t).Spec.Containers[0].Image)
	makefile, err := os.ReadFile("../../Makefile")
	require.NoError(t, err)
	require.Contains(t, string(makefile), "\nPREWARM_IMAGE := "+k.Images[0].Name+":"+k.Images[0].NewTag+"\n")
}
