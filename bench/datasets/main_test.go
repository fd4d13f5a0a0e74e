package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const committed = "../../data"

// TestDatasetsAreWhatIsCommitted makes the datasets of two applications anew, one of them with choices and loops, and compares them with
// those in data/, byte by byte.
func TestDatasetsAreWhatIsCommitted(t *testing.T) {
	folder := t.TempDir()
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"-o", folder, "tree_small", "checkout"}, &stdout, &stderr); status != 0 {
		t.Fatal(stderr.String())
	}
	names, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(names) != 16 {
		t.Fatalf("%d files, want 8 datasets with a card each: %q", len(names), names)
	}
	for _, name := range names {
		ours, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := os.ReadFile(filepath.Join(committed, filepath.Base(name)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(ours, theirs) {
			t.Errorf("%s differs from the committed one: make data renews it", filepath.Base(name))
		}
	}
}

// TestEveryRecipeIsCommitted checks that there is a dataset and a card for every application, load and kind of durations, and no other.
func TestEveryRecipeIsCommitted(t *testing.T) {
	want := map[string]bool{}
	for _, r := range recipes() {
		for _, load := range []string{"low", "high"} {
			want[r.name(load)+".json.gz"], want[r.name(load)+".md"] = true, true
		}
	}
	for name := range want {
		if _, err := os.Stat(filepath.Join(committed, name)); err != nil {
			t.Errorf("%v: make data writes it", err)
		}
	}
	for _, pattern := range []string{"low_*", "high_*"} {
		names, err := filepath.Glob(filepath.Join(committed, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if !want[filepath.Base(name)] {
				t.Errorf("%s is made by no recipe", name)
			}
		}
	}
}

func TestUnknownApplication(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"-o", t.TempDir(), "treesmall"}, &stdout, &stderr); status != 2 || !strings.Contains(stderr.String(), "treesmall is no application") {
		t.Errorf("status %d, %s", status, stderr.String())
	}
}
