package chain

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// TestSampler samples over Sampler's Zipkin server. It checks that every trace is complete, that the requests are those that the same seed gives in
// virtual time, and that no journal is left.
func TestSampler(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	const requests = 50
	c := start(t, Options{})
	dir := t.TempDir()
	real, virtual := filepath.Join(dir, "real.json"), filepath.Join(dir, "virtual.json")
	plan := []string{"-d", "tree_small", "-n", fmt.Sprint(requests), "-l", "0.2", "-u", "0.4", "-r", "-m", "2", "-seed", "5"}
	c.sample(t, append(slices.Clone(plan), "-o", real)...)
	c.sample(t, append(slices.Clone(plan), "-o", virtual, "-platform", "local")...)
	got, err := dataset.ReadFile(real)
	if err != nil {
		t.Fatal(err)
	}
	want, err := dataset.ReadFile(virtual)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Sequences) != requests || !slices.Equal(got.MarkNames, want.MarkNames) {
		t.Fatalf("%d traces of %q, want %d of %q", len(got.Sequences), got.MarkNames, requests, want.MarkNames)
	}
	for i := range got.Sequences {
		marks := slices.Sorted(slices.Values(got.Sequences[i].Marks))
		if planned := slices.Sorted(slices.Values(want.Sequences[i].Marks)); !slices.Equal(marks, planned) {
			t.Errorf("trace %d has the functions %v, and in virtual time %v", i, marks, planned)
		}
	}
	if files, err := filepath.Glob(filepath.Join(dir, "*.journal")); err != nil || len(files) > 0 {
		t.Errorf("journals are left: %v, %v", files, err)
	}
}
