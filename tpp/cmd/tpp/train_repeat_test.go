package main

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/internal/cli"
)

func TestRepeatIsTheMeanOfTheTrainings(t *testing.T) {
	data := chain(t, "chain.json", inOrder, 30)
	status, out, errs := call(t, append([]string{"train", data, "-repeat", "3", "-seed", "5", "-json"}, quick...)...)
	if status != cli.OK {
		t.Fatalf("status %d, %s", status, errs)
	}
	var reports []repeatReport
	for line := range strings.Lines(out) {
		var r repeatReport
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		reports = append(reports, r)
	}
	if len(reports) != 2 || reports[0].Kind != "lognormmix" || reports[1].Kind != "lookup-mark" || len(reports[0].Seeds) != 3 {
		t.Fatalf("got %s", out)
	}
	mean := 0.0
	for _, seed := range []string{"5", "6", "7"} {
		status, out, errs := call(t, append([]string{"train", data, "-o", t.TempDir() + "/m", "-seed", seed, "-json"}, quick...)...)
		if status != cli.OK {
			t.Fatal(errs)
		}
		var one map[string]any
		decodeOne(t, out, &one)
		mean += one["mae"].(float64) / 3
	}
	for _, s := range reports[0].Scores {
		if s.Name == "mae" && math.Abs(s.Mean-mean) > 1e-9 {
			t.Errorf("mean of the MAE is %v, of three trainings %v", s.Mean, mean)
		}
	}
}

func TestRepeatPrintsATable(t *testing.T) {
	data := chain(t, "chain.json", inOrder, 30)
	for _, kind := range []string{"truncnorm", "markov", "lookup-mark"} {
		args := []string{"train", data, "-repeat", "2", "-kind", kind}
		if kind == "truncnorm" {
			args = append(args, "-epochs", "2")
		}
		status, out, errs := call(t, args...)
		if status != cli.OK || !strings.Contains(out, kind) || !strings.Contains(out, " ± ") || !strings.Contains(out, "seeds 1 to 2") {
			t.Errorf("%s: status %d, %s\n%s", kind, status, errs, out)
		}
	}
	for says, args := range map[string][]string{
		"it must be at least 2": {"-repeat", "1"},
		"are for one":           {"-repeat", "2", "-o", t.TempDir() + "/m"},
	} {
		if status, _, errs := call(t, append([]string{"train", data}, args...)...); status != cli.Usage || !strings.Contains(errs, says) {
			t.Errorf("%v: status %d, %s", args, status, errs)
		}
	}
}
