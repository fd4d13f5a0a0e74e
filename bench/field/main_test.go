package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// rows returns the cells of the rows of all tables that a text has, without heads.
func rows(text string) [][]string {
	var out [][]string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| model") {
			out = append(out, strings.Split(strings.Trim(line, "| \n"), " | "))
		}
	}
	return out
}

// TestSimulatedSet measures a small set twice: the second time from the results that were kept, and into a document.
func TestSimulatedSet(t *testing.T) {
	folder := t.TempDir()
	document, kept := filepath.Join(folder, "RESULTS.md"), filepath.Join(folder, "kept.jsonl")
	if err := os.WriteFile(document, []byte("# Before\n"+tablesBegin+"old\n"+tablesEnd+"after\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	args := []string{"hawkes2", "-epochs", "2", "-sequences", "20", "-seeds", "2", "-keep", kept}
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), args, &stdout, &stderr); status != 0 {
		t.Fatal(stderr.String())
	}
	got := rows(stdout.String())
	if len(got) != len(candidates)+1 || got[0][0] != "the truth" {
		t.Fatalf("%d rows, want the truth and %d candidates:\n%s", len(got), len(candidates), stdout.String())
	}
	if !strings.Contains(stdout.String(), "| **") || !strings.Contains(stdout.String(), "(spread ") {
		t.Errorf("no model is chosen, or the seeds have no spread:\n%s", stdout.String())
	}
	before, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	if status := run(t.Context(), append(args, "-into", document), &stdout, &stderr); status != 0 {
		t.Fatal(stderr.String())
	}
	after, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, after) {
		t.Error("results that were kept were measured again")
	}
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(text); !strings.HasPrefix(s, "# Before\n"+tablesBegin) || !strings.HasSuffix(s, tablesEnd+"after\n") || strings.Contains(s, "old") {
		t.Errorf("the document is now\n%s", s)
	}
	if again := rows(string(text)); len(again) != len(got) {
		t.Errorf("%d rows in the document, %d printed before", len(again), len(got))
	}
}

// TestPublicSet reads the parts of a public set from a folder, and leaves one out that is not there.
func TestPublicSet(t *testing.T) {
	folder := t.TempDir()
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"taxi", "-data", folder}, &stdout, &stderr); status != 0 || stdout.Len() > 0 ||
		!strings.Contains(stderr.String(), "taxi is left out") {
		t.Errorf("without files: status %d, %s%s", status, stdout.String(), stderr.String())
	}
	d := &tpp.Dataset{MarkNames: []string{"a", "b"}}
	for i := range 12 {
		var s tpp.Sequence
		for j := range 8 {
			s.ArrivalTimes, s.Marks = append(s.ArrivalTimes, float64(1000*(100*j*j+i*j))), append(s.Marks, j%2)
		}
		d.Sequences = append(d.Sequences, s)
	}
	for _, part := range []string{"train", "dev", "test"} {
		if err := dataset.WriteFile(filepath.Join(folder, "taxi_"+part+".json.gz"), d); err != nil {
			t.Fatal(err)
		}
	}
	if status := run(t.Context(), []string{"taxi", "-data", folder, "-epochs", "2"}, &stdout, &stderr); status != 0 {
		t.Fatal(stderr.String())
	}
	if got := len(rows(stdout.String())); got != len(candidates)+len(publishedTaxi) {
		t.Errorf("%d rows, want %d candidates and %d published ones:\n%s", got, len(candidates), len(publishedTaxi), stdout.String())
	}
}

func TestChosenByValidation(t *testing.T) {
	better := &result{Validation: -1, scores: scores{LogLikelihood: -3}}
	worse := &result{Validation: -2, scores: scores{LogLikelihood: -1}}
	table := table{rows: []row{{truth: true, validation: 5}, averaged("a", []*result{worse, worse}), averaged("b", []*result{better, worse})}}
	if got := table.chosen(); got != 2 {
		t.Errorf("row %d is chosen, want the one with the highest likelihood on the validation part, 2", got)
	}
	if r := table.rows[2]; r.LogLikelihood != -2 || r.spread != 2 || math.Abs(r.validation+1.5) > 1e-15 {
		t.Errorf("averaged: %+v", r)
	}
}

func TestCalledWrongly(t *testing.T) {
	for _, args := range [][]string{{"nothing"}, {"-seeds", "0"}, {"-sequences", "3"}, {"-epochs", "-1"}} {
		var stdout, stderr bytes.Buffer
		if status := run(t.Context(), args, &stdout, &stderr); status != 2 {
			t.Errorf("%q: status %d: %s", args, status, stderr.String())
		}
	}
	document := filepath.Join(t.TempDir(), "x.md")
	if err := os.WriteFile(document, []byte("no place"), 0o666); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"poisson", "-into", document}, &stdout, &stderr); status != 1 || !strings.Contains(stderr.String(), "for the tables") {
		t.Errorf("a document without place: status %d: %s", status, stderr.String())
	}
}
