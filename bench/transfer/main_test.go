package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// TestTransfer takes one simulated dataset for the recording, and a part of it for the simulation.
func TestTransfer(t *testing.T) {
	folder := t.TempDir()
	d, err := dataset.ReadFile("../../data/low_tree_small_det.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	var few []int
	for i := range 60 {
		few = append(few, 100+i)
	}
	recorded := filepath.Join(folder, "recorded", "any.json")
	for path, d := range map[string]*tpp.Dataset{recorded: d.Subset(few), filepath.Join(folder, "any.json"): d.Subset(few[:50])} {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := dataset.WriteFile(path, d); err != nil {
			t.Fatal(err)
		}
	}
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"-epochs", "2", "-ours", folder, recorded}, &stdout, &stderr); status != 0 {
		t.Fatal(stderr.String())
	}
	if rows := strings.Count(stdout.String(), "any.json"); rows != 4 {
		t.Errorf("%d rows, want 4:\n%s", rows, stdout.String())
	}
	stderr.Reset()
	if status := run(t.Context(), []string{"-ours", t.TempDir(), recorded}, &stdout, &stderr); status != 1 || !strings.Contains(stderr.String(), "no simulated dataset for "+recorded) {
		t.Errorf("without a twin: status %d, %s", status, stderr.String())
	}
}
