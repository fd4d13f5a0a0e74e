package main

import (
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// TestGraphsOfRaces trains a race on traces with parents, on the same ones without, whose functions are those of an embedded application,
// and on the same ones under names that no application has: all have the same graph.
func TestGraphsOfRaces(t *testing.T) {
	d, err := dataset.ReadFile(few(t, "high_tree_small_det.json.gz", 60))
	if err != nil {
		t.Fatal(err)
	}
	all := candidates(1)
	c := all[slices.IndexFunc(all, func(c eval.Candidate) bool { return c.Name == race.Kind })]
	graphOf := func() *race.Graph {
		t.Helper()
		m, err := c.Fit(t.Context(), d, nil, 1)
		if err != nil {
			t.Fatal(err)
		}
		g := m.(*race.Race).Config().Graph
		for i := range g.Slots {
			slices.SortFunc(g.Slots[i], func(a, b race.Slot) int { return slices.Compare(a.Marks, b.Marks) })
		}
		return g
	}
	want := graphOf()
	for i := range d.Sequences {
		d.Sequences[i].Parents = nil
	}
	embedded := graphOf()
	for i := range d.MarkNames {
		d.MarkNames[i] = strings.TrimPrefix(d.MarkNames[i], "tree_")
	}
	for name, got := range map[string]*race.Graph{"of the embedded application": embedded, "estimated": graphOf()} {
		if !reflect.DeepEqual(got.Slots, want.Slots) {
			t.Errorf("%s the graph is %v, the parents say %v", name, got.Slots, want.Slots)
		}
	}
}

// TestRaceWithoutGraph checks that a dataset whose events cause nothing is measured without races.
func TestRaceWithoutGraph(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	d := &tpp.Dataset{MarkNames: []string{"a", "b"}}
	for range 40 {
		var s tpp.Sequence
		at := 0.0
		for range 30 {
			at += rng.ExpFloat64() * 100
			s.ArrivalTimes, s.Marks = append(s.ArrivalTimes, at), append(s.Marks, rng.IntN(2))
		}
		d.Sequences = append(d.Sequences, s)
	}
	path := filepath.Join(t.TempDir(), "random.json")
	if err := dataset.WriteFile(path, d); err != nil {
		t.Fatal(err)
	}
	text, messages := called(t, 0, "-splits", "1", "-models", "race,poisson", path)
	if strings.Contains(text, " race ") || !strings.Contains(text, "poisson") || !strings.Contains(messages, "without race: graph: ") {
		t.Errorf("%s\n%s", text, messages)
	}
}
