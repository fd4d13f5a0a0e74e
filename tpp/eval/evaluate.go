package eval

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/tppfaas/tppfaas/tpp"
)

// evaluate scores a stream. One goroutine (the caller's) reads, some score, one adds up.
func evaluate(ctx context.Context, m tpp.Model, sequences iter.Seq2[*tpp.Sequence, error], markNames []string, opts EvaluateOptions) (*totals, error) {
	switch {
	case m == nil:
		return nil, errors.New("evaluation: no model")
	case sequences == nil:
		return nil, errors.New("evaluation: no sequences")
	}
	if err := opts.withDefaults(m); err != nil {
		return nil, err
	}
	marks, err := matchMarks(markNames, m.MarkNames())
	if err != nil {
		return nil, err
	}
	outer := ctx
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	jobs := make(chan *block)
	order := make(chan *block, 2*opts.Workers)
	var scoring, adding sync.WaitGroup
	for range opts.Workers {
		scoring.Go(func() {
			for b := range jobs {
				b.score(ctx, m, marks, opts)
				close(b.done)
			}
		})
	}
	total := newTotals(m, opts.Forecasts)
	adding.Go(func() {
		for b := range order {
			<-b.done
			if ctx.Err() != nil {
				continue
			}
			if b.err != nil {
				stop(b.err)
				continue
			}
			total.add(b)
		}
	})
	err = readBlocks(ctx, sequences, func(b *block) {
		// To jobs first: the adding goroutine then never waits for a block that no goroutine scores.
		jobs <- b
		order <- b
	})
	close(jobs)
	scoring.Wait()
	close(order)
	adding.Wait()
	switch {
	case outer.Err() != nil:
		return nil, fmt.Errorf("evaluation stopped: %w", outer.Err())
	case ctx.Err() != nil:
		return nil, context.Cause(ctx) // of a sequence before the one where reading failed
	case err != nil:
		return nil, err
	}
	return total, nil
}

var errNoDataset = errors.New("evaluation: no dataset")

// Evaluate scores a model on a dataset, whose marks are matched with the model's by name. Each event is predicted from
// those before it, by the way that live predictions take. The error names the sequence.
func Evaluate(ctx context.Context, m tpp.Model, d *tpp.Dataset, opts EvaluateOptions) (Scores, error) {
	if d == nil {
		return Scores{}, errNoDataset
	}
	return EvaluateStream(ctx, m, each(d), d.MarkNames, opts)
}

// EvaluateStream scores a model on sequences as they are read, of which it holds a bounded number at a time: the data may
// be larger than memory. The marks have the given names, which are matched with the model's. A sequence that was yielded
// must not be changed any more. The scores are those of Evaluate, to the last bit. The error names the sequence by its
// place in the stream; one that the stream yields is returned as it is.
func EvaluateStream(ctx context.Context, m tpp.Model, sequences iter.Seq2[*tpp.Sequence, error], markNames []string, opts EvaluateOptions) (Scores, error) {
	total, err := evaluate(ctx, m, sequences, markNames, opts)
	if err != nil {
		return Scores{}, err
	}
	return total.scores(), nil
}

// Diagnose scores a model as Evaluate does, and returns the details behind the scores too.
func Diagnose(ctx context.Context, m tpp.Model, d *tpp.Dataset, opts EvaluateOptions) (*Diagnostics, error) {
	if d == nil {
		return nil, errNoDataset
	}
	return DiagnoseStream(ctx, m, each(d), d.MarkNames, opts)
}

// DiagnoseStream scores a model as EvaluateStream does, and returns the details behind the scores too.
func DiagnoseStream(ctx context.Context, m tpp.Model, sequences iter.Seq2[*tpp.Sequence, error], markNames []string, opts EvaluateOptions) (*Diagnostics, error) {
	total, err := evaluate(ctx, m, sequences, markNames, opts)
	if err != nil {
		return nil, err
	}
	return total.diagnostics(), nil
}

// each yields the sequences of a dataset.
func each(d *tpp.Dataset) iter.Seq2[*tpp.Sequence, error] {
	return func(yield func(*tpp.Sequence, error) bool) {
		for i := range d.Sequences {
			if !yield(&d.Sequences[i], nil) {
				return
			}
		}
	}
}
