package main

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp"
)

const hawkesText = `
kind: hawkes
marks: [quake, aftershock]
base: [0.002, 0]
branching: [[0, 0.8], [0, 0.5]]
decay: [[0.05]]
`

// TestDefineThenSample defines each kind of process, draws from it, and evaluates it on what was drawn.
func TestDefineThenSample(t *testing.T) {
	for kind, c := range map[string]struct {
		text   string
		events float64 // in a window of 10000, on average
	}{
		// A quake has 0.8/(1 − 0.5) aftershocks.
		"hawkes": {hawkesText, 20 * (1 + 1.6)},
		// A second kernel takes over some of the 0.5.
		"hawkes of two kernels": {strings.Replace(hawkesText, "[0, 0.5]", "[0, 0.3]", 1) + "further: [{branching: [[0, 0], [0, 0.2]], decay: 0.5}]", 20 * (1 + 1.6)},
		"poisson":               {`{"kind": "poisson", "rates": [0.004, 0.001]}`, 50},
		"renewal":               {"kind: renewal\ntime_unit: s\nshares: [1, 3]\ngaps: {weight: [1], mu: [4.605170186], sigma: [0.5]}\n", 10000 / (100 * math.Exp(0.125))},
	} {
		folder := t.TempDir()
		model, drawn := filepath.Join(folder, "m.safetensors"), filepath.Join(folder, "drawn.json.gz")
		status, out, errs := call(t, "define", write(t, kind, c.text), "-o", model)
		if status != cli.OK || !strings.Contains(out, strings.Fields(kind)[0]+", 2 marks") {
			t.Fatalf("%s: status %d, %s%s", kind, status, out, errs)
		}
		if status, _, errs := call(t, "sample", model, "-n", "200", "-window", "10000", "-o", drawn, "-seed", "1"); status != cli.OK {
			t.Fatalf("%s: sample: %s", kind, errs)
		}
		if mean := float64(read(t, drawn).NumEvents()) / 200; math.Abs(mean-c.events) > 0.1*c.events {
			t.Errorf("%s: %v events in a window, want %v", kind, mean, c.events)
		}
		if status, _, errs := call(t, "evaluate", model, drawn); status != cli.OK {
			t.Errorf("%s: evaluate: %s", kind, errs)
		}
	}
}

// TestDefineReports checks what -json says.
func TestDefineReports(t *testing.T) {
	model := filepath.Join(t.TempDir(), "m.safetensors")
	status, out, errs := call(t, "define", write(t, "p.yaml", hawkesText), "-o", model, "-json")
	if status != cli.OK {
		t.Fatal(errs)
	}
	var d definition
	decodeOne(t, out, &d)
	near := func(got, want float64) bool { return math.Abs(got-want) < 1e-6 }
	if d.Kind != "hawkes" || d.SpectralRadius == nil || !near(*d.SpectralRadius, 0.5) || len(d.Rates) != 2 || !near(d.Rates[0], 0.002) || !near(d.Rates[1], 0.0032) {
		t.Errorf("define says %s", out)
	}
	if m, err := tpp.ReadModelFile(model); err != nil || m.MarkNames()[1] != "aftershock" {
		t.Errorf("a model with the error %v", err)
	}
}

// TestDefineRefuses checks that a file that defines no process is one line that says why.
func TestDefineRefuses(t *testing.T) {
	model := filepath.Join(t.TempDir(), "m.safetensors")
	for _, c := range []struct{ text, want string }{
		{"", "it is empty"},
		{"kind: [", "p.yaml: line 1: did not find expected node content"},
		{"kind: poisson\nrates: 1\nend: often\ngaps: 2\nmarks: [[a]]",
			`line 2: a list of numbers is due, not "1"; line 3: a number is due, not "often"; line 4: a mapping of weight, mu, sigma is due, not "2"; line 5: a text is due`},
		{"kind: poisson\nrates: [1]\nrates: [2]", `line 3: mapping key "rates" already defined at line 2`},
		{"- kind", "line 1: a file of keys like kind: hawkes is due"},
		{"kind: cox", `kind is "cox"`},
		{"kind: poisson\nrate: 3", `line 2: unknown key "rate" (known: kind, marks, end, time_unit, resolution, rates, shares, gaps, base, branching, decay, further)`},
		{"kind: poisson", "rates is missing"},
		{"kind: poisson\nrates: [1]\nbase: [1]", "base is not for a poisson process"},
		{"kind: renewal\ngaps: {weight: [-1], mu: [0], sigma: [1]}", "a weight of the gaps is -1"},
		{"kind: renewal\ngaps: {weight: [1], mu: [0, 1], sigma: [1]}", "1 log weights, 2 means"},
		{"kind: hawkes\nbase: [1]\nbranching: [[1.5]]\ndecay: [[1]]", "not stable: the spectral radius of its branching matrix is 1.5"},
		{"kind: poisson\nrates: [1]\nfurther: []", "further is not for a poisson process"},
		{hawkesText + "further: [{branching: [[0, 0], [0, 0.6]], decay: 1}]", "not stable: the spectral radius of its branching matrix is 1.1"},
		{hawkesText + "further: [{branching: [[0, 0.1]], decay: 1}]", "the branching matrix of the kernel with the decay 1 has 1 rows, it must have one for each of 2 marks"},
		{hawkesText + "further: [{branching: [[0, 0], [0, 0.1]]}]", "a decay is 0"},
		{hawkesText + "further: [{branching: [[0, 0], [0, 0.1]], decay: 1, x: 2}]", "unknown key \"x\" (known: branching, decay)\n"},
		{hawkesText + "further: [null]", "line 7: entry 0 of further is null"},
		{hawkesText + "further:\n  - {branching: [[0, 0], [0, 0.1]], decay: 1}\n  - {branching: [[0, 0], [0, ~]], decay: 1}", "line 9: entry 1 of branching is null"},
		{"kind: poisson\nrates: [1, ~]", "line 2: entry 1 of rates is null"},
		{"kind: poisson\nmarks: [a, &x ~]\nrates: [1, *x]", "line 2: entry 1 of marks is null"},
		{"kind: poisson\nend: &x ~\nrates: [1, *x]", "line 3: entry 1 of rates is null"},
		{"kind: poisson\nrates: [1]\n---\nkind: poisson\nrates: [2]", "line 3: a second document"},
		{"kind: poisson\nrates: [1]\n---\nrates: [", "did not find expected"},
		{strings.Replace(hawkesText, "[[0.05]]", "[[1, 1], [1, 1]]", 1) + "further: [{branching: [[0, 0], [0, 0.1]], decay: 1}]", "each has one decay"},
	} {
		status, _, errs := call(t, "define", write(t, "p.yaml", c.text), "-o", model)
		if status != cli.Failed || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "p.yaml: ") {
			t.Errorf("%q: status %d, %s, want %q", c.text, status, errs, c.want)
		}
	}
	if status, _, errs := call(t, "define", "nowhere.yaml", "-o", model); status != cli.Failed || strings.Count(errs, "nowhere.yaml") != 1 {
		t.Errorf("a file that is not there: status %d, %s", status, errs)
	}
	for _, args := range [][]string{{"define"}, {"define", "x.yaml"}, {"define", "x.yaml", "-o", "x.yaml"}} {
		if status, _, errs := call(t, args...); status != cli.Usage {
			t.Errorf("%v: status %d, %s", args, status, errs)
		}
	}
}

// FuzzParseParameters checks that no text makes the reader fail otherwise than with an error.
func FuzzParseParameters(f *testing.F) {
	f.Add([]byte(hawkesText))
	f.Add([]byte(hawkesText + "further: [{branching: [[0, 0], [0, 0.1]], decay: 1}]"))
	f.Add([]byte(`{"kind": "renewal", "gaps": {"weight": [1, 2], "mu": [0, 1], "sigma": [1, 1]}, "end": 0.5}`))
	f.Add([]byte("kind: poisson\nrates: [1e300, 1e-300]"))
	f.Add([]byte("kind: poisson\nrates: [&x ~, *x]\n---\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseParameters(text)
		if (m == nil) == (err == nil) {
			t.Errorf("a model %t, and the error %v", m != nil, err)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("an error of several lines: %v", err)
		}
	})
}
