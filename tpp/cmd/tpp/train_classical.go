package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/neural"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// kinds returns all kinds of models that train knows.
func kinds() []string {
	var names []string
	for _, kind := range neural.Kinds() {
		names = append(names, string(kind))
	}
	return append(append(names, race.Kind), classicalKinds()...)
}

func classicalKinds() []string {
	var names []string
	for _, kind := range classical.Kinds() {
		names = append(names, string(kind))
	}
	return names
}

// isClassical reports whether the kind is a classical model's.
func isClassical(kind string) bool { return slices.Contains(classical.Kinds(), classical.Kind(kind)) }

// hawkesOnly are the options that only a Hawkes process has.
var hawkesOnly = []string{"decay-per-pair", "kernels", "standard-errors"}

// classicalFlags are the options that have a meaning for a classical model, by kind where not for all.
var classicalFlags = map[string][]string{
	"o": nil, "kind": nil, "seed": nil, "resolution": nil, "json": nil, "repeat": nil, "folds": nil, "split": nil, "validation": nil, "test": nil,
	"components":     {string(classical.KindRenewal), string(classical.KindMarkovRenewal)},
	"decay-per-pair": {string(classical.KindHawkes)}, "kernels": {string(classical.KindHawkes)}, "standard-errors": {string(classical.KindHawkes)},
}

// checkClassical refuses options that a classical model does not have, those of the input aside, and values that none has.
func checkClassical(fs *flag.FlagSet, kind string, o classical.FitOptions, input []string) error {
	var wrong error
	fs.Visit(func(f *flag.Flag) {
		if of, ok := classicalFlags[f.Name]; wrong == nil && !slices.Contains(input, f.Name) && (!ok || of != nil && !slices.Contains(of, kind)) {
			wrong = cli.Usagef("-%s is not for -kind %s", f.Name, kind)
		}
	})
	switch {
	case wrong != nil:
		return wrong
	case !(o.Resolution >= 0) || cli.IsSet(fs, "resolution") && o.Resolution == 0:
		return cli.Usagef("-resolution is %v, it must be above 0", o.Resolution)
	case cli.IsSet(fs, "components") && o.Components < 1:
		return cli.Usagef("-components is %d, it must be at least 1", o.Components)
	case cli.IsSet(fs, "kernels") && o.Kernels < 1:
		return cli.Usagef("-kernels is %d, it must be at least 1", o.Kernels)
	case o.Kernels > 1 && o.DecayPerPair:
		return cli.Usagef("-kernels gives each kernel one decay, -decay-per-pair each pair of marks: choose one")
	}
	return nil
}

// trainClassical fits a classical model to the training part. It has no use for the validation part, which stays aside so
// that all kinds of models are compared on the same data.
func trainClassical(ctx context.Context, o *trainOrder, p *trainParts, stdout, stderr io.Writer) error {
	training, test := p.training, p.test
	start := time.Now()
	model, err := classical.Fit(ctx, classical.Kind(o.kind), training, o.fit)
	if err != nil {
		return fmt.Errorf("%s: %w", o.dataset, err)
	}
	took := time.Since(start)
	if err := tpp.WriteTrainedModelFile(o.output, model, p.data); err != nil {
		return err
	}
	p.warn(stderr, o)
	scores, err := eval.Evaluate(ctx, model, test, eval.EvaluateOptions{Resolution: o.fit.Resolution})
	if err != nil {
		return fmt.Errorf("%s: %w", p.testName, err)
	}
	if o.json {
		return printJSON(stdout, result{Model: o.output, Dataset: p.testFile, Kind: model.Kind(), Part: "test", Scores: scores, Trained: true, Seconds: took.Seconds()})
	}
	fmt.Fprintf(stdout, "%s: fitted in %v\n\n%s, %d sequences with %d scored events:\n",
		o.output, took.Round(time.Millisecond), p.testTitle, scores.Sequences, scores.Events)
	return printTable(stdout, []result{{Model: model.Kind(), Scores: scores}}, "")
}

// oneOf lists words, the last one after an "or".
func oneOf(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
