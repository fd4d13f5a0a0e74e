package deploy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// TestSeveral applies the patches for several controllers, and checks that these have no state of their own, share their work, and are otherwise as one is.
func TestSeveral(t *testing.T) {
	var k struct {
		Resources []string
		Patches   []struct{ Path string }
	}
	text, err := os.ReadFile("several/kustomization.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &k))
	require.Equal(t, []string{".."}, k.Resources)
	require.Len(t, k.Patches, 2)

	one := object[*apps.Deployment](t, "Deployment prewarm")
	original, err := yaml.Marshal(one)
	require.NoError(t, err)
	original, err = yaml.YAMLToJSON(original)
	require.NoError(t, err)
	patch, err := os.ReadFile(filepath.Join("several", k.Patches[0].Path))
	require.NoError(t, err)
	patch, err = yaml.YAMLToJSONStrict(patch)
	require.NoError(t, err)
	merged, err := strategicpatch.StrategicMergePatch(original, patch, apps.Deployment{})
	require.NoError(t, err)
	var several apps.Deployment
	unknown, err := json.UnmarshalStrict(merged, &several)
	require.NoError(t, err)
	require.Empty(t, unknown)

	require.Greater(t, *several.Spec.Replicas, int32(1))
	require.Equal(t, apps.RollingUpdateDeploymentStrategyType, several.Spec.Strategy.Type)
	require.Equal(t, one.Name, several.Name)
	p, before := several.Spec.Template.Spec, one.Spec.Template.Spec
	require.Len(t, p.Containers, 1)
	require.Len(t, p.Volumes, len(before.Volumes)-1)
	require.Len(t, p.Containers[0].VolumeMounts, len(before.Containers[0].VolumeMounts)-1)
	require.Equal(t, before.SecurityContext, p.SecurityContext)
	require.Equal(t, before.Containers[0].SecurityContext, p.Containers[0].SecurityContext)
	require.Equal(t, before.Containers[0].Image, p.Containers[0].Image)
	for _, v := range p.Volumes {
		require.NotEqual(t, "state", v.Name)
	}
	args := map[string]string{}
	for _, a := range p.Containers[0].Args[1:] {
		name, value, _ := strings.Cut(a, "=")
		args[name] = value
	}
	require.Contains(t, args, "-share")
	require.NotEmpty(t, args["-kafka"])
	require.NotContains(t, args, "-state")
	require.NotContains(t, args, "-learn")
	require.NotContains(t, args, "-act", "they look on until somebody decides otherwise")
	mounted := ""
	for _, m := range p.Containers[0].VolumeMounts {
		if m.Name == "models" {
			mounted = m.MountPath
		}
	}
	require.Equal(t, mounted, filepath.Dir(args["-model"]))

	gone, err := os.ReadFile(filepath.Join("several", k.Patches[1].Path))
	require.NoError(t, err)
	for _, v := range before.Volumes {
		if v.PersistentVolumeClaim != nil {
			require.Contains(t, string(gone), "$patch: delete")
			require.Contains(t, string(gone), "name: "+v.PersistentVolumeClaim.ClaimName+"\n")
		}
	}
}
