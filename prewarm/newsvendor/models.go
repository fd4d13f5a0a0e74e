package newsvendor

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"sync"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/neural"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// Table is the model that predicts by counts: by caller and callee how often it came, and when.
const Table = "table"

// DefaultModel is the kind of model where none is named.
const DefaultModel = race.Kind

// Models returns the names of the models that can predict: Table, and the kinds of models of package tpp.
func Models() []string {
	names := []string{race.Kind, Table}
	for _, kind := range neural.Kinds() {
		names = append(names, string(kind))
	}
	for _, kind := range classical.Kinds() {
		names = append(names, string(kind))
	}
	return names
}

// dataset returns the history as sequences, in milliseconds, and splits off a fifth for validation.
func (h *history) dataset() (training, validation *tpp.Dataset) {
	training, validation = &tpp.Dataset{}, &tpp.Dataset{}
	for m := range h.app.Functions {
		training.MarkNames = append(training.MarkNames, fmt.Sprint(m))
	}
	validation.MarkNames = training.MarkNames
	for i := range h.traces {
		t := &h.traces[i]
		s := tpp.Sequence{Marks: t.marks, Parents: t.parents}
		for _, at := range t.times {
			s.ArrivalTimes = append(s.ArrivalTimes, at*milliseconds)
		}
		part := training
		if i%5 == 4 {
			part = validation
		}
		part.Sequences = append(part.Sequences, s)
	}
	return training, validation
}

// milliseconds are those of a second: models count time in them.
const milliseconds = 1000

// mostEpochs is how often the training of a race passes over what was recorded: half as often at most as by default. A controller learns while it decides, on the same
// processors, and again and again.
const mostEpochs = 100

// scales are those at which a race compares how late events are, in milliseconds. They are the same for all that is learned: what was recorded may be
// a few requests, of which the few that were late would say what late is.
var scales = []float64{20, 200, 3000}

// train trains a model. Workers may be 0.
func train(ctx context.Context, name string, h *history, seed uint64, workers int) (tpp.Model, error) {
	training, validation := h.dataset()
	switch {
	case name == race.Kind:
		return race.Train(ctx, race.Config{Scales: scales}, training, validation, race.TrainOptions{Seed: seed, Workers: workers, MostEpochs: mostEpochs})
	case slices.Contains(neural.Kinds(), neural.Kind(name)):
		return neural.Train(ctx, neural.Config{Kind: neural.Kind(name)}, training, validation, neural.TrainOptions{Seed: seed, Workers: workers})
	}
	training.Sequences = append(training.Sequences, validation.Sequences...)
	return classical.Fit(ctx, classical.Kind(name), training, classical.FitOptions{})
}

// fingerprint returns a hash of a history and of how a model is trained on it.
func (h *history) fingerprint(name string, seed uint64) uint64 {
	hash := fnv.New64a()
	fmt.Fprint(hash, name, seed, len(h.app.Functions))
	var b [8]byte
	put := func(x uint64) {
		binary.LittleEndian.PutUint64(b[:], x)
		hash.Write(b[:])
	}
	for i := range h.traces {
		t := &h.traces[i]
		put(uint64(len(t.marks)))
		for k := range t.marks {
			put(uint64(t.marks[k])<<32 | uint64(uint32(t.parents[k])))
			put(math.Float64bits(t.times[k]))
		}
	}
	return hash.Sum64()
}

// trained are the models that were trained in this process: many policies that differ in their price share one.
var trained models

// mostModels is how many models are remembered.
const mostModels = 64

// models are trained models by what they were trained on. The one that was asked for longest ago is forgotten first.
type models struct {
	mu    sync.Mutex
	list  []*trainedModel
	count uint64
}

type trainedModel struct {
	key   uint64
	asked uint64
	turn  chan struct{} // holds a value while nobody trains it
	model tpp.Model
}

func (m *models) get(ctx context.Context, name string, h *history, seed uint64) (tpp.Model, error) {
	key := h.fingerprint(name, seed)
	m.mu.Lock()
	m.count++
	var t *trainedModel
	oldest := 0
	for i, other := range m.list {
		if other.key == key {
			t = other
		}
		if other.asked < m.list[oldest].asked {
			oldest = i
		}
	}
	if t == nil {
		t = &trainedModel{key: key, turn: make(chan struct{}, 1)}
		t.turn <- struct{}{}
		if len(m.list) >= mostModels {
			m.list[oldest] = t
		} else {
			m.list = append(m.list, t)
		}
	}
	t.asked = m.count
	m.mu.Unlock()
	select {
	case <-t.turn:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { t.turn <- struct{}{} }()
	if t.model == nil {
		model, err := train(ctx, name, h, seed, 0)
		if err != nil {
			return nil, fmt.Errorf("training a model of kind %s: %w", name, err)
		}
		t.model = model
	}
	return t.model, nil
}
