package api

import (
	"os"
	"os/exec"
	"slices"
	"strings"
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

// TestModuleOutsideNeedsLittle checks that who imports the core compiles, and so downloads, none of the modules that the collector, the
// image and the tests need.
func TestModuleOutsideNeedsLittle(t *testing.T) {
	c := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./...")
	c.Dir = "../../examples/ownmodel"
	c.Env = append(os.Environ(), "GOWORK=off")
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := strings.Fields(string(out))
	slices.Sort(modules)
	want := []string{"example.com/ownmodel", "github.com/tppfaas/tppfaas", "golang.org/x/sys", "golang.org/x/tools", "gonum.org/v1/gonum"}
	if modules = slices.Compact(modules); !slices.Equal(modules, want) {
		t.Errorf("a module with a model of its own is built from %q, want %q", modules, want)
	}
}
