package deploy

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// matches reports whether a selector selects the labels.
func matches(selector, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return len(selector) > 0
}

// selected returns the owner of the pods that a selector selects, and their template.
func selected(t *testing.T, objects []object, selector map[string]string) (owner string, p core.PodTemplateSpec) {
	t.Helper()
	found := 0
	for name, template := range pods(objects) {
		if matches(selector, template.Labels) {
			owner, p = name, template
			found++
		}
	}
	require.Equal(t, 1, found, "kinds of pods with the labels %v", selector)
	return owner, p
}

// portOf returns the number of a container's port.
func portOf(p core.PodTemplateSpec, port intstr.IntOrString) (int32, bool) {
	for _, c := range p.Spec.Containers {
		for _, q := range c.Ports {
			if port.Type == intstr.String && q.Name == port.StrVal || port.Type == intstr.Int && q.ContainerPort == port.IntVal {
				return q.ContainerPort, true
			}
		}
	}
	return 0, false
}

// TestManifestsFitTogether checks that objects are there once, that selectors select pods, that service ports are those of containers, and
// that objects that are named exist.
func TestManifestsFitTogether(t *testing.T) {
	for name, objects := range sets(t) {
		t.Run(name, func(t *testing.T) {
			has := map[string]bool{}
			for _, o := range objects {
				id := o.kind + " " + o.meta.Name
				require.False(t, has[id], "%s is there twice", id)
				has[id] = true
			}
			own := func(name string, selector map[string]string) {
				t.Helper()
				owner, _ := selected(t, objects, selector)
				require.Equal(t, name, owner)
			}
			for _, o := range objects {
				switch v := o.value.(type) {
				case *core.Service:
					_, p := selected(t, objects, v.Spec.Selector)
					require.NotEmpty(t, v.Spec.Ports, v.Name)
					for _, port := range v.Spec.Ports {
						number, ok := portOf(p, port.TargetPort)
						require.True(t, ok, "service %s, port %s", v.Name, port.Name)
						require.Equal(t, port.Port, number, "service %s, port %s", v.Name, port.Name)
					}
				case *apps.Deployment:
					own(v.Name, v.Spec.Selector.MatchLabels)
				case *apps.StatefulSet:
					own(v.Name, v.Spec.Selector.MatchLabels)
					require.True(t, has["Service "+v.Spec.ServiceName])
				case *policy.PodDisruptionBudget:
					own(v.Name, v.Spec.Selector.MatchLabels)
				case *networking.NetworkPolicy:
					own(v.Name, v.Spec.PodSelector.MatchLabels)
				case *autoscaling.HorizontalPodAutoscaler:
					require.True(t, has[v.Spec.ScaleTargetRef.Kind+" "+v.Spec.ScaleTargetRef.Name])
				}
			}
		})
	}
}

// keys returns the keys of a ConfigMap or Secret, or nil if there is none.
func keys(objects []object, kind, name string) (all []string) {
	for _, o := range objects {
		if o.kind != kind || o.meta.Name != name {
			continue
		}
		switch v := o.value.(type) {
		case *core.ConfigMap:
			for k := range v.Data {
				all = append(all, k)
			}
		case *core.Secret:
			for k := range v.StringData {
				all = append(all, k)
			}
		}
	}
	return all
}

// files returns the files of ConfigMaps and Secrets that the first container of the owner's pod has, and its writable folders.
func files(t *testing.T, objects []object, owner string) (readable, writable []string) {
	t.Helper()
	p := pods(objects)[owner]
	volumes := map[string]core.Volume{}
	for _, v := range p.Spec.Volumes {
		volumes[v.Name] = v
	}
	for _, o := range objects {
		if s, ok := o.value.(*apps.StatefulSet); ok && s.Name == owner {
			for _, claim := range s.Spec.VolumeClaimTemplates {
				require.Equal(t, []core.PersistentVolumeAccessMode{core.ReadWriteOnce}, claim.Spec.AccessModes)
				require.NotEmpty(t, claim.Spec.Resources.Requests.Storage().Value())
				volumes[claim.Name] = core.Volume{}
			}
		}
	}
	used := map[string]bool{}
	for _, m := range p.Spec.Containers[0].VolumeMounts {
		v, ok := volumes[m.Name]
		require.True(t, ok, "%s mounts %s", owner, m.Name)
		used[m.Name] = true
		var found []string
		switch {
		case v.ConfigMap != nil:
			found = keys(objects, "ConfigMap", v.ConfigMap.Name)
		case v.Secret != nil:
			found = keys(objects, "Secret", v.Secret.SecretName)
		default:
			require.False(t, m.ReadOnly)
			writable = append(writable, m.MountPath)
			continue
		}
		require.NotEmpty(t, found, "%s: the source of volume %s", owner, m.Name)
		require.True(t, m.ReadOnly)
		for _, key := range found {
			readable = append(readable, path.Join(m.MountPath, key))
		}
	}
	require.Len(t, used, len(volumes), "%s has a volume that no container mounts", owner)
	return readable, writable
}

// TestPods checks that pods may run in a namespace with the restricted profile, under the user of their image, with bounds on their memory
// that the program knows of, and with volumes that this user can write to.
func TestPods(t *testing.T) {
	users := map[string]int64{"tppfaas/collector": 65532, "openzipkin/zipkin": 1000, "docker.elastic.co/elasticsearch/elasticsearch": 1000}
	namespace := read(t, "namespace.yaml")[0].value.(*core.Namespace)
	require.Equal(t, "restricted", namespace.Labels["pod-security.kubernetes.io/enforce"])
	for _, objects := range sets(t) {
		for owner, p := range pods(objects) {
			require.Len(t, p.Spec.Containers, 1, owner)
			require.False(t, *p.Spec.AutomountServiceAccountToken, owner)
			c, s := p.Spec.Containers[0], p.Spec.SecurityContext
			image, tag, _ := strings.Cut(c.Image, ":")
			require.True(t, *s.RunAsNonRoot, owner)
			require.Equal(t, users[image], *s.RunAsUser, "%s: the user of %s", owner, image)
			require.Equal(t, core.SeccompProfileTypeRuntimeDefault, s.SeccompProfile.Type, owner)
			require.False(t, *c.SecurityContext.AllowPrivilegeEscalation, owner)
			require.Equal(t, []core.Capability{"ALL"}, c.SecurityContext.Capabilities.Drop, owner)
			require.Empty(t, c.SecurityContext.Capabilities.Add, owner)

			// The tag of our own image stands in the kustomization alone, those of the others are exact.
			if ours := customization(t).Images[0]; image == ours.Name {
				require.Empty(t, tag, owner)
				require.NotEmpty(t, ours.NewTag)
				require.NotEqual(t, "latest", ours.NewTag)
				require.True(t, *c.SecurityContext.ReadOnlyRootFilesystem, owner)
			} else {
				require.Regexp(t, `^\d+\.\d+\.\d+$`, tag, owner)
			}

			_, writable := files(t, objects, owner)
			if len(writable) > 0 {
				require.Equal(t, s.RunAsUser, s.FSGroup, "%s: the group of its volume", owner)
			}

			limit := c.Resources.Limits.Memory()
			require.Positive(t, limit.Value(), owner)
			require.Positive(t, c.Resources.Requests.Cpu().MilliValue(), owner)
			require.Positive(t, c.Resources.Requests.Memory().Value(), owner)
			require.LessOrEqual(t, c.Resources.Requests.Memory().Value(), limit.Value(), owner)
			heap := heapOf(t, c)
			require.Positive(t, heap.Value(), "%s: the program does not know its memory", owner)
			require.Less(t, heap.Value(), limit.Value()*9/10, owner)
		}
	}
}

// heapOf returns how much memory the environment allows the program of a container: Go's by GOMEMLIMIT, Java's by -Xmx.
func heapOf(t *testing.T, c core.Container) resource.Quantity {
	t.Helper()
	for _, e := range c.Env {
		amount := ""
		switch e.Name {
		case "GOMEMLIMIT":
			amount = strings.TrimSuffix(e.Value, "B")
		case "JAVA_OPTS", "ES_JAVA_OPTS":
			i := strings.Index(e.Value, "-Xmx")
			require.GreaterOrEqual(t, i, 0)
			amount = strings.ToUpper(strings.Fields(e.Value[i+len("-Xmx"):])[0]) + "i"
		default:
			continue
		}
		q, err := resource.ParseQuantity(amount)
		require.NoError(t, err, e.Value)
		return q
	}
	return resource.Quantity{}
}

// TestProbes checks that probes ask ports of their container, for a path that the program answers. That the collector's path is
// answered is seen by TestFrontRefusesWhatItCannotPassOn.
func TestProbes(t *testing.T) {
	paths := map[string][]string{"tppfaas/collector": {"/"}, "openzipkin/zipkin": {"/health"}, "docker.elastic.co/elasticsearch/elasticsearch": {"/_cluster/health"}}
	for _, objects := range sets(t) {
		for owner, p := range pods(objects) {
			c := p.Spec.Containers[0]
			require.NotNil(t, c.ReadinessProbe, owner)
			image, _, _ := strings.Cut(c.Image, ":")
			for _, probe := range []*core.Probe{c.ReadinessProbe, c.LivenessProbe, c.StartupProbe} {
				if probe == nil {
					continue
				}
				_, ok := portOf(p, probe.HTTPGet.Port)
				require.True(t, ok, "%s: %v", owner, probe.HTTPGet.Port)
				require.True(t, slices.Contains(paths[image], probe.HTTPGet.Path), "%s: %s", owner, probe.HTTPGet.Path)
				require.Empty(t, probe.HTTPGet.Scheme)
			}
		}
	}
}
