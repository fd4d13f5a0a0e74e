package controller

import (
	"context"
	"fmt"

	"github.com/tppfaas/tppfaas/rightsize"
	"github.com/tppfaas/tppfaas/rightsize/gateway"
	"github.com/tppfaas/tppfaas/rightsize/manifest"
	"github.com/tppfaas/tppfaas/rightsize/recommend"
)

// File is an Applier that writes into a file: stack.yml, or a manifest of Kubernetes. Somebody, or something, has to deploy it.
type File struct {
	Path string
	// Namespace and Container are those of manifest.Target.
	Namespace, Container string
	// OnBackup is told the name of the file that has the old content; it may be nil.
	OnBackup func(name string)
}

// Limits returns those that the file has.
func (f File) Limits(_ context.Context, function string) (recommend.Limits, error) {
	text, err := manifest.ReadFile(f.Path)
	if err != nil {
		return recommend.Limits{}, err
	}
	r, _, err := manifest.Get(text, f.target(function))
	if err != nil {
		return recommend.Limits{}, fmt.Errorf("%s: %w", f.Path, err)
	}
	l, err := Parse(r)
	if err != nil {
		return l, fmt.Errorf("%s: %s: %w", f.Path, function, err)
	}
	return l, nil
}

// Apply writes the limits that are set, if the file has others.
func (f File) Apply(_ context.Context, function string, l recommend.Limits) error {
	text, err := manifest.ReadFile(f.Path)
	if err != nil {
		return err
	}
	edit, err := manifest.Set(text, f.target(function), Resources(l))
	if err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	if len(edit.Changes) == 0 {
		return nil
	}
	backup, err := manifest.WriteFile(f.Path, text, edit.Text)
	if err == nil && f.OnBackup != nil {
		f.OnBackup(backup)
	}
	return err
}

func (f File) target(function string) manifest.Target {
	return manifest.Target{Function: function, Namespace: f.Namespace, Container: f.Container}
}

// Gateway is an Applier that deploys functions anew through the gateway of OpenFaaS.
type Gateway struct{ *gateway.Gateway }

// Limits returns those that the gateway tells.
func (g Gateway) Limits(ctx context.Context, function string) (recommend.Limits, error) {
	r, err := g.Resources(ctx, function)
	if err != nil {
		return recommend.Limits{}, err
	}
	l, err := Parse(r)
	if err != nil {
		return l, fmt.Errorf("%s: %w", function, err)
	}
	return l, nil
}

// Apply sets the limits that are set, if the function has others.
func (g Gateway) Apply(ctx context.Context, function string, l recommend.Limits) error {
	_, err := g.Set(ctx, function, Resources(l))
	return err
}

// Resources returns limits as they are written.
func Resources(l recommend.Limits) manifest.Resources {
	write := func(v float64, format func(float64) string) string {
		if v == 0 {
			return ""
		}
		return format(v)
	}
	return manifest.Resources{
		MemoryLimit: write(l.MemoryLimit, rightsize.FormatMemory), MemoryRequest: write(l.MemoryRequest, rightsize.FormatMemory),
		CPULimit: write(l.CPULimit, rightsize.FormatCPU), CPURequest: write(l.CPURequest, rightsize.FormatCPU),
	}
}

// Parse returns the values of limits that are written.
func Parse(r manifest.Resources) (l recommend.Limits, err error) {
	for _, p := range []struct {
		name, text string
		to         *float64
	}{
		{"memory limit", r.MemoryLimit, &l.MemoryLimit}, {"memory request", r.MemoryRequest, &l.MemoryRequest},
		{"CPU limit", r.CPULimit, &l.CPULimit}, {"CPU request", r.CPURequest, &l.CPURequest},
	} {
		if p.text == "" {
			continue
		}
		if *p.to, err = rightsize.ParseQuantity(p.text); err != nil {
			return l, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return l, nil
}
