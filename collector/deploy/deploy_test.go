package deploy

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/otelcol"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/tppfaas/tppfaas/collector/distribution"
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
		require.NoError(t, yaml.UnmarshalStrict(document, value), "%s: %s", file, header.Kind)
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

// resources returns the files listed in kustomization.yaml.
func resources(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("kustomization.yaml")
	require.NoError(t, err)
	var k struct {
		Kind      string   `json:"kind"`
		Resources []string `json:"resources"`
		Namespace string   `json:"namespace"`
	}
	require.NoError(t, yaml.Unmarshal(text, &k))
	require.Equal(t, "tppfaas", k.Namespace)
	return k.Resources
}

// sets returns the collections of objects that are applied together.
func sets(t *testing.T) map[string][]object {
	files := resources(t)
	var memory, elasticsearch []object
	for _, file := range append(files, "secret.example.yaml") {
		objects := read(t, file)
		memory = append(memory, objects...)
		if file == "zipkin.yaml" {
			objects = read(t, "zipkin-elasticsearch.yaml")
		}
		elasticsearch = append(elasticsearch, objects...)
	}
	return map[string][]object{"zipkin in memory": memory, "zipkin before elasticsearch": elasticsearch}
}

func TestEveryManifestDecodesStrictly(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	require.NoError(t, err)
	for _, file := range files {
		if file != "kustomization.yaml" {
			require.NotEmpty(t, read(t, file))
		}
	}
	require.Subset(t, files, resources(t))
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

// TestManifestsFitTogether checks that selectors match pods, that service ports are those of containers, and that volumes and their sources
// exist.
func TestManifestsFitTogether(t *testing.T) {
	for name, objects := range sets(t) {
		t.Run(name, func(t *testing.T) {
			has := map[string]bool{}
			for _, o := range objects {
				id := o.kind + " " + o.meta.Name
				require.False(t, has[id], "%s is there twice", id)
				has[id] = true
			}
			templates := pods(objects)
			selected := func(labels map[string]string) core.PodTemplateSpec {
				for _, p := range templates {
					match := len(labels) > 0
					for k, v := range labels {
						match = match && p.Labels[k] == v
					}
					if match {
						return p
					}
				}
				t.Fatalf("no pod has the labels %v", labels)
				return core.PodTemplateSpec{}
			}
			for _, o := range objects {
				switch v := o.value.(type) {
				case *core.Service:
					p := selected(v.Spec.Selector)
					for _, port := range v.Spec.Ports {
						require.True(t, slices.ContainsFunc(p.Spec.Containers[0].Ports, func(c core.ContainerPort) bool {
							return c.Name == port.TargetPort.StrVal && c.ContainerPort == port.Port
						}), "service %s, port %s", v.Name, port.Name)
					}
				case *apps.Deployment:
					selected(v.Spec.Selector.MatchLabels)
				case *apps.StatefulSet:
					selected(v.Spec.Selector.MatchLabels)
					require.True(t, has["Service "+v.Spec.ServiceName])
				case *policy.PodDisruptionBudget:
					selected(v.Spec.Selector.MatchLabels)
				case *networking.NetworkPolicy:
					selected(v.Spec.PodSelector.MatchLabels)
					for _, rule := range v.Spec.Ingress {
						for _, from := range rule.From {
							selected(from.PodSelector.MatchLabels)
						}
					}
				case *autoscaling.HorizontalPodAutoscaler:
					require.True(t, has[v.Spec.ScaleTargetRef.Kind+" "+v.Spec.ScaleTargetRef.Name])
				}
			}
			for owner, p := range templates {
				require.True(t, *p.Spec.SecurityContext.RunAsNonRoot, owner)
				volumes := map[string]bool{}
				for _, o := range objects {
					if s, ok := o.value.(*apps.StatefulSet); ok && s.Name == owner {
						for _, claim := range s.Spec.VolumeClaimTemplates {
							volumes[claim.Name] = true
						}
					}
				}
				for _, v := range p.Spec.Volumes {
					volumes[v.Name] = true
					if v.ConfigMap != nil {
						require.True(t, has["ConfigMap "+v.ConfigMap.Name])
					}
					if v.Secret != nil {
						require.True(t, has["Secret "+v.Secret.SecretName])
					}
				}
				for _, c := range p.Spec.Containers {
					require.NotContains(t, c.Image, "latest")
					require.NotNil(t, c.ReadinessProbe, owner)
					require.NotEmpty(t, c.Resources.Limits, owner)
					for _, m := range c.VolumeMounts {
						require.True(t, volumes[m.Name], "%s mounts %s", owner, m.Name)
					}
				}
			}
		})
	}
}

// TestConfigurations checks that the pipelines in the ConfigMaps can be built from the collector's components, and listen on the ports of
// the containers.
func TestConfigurations(t *testing.T) {
	t.Setenv("OW_APIHOST", "http://openwhisk")
	for _, objects := range sets(t) {
		checked := 0
		for _, o := range objects {
			m, ok := o.value.(*core.ConfigMap)
			if !ok {
				continue
			}
			checked++
			text := m.Data["config.yaml"]
			from := []string{"yaml:" + text}
			if strings.Contains(text, "file_storage:") { // its directory is in a volume
				from = append(from, "yaml:extensions::file_storage::directory: "+t.TempDir())
			}
			c, err := otelcol.NewCollector(distribution.Settings(from...))
			require.NoError(t, err)
			require.NoError(t, c.DryRun(t.Context()), m.Name)
			for _, port := range pods(objects)[m.Name].Spec.Containers[0].Ports {
				listens := strings.Contains(text, fmt.Sprintf("0.0.0.0:%d", port.ContainerPort)) ||
					strings.Contains(text, fmt.Sprintf("host: 0.0.0.0, port: %d", port.ContainerPort))
				require.True(t, listens, "%s does not listen on %d", m.Name, port.ContainerPort)
			}
		}
		require.Equal(t, 2, checked)
	}
}

// TestNoKeyIsCommitted checks that the secret is an example and is not applied.
func TestNoKeyIsCommitted(t *testing.T) {
	secret := read(t, "secret.example.yaml")[0].value.(*core.Secret)
	require.Equal(t, map[string]string{"auth": "USER:PASSWORD"}, secret.StringData)
	require.NotContains(t, resources(t), "secret.example.yaml")
}
