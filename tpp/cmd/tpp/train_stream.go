package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/neural"
)

// checkStream checks the options of a training on a stream, which is split by hash.
func (o *trainOrder) checkStream(fs *flag.FlagSet) error {
	switch {
	case !o.stream:
		return nil
	case o.many():
		return cli.Usagef("-stream trains one model: -repeat and -folds are for data in memory")
	case cli.IsSet(fs, "split") && o.split != splitByHash:
		return cli.Usagef("-stream splits by hash: -split %s is for data in memory", o.split)
	}
	o.split = splitByHash
	return nil
}

// streamFile is a dataset that is read anew for each pass.
type streamFile struct {
	in        *input
	path      string
	markNames []string
}

// sequences yields the sequences whose number is kept.
func (f *streamFile) sequences(ctx context.Context, keep func(i int) bool) iter.Seq2[*tpp.Sequence, error] {
	return func(yield func(*tpp.Sequence, error) bool) {
		opts := f.in.options()
		opts.MarkNames = f.markNames
		r, err := dataset.OpenSequences(f.path, opts)
		if err != nil {
			yield(nil, err)
			return
		}
		defer r.Close()
		kept(r.All(ctx), keep)(yield)
	}
}

// stream returns what training reads.
func (f *streamFile) stream(keep func(i int) bool) neural.Stream {
	return neural.Stream{MarkNames: f.markNames, Sequences: func(ctx context.Context) iter.Seq2[*tpp.Sequence, error] { return f.sequences(ctx, keep) }}
}

// survey reads a file for the names of its marks, its fingerprint and its size, and warns of what looks wrong with it.
func (o *trainOrder) survey(ctx context.Context, path string, names []string, stderr io.Writer) (*streamFile, tpp.TrainingData, error) {
	o.in.opts.Tick = o.tick()
	about := tpp.TrainingData{Name: filepath.Base(path)}
	opened, err := openInput(path) // which says of a model that it is one
	if err != nil {
		return nil, about, err
	}
	defer opened.Close()
	if !opened.regular {
		return nil, about, fmt.Errorf("%s: -stream reads the data several times, which a pipe cannot be", path)
	}
	r, err := o.in.reader(opened, names)
	if err != nil {
		return nil, about, err
	}
	if f := r.Format(); f != dataset.FormatJSONLines && f != dataset.FormatJSON {
		return nil, about, fmt.Errorf("%s: -stream reads JSON lines or a JSON document: tpp convert makes them", path)
	}
	show := progress.New(stderr, 0, "sequences")
	defer show.Done()
	var hash tpp.DatasetHash
	for s, err := range r.All(ctx) {
		if err != nil {
			return nil, about, err
		}
		hash.Add(s, r.MarkNames())
		about.Sequences++
		show.Set(about.Sequences, path)
	}
	show.Done()
	if about.Sequences == 0 {
		return nil, about, fmt.Errorf("%s: it has no sequence", path)
	}
	about.Fingerprint = hash.Fingerprint()
	return &streamFile{o.in, path, r.MarkNames()}, about, o.in.warn(path, r, stderr)
}

// hashPart returns the part of a split by hash to which a sequence belongs. A part that a file takes the place of is trained on.
func (o *trainOrder) hashPart(i int) tpp.Part {
	p := tpp.PartByHash(o.opts.Seed, i)
	if p == tpp.ValidationPart && o.validation != "" || p == tpp.TestPart && o.test != "" {
		return tpp.TrainingPart
	}
	return p
}

// trainStream trains on a file that is read anew in each epoch, and scores the model on the test part.
func (o *trainOrder) trainStream(ctx context.Context, stdout, stderr io.Writer) error {
	file, about, err := o.survey(ctx, o.dataset, nil, stderr)
	if err != nil {
		return err
	}
	about.Split, about.Seed = o.test == "", o.opts.Seed
	if about.Split {
		about.SplitBy = tpp.SplitByHash
	}
	all := func(int) bool { return true }
	of := func(p tpp.Part) func(int) bool { return func(i int) bool { return o.hashPart(i) == p } }
	validation, test := file.stream(of(tpp.ValidationPart)), file.stream(of(tpp.TestPart))
	testFile, testName, testTitle := o.dataset, o.dataset+": test part", "Test part of "+filepath.Base(o.dataset)
	for _, other := range []struct {
		path string
		to   *neural.Stream
	}{{o.validation, &validation}, {o.test, &test}} {
		if other.path == "" {
			continue
		}
		f, _, err := o.survey(ctx, other.path, file.markNames, stderr)
		if err != nil {
			return err
		}
		*other.to = f.stream(all)
	}
	if o.test != "" {
		testFile, testName, testTitle = o.test, o.test, filepath.Base(o.test)
	}
	var history []neural.Epoch
	model, stopped, err := o.fitStream(ctx, file.stream(of(tpp.TrainingPart)), validation, func(e neural.Epoch) { history = append(history, e) }, stderr)
	if err != nil {
		return fmt.Errorf("%s: %w", o.dataset, err)
	}
	if err := o.write(model, about, history); err != nil {
		return err
	}
	if stopped != nil {
		return fmt.Errorf("%s: %s has the best model so far, of epoch %d", reason(stopped), o.output, trainingOf(model).best)
	}
	d, err := eval.DiagnoseStream(ctx, model, test.Sequences(ctx), test.MarkNames, eval.EvaluateOptions{})
	if err != nil {
		return fmt.Errorf("%s: %w", testName, err)
	}
	how := trainingOf(model)
	if o.json {
		return printJSON(stdout, result{Model: o.output, Dataset: testFile, Kind: model.Kind(), Part: "test", Scores: d.Scores, Trained: true, Epochs: how.epochs, Seconds: how.seconds})
	}
	fmt.Fprintf(stdout, "%s: %d parameters, best of %d epochs was number %d, %v\n\n%s, %d sequences with %d scored events:\n",
		o.output, model.NumParameters(), how.epochs, how.best, time.Duration(how.seconds*float64(time.Second)).Round(time.Millisecond*100),
		testTitle, d.Scores.Sequences, d.Scores.Events)
	return printTable(stdout, []result{{Model: model.Kind(), Scores: d.Scores}}, "")
}

// fitStream trains with a display of its progress, as fitNetwork does.
func (o *trainOrder) fitStream(ctx context.Context, training, validation neural.Stream, report func(neural.Epoch), stderr io.Writer) (model network, stopped, err error) {
	return o.show(report, stderr, func(report func(neural.Epoch)) (network, error) {
		opts := o.opts
		opts.Progress = report
		m, err := neural.TrainStream(ctx, o.cfg, training, validation, opts)
		if m == nil {
			return nil, err
		}
		return m, err
	})
}
