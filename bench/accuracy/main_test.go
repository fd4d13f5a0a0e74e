package main

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/eval"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// called runs the command, which must end with a status.
func called(t *testing.T, status int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, messages bytes.Buffer
	if got := run(t.Context(), args, &out, &messages); got != status {
		t.Fatalf("%q: status %d, want %d: %s", args, got, status, messages.String())
	}
	return out.String(), messages.String()
}

// few writes a dataset of a few traces of a simulated one.
func few(t *testing.T, name string, n int) string {
	t.Helper()
	d, err := dataset.ReadFile("../../data/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var indices []int
	for i := range n {
		indices = append(indices, 100+i)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := dataset.WriteFile(path, d.Subset(indices)); err != nil {
		t.Fatal(err)
	}
	return path
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.SplitAfter(strings.TrimSpace(string(text)), "\n")
}

// TestAccuracy trains on few traces, loses a part of the results, goes on from the others, and prints them again without training.
func TestAccuracy(t *testing.T) {
	low, high := few(t, "low_tree_small_det.json.gz", 30), few(t, "high_tree_small_det.json.gz", 25)
	results := filepath.Join(t.TempDir(), "results.jsonl")
	args := []string{"-splits", "2", "-first", "3", "-models", "lognormmix,lognormmix+,lookup-mark", "-workers", "1", "-o", results, low, high}
	whole, _ := called(t, 0, args...)
	for _, want := range []string{
		"low_tree_small_det: 30 traces, mean ± standard deviation over 2 splits, seeds 3 to 4", "high_tree_small_det: 25 traces",
		"lognormmix+coldstart", "compared with", "accuracy on all datasets",
	} {
		if !strings.Contains(whole, want) {
			t.Errorf("the output lacks %q:\n%s", want, whole)
		}
	}
	all := lines(t, results)
	if len(all) != 2*2*3 {
		t.Fatalf("%d results, want 12: two datasets, two splits, three models", len(all))
	}
	if again, _ := called(t, 0, args...); again != whole || len(lines(t, results)) != 12 {
		t.Errorf("done again, it is\n%s", again)
	}
	// Only whole lines count: what is cut is trained again, to the same scores. The seconds differ.
	if err := os.WriteFile(results, []byte(strings.Join(all[:10], "")+all[10][:50]), 0o666); err != nil {
		t.Fatal(err)
	}
	_, messages := called(t, 0, args...)
	if !strings.Contains(messages, "results.jsonl:11: no result, left out") {
		t.Errorf("no word of the line that was cut: %s", messages)
	}
	resumed := lines(t, results)
	if len(resumed) != 13 || strings.Join(resumed[:10], "") != strings.Join(all[:10], "") {
		t.Errorf("%d lines, want the 10 that were whole, one cut and 2 new ones", len(resumed))
	}
	before, after := resultLines.Parse([]byte(strings.Join(all, "")), "", noWarning(t)), resultLines.Parse([]byte(strings.Join(resumed, "")), "", func(string) {})
	for i := range before {
		if before[i].id() != after[i].id() || before[i].value("nll_resolution") != after[i].value("nll_resolution") {
			t.Errorf("result %d was %v, is %v", i, before[i], after[i])
		}
	}
	// Without training: in the order of names, all or some of the models and splits.
	first, _ := called(t, 0, "-from", results)
	if !strings.HasPrefix(first, "high_tree_small_det") || !strings.Contains(first, "low_tree_small_det: 30 traces, mean ± standard deviation over 2 splits, seeds 3 to 4") {
		t.Errorf("from the file:\n%s", first)
	}
	some, _ := called(t, 0, "-from", results, "-models", "lookup", "-splits", "1", "-first", "4", "-markdown")
	if strings.Contains(some, "lognormmix") || !strings.Contains(some, "| lookup-mark |") || !strings.Contains(some, "over the split of seed 4") {
		t.Errorf("of some models:\n%s", some)
	}
	picture := filepath.Join(t.TempDir(), "picture.svg")
	called(t, 0, "-from", results, "-picture", picture)
	if text, err := os.ReadFile(picture); err != nil || !bytes.Contains(text, []byte("<svg")) {
		t.Errorf("the picture: %v", err)
	}
}

// TestColdStartsMustBeKnown leaves out a model of cold starts where they are not known.
func TestColdStartsMustBeKnown(t *testing.T) {
	path := few(t, "low_tree_small_det.json.gz", 20)
	d, err := dataset.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range d.Sequences {
		d.Sequences[i].InitTimes = nil
	}
	if err := dataset.WriteFile(path, d); err != nil {
		t.Fatal(err)
	}
	text, messages := called(t, 0, "-splits", "1", "-models", "truncnorm+coldstart,poisson", path)
	if strings.Contains(text, "truncnorm") || !strings.Contains(text, "poisson") || !strings.Contains(messages, "without truncnorm+coldstart: not all its traces have init times") {
		t.Errorf("%s%s", messages, text)
	}
}

// TestAnomaliesAreScored compares a sampling with missing functions with the same one without.
func TestAnomaliesAreScored(t *testing.T) {
	folder := t.TempDir()
	config := tinySampling(60)
	config.Missing = 2
	path := sampled(t, folder, "sequence", config)
	results := filepath.Join(folder, "results.jsonl")
	text, _ := called(t, 0, "-splits", "1", "-models", "lookup-mark,truncnorm", "-workers", "1", "-o", results, path)
	if !strings.Contains(text, "anomalies told from the same requests without any") {
		t.Errorf("no table of anomalies:\n%s", text)
	}
	for _, r := range resultLines.Parse([]byte(strings.Join(lines(t, results), "")), "", noWarning(t)) {
		s := r.Anomalies[missing]
		if s["anomalous"] != 12 || s["normal"] != 12 {
			t.Errorf("%s: %v anomalous and %v normal traces, want all 12 of the test part", r.Model, s["anomalous"], s["normal"])
		}
		// In a sequence every function has one successor: another one, or none, tells that a function is missing. A model of single times
		// has no probability of a time.
		if auc := s["gap_auc_mark"]; !(auc > 0.99) {
			t.Errorf("%s: by their marks the AUC of gaps is %v", r.Model, auc)
		}
		if auc := s["gap_auc_late"]; (r.Model == "truncnorm") != math.IsNaN(auc) {
			t.Errorf("%s: by lateness the AUC of gaps is %v", r.Model, auc)
		}
	}
}

func TestCalledWrongly(t *testing.T) {
	for line, want := range map[string]string{
		"":                                  "at least one dataset is needed",
		"-splits 0 a.json":                  "-splits: at least one is needed",
		"-models hawks a.json":              `"hawks" is not the name of a model`,
		"-from results.jsonl a.json":        "-from trains nothing",
		"-from results.jsonl -o more.jsonl": "-from trains nothing",
		"-picture picture.gif a.json":       "must end in .png, .svg or .pdf",
		"-workers -1 a.json":                "must not be negative",
	} {
		if _, messages := called(t, 2, strings.Fields(line)...); !strings.Contains(messages, want) {
			t.Errorf("%s: %s, want %s", line, messages, want)
		}
	}
	called(t, 1, filepath.Join(t.TempDir(), "none.json"))
	called(t, 1, "-from", filepath.Join(t.TempDir(), "none.jsonl"))
	if help, _ := called(t, 0, "-h"); !strings.Contains(help, "Examples:") {
		t.Error("the help has no examples")
	}
}

// TestInterrupted checks that an interrupted run keeps what it has done.
func TestInterrupted(t *testing.T) {
	path := few(t, "low_tree_small_det.json.gz", 20)
	output := filepath.Join(t.TempDir(), "results.jsonl")
	j, err := resultLines.Open(output, noWarning(t))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	fits := 0
	fit := func(ctx context.Context, training, _ *tpp.Dataset, _ uint64) (tpp.Model, error) {
		if fits++; fits == 3 {
			cancel()
		}
		return classical.FitPoisson(ctx, training, classical.FitOptions{})
	}
	m := measurement{done: map[id]bool{}, trained: map[id]tpp.Model{}, journal: j}
	m.models, m.splits = []eval.Candidate{{Name: "one", Fit: fit}, {Name: "other", Fit: fit}}, []uint64{1, 2}
	if _, _, err := m.dataset(ctx, path); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "one with seed 2") {
		t.Errorf("got error %v", err)
	}
	if got := lines(t, output); len(got) != 2 {
		t.Errorf("%d results, want the two before: %q", len(got), got)
	}
}
