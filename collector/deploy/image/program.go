package main

import (
	"context"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/tppfaas/tppfaas/internal/cli"
)

const (
	module  = "github.com/tppfaas/tppfaas"
	command = module + "/collector/cmd/collector"
)

// program is an executable file of the collector for an architecture, and what its build noted of its origin.
type program struct {
	file, arch        string
	version, revision string
	static            bool // it needs no libraries
}

// build builds the collector as a static program. The sources are those of the working directory's module.
func build(ctx context.Context, arch, file string) (program, error) {
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", file, command)
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := c.CombinedOutput(); ctx.Err() != nil {
		return program{}, ctx.Err()
	} else if err != nil {
		return program{}, fmt.Errorf("building the collector for linux/%s: %w: %s", arch, err, strings.TrimSpace(string(out)))
	}
	p, err := inspect(file)
	if err != nil {
		return program{}, err
	}
	if p.arch != arch || !p.static {
		return program{}, fmt.Errorf("%s: go build made no static program for linux/%s", file, arch)
	}
	return p, nil
}

// inspect reads what a file is.
func inspect(file string) (program, error) {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return program{}, err
	}
	if info.Path != command {
		return program{}, fmt.Errorf("%s is %s, not the collector", file, info.Path)
	}
	p := program{file: file, version: cli.VersionOf(info)}
	var system string
	for _, s := range info.Settings {
		switch s.Key {
		case "GOOS":
			system = s.Value
		case "GOARCH":
			p.arch = s.Value
		case "vcs.revision":
			p.revision = s.Value
		}
	}
	if system != "linux" {
		return program{}, fmt.Errorf("%s is a program for %s, not for Linux", file, system)
	}
	p.static, err = isStatic(file)
	return p, err
}

// isStatic reports whether an executable file needs neither a loader nor libraries, which an image without files does not have.
func isStatic(file string) (static bool, err error) {
	f, err := elf.Open(file)
	if err != nil {
		return false, fmt.Errorf("%s: %w", file, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return false, nil
		}
	}
	libraries, err := f.ImportedLibraries()
	if err != nil {
		return false, fmt.Errorf("%s: %w", file, err)
	}
	return len(libraries) == 0, nil
}
