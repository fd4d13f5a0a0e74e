package neural

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tppfaas/tppfaas/internal/errorfs"
	"github.com/tppfaas/tppfaas/tpp"
)

// defaultShuffleWindow is TrainOptions.ShuffleWindow of TrainStream.
const defaultShuffleWindow = 1 << 14

// TrainStream is Train on data that need not fit in memory: it holds two windows of TrainOptions.ShuffleWindow sequences, whatever the size of the data.
// It reads the training part twice for its scale and size, once more if there is a checkpoint, and once in each epoch, and the validation part
// once, and once after each epoch. The marks of both must be the same.
//
// The model is the one, to the last bit, that Train makes of the same sequences in memory with the same ShuffleWindow. (A TruncNorm on more than two
// million different gaps aside, Train counts all of them too.)
func TrainStream(ctx context.Context, cfg Config, training, validation Stream, opts TrainOptions) (*Recurrent, error) {
	opts.ShuffleWindow = cmp.Or(opts.ShuffleWindow, defaultShuffleWindow)
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("training options: %w", err)
	}
	switch {
	case training.Sequences == nil:
		return nil, errors.New("training part: no data")
	case validation.Sequences != nil && !slices.Equal(training.MarkNames, validation.MarkNames):
		return nil, errors.New("validation part: its marks are not those of the training part")
	}
	names := &tpp.Dataset{MarkNames: training.MarkNames}
	if err := names.Validate(); err != nil {
		return nil, fmt.Errorf("training part: %w", err)
	}
	cfg.Covariates = slices.Clone(cfg.Covariates)
	scale, n := newScaling(&cfg), 0
	for s, err := range training.Sequences(ctx) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("training part: %w", err)
		}
		if err := s.Validate(names.NumMarks()); err != nil {
			return nil, fmt.Errorf("training part: sequence %d: %w", n, err)
		}
		scale.add(s)
		n++
	}
	m, err := newRecurrent(cfg, training.MarkNames, names.NumMarks(), scale.finish(&cfg), opts.Loss)
	if err != nil {
		return nil, err
	}
	encoded, err := newFromStream(ctx, m.net, training)
	if err != nil {
		return nil, fmt.Errorf("training part: %w", err)
	}
	scored, err := newFromStream(ctx, m.net, validation)
	if err != nil {
		return nil, fmt.Errorf("validation part: %w", err)
	}
	t, err := newTrainerOn(m, encoded, scored, opts)
	if err != nil {
		return nil, err
	}
	return t.train(ctx, errorfs.OS{}, m)
}
