package modeltest

import (
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// Ring is the graph of the marks of tpptest.Chains, which go round.
func Ring() *race.Graph {
	slot := func(mark int) []race.Slot { return []race.Slot{{Marks: []int{mark}}} }
	return &race.Graph{Slots: [][]race.Slot{slot(1), slot(2), slot(0)}}
}

// Race trains a small race on a dataset for a few epochs.
func Race(t testing.TB, cfg race.Config, d *tpp.Dataset) *race.Race {
	t.Helper()
	cfg.ContextSize, cfg.Components = 8, 6
	m, err := race.Train(t.Context(), cfg, d, nil, race.TrainOptions{Epochs: 3})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Races returns small races of three marks: with and without starts of sequences, a given graph, and covariates among them.
func Races(t testing.TB) []*race.Race {
	t.Helper()
	calls := tpptest.Calls(3, 60)
	given := tpptest.Calls(4, 60)
	for i := range given.Sequences {
		given.Sequences[i].TStart = nil
	}
	return []*race.Race{
		Race(t, race.Config{}, calls),
		Race(t, race.Config{}, given),
		Race(t, race.Config{Covariates: []string{tpp.ColdStartCovariate, "load"}}, calls),
		Race(t, race.Config{Graph: Ring()}, tpptest.Chains(3, 40)),
	}
}
