package api

import (
	"os"
	"os/exec"
	"testing"
)

// TestModuleOutside compiles and runs a module that is not this one and has a model and a distribution of its own: whatever it
// needs must be exported.
func TestModuleOutside(t *testing.T) {
	c := exec.CommandContext(t.Context(), "go", "test", "./...")
	c.Dir = "../../examples/ownmodel"
	c.Env = append(os.Environ(), "GOWORK=off")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
