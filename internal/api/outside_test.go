package api

import (
	"os"
	"os/exec"
	"testing"
)

// TestModulesOutside checks that separate modules compile and pass their tests: one with its own model and distribution, for which everything
// that it needs must be exported, and a function for OpenWhisk.
func TestModulesOutside(t *testing.T) {
	for _, dir := range []string{"../../examples/ownmodel", "../../examples/instrument/go"} {
		c := exec.CommandContext(t.Context(), "go", "test", "./...")
		c.Dir = dir
		c.Env = append(os.Environ(), "GOWORK=off")
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", dir, err, out)
		}
	}
}
