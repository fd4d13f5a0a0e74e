package main

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/internal/cli"
)

// TestInspectHawkes draws from a known Hawkes process, fits one with standard errors, and finds the truth within four of them in what inspect prints.
func TestInspectHawkes(t *testing.T) {
	folder := t.TempDir()
	model, drawn, fitted := filepath.Join(folder, "m.safetensors"), filepath.Join(folder, "d.json.gz"), filepath.Join(folder, "f.safetensors")
	for _, args := range [][]string{
		{"define", write(t, "p.yaml", hawkesText), "-o", model},
		{"sample", model, "-n", "60", "-window", "10000", "-o", drawn},
		{"train", drawn, "-o", fitted, "-kind", "hawkes", "-standard-errors", "-resolution", "0.001"},
	} {
		if status, _, errs := call(t, args...); status != cli.OK {
			t.Fatalf("%v: %s", args, errs)
		}
	}
	status, out, errs := call(t, "inspect", fitted, "-json")
	if status != cli.OK {
		t.Fatal(errs)
	}
	var r modelReport
	decodeOne(t, out, &r)
	near := func(what string, v float64, e *float64, truth float64) {
		t.Helper()
		if e == nil || !(*e > 0) || math.Abs(v-truth) > 4**e {
			t.Errorf("%s is %v ± %v, in truth %v", what, v, e, truth)
		}
	}
	h := r.Hawkes
	if h == nil || len(h.Base) != 2 || h.SpectralRadius == nil || len(h.StationaryRates) != 2 {
		t.Fatalf("inspect says %s", out)
	}
	near("the base intensity of quakes", h.Base[0].Rate, h.Base[0].Error, 0.002)
	found := 0
	for _, k := range h.Kernels {
		if k.To != "aftershock" {
			continue
		}
		found++
		near("branching from "+k.From, k.Branching, k.BranchingError, map[string]float64{"quake": 0.8, "aftershock": 0.5}[k.From])
		near("the decay", k.Beta, k.BetaError, 0.05)
		near("alpha from "+k.From, k.Alpha, k.AlphaError, map[string]float64{"quake": 0.04, "aftershock": 0.025}[k.From])
	}
	if found != 2 {
		t.Errorf("%d kernels excite aftershocks: %+v", found, h.Kernels)
	}
	status, out, _ = call(t, "inspect", fitted, model)
	for _, says := range []string{"quake excites aftershock: branching 0.", " ± ", "spectral radius", "branching 0.8, alpha 0.04, beta 0.05\n"} {
		if status != cli.OK || !strings.Contains(out, says) {
			t.Errorf("inspect does not say %q: %s", says, out)
		}
	}
	if strings.Contains(out, "standard_errors") {
		t.Errorf("inspect prints lists of numbers: %s", out)
	}
	if status, _, errs := call(t, "train", drawn, "-o", fitted, "-standard-errors"); status != cli.Usage || !strings.Contains(errs, "-standard-errors is for -kind hawkes") {
		t.Errorf("status %d, %s", status, errs)
	}
}

// TestManyKernels checks that the text says how many kernels it leaves out.
func TestManyKernels(t *testing.T) {
	r := hawkesReport{Kernels: make([]kernelReport, mostKernels+7)}
	var b strings.Builder
	r.print(&b)
	if text := b.String(); !strings.Contains(text, "and 7 more") || strings.Count(text, "excites") != mostKernels {
		t.Errorf("it says %s", text)
	}
}
