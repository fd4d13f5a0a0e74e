package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// jsonOf runs the command and returns the one object that it prints.
func jsonOf(t *testing.T, args ...string) map[string]any {
	t.Helper()
	status, out, errs := call(t, args...)
	if status != cli.OK {
		t.Fatalf("%v: %s", args, errs)
	}
	var r map[string]any
	decodeOne(t, out, &r)
	return r
}

// TestSplitByTimeInCommands trains on the earliest sequences, and checks that what is scored are the latest: by train, by evaluate, which knows it from the
// model, and where -split says so.
func TestSplitByTimeInCommands(t *testing.T) {
	data := chain(t, "chain.json", inOrder, 30)
	latest := filepath.Join(t.TempDir(), "latest.json")
	parts := read(t, data).SplitByTime()
	if err := dataset.WriteFile(latest, parts.Test); err != nil {
		t.Fatal(err)
	}
	for _, options := range [][]string{quick, {"-kind", "markov"}} {
		model := filepath.Join(t.TempDir(), "m.safetensors")
		scored := jsonOf(t, append([]string{"train", data, "-o", model, "-split", "time", "-json"}, options...)...)
		for _, args := range [][]string{
			{"evaluate", model, data, "-json"},
			{"evaluate", model, data, "-part", "test", "-split", "time", "-json"},
			{"evaluate", model, latest, "-json"},
		} {
			got := jsonOf(t, args...)
			for _, score := range []string{"nll", "mae", "sequences"} {
				if got[score] != scored[score] || got[score] == nil {
					t.Errorf("%v: %s is %v, train said %v", args, score, got[score], scored[score])
				}
			}
		}
		if _, out, _ := call(t, "inspect", model); !strings.Contains(out, "without the test part (by time)") {
			t.Errorf("inspect says %s", out)
		}
		if _, out, _ := call(t, "evaluate", model, data); !strings.Contains(out, "the test part (by time)") {
			t.Errorf("evaluate says %s", out)
		}
		if random := jsonOf(t, "evaluate", model, data, "-part", "test", "-json"); random["mae"] == scored["mae"] {
			t.Error("a random split has the same test part")
		}
	}
}

// TestFoldsInCommand cross-validates, twice with the same result, and checks that each sequence is tested once.
func TestFoldsInCommand(t *testing.T) {
	data := chain(t, "chain.json", inOrder, 30)
	for _, kind := range []string{"markov", "truncnorm"} {
		args := []string{"train", data, "-folds", "5", "-kind", kind, "-seed", "3", "-json"}
		if kind == "truncnorm" {
			args = append(args, "-epochs", "2")
		}
		status, out, errs := call(t, args...)
		if status != cli.OK {
			t.Fatal(errs)
		}
		if _, again, _ := call(t, args...); again != out {
			t.Errorf("%s: the same seed gives\n%sthen\n%s", kind, out, again)
		}
		var r repeatReport
		decodeOne(t, out[:strings.Index(out, "\n")+1], &r)
		if r.Kind != kind || r.Folds != 5 || len(r.Seeds) != 1 || r.Seeds[0] != 3 {
			t.Errorf("it says %s", out)
		}
	}
	if status, out, errs := call(t, "train", data, "-folds", "3", "-kind", "lookup-mark"); status != cli.OK || !strings.Contains(out, "over the 3 folds of seed 1") {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
}

// TestSplitsRefuse checks options that do not go together.
func TestSplitsRefuse(t *testing.T) {
	data := chain(t, "chain.json", inOrder, 30)
	for want, args := range map[string][]string{
		"-split is \"half\"":                    {"train", data, "-o", "m", "-split", "half"},
		"-folds is 2, it must be at least 3":    {"train", data, "-folds", "2"},
		"choose one":                            {"train", data, "-folds", "3", "-repeat", "3"},
		"-folds is for -split random":           {"train", data, "-folds", "3", "-split", "time"},
		"-repeat is for -split random":          {"train", data, "-repeat", "3", "-split", "time"},
		"-folds makes many models":              {"train", data, "-folds", "3", "-o", "m"},
		"-folds trains on many splits":          {"train", data, "-folds", "3", "-test", data},
		"-split needs -part":                    {"evaluate", "m", data, "-split", "time"},
		"-seed is for -split random":            {"evaluate", "m", data, "-part", "test", "-split", "time", "-seed", "1"},
		"-split is \"now\"":                     {"plot", "m", data, "-o", "x.png", "-what", "pit", "-part", "test", "-split", "now"},
		"-split is for -what density, pit, rel": {"plot", "m", data, "-o", "x.png", "-split", "time"},
	} {
		if status, _, errs := call(t, args...); status != cli.Usage || !strings.Contains(errs, want) {
			t.Errorf("%v: status %d, %s, want %q", args, status, errs, want)
		}
	}
	if status, _, errs := call(t, "train", data, "-folds", "31", "-kind", "poisson"); status != cli.Failed || !strings.Contains(errs, "31 folds of 30 sequences") {
		t.Errorf("status %d, %s", status, errs)
	}
}
