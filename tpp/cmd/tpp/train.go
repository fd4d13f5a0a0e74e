package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"time"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/tpp"
)

const trainUsage = `tpp train fits a model to 60 % of a dataset's sequences, stops when the loss on another 20 % has not fallen for a
while, and prints the scores on the rest, beside those of two simple rules. -seed deals the parts out; evaluate with the same -seed
finds the test part again. Ctrl-C ends training early and keeps the best model so far.

Usage: tpp train DATASET -o MODEL [OPTIONS]

Examples:
  tpp train data/tree_small.json -o tree_small.safetensors -seed 1
  tpp train traces.json.gz -o model.safetensors -coldstart -patience 30
  tpp train traces.json.gz -o model.safetensors -json
`

func train(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var (
		cfg  tpp.Config
		opts tpp.TrainOptions
	)
	fs := cli.NewFlagSet("train", stdout, trainUsage)
	out := fs.String("o", "", "write the model to `FILE`")
	fs.Uint64Var(&opts.Seed, "seed", 1, "`seed` of the split, the first parameters and the order of the sequences")
	fs.StringVar(&cfg.Encoder, "encoder", "GRU", "RNN, GRU or LSTM")
	fs.IntVar(&cfg.ContextSize, "context", 64, "`units` of the encoder")
	fs.IntVar(&cfg.MarkEmbeddingSize, "embedding", 32, "`columns` of the mark embedding")
	fs.IntVar(&cfg.NumComponents, "components", 64, "`components` of the mixture")
	coldStart := fs.Bool("coldstart", false, "take in whether each invocation started cold")
	fs.IntVar(&opts.BatchSize, "batch", 64, "`sequences` in a batch")
	fs.Float64Var(&opts.LearningRate, "rate", 1e-3, "learning `rate`")
	fs.Float64Var(&opts.WeightDecay, "l2", 1e-5, "`factor` of the L2 regularisation")
	fs.IntVar(&opts.MaxEpochs, "epochs", 4000, "`epochs` at most")
	fs.IntVar(&opts.Patience, "patience", 100, "stop after this many `epochs` without a better validation loss")
	fs.DurationVar(&opts.MaxDuration, "budget", 0, "stop after this much `time`, such as 50s (0: no limit)")
	fs.IntVar(&opts.Workers, "workers", 0, "`goroutines` that compute (0: one a processor); the model does not depend on it")
	asJSON := fs.Bool("json", false, "print the scores as JSON")
	rest, err := positional(fs, args, "dataset")
	if err != nil {
		return err
	}
	if *out == "" {
		return cli.Usagef("-o MODEL is missing")
	}
	for _, o := range []struct {
		name  string
		value int
	}{
		{"-context", cfg.ContextSize}, {"-embedding", cfg.MarkEmbeddingSize}, {"-components", cfg.NumComponents},
		{"-batch", opts.BatchSize}, {"-epochs", opts.MaxEpochs}, {"-patience", opts.Patience},
	} {
		if o.value < 1 {
			return cli.Usagef("%s is %d, it must be at least 1", o.name, o.value)
		}
	}
	if cfg.Encoder != "RNN" && cfg.Encoder != "GRU" && cfg.Encoder != "LSTM" {
		return cli.Usagef("-encoder is %q, it must be RNN, GRU or LSTM", cfg.Encoder)
	}
	if !(opts.LearningRate > 0) || math.IsInf(opts.LearningRate, 0) {
		return cli.Usagef("-rate is %v, it must be above 0", opts.LearningRate)
	}
	if !(opts.WeightDecay >= 0) || math.IsInf(opts.WeightDecay, 0) {
		return cli.Usagef("-l2 is %v, it must not be negative", opts.WeightDecay)
	}
	if opts.MaxDuration < 0 || opts.Workers < 0 {
		return cli.Usagef("-budget and -workers must not be negative")
	}
	if opts.WeightDecay == 0 {
		opts.WeightDecay = -1 // none, where zero would mean the default
	}
	if *coldStart {
		cfg.Covariates = append(cfg.Covariates, tpp.ColdStart())
	}
	if err := atomicfile.Check(*out); err != nil {
		return err
	}
	data, err := tpp.ReadFile(rest[0])
	if err != nil {
		return err
	}
	training, validation, test := data.Split(opts.Seed)
	model, interrupted, err := fit(ctx, cfg, training, validation, opts, stderr)
	if err != nil {
		return fmt.Errorf("%s: %w", rest[0], err)
	}
	if err := model.WriteFile(*out); err != nil {
		return err
	}
	if interrupted {
		return fmt.Errorf("interrupted: %s has the best model so far, of epoch %d", *out, model.Training().BestEpoch)
	}
	return reportTraining(ctx, model, training, test, *out, rest[0], *asJSON, stdout)
}

// fit trains with a display of its progress. An interruption that left a model is no error.
func fit(ctx context.Context, cfg tpp.Config, training, validation *tpp.Dataset, opts tpp.TrainOptions, stderr io.Writer) (
	model *tpp.Recurrent, interrupted bool, err error) {
	show := progress.New(stderr, opts.MaxEpochs, "epochs")
	defer show.Done()
	before := opts.Progress
	opts.Progress = func(e tpp.Epoch) {
		if before != nil {
			before(e)
		}
		show.Set(e.Epoch, fmt.Sprintf("loss %.4f, validation %.4f (best %.4f in epoch %d)",
			e.TrainingLoss, e.ValidationLoss, e.BestLoss, e.BestEpoch))
	}
	model, err = tpp.Train(ctx, cfg, training, validation, opts)
	if model != nil && errors.Is(err, ctx.Err()) {
		return model, err != nil, nil
	}
	return model, false, err
}

func reportTraining(ctx context.Context, model *tpp.Recurrent, training, test *tpp.Dataset, path, dataset string, asJSON bool, stdout io.Writer) error {
	scores, err := tpp.Evaluate(ctx, model, test, tpp.EvaluateOptions{})
	if err != nil {
		return fmt.Errorf("%s: test part: %w", dataset, err)
	}
	how := model.Training()
	if asJSON {
		return printJSON(stdout, result{Model: path, Dataset: dataset, Kind: model.Kind(), Scores: scores, Epochs: how.Epochs, Seconds: how.Seconds})
	}
	table, err := tpp.FitLookup(tpp.LastMark, training, model.Config().Resolution)
	if err != nil {
		return err
	}
	baseline, err := tpp.Evaluate(ctx, table, test, tpp.EvaluateOptions{})
	if err != nil {
		return fmt.Errorf("%s: test part: %w", dataset, err)
	}
	fmt.Fprintf(stdout, "%s: %d parameters, best of %d epochs was number %d, %v\n\nTest part of %s, %d sequences with %d scored events:\n",
		path, model.NumParameters(), how.Epochs, how.BestEpoch, time.Duration(how.Seconds*float64(time.Second)).Round(time.Millisecond*100),
		filepath.Base(dataset), scores.Sequences, scores.Events)
	return printTable(stdout, []result{
		{Model: model.Kind(), Scores: scores},
		{Model: "table of the last mark *", Scores: baseline},
	}, "* the median gap after each mark, and its commonest successor")
}

func printJSON(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) }
