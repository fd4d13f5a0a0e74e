package main

import (
	"context"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/tppfaas/tppfaas/internal/cli"
)

const module = "github.com/tppfaas/tppfaas"

// product is a program of the project that there are images of.
type product struct {
	name, command, description string
}

var products = []*product{
	{"collector", module + "/collector/cmd/collector", "OpenTelemetry Collector for OpenWhisk"},
	{"prewarm", module + "/prewarm/cmd/prewarm", "Controller that starts serverless functions' containers before they are needed"},
}

// program is an executable file of a product for an architecture, and what its build noted of its origin.
type program struct {
	product           *product
	file, arch        string
	version, revision string
	static            bool // it needs no libraries
}

// build builds a product as a static program. The sources are those of the working directory's module.
func (o *product) build(ctx context.Context, arch, file string) (program, error) {
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", file, o.command)
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := c.CombinedOutput(); ctx.Err() != nil {
		return program{}, ctx.Err()
	} else if err != nil {
		return program{}, fmt.Errorf("building %s for linux/%s: %w: %s", o.name, arch, err, strings.TrimSpace(string(out)))
	}
	p, err := inspect(file)
	if err != nil {
		return program{}, err
	}
	if p.product != o || p.arch != arch || !p.static {
		return program{}, fmt.Errorf("%s: go build made no static %s for linux/%s", file, o.name, arch)
	}
	return p, nil
}

// inspect reads what a file is.
func inspect(file string) (program, error) {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return program{}, err
	}
	i := slices.IndexFunc(products, func(o *product) bool { return o.command == info.Path })
	if i < 0 {
		return program{}, fmt.Errorf("%s is %s, of which there are no images", file, info.Path)
	}
	p := program{product: products[i], file: file, version: cli.VersionOf(info)}
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
