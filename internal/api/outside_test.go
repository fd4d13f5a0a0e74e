package api

import (
	"os"
	"os/exec"
	"testing"
)

// TestModuleOutside checks that a separate module with its own model and distribution compiles and passes its tests:
// everything that it needs must be exported.
func TestModuleOutside(t *testing.T) {
	c := exec.CommandContext(t.Context(), "go", "test", "./...")
	c.Dir = "../../examples/ownmodel"
	c.Env = append(os.Environ(), "GOWORK=off")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
