package api

import (
	"os"
	"os/exec"
	"slices"
	"strings"
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
