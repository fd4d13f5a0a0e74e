// Ownmodel shows how to add a model and a distribution to the library from another module. It fits the model to a dataset,
// compares its scores with those of a lookup table, writes it to a file, reads it back, and makes a forecast.
//
//	go run . ../../tpp/testdata/tree_small.json.gz
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/live"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: ownmodel DATASET")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "ownmodel:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, path string, out io.Writer) error {
	data, err := dataset.ReadFile(path)
	if err != nil {
		return err
	}
	training, _, test := data.Split(1)
	own, err := Fit(ctx, training)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	table, err := classical.Fit(ctx, classical.KindLookupMark, training, classical.FitOptions{})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, m := range []tpp.Model{own, table} {
		scores, err := eval.Evaluate(ctx, m, test, eval.EvaluateOptions{})
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		fmt.Fprintf(out, "%-17s %.3f nats an event at the clock's resolution, %.0f %% of the functions foreseen\n",
			m.Kind(), scores.NLLResolution, 100*scores.Accuracy)
	}

	dir, err := os.MkdirTemp("", "ownmodel")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "model.safetensors")
	if err := tpp.WriteModelFile(file, own); err != nil {
		return err
	}
	again, err := tpp.ReadModelFile(file)
	if err != nil {
		return err
	}

	s := &test.Sequences[0]
	state := again.NewState(s.Start())
	if err := state.Observe(s.Event(0, again.CovariateNames(), nil)); err != nil {
		return err
	}
	first := state.Next(s.ArrivalTimes[0])
	fmt.Fprintf(out, "after the first event the next comes within %.0f ms, half of the time; on average, of up to a minute, after %.0f ms\n",
		first.Median(), dist.RestrictedMean(first.Time, 60_000))
	forecast, err := live.NewForecast(ctx, state, s.ArrivalTimes[0], 2000, live.ForecastOptions{Seed: 1})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%.1f more events are expected within two seconds\n", forecast.Any.Count)
	return nil
}
