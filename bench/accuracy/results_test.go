package main

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
)

func noWarning(t *testing.T) func(string) {
	return func(message string) { t.Errorf("warning: %s", message) }
}

func TestResultsComeBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.jsonl")
	j, err := resultLines.Open(path, noWarning(t))
	if err != nil || len(j.Results()) != 0 {
		t.Fatal(err)
	}
	r := made("low", "lookup-mark", 7, 1.25, 0.5)
	r.Anomalies = map[string]scores{missing: {"auc_late": 0.75, "gap_auc_late": math.Inf(1)}}
	for range 2 { // the second takes the place of the first
		if err := j.Add(&r); err != nil {
			t.Fatal(err)
		}
		r.Seconds++
	}
	r.Seconds--
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := readResults([]string{path}, noWarning(t))
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	if !math.IsNaN(got[0].value("nll_resolution")) || !math.IsNaN(got[0].Anomalies[missing]["gap_auc_late"]) {
		t.Errorf("what was no number came back as %v", got[0])
	}
	for _, s := range []scores{r.Scores, got[0].Scores} {
		delete(s, "nll_resolution")
	}
	delete(r.Anomalies[missing], "gap_auc_late")
	delete(got[0].Anomalies[missing], "gap_auc_late")
	if !reflect.DeepEqual(got[0], r) {
		t.Errorf("got %+v, want %+v", got[0], r)
	}
}

// TestRunsMerge appends to one file from several journals at once, as several processes would, and reads two files as one.
func TestRunsMerge(t *testing.T) {
	folder := t.TempDir()
	one, other := filepath.Join(folder, "one.jsonl"), filepath.Join(folder, "other.jsonl")
	var writers sync.WaitGroup
	for w := range 4 {
		j, err := resultLines.Open(one, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		writers.Go(func() {
			defer j.Close()
			for split := range uint64(10) {
				r := made("low", "model "+strings.Repeat("x", 1000)+string(rune('a'+w)), split, 1, 1)
				if err := j.Add(&r); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	j, err := resultLines.Open(other, noWarning(t))
	if err != nil {
		t.Fatal(err)
	}
	r := made("high", "lookup-mark", 1, 1, 1)
	if err := j.Add(&r); err != nil {
		t.Fatal(err)
	}
	j.Close()
	got, err := readResults([]string{one, other}, noWarning(t))
	if err != nil || len(got) != 41 {
		t.Errorf("%d results, %v, want 41", len(got), err)
	}
}

func TestNoResultsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "letter.txt")
	if err := os.WriteFile(path, []byte("Dear all,\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := resultLines.Open(path, func(string) {}); err == nil || !strings.Contains(err.Error(), "it has no results") {
		t.Errorf("appending to another file: %v", err)
	}
	if _, err := readResults([]string{path}, func(string) {}); err == nil || !strings.Contains(err.Error(), "it has no results") {
		t.Errorf("reading another file: %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "Dear all,\n" {
		t.Errorf("it is now %q, %v", text, err)
	}
}
