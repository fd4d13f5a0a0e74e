package testbin

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Variable is the environment variable that names the folder with the programs.
const Variable = "TPPFAAS_TESTBIN"

const module = "github.com/tppfaas/tppfaas/"

var (
	mu    sync.Mutex
	built string           // folder of what this process has built, "" as long as that is nothing
	errs  map[string]error // of the packages that this process has tried to build
)

// Path returns the path of the executable of a main package, given by its folder in the module, such as sampler/cmd/sampler.
func Path(pkg string) (string, error) {
	name := program(pkg)
	if dir := os.Getenv(Variable); dir != "" {
		file := filepath.Join(dir, name)
		if _, err := os.Stat(file); err != nil {
			return "", fmt.Errorf("%s has no program of %s (make testbins builds it): %w", Variable, pkg, err)
		}
		return file, nil
	}
	mu.Lock()
	defer mu.Unlock()
	if built == "" {
		dir, err := os.MkdirTemp("", "tppfaas-testbin-")
		if err != nil {
			return "", err
		}
		built, errs = dir, map[string]error{}
	}
	file := filepath.Join(built, name)
	err, tried := errs[pkg]
	if !tried {
		err = build(pkg, file)
		errs[pkg] = err
	}
	return file, err
}

// program returns the name of the executable of a package. Examples may have the name of a command.
func program(pkg string) string {
	if strings.HasPrefix(pkg, "examples/") {
		return strings.ReplaceAll(pkg, "/", "-")
	}
	return path.Base(pkg)
}

func build(pkg, file string) error {
	// These flags are those of make testbins. They leave the compiled packages as go test has them, so that little more than linking is done.
	out, err := exec.Command("go", "build", "-buildvcs=false", "-ldflags", "-s -w", "-o", file, module+pkg).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build %s: %w: %s", pkg, err, out)
	}
	return nil
}

// Remove removes what this process has built.
func Remove() error {
	mu.Lock()
	defer mu.Unlock()
	if built == "" {
		return nil
	}
	dir := built
	built, errs = "", nil
	return os.RemoveAll(dir)
}

// Main runs the tests of a package, removes what they had built, and returns the exit status.
func Main(m *testing.M) int {
	status := m.Run()
	if err := Remove(); err != nil {
		fmt.Fprintln(os.Stderr, "testbin:", err)
		return 1
	}
	return status
}
