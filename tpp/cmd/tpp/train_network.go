package main

import (
	"context"
	"fmt"
	"io"

	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/neural"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// network is a model that is trained epoch by epoch.
type network interface {
	tpp.FileModel
	tpp.Clocked
	NumParameters() int
}

// howTrained says how a network was trained.
type howTrained struct {
	epochs, best int
	loss         float64 // of validation, per event
	seconds      float64
}

// trainingOf returns how a network was trained, once it has been.
func trainingOf(m network) howTrained {
	switch m := m.(type) {
	case *neural.Recurrent:
		s := m.Training()
		return howTrained{s.Epochs, s.BestEpoch, s.ValidationLoss, s.Seconds}
	case *race.Race:
		s := m.Training()
		return howTrained{s.Epochs, s.BestEpoch, s.ValidationLoss, s.Seconds}
	}
	return howTrained{}
}

// trainNetwork trains a network. If training was stopped there may be both a model, the best one so far, and an error.
func (o *trainOrder) trainNetwork(ctx context.Context, training, validation *tpp.Dataset, seed uint64, report func(neural.Epoch)) (network, error) {
	if o.kind == race.Kind {
		opts := o.raceOpts
		opts.Seed = seed
		if report != nil {
			opts.Progress = func(e race.Epoch) { report(neural.Epoch(e)) }
		}
		m, err := race.Train(ctx, o.race, training, validation, opts)
		if m == nil {
			return nil, err
		}
		return m, err
	}
	opts := o.opts
	opts.Seed, opts.Progress = seed, report
	m, err := neural.TrainBest(ctx, o.configs(), training, validation, opts)
	if m == nil {
		return nil, err
	}
	return m, err
}

// fitNetwork trains with a display of its progress, and calls report after each epoch. An interruption, or a failure of the checkpoint,
// that left a model is stopped and not err.
func (o *trainOrder) fitNetwork(ctx context.Context, training, validation *tpp.Dataset, report func(neural.Epoch), stderr io.Writer) (
	model network, stopped, err error) {
	return o.show(report, stderr, func(report func(neural.Epoch)) (network, error) {
		return o.trainNetwork(ctx, training, validation, o.opts.Seed, report)
	})
}

// show calls train, which reports its epochs, with a display of its progress.
func (o *trainOrder) show(report func(neural.Epoch), stderr io.Writer, train func(report func(neural.Epoch)) (network, error)) (model network, stopped, err error) {
	var show *progress.Progress // from the first epoch on, which tells how many there may be
	defer func() { show.Done() }()
	model, err = train(func(e neural.Epoch) {
		report(e)
		if show == nil {
			show = progress.New(stderr, e.MaxEpochs, "epochs")
		}
		show.Set(e.Epoch, fmt.Sprintf("loss %.4f, validation %.4f (best %.4f in epoch %d)",
			e.TrainingLoss, e.ValidationLoss, e.BestLoss, e.BestEpoch))
	})
	if model != nil {
		return model, err, nil
	}
	return nil, nil, err
}
