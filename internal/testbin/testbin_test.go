package testbin

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestPathBuildsOnce(t *testing.T) {
	t.Setenv(Variable, "")
	file, err := Path("apps/action/cmd/pack")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), file, "-h").CombinedOutput(); err != nil || !strings.Contains(string(out), "Usage: pack") {
		t.Errorf("%s -h: %v: %s", file, err, out)
	}
	// A second call takes what is there, even where it is not what go would build.
	if err := os.WriteFile(file, []byte("built"), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Path("apps/action/cmd/pack"); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "built" {
		t.Errorf("the program was built again: %v", err)
	}
	if _, err := Path("no/such/program"); err == nil || !strings.Contains(err.Error(), "no/such/program") {
		t.Errorf("error %v, want one that names the package", err)
	}
	if err := Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(file)); !os.IsNotExist(err) {
		t.Errorf("the folder is left: %v", err)
	}
}

func TestPathTakesWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(Variable, dir)
	if _, err := Path("tpp/cmd/tpp"); err == nil || !strings.Contains(err.Error(), "make testbins") {
		t.Errorf("error %v, want one that says how to build it", err)
	}
	want := filepath.Join(dir, "tpp")
	if err := os.WriteFile(want, nil, 0o777); err != nil {
		t.Fatal(err)
	}
	if file, err := Path("tpp/cmd/tpp"); err != nil || file != want {
		t.Errorf("%q, %v; want %q", file, err, want)
	}
}

func TestProgramsHaveDifferentNames(t *testing.T) {
	for pkg, want := range map[string]string{"prewarm/cmd/live": "live", "examples/live": "examples-live", "tpp/cmd/tpp": "tpp"} {
		if name := program(pkg); name != want {
			t.Errorf("the program of %s is called %s, want %s", pkg, name, want)
		}
	}
}
