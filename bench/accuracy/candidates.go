package main

import (
	"context"
	"slices"
	"strings"

	"github.com/tppfaas/tppfaas/internal/callgraph"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/neural"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// withColdStart ends the names of candidates that also know whether each invocation so far has started cold (the regime I1). All others
// know arrivals and functions alone (I0).
const withColdStart = "+coldstart"

// withStarts ends the names of candidates that also know wait and initialisation of each invocation that has started, from then on (I2).
const withStarts = "+starts"

// candidates returns all that can be compared. Training uses a number of goroutines, 0 for as many as there are processors.
func candidates(workers int) []eval.Candidate {
	paper := func(kind neural.Kind) (neural.Config, neural.TrainOptions) {
		return neural.PaperConfig(kind), neural.PaperTraining(kind)
	}
	var out []eval.Candidate
	add := func(name string, cfg neural.Config, opts neural.TrainOptions) {
		opts.Workers = workers
		out = append(out, eval.Candidate{Name: name, Fit: recurrent(cfg, opts)})
		cfg.Covariates = []neural.Covariate{neural.ColdStart()}
		out = append(out, eval.Candidate{Name: name + withColdStart, Fit: recurrent(cfg, opts)})
	}
	add("lognormmix", neural.Config{}, neural.TrainOptions{})
	add("truncnorm", neural.Config{Kind: neural.TruncNorm}, neural.TrainOptions{})
	for _, v := range []struct {
		suffix string
		cfg    race.Config
	}{
		{"", race.Config{}},
		{withColdStart, race.Config{Covariates: []string{tpp.ColdStartCovariate}}},
		{withStarts, race.Config{Regime: race.Starts}},
	} {
		out = append(out, eval.Candidate{Name: race.Kind + v.suffix, Fit: raced(v.cfg, race.TrainOptions{Workers: workers})})
	}
	cfg, opts := paper(neural.LogNormMix)
	add("paper-lognormmix", cfg, opts)
	cfg, opts = paper(neural.TruncNorm)
	add("paper-truncnorm", cfg, opts)
	for _, kind := range classical.Kinds() {
		out = append(out, eval.Candidate{Name: string(kind), Fit: func(ctx context.Context, training, _ *tpp.Dataset, _ uint64) (tpp.Model, error) {
			return classical.Fit(ctx, kind, training, classical.FitOptions{})
		}})
	}
	return out
}

func recurrent(cfg neural.Config, opts neural.TrainOptions) func(context.Context, *tpp.Dataset, *tpp.Dataset, uint64) (tpp.Model, error) {
	return func(ctx context.Context, training, validation *tpp.Dataset, seed uint64) (tpp.Model, error) {
		opts := opts
		opts.Seed = seed
		return neural.Train(ctx, cfg, training, validation, opts)
	}
}

// raced trains a race whose graph is that of the parents in the training part or, if it has none, that of the embedded application which
// the functions are of, or else estimated.
func raced(cfg race.Config, opts race.TrainOptions) func(context.Context, *tpp.Dataset, *tpp.Dataset, uint64) (tpp.Model, error) {
	return func(ctx context.Context, training, validation *tpp.Dataset, seed uint64) (tpp.Model, error) {
		cfg, opts := cfg, opts
		opts.Seed = seed
		if !hasParents(training) {
			var err error
			if cfg.Graph, err = callgraph.Embedded(training.MarkNames); err != nil {
				return nil, err
			}
		}
		m, err := race.Train(ctx, cfg, training, validation, opts)
		if err != nil {
			return nil, err
		}
		return m, nil
	}
}

func hasParents(d *tpp.Dataset) bool {
	return slices.ContainsFunc(d.Sequences, func(s tpp.Sequence) bool { return s.Parents != nil })
}

// here are the recurrent models at their defaults, against which others are compared; so are the tables, which are all classical models.
func here() []string { return []string{"lognormmix", "truncnorm"} }

func tables() []string {
	var names []string
	for _, kind := range classical.Kinds() {
		names = append(names, string(kind))
	}
	return names
}

// choose returns the names that a comma-separated list chooses, in their own order: each entry is a name, the beginning of some, or all.
func choose(names []string, list string) ([]string, error) {
	chosen := make([]bool, len(names))
	for entry := range strings.SplitSeq(list, ",") {
		entry = strings.TrimSpace(entry)
		found := false
		for i, name := range names {
			if name == entry || entry == "all" || entry != "" && !slices.Contains(names, entry) && strings.HasPrefix(name, entry) {
				chosen[i], found = true, true
			}
		}
		if !found {
			return nil, cli.Usagef("-models: %q is not the name of a model or the beginning of one; there are %s", entry, strings.Join(names, ", "))
		}
	}
	var out []string
	for i, name := range names {
		if chosen[i] {
			out = append(out, name)
		}
	}
	return out, nil
}

// lacking says what a candidate needs that a dataset does not have, or nothing. noGraph is why the dataset has no graph.
func lacking(candidate string, d *tpp.Dataset, noGraph error) string {
	if strings.HasSuffix(candidate, withColdStart) && slices.ContainsFunc(d.Sequences, func(s tpp.Sequence) bool {
		return !s.HasCovariate(tpp.ColdStartCovariate)
	}) {
		return "not all its traces have init times"
	}
	if strings.HasSuffix(candidate, withStarts) && slices.ContainsFunc(d.Sequences, func(s tpp.Sequence) bool { return s.Len() > 0 && s.WaitTimes == nil }) {
		return "not all its traces have wait times"
	}
	if noGraph != nil && strings.HasPrefix(candidate, race.Kind) {
		return noGraph.Error()
	}
	return ""
}

// graphError returns why no graph can be had for the races of a dataset, or nil.
func graphError(d *tpp.Dataset) error {
	if hasParents(d) {
		return nil
	}
	if g, err := callgraph.Embedded(d.MarkNames); g != nil || err != nil {
		return err
	}
	_, _, err := race.EstimateGraph(d)
	return err
}
