package main

import (
	"context"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/neural"
)

// training says how candidates are trained.
type training struct {
	epochs, seeds, workers int
}

// candidate is a model that is trained on every set.
type candidate struct {
	name string
	// seeded candidates depend on a seed.
	seeded bool
	fit    func(ctx context.Context, s *set, t *training, seed uint64) (tpp.Model, error)
}

// candidates are all models, in the order of the tables.
var candidates = []candidate{
	classic("poisson", classical.KindPoisson, classical.FitOptions{}),
	classic("renewal", classical.KindRenewal, classical.FitOptions{}),
	classic("markov", classical.KindMarkovRenewal, classical.FitOptions{}),
	classic("hawkes", classical.KindHawkes, classical.FitOptions{}),
	classic("hawkes, 3 kernels", classical.KindHawkes, classical.FitOptions{Kernels: 3}),
	network("lognormmix", neural.Config{}, 0),
	network("lognormmix, mark-time", neural.Config{MarkTimeSize: neural.DefaultMarkTimeSize}, 0),
	network("lognormmix, mark-time, 32 units", neural.Config{MarkTimeSize: neural.DefaultMarkTimeSize, ContextSize: 32}, 5e-3),
	network("lognormmix, mark-time, SSM", neural.Config{MarkTimeSize: neural.DefaultMarkTimeSize, Encoder: neural.SSM}, 5e-3),
}

// classic returns a classical model.
func classic(name string, kind classical.Kind, opts classical.FitOptions) candidate {
	return candidate{name: name, fit: func(ctx context.Context, s *set, _ *training, _ uint64) (tpp.Model, error) {
		opts.Resolution = s.resolution
		return classical.Fit(ctx, kind, s.training, opts)
	}}
}

// network returns a LogNormMix, trained at a learning rate or, for 0, that of the library. It has no end class: the sequences are cut out of longer ones, as everywhere in the field.
func network(name string, cfg neural.Config, rate float64) candidate {
	return candidate{name: name, seeded: true, fit: func(ctx context.Context, s *set, t *training, seed uint64) (tpp.Model, error) {
		cfg.WithoutEnd, cfg.Resolution = true, s.resolution
		m, err := neural.Train(ctx, cfg, s.training, s.validation, neural.TrainOptions{Seed: seed, MaxEpochs: t.epochs, Workers: t.workers, LearningRate: rate})
		if err != nil {
			return nil, err
		}
		return m, nil
	}}
}
