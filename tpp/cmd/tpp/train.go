package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/starts"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/neural"
	"github.com/tppfaas/tppfaas/tpp/race"
)

const trainUsage = `tpp train fits a model to 60 % of a dataset's sequences, keeps the parameters that do best on another 20 %, and prints the
scores on the rest, beside those of a table of the last mark. -seed decides which sequences are which; the model's file holds it with a
fingerprint of the data, so that evaluate finds the test part again. -validation and -test name files in place of these
parts. Ctrl-C ends training early and keeps the best model so far; with -checkpoint the same call then goes on where it stopped.

Usage: tpp train DATASET -o MODEL [OPTIONS]

Examples:
  tpp train data/tree_small.json -o tree_small.safetensors -seed 1
  tpp train monday.json -o model.safetensors -validation tuesday.json -test wednesday.json
  tpp train traces.json.gz -o model.safetensors -kind truncnorm -coldstart
  tpp train traces.json.gz -o model.safetensors -paper -json           the published model and training
  tpp train traces.json.gz -o model.safetensors -kind race             which events make which others due, in seconds
  tpp train traces.json -o model.safetensors -kind race -graph graph.yaml      of an application, where the traces do not tell it
  tpp train traces.json.gz -o model.safetensors -kind markov           a classical model, in seconds
  tpp train traces.json.gz -repeat 10                                  means and deviations over ten splits
  tpp train traces.json.gz -folds 5                                    and over the folds of a cross-validation
  tpp train traces.json.gz -o model.safetensors -split time            tested on the latest sequences
  tpp train log.csv -o model.safetensors -unit s -sequence user -mark action    "tpp convert -h" says more about CSV files
  tpp train huge.json.gz -o model.safetensors -checkpoint huge.ckpt    may be interrupted and called again
  tpp train huge.jsonl.gz -o model.safetensors -stream                 larger than memory
`

func train(fs *flag.FlagSet) cli.Run {
	parsed := trainFlags(fs)
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		o, err := parsed(args)
		if err != nil {
			return err
		}
		return o.run(ctx, stdout, stderr)
	}
}

func (o *trainOrder) run(ctx context.Context, stdout, stderr io.Writer) error {
	for _, out := range []struct {
		option, path string
		others       []string
	}{{"o", o.output, nil}, {"history", o.history, []string{o.output}}, {"checkpoint", o.opts.Checkpoint, []string{o.output, o.history}}} {
		if err := notRead(out.option, out.path, append(out.others, o.dataset, o.validation, o.test)...); err != nil {
			return err
		}
	}
	for _, path := range []string{o.output, o.history} {
		if path == "" {
			continue
		}
		stdout = messagesBeside(path, stdout, stderr)
		if err := atomicfile.Check(path); err != nil {
			return err
		}
	}
	if o.stream {
		return o.trainStream(ctx, stdout, stderr)
	}
	data, err := o.in.read(ctx, o.dataset, o.tick(), stderr)
	if err != nil {
		return err
	}
	if o.many() {
		return repeatTraining(ctx, o, data, stdout, stderr)
	}
	p, err := o.parts(ctx, data, stderr)
	if err != nil {
		return err
	}
	if isClassical(o.kind) {
		return trainClassical(ctx, o, p, stdout, stderr)
	}
	var history []neural.Epoch
	if o.kind == race.Kind {
		if err := o.chooseGraph(p.training, stderr); err != nil {
			return err
		}
	}
	model, stopped, err := o.fitNetwork(ctx, p.training, p.validation, func(e neural.Epoch) { history = append(history, e) }, stderr)
	if err != nil {
		return fmt.Errorf("%s: %w", o.dataset, err)
	}
	if err := o.write(model, p.data, history); err != nil {
		return err
	}
	if stopped != nil {
		return fmt.Errorf("%s: %s has the best model so far, of epoch %d", reason(stopped), o.output, trainingOf(model).best)
	}
	p.warn(stderr, o)
	noteUnexplained(model, o, stderr)
	return reportTraining(ctx, model, p, o, stdout)
}

// write writes the model, and the history of its training if it is wanted.
func (o *trainOrder) write(model network, data tpp.TrainingData, history []neural.Epoch) error {
	if err := tpp.WriteTrainedModelFile(o.output, model, data); err != nil {
		return err
	}
	if o.history == "" {
		return nil
	}
	return writeHistory(o.history, history)
}

// reason says why training stopped: it was interrupted, or its checkpoint could not be written, or both.
func reason(stopped error) string {
	var both interface{ Unwrap() []error }
	if errors.Is(stopped, context.Canceled) && !errors.As(stopped, &both) {
		return "interrupted"
	}
	return stopped.Error()
}

// tick returns the tick of the clock that took the times, in ms; 0 for the default.
func (o *trainOrder) tick() float64 {
	switch {
	case isClassical(o.kind):
		return o.fit.Resolution
	case o.kind == race.Kind:
		return o.race.Resolution
	}
	return o.cfg.Resolution
}

// writeHistory writes one JSON object an epoch.
func writeHistory(path string, history []neural.Epoch) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		for _, e := range history {
			if err := printJSON(w, e); err != nil {
				return err
			}
		}
		return nil
	})
}

func reportTraining(ctx context.Context, model network, p *trainParts, o *trainOrder, stdout io.Writer) error {
	training, err := starts.SeenDataset(model, p.training) // for the table, whose scores stand beside
	if err != nil {
		return fmt.Errorf("%s: %w", o.dataset, err)
	}
	test, err := starts.SeenDataset(model, p.test)
	if err != nil {
		return fmt.Errorf("%s: %w", p.testName, err)
	}
	scores, err := eval.Evaluate(ctx, model, test, eval.EvaluateOptions{})
	if err != nil {
		return fmt.Errorf("%s: %w", p.testName, err)
	}
	how := trainingOf(model)
	if o.json {
		return printJSON(stdout, result{Model: o.output, Dataset: p.testFile, Kind: model.Kind(), Part: "test", Scores: scores, Trained: true, Epochs: how.epochs, Seconds: how.seconds})
	}
	table, err := classical.FitLookup(ctx, classical.LastMark, training, classical.FitOptions{Resolution: model.Resolution()})
	if err != nil {
		return err
	}
	baseline, err := eval.Evaluate(ctx, table, test, eval.EvaluateOptions{})
	if err != nil {
		return fmt.Errorf("%s: %w", p.testName, err)
	}
	fmt.Fprintf(stdout, "%s: %d parameters, best of %d epochs was number %d, %v\n\n%s, %d sequences with %d scored events:\n",
		o.output, model.NumParameters(), how.epochs, how.best, time.Duration(how.seconds*float64(time.Second)).Round(time.Millisecond*100),
		p.testTitle, scores.Sequences, scores.Events)
	return printTable(stdout, []result{
		{Model: model.Kind(), Scores: scores},
		{Model: "table of the last mark *", Scores: baseline},
	}, "* the median gap after each mark, and its commonest successor")
}

func printJSON(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) }
