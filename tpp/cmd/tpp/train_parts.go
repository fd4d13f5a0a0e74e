package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/tppfaas/tppfaas/tpp"
)

// trainParts are the datasets of a training.
type trainParts struct {
	training, validation, test *tpp.Dataset
	data                       tpp.TrainingData
	testFile                   string // that the test part is from
	testName, testTitle        string // the test part in an error and in a report
}

// parts splits the dataset, or reads files in place of its parts. A part that a file takes the place of is trained on.
func (o *trainOrder) parts(ctx context.Context, data *tpp.Dataset, stderr io.Writer) (*trainParts, error) {
	p := &trainParts{
		data: tpp.TrainingData{
			Name: filepath.Base(o.dataset), Fingerprint: data.Fingerprint(), Sequences: len(data.Sequences), Split: o.test == "", Seed: o.opts.Seed,
		},
		testFile: o.dataset, testName: o.dataset + ": test part", testTitle: "Test part of " + filepath.Base(o.dataset),
	}
	how := split{o.split, o.opts.Seed}
	if o.test == "" {
		p.data.SplitBy = how.name()
	}
	parts := how.parts(data)
	p.training, p.validation, p.test = parts.Training, parts.Validation, parts.Test
	var err error
	if o.validation != "" {
		p.training = joined(p.training, p.validation)
		if p.validation, err = o.readPart(ctx, o.validation, stderr); err != nil {
			return nil, err
		}
	}
	if o.test != "" {
		p.training = joined(p.training, p.test)
		if p.test, err = o.readPart(ctx, o.test, stderr); err != nil {
			return nil, err
		}
		p.testFile, p.testName, p.testTitle = o.test, o.test, filepath.Base(o.test)
	}
	if o.split == splitByHash { // in the order of the file, as a stream has them
		var kept []int
		for i := range data.Sequences {
			if o.hashPart(i) == tpp.TrainingPart {
				kept = append(kept, i)
			}
		}
		p.training = data.Subset(kept)
	}
	return p, nil
}

func (o *trainOrder) readPart(ctx context.Context, path string, stderr io.Writer) (*tpp.Dataset, error) {
	d, err := o.in.read(ctx, path, o.tick(), stderr)
	if err == nil && len(d.Sequences) == 0 {
		err = errors.New(path + ": it has no sequence")
	}
	return d, err
}

// joined returns a dataset with the sequences of two that have the same marks.
func joined(a, b *tpp.Dataset) *tpp.Dataset {
	out := &tpp.Dataset{MarkNames: a.MarkNames}
	out.Sequences = append(append(out.Sequences, a.Sequences...), b.Sequences...)
	return out
}

// The sizes of the parts below which they say little.
const (
	fewForTraining = 15
	fewForScores   = 5
)

// warn says if there are too few sequences to learn from or to score with.
func (p *trainParts) warn(stderr io.Writer, o *trainOrder) {
	training, validation, test := len(p.training.Sequences), len(p.validation.Sequences), len(p.test.Sequences)
	if training >= fewForTraining && (validation >= fewForScores || isClassical(o.kind)) && test >= fewForScores {
		return
	}
	what := "scores are left to chance"
	if validation == 0 && !isClassical(o.kind) {
		what += ", and nothing shows when the model begins to learn the sequences by heart"
	}
	fmt.Fprintf(stderr, "warning: %s has few sequences: %d for training, %d for validation and %d for the test; %s\n", o.dataset, training, validation, test, what)
}
