package main

import (
	"context"
	"fmt"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/neural"
	"github.com/tppfaas/tppfaas/tpp/race"
)

const (
	seed = 1 // of the split and of the training, as that of tpp train
	// defaultKernels are those that most processors in use have, also the ones with newer instructions.
	defaultKernels = "avx2"
)

// model is what both kinds of models are.
type model interface {
	tpp.FileModel
	NumParameters() int
}

// options are those of a training that the parameters do not depend on, or that shorten it.
type options struct {
	workers, epochs int
}

// kind is a kind of model: all else about its training are the defaults of tpp train.
type kind struct {
	name     string
	flags    string // of tpp train
	predicts string // says by what it predicts
	validate string // for what the validation part is used
	train    func(ctx context.Context, training, validation *tpp.Dataset, o options, report func(epoch, most int)) (model, error)
}

var kinds = []kind{
	{race.Kind, "-kind race ", "It knows which functions each invocation makes due, how long each of them takes to come, and how both depend on what came so far.",
		"choose the epoch by and to recalibrate the delays with", trainRace},
	{string(neural.LogNormMix), "", "It knows nothing of who invokes whom: a recurrent network reads which functions came so far, and the gaps between them.",
		"choose the epoch and to calibrate by", trainLogNormMix},
}

// The trainings set the time that they took to 0: it is the one thing that no two runs share. A model of a training that was interrupted is
// not kept.

func trainRace(ctx context.Context, training, validation *tpp.Dataset, o options, report func(epoch, most int)) (model, error) {
	m, err := race.Train(ctx, race.Config{}, training, validation, race.TrainOptions{
		Seed: seed, Workers: o.workers, Epochs: o.epochs, Progress: func(e race.Epoch) { report(e.Epoch, e.MaxEpochs) },
	})
	if err != nil {
		return nil, err
	}
	m.Training().Seconds = 0
	return m, nil
}

func trainLogNormMix(ctx context.Context, training, validation *tpp.Dataset, o options, report func(epoch, most int)) (model, error) {
	m, err := neural.Train(ctx, neural.Config{}, training, validation, neural.TrainOptions{
		Seed: seed, Workers: o.workers, MaxEpochs: o.epochs, Progress: func(e neural.Epoch) { report(e.Epoch, e.MaxEpochs) },
	})
	if err != nil {
		return nil, err
	}
	m.Training().Seconds = 0
	return m, nil
}

// settings says with what a model was trained.
func settings(m model) string {
	switch m := m.(type) {
	case *race.Race:
		c, t := m.Config(), m.Training()
		classes := 0
		for _, s := range m.Slots() {
			classes += len(s.Marks)
		}
		return fmt.Sprintf("Its graph is that of the parents in the training part: %d edges from a function to one that it makes due.\n"+
			"Recurrent and hidden layers of %d units, a mixture of %d components for each delay. %d parameters, of epoch %d of %d.", classes, c.ContextSize, c.Components, m.NumParameters(), t.BestEpoch, t.Epochs)
	case *neural.Recurrent:
		c, t := m.Config(), m.Training()
		return fmt.Sprintf("A %s of %d units, embeddings of %d columns, a mixture of %d log-normals. %d parameters, of epoch %d of %d.",
			c.Encoder, c.ContextSize, c.MarkEmbeddingSize, c.NumComponents, m.NumParameters(), t.BestEpoch, t.Epochs)
	}
	return ""
}
