package action

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
)

const (
	module  = "github.com/tppfaas/tppfaas"
	command = module + "/apps/action/cmd/action"
)

// FileName is what the executable for an architecture of Linux is called beside the programs that deploy it.
func FileName(arch string) string { return "action-linux-" + arch }

// Executable returns the action's executable for an architecture of Linux. It is the file beside the program that runs: the one of that
// FileName, which make build puts there, or action, which go install puts there. If there is neither it is built, which needs Go and a
// checkout of this project.
func Executable(ctx context.Context, arch string) ([]byte, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	content, beside := executableIn(filepath.Dir(self), arch)
	if beside == nil {
		return content, nil
	}
	content, err = Build(ctx, arch)
	if err != nil {
		return nil, fmt.Errorf("%w, and it cannot be built outside a checkout: install it with CGO_ENABLED=0 GOARCH=%s go install %s@%s (%w)",
			beside, arch, command, version(), err)
	}
	return content, nil
}

// executableIn returns the executable that is in a folder.
func executableIn(dir, arch string) ([]byte, error) {
	content, err := os.ReadFile(filepath.Join(dir, FileName(arch)))
	if err == nil || !errors.Is(err, os.ErrNotExist) {
		return content, err
	}
	file := filepath.Join(dir, "action")
	content, err = os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("the action's executable is not beside the program: %s has neither %s nor action", dir, FileName(arch))
	} else if err != nil {
		return nil, err
	}
	if err := check(content, arch); err != nil {
		return nil, fmt.Errorf("%s is not the action's executable: %w", file, err)
	}
	return content, nil
}

// check returns an error if the content is not the action's executable for an architecture of Linux, or if it needs a C library, which
// the container that it runs in need not have.
func check(content []byte, arch string) error {
	info, err := buildinfo.Read(bytes.NewReader(content))
	if err != nil {
		return err
	}
	if info.Path != command {
		return fmt.Errorf("it was built from %s, not from %s", info.Path, command)
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "GOOS" && s.Value != "linux":
			return fmt.Errorf("it is for %s, not for linux", s.Value)
		case s.Key == "GOARCH" && s.Value != arch:
			return fmt.Errorf("it is for %s, not for %s", s.Value, arch)
		}
	}
	file, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return err
	}
	libraries, err := file.ImportedLibraries()
	if err != nil {
		return err
	}
	if len(libraries) > 0 {
		return fmt.Errorf("it needs %s, for it was built without CGO_ENABLED=0", strings.Join(libraries, ", "))
	}
	return nil
}

// version returns the version of this module as go install takes it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Path == module && strings.HasPrefix(info.Main.Version, "v") && !strings.Contains(info.Main.Version, "+") {
		return info.Main.Version
	}
	return "latest"
}

// Build builds the executable for an architecture of Linux, statically, from the checkout that the working directory is in.
func Build(ctx context.Context, arch string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "tppfaas-action-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "exec")
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-o", file, command)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := build.CombinedOutput(); ctx.Err() != nil {
		return nil, ctx.Err()
	} else if err != nil {
		return nil, fmt.Errorf("go build: %w: %s", err, strings.Join(strings.Fields(string(out)), " "))
	}
	return os.ReadFile(file)
}
