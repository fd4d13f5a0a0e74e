//go:build integration

package keda

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestIntegrationClient runs the tests with the client that KEDA v2.21.0 has generated. They are a module of their own.
func TestIntegrationClient(t *testing.T) {
	// The versions may have to follow those of this module, in a copy.
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join("testdata/client", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o666))
	}
	test := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-mod=mod", "-modfile="+filepath.Join(dir, "go.mod"), "./...")
	test.Dir, test.Env = "testdata/client", append(os.Environ(), "GOWORK=off")
	out, err := test.CombinedOutput()
	require.NoError(t, err, string(out))
	t.Logf("%s", out)
}
