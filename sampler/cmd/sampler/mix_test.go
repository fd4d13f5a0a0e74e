package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// TestMix makes the dataset of a high load from two samplings.
func TestMix(t *testing.T) {
	t.Chdir(t.TempDir())
	ok := func(line string) string {
		t.Helper()
		stdout, stderr, status := try(t.Context(), line)
		if status != 0 {
			t.Fatalf("sampler %s: status %d: %s", line, status, stderr)
		}
		return stdout
	}
	ok("-d tree_small -n 100 -l 0.4 -u 0.7 -o low.json.gz")
	ok("-d tree_small -n 150 -l 0.1 -u 0.12 -b 50 -w 120 -o bursts.json.gz")
	said := ok("mix low.json.gz bursts.json.gz -cold 0.3 -o high.json -seed 4")
	if !strings.Contains(said, "high.json: 100 traces, ") || !strings.Contains(said, " % cold starts") {
		t.Errorf("it says %q", said)
	}
	var report struct {
		Sequences, Replaced, Events int
		ColdStarts                  int     `json:"cold_starts"`
		ColdShare                   float64 `json:"cold_share"`
	}
	if err := json.Unmarshal([]byte(ok("mix low.json.gz bursts.json.gz -cold 0.3 -o again.json -seed 4 -json")), &report); err != nil {
		t.Fatal(err)
	}
	high, err := dataset.ReadFile("high.json")
	if err != nil {
		t.Fatal(err)
	}
	cold := 0
	for i := range high.Sequences {
		for j := range high.Sequences[i].Len() {
			if high.Sequences[i].ColdStart(j) {
				cold++
			}
		}
	}
	if len(high.Sequences) != 100 || report.Sequences != 100 || cold != report.ColdStarts || report.Events != high.NumEvents() ||
		math.Abs(report.ColdShare-0.3) > 0.01 || report.Replaced < 10 {
		t.Errorf("%d traces, %d cold starts; it says %+v", len(high.Sequences), cold, report)
	}
	first, err1 := os.ReadFile("high.json")
	second, err2 := os.ReadFile("again.json")
	if err1 != nil || err2 != nil || !bytes.Equal(first, second) {
		t.Error("the same seed gives other bytes")
	}

	for line, want := range map[string]string{
		"mix low.json.gz bursts.json.gz -o x.json":                       "-cold not given",
		"mix low.json.gz -cold 0.3 -o x.json":                            "two datasets",
		"mix low.json.gz bursts.json.gz -cold 1.5 -o x.json":             "must be from 0 to 1",
		"mix low.json.gz bursts.json.gz -cold 0.3":                       "-o not given",
		"mix low.json.gz bursts.json.gz -cold 0.99 -o x.json":            "these datasets give",
		"mix low.json.gz nowhere.json -cold 0.3 -o x.json":               "nowhere.json",
		"mix low.json.gz bursts.json.gz -cold 0.3 -o nowhere/x.json":     "nowhere",
		"mix low.json.gz bursts.json.gz -cold 0.3 -o x.json -seed minus": "-seed",
	} {
		_, stderr, status := try(t.Context(), line)
		if status == 0 || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("sampler %s: status %d, %q, want one line about %q", line, status, stderr, want)
		}
	}
	if _, err := os.Stat("x.json"); err == nil {
		t.Error("a file was left behind")
	}
}
