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
	j, before, err := openJournal(path, noWarning(t))
	if err != nil || len(before) != 0 {
		t.Fatal(before, err)
	}
	r := made("low", "lookup-mark", 7, 1.25, 0.5)
	r.Anomalies = map[string]scores{missing: {"auc_late": 0.75, "gap_auc_late": math.Inf(1)}}
	for range 2 { // the second takes the place of the first
		if err := j.add(&r); err != nil {
			t.Fatal(err)
		}
		r.Seconds++
	}
	r.Seconds--
	if err := j.close(); err != nil {
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

// TestCutLine checks that a file whose last line was cut off anywhere loses that result alone, and that the next one begins a line of its own.
func TestCutLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.jsonl")
	j, _, err := openJournal(path, noWarning(t))
	if err != nil {
		t.Fatal(err)
	}
	for split := range uint64(2) {
		r := made("low", "lookup-mark", split, 1, 1)
		if err := j.add(&r); err != nil {
			t.Fatal(err)
		}
	}
	j.close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first := strings.Index(string(whole), "\n") + 1
	for _, length := range []int{first, first + 1, first + 20, len(whole) - 2, len(whole) - 1, len(whole)} {
		if err := os.WriteFile(path, whole[:length], 0o666); err != nil {
			t.Fatal(err)
		}
		var warnings []string
		j, before, err := openJournal(path, func(w string) { warnings = append(warnings, w) })
		if err != nil {
			t.Fatal(err)
		}
		complete, cut := 1, 1
		switch {
		case length == first:
			cut = 0
		case length >= len(whole)-1: // the end of the line alone may be missing
			complete, cut = 2, 0
		}
		if len(before) != complete || len(warnings) != cut {
			t.Errorf("cut to %d bytes: %d results, warnings %q", length, len(before), warnings)
		}
		if cut > 0 && !strings.HasPrefix(warnings[0], path+":2: ") {
			t.Errorf("the warning %q does not name the line", warnings[0])
		}
		for split := uint64(2); split < 4; split++ {
			r := made("low", "lookup-mark", split, 1, 1)
			if err := j.add(&r); err != nil {
				t.Fatal(err)
			}
		}
		j.close()
		after, err := readResults([]string{path}, func(string) {})
		if err != nil || len(after) != complete+2 {
			t.Errorf("cut to %d bytes: afterwards %d results, %v, want %d", length, len(after), err, complete+2)
		}
	}
}

// TestRunsMerge appends to one file from several journals at once, as several processes would, and reads two files as one.
func TestRunsMerge(t *testing.T) {
	folder := t.TempDir()
	one, other := filepath.Join(folder, "one.jsonl"), filepath.Join(folder, "other.jsonl")
	var writers sync.WaitGroup
	for w := range 4 {
		j, _, err := openJournal(one, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		writers.Go(func() {
			defer j.close()
			for split := range uint64(10) {
				r := made("low", "model "+strings.Repeat("x", 1000)+string(rune('a'+w)), split, 1, 1)
				if err := j.add(&r); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	j, _, err := openJournal(other, noWarning(t))
	if err != nil {
		t.Fatal(err)
	}
	r := made("high", "lookup-mark", 1, 1, 1)
	if err := j.add(&r); err != nil {
		t.Fatal(err)
	}
	j.close()
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
	if _, _, err := openJournal(path, func(string) {}); err == nil || !strings.Contains(err.Error(), "it has no results") {
		t.Errorf("appending to another file: %v", err)
	}
	if _, err := readResults([]string{path}, func(string) {}); err == nil || !strings.Contains(err.Error(), "it has no results") {
		t.Errorf("reading another file: %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "Dear all,\n" {
		t.Errorf("it is now %q, %v", text, err)
	}
}

func FuzzParseResults(f *testing.F) {
	f.Add([]byte(`{"dataset":"low","model":"lookup-mark","split":1,"scores":{"mae":1,"nll":null}}` + "\n{\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		lines := 0
		results := parseResults(text, "file", func(string) { lines++ })
		if lines+len(results) > strings.Count(string(text), "\n")+1 {
			t.Errorf("%d results and %d other lines", len(results), lines)
		}
	})
}
