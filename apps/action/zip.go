package action

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Zip returns the zip that OpenWhisk wants for an executable of a kind: exec and, for a compiled Go action, exec.env with the name of the
// kind's runtime, which does not start the executable without it. The same executable gives the same bytes.
func Zip(executable []byte, kind string) ([]byte, error) {
	env, err := runtimeName(kind)
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	z := zip.NewWriter(&packed)
	add := func(name string, mode os.FileMode, content []byte) error {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(2021, time.June, 1, 0, 0, 0, 0, time.UTC)}
		h.SetMode(mode)
		w, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	}
	err = add("exec", 0o755, executable)
	if env != "" {
		err = errors.Join(err, add("exec.env", 0o644, []byte(env)))
	}
	if err = errors.Join(err, z.Close()); err != nil {
		return nil, fmt.Errorf("packing the action: %w", err)
	}
	return packed.Bytes(), nil
}

// runtimeName returns the OW_EXECUTION_ENV of the runtime of a kind, "" for a blackbox, which has none.
func runtimeName(kind string) (string, error) {
	if kind == "blackbox" {
		return "", nil
	}
	version, ok := strings.CutPrefix(kind, "go:")
	if !ok || version == "" || version == "default" {
		return "", fmt.Errorf("kind %q: it must be go: with a version, or blackbox", kind)
	}
	return "openwhisk/action-golang-v" + version, nil
}

// FileName returns the name of the executable for an architecture of Linux, which stands beside the programs that deploy it.
func FileName(arch string) string { return "action-linux-" + arch }

// Executable returns the action's executable for an architecture of Linux. It reads the file beside the running program. If there is none
// it builds the executable, which needs Go and a checkout of this project.
func Executable(ctx context.Context, arch string) ([]byte, error) {
	self, err := os.Executable()
	if err == nil {
		file := filepath.Join(filepath.Dir(self), FileName(arch))
		if content, err := os.ReadFile(file); err == nil {
			return content, nil
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	content, err := Build(ctx, arch)
	if err != nil {
		return nil, fmt.Errorf("the action's executable is not beside the program (%s; make build puts it there), and cannot be built: %w", FileName(arch), err)
	}
	return content, nil
}

// Build builds the executable for an architecture of Linux, statically, from the checkout that the working directory is in.
func Build(ctx context.Context, arch string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "tppfaas-action-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "exec")
	command := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-o", file,
		"github.com/tppfaas/tppfaas/apps/action/cmd/action")
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w: %s", err, strings.Join(strings.Fields(string(out)), " "))
	}
	return os.ReadFile(file)
}
