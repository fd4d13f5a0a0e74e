package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/live"
)

// set is a set of sequences in three parts.
type set struct {
	name, about                string
	unit                       string  // in which likelihoods and errors are given
	scale                      float64 // length of that unit in the unit of the data
	resolution                 float64 // tick of the clock, in the unit of the data
	training, validation, test *tpp.Dataset
	truth                      tpp.Model // that the set was drawn from, nil if that is not known
	published                  []published
}

// source is where a set comes from.
type source struct {
	name, about string
	// public sets are read from files.
	unit              string
	scale, resolution float64
	published         []published
	// others are drawn from a process, in windows.
	process func() (tpp.Model, error)
	window  float64
}

// sources are all sets.
var sources = []source{
	{
		name: "taxi", about: "Taxi trips in New York, as the suite EasyTPP has them: 10 marks (pick-up or drop-off in one of five areas), whole seconds.",
		unit: "h", scale: 3.6e6, resolution: 1000, published: publishedTaxi,
	},
	{
		name: "hawkes2", about: "A Hawkes process of 2 marks that excite each other, one exponential kernel.", window: 50,
		process: func() (tpp.Model, error) {
			return classical.NewHawkes(classical.HawkesParameters{
				Base: []float64{0.2, 0.1}, Branching: [][]float64{{0.1, 0.6}, {0.5, 0.1}}, Decay: [][]float64{{1}},
			}, classical.ProcessOptions{})
		},
	},
	{
		name: "hawkes5", about: "A Hawkes process of 5 marks in a ring, each of which excites itself and the next one, one exponential kernel.", window: 50,
		process: func() (tpp.Model, error) {
			return classical.NewHawkes(classical.HawkesParameters{
				Base: []float64{0.1, 0.05, 0.05, 0.02, 0.1}, Branching: ring(5, 0.15, 0.6), Decay: [][]float64{{1.5}},
			}, classical.ProcessOptions{})
		},
	},
	{
		name: "twoscale", about: "A Hawkes process of 2 marks with two exponential kernels for each pair, one a hundred times as fast as the other.", window: 100,
		process: func() (tpp.Model, error) {
			return classical.NewHawkes(classical.HawkesParameters{
				Base: []float64{0.1, 0.05}, Branching: [][]float64{{0.2, 0.3}, {0, 0.1}}, Decay: [][]float64{{30}},
				Further: []classical.HawkesKernel{{Branching: [][]float64{{0.3, 0}, {0.3, 0.3}}, Decay: 0.3}},
			}, classical.ProcessOptions{})
		},
	},
	{
		name: "renewal", about: "A renewal process: gaps from a mixture of two log-normals, three marks that are drawn independently.", window: 60,
		process: func() (tpp.Model, error) {
			gaps := &dist.LogNormMix{LogWeights: []float64{-0.5, -1}, Mu: []float64{-1, 1}, Sigma: []float64{0.4, 0.3}}
			return classical.NewRenewal(gaps, []float64{3, 2, 1}, classical.ProcessOptions{})
		},
	},
	{
		name: "poisson", about: "A Poisson process of three marks.", window: 60,
		process: func() (tpp.Model, error) {
			return classical.NewPoisson([]float64{0.3, 0.2, 0.1}, classical.ProcessOptions{})
		},
	},
}

// ring returns the branching matrix of n marks of which each excites itself and the next.
func ring(n int, self, next float64) [][]float64 {
	m := make([][]float64, n)
	for i := range m {
		m[i] = make([]float64, n)
		m[i][i] = self
		m[i][(i+1)%n] = next
	}
	return m
}

func setNames() []string {
	var names []string
	for _, s := range sources {
		names = append(names, s.name)
	}
	return names
}

// findSource returns the source of a name, nil if there is none.
func findSource(name string) *source {
	for i := range sources {
		if sources[i].name == name {
			return &sources[i]
		}
	}
	return nil
}

// load reads or draws the set. It returns nil for a public one whose files are not there.
func (s *source) load(ctx context.Context, o *order) (*set, error) {
	if s.process != nil {
		return s.simulate(ctx, o.sequences, o.workers)
	}
	out := &set{name: s.name, about: s.about, unit: s.unit, scale: s.scale, resolution: s.resolution, published: s.published}
	for _, part := range []struct {
		name string
		to   **tpp.Dataset
	}{{"train", &out.training}, {"dev", &out.validation}, {"test", &out.test}} {
		d, err := dataset.ReadFile(filepath.Join(o.data, s.name+"_"+part.name+".json.gz"))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		*part.to = d
	}
	return out, nil
}

// simulatedTick is the tick of a simulated clock, fine enough that the likelihood at its resolution is that of a density.
const simulatedTick = 1e-4

// simulate draws the parts of a set, each with a seed of its own. Windows are scored from their start, where nothing has come yet, to their end.
func (s *source) simulate(ctx context.Context, sequences, workers int) (*set, error) {
	truth, err := s.process()
	if err != nil {
		return nil, err
	}
	out := &set{name: s.name, about: s.about, unit: "unit of time", scale: 1, resolution: simulatedTick, truth: truth}
	for i, part := range []struct {
		share float64
		to    **tpp.Dataset
	}{{1, &out.training}, {0.2, &out.validation}, {0.4, &out.test}} {
		drawn, err := live.Simulate(ctx, truth, int(part.share*float64(sequences)), live.SimulateOptions{Window: s.window, Seed: uint64(i + 1), Workers: workers})
		if err != nil {
			return nil, fmt.Errorf("simulation: %w", err)
		}
		*part.to = &tpp.Dataset{MarkNames: truth.MarkNames(), Sequences: drawn}
	}
	return out, nil
}
