package deploy

import (
	"bufio"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	core "k8s.io/api/core/v1"
)

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

// TestNamespaceComesFirst checks that no object is created before its namespace: in the kustomization, in each file that has a
// namespace of its own, and by the commands of the documents.
func TestNamespaceComesFirst(t *testing.T) {
	var all []object
	for _, file := range resources(t) {
		all = append(all, read(t, file)...)
	}
	example := read(t, "secret.example.yaml")
	for _, objects := range [][]object{all, example} {
		for i, o := range objects {
			require.Equal(t, i == 0, o.kind == "Namespace", "%s: %s is number %d", o.file, o.kind, i)
		}
	}
	require.Equal(t, read(t, "namespace.yaml")[0].value, example[0].value, "the namespace is the same wherever it is created")
	require.Equal(t, customization(t).Namespace, example[0].meta.Name)
}

// TestDocumentsCreateTheNamespaceFirst checks that what is said of the Secret, anywhere, says first how to create its namespace.
func TestDocumentsCreateTheNamespaceFirst(t *testing.T) {
	places := 0
	for _, folder := range []string{root + "/docs", root + "/collector", root + "/prewarm/deploy", root + "/README.md"} {
		err := filepath.WalkDir(folder, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(file, "_test.go") {
				return err
			}
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			namespace := false
			for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
				line := lines.Text()
				switch {
				case strings.Contains(line, "kubectl apply -f collector/deploy/namespace.yaml"), strings.Contains(line, "kubectl apply -f prewarm/deploy/namespace.yaml"): // which are the same
					namespace = true
				case strings.Contains(line, "kubectl") && strings.Contains(line, "create secret"):
					places++
					require.True(t, namespace, "%s: %s: the namespace is not there yet", file, line)
				case strings.Contains(line, "kubectl apply -f"):
					t.Errorf("%s: %s: one file after the other has no order", file, line)
				}
			}
			return nil
		})
		require.NoError(t, err)
	}
	require.GreaterOrEqual(t, places, 7)
}

// TestNoKeyIsCommitted checks that the secret is an example and is not applied.
func TestNoKeyIsCommitted(t *testing.T) {
	secret := read(t, "secret.example.yaml")[1].value.(*core.Secret)
	require.Equal(t, map[string]string{"auth": "USER:PASSWORD"}, secret.StringData)
	require.NotContains(t, resources(t), "secret.example.yaml")
}
