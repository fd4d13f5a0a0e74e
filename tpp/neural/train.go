package neural

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/internal/errorfs"
	"github.com/tppfaas/tppfaas/tpp"
)

// Train fits a recurrent model to the training part by maximum likelihood, and stops when the loss on the validation
// part has not fallen for TrainOptions.Patience epochs; the model has the parameters of the best epoch. If validation is
// nil or empty, the training part takes its place. When ctx is done, or the checkpoint cannot be written, training ends, and Train
// returns the best model so far together with the error, so that hours of training are not lost; with every other error the model is
// nil.
func Train(ctx context.Context, cfg Config, training, validation *tpp.Dataset, opts TrainOptions) (*Recurrent, error) {
	return trainOn(ctx, errorfs.OS{}, cfg, training, validation, opts)
}

// trainOn is Train with checkpoints on a disk that may fail.
func trainOn(ctx context.Context, disk errorfs.FS, cfg Config, training, validation *tpp.Dataset, opts TrainOptions) (*Recurrent, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("training options: %w", err)
	}
	if err := training.Validate(); err != nil {
		return nil, fmt.Errorf("training part: %w", err)
	}
	cfg.Covariates = slices.Clone(cfg.Covariates)
	norm := normalise(training, &cfg)
	m, err := newRecurrent(cfg, training.MarkNames, training.NumMarks(), norm, opts.Loss)
	if err != nil {
		return nil, err
	}
	t, err := newTrainer(m, training, validation, opts)
	if err != nil {
		return nil, err
	}
	return t.train(ctx, disk, m)
}

// train trains the model, and closes the trainer.
func (t *trainer) train(ctx context.Context, disk errorfs.FS, m *Recurrent) (*Recurrent, error) {
	defer t.close()
	t.disk = disk
	err := t.run(ctx, m.markNames)
	if t.best == nil {
		return nil, cmp.Or(err, errors.New("training made no model"))
	}
	if err == nil && !t.opts.WithoutCalibration {
		err = t.calibrate(ctx)
	}
	copy(m.params, t.best)
	m.net.prepare(m.params)
	m.summary = &t.summary
	if err == nil && m.cfg.MarkTable {
		gain := 0.0
		if m.table, gain, err = t.fitMarkTable(ctx, m.params); m.table != nil {
			t.summary.ValidationLoss -= gain / float64(t.validation.counts().events)
		}
	}
	return m, err
}

func (t *trainer) run(ctx context.Context, markNames []string) error {
	t.summary.ValidationLoss = math.Inf(1)
	t.adam.M, t.adam.V = make([]float32, len(t.params)), make([]float32, len(t.params))
	if err := t.resume(ctx, markNames); err != nil {
		return err
	}
	start := time.Now().Add(-time.Duration(t.summary.Seconds * float64(time.Second)))
	saved := time.Now()
	for !t.finished() {
		training, err := t.epoch(ctx, t.summary.Epochs+1)
		if err != nil {
			if failed := t.save(); failed != nil {
				return fmt.Errorf("%w; %w", err, failed)
			}
			return err
		}
		t.summary.Seconds = time.Since(start).Seconds()
		if err := t.afterEpoch(ctx, training); err != nil {
			if ctx.Err() != nil { // the epoch is not complete without its validation
				if failed := t.save(); failed != nil {
					return fmt.Errorf("%w; %w", err, failed)
				}
			}
			return err
		}
		t.takeSnapshot()
		if time.Since(saved) >= t.opts.CheckpointEvery {
			if err := t.save(); err != nil {
				return err
			}
			saved = time.Now()
		}
		if t.opts.MaxDuration > 0 && time.Since(start) >= t.opts.MaxDuration {
			break
		}
	}
	return t.save()
}

// TrainBest trains a model of each configuration, as Train does, and returns the one with the lowest loss on the validation part; of equals the first.
// It stops at the first error, and then returns the best model so far with it, as Train does. There is no checkpoint for several trainings. They share
// TrainOptions.MaxDuration: each has its part of what those before it have left.
func TrainBest(ctx context.Context, configs []Config, training, validation *tpp.Dataset, opts TrainOptions) (*Recurrent, error) {
	switch {
	case len(configs) == 0:
		return nil, errors.New("no configuration to train")
	case len(configs) > 1 && opts.Checkpoint != "":
		return nil, fmt.Errorf("training options: a checkpoint is for one training, not for %d", len(configs))
	}
	var best *Recurrent
	began, all := time.Now(), opts.MaxDuration
	for i, cfg := range configs {
		if all > 0 {
			opts.MaxDuration = max((all-time.Since(began))/time.Duration(len(configs)-i), 1)
		}
		m, err := Train(ctx, cfg, training, validation, opts)
		if m != nil && (best == nil || m.summary.ValidationLoss < best.summary.ValidationLoss) {
			best = m
		}
		if err != nil {
			return best, err
		}
	}
	return best, nil
}
