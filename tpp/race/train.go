package race

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/internal/starts"
	"github.com/tppfaas/tppfaas/internal/workers"
	"github.com/tppfaas/tppfaas/tpp"
)

// TrainingSummary describes how a model was trained. It is stored in the model's file.
type TrainingSummary struct {
	Seed                uint64  `json:"seed"`
	TrainingSequences   int     `json:"training_sequences"`
	ValidationSequences int     `json:"validation_sequences"`
	Epochs              int     `json:"epochs"`           // that were run
	BestEpoch           int     `json:"best_epoch"`       // whose parameters the model has; 0 for the mixtures of the classes alone
	ValidationLoss      float64 `json:"validation_loss"`  // per event, at the best epoch
	Seconds             float64 `json:"seconds,omitzero"` // that it took; 0, and not in the file, where that is not kept
}

// Train fits a Race to the training part by maximum likelihood, and keeps the averaged parameters that do best on the validation part. If
// validation is nil or empty, the training part takes its place. In the regime OnlyStarts both parts are trained on as Sequence.AtStarts
// returns their sequences, or as they are where those have no wait times; a graph that is not given is learned from the training part as it is. When ctx is done, Train returns the best model so far together with
// the error; with every other error the model is nil.
func Train(ctx context.Context, cfg Config, training, validation *tpp.Dataset, opts TrainOptions) (*Race, error) {
	p, err := prepare(cfg, training, validation, opts)
	if err != nil {
		return nil, err
	}
	m, t := p.model, p.trainer
	defer t.pool.Close()
	err = t.run(ctx)
	if t.best == nil {
		return nil, err
	}
	copy(m.params, t.best)
	m.net.prepare(m.params)
	if t.summary.ValidationSequences > 0 {
		m.recalibrate(p.validation, p.training)
	} else {
		m.recalibrate(p.training)
	}
	m.summary = &t.summary
	return m, err
}

// prepared is a training before its first epoch, with the parts as the model sees them. Its trainer's pool is to be closed.
type prepared struct {
	model                *Race
	trainer              *trainer
	training, validation *tpp.Dataset
}

// prepare fits what is not trained by gradients, and makes the trainer.
func prepare(cfg Config, training, validation *tpp.Dataset, opts TrainOptions) (*prepared, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("training options: %w", err)
	}
	if err := training.Validate(); err != nil {
		return nil, fmt.Errorf("training part: %w", err)
	}
	learned := len(cfg.Scales) == 0
	cfg = cfg.withDefaults()
	cfg.Covariates = slices.Clone(cfg.Covariates)
	if err := checkMarks(training.NumMarks()); err != nil {
		return nil, err
	}
	whole := training
	training, err := seen(cfg.Regime, training)
	if err != nil {
		return nil, fmt.Errorf("training part: %w", err)
	}
	if cfg.Graph == nil {
		graph, err := learnGraph(whole)
		if err != nil {
			return nil, err
		}
		cfg.Graph = graph
	}
	components := cfg.Components
	cfg.Components = cmp.Or(components, fewComponents)
	ancestors := max(cfg.Ancestors, withoutAncestors)
	cfg.Ancestors = cmp.Or(ancestors, withoutAncestors)
	if err := cfg.validate(training.NumMarks()); err != nil {
		return nil, err
	}
	m := newRace(cfg, training.MarkNames, training.NumMarks(), rootSlots(training))
	if err := m.encoder.measure(training); err != nil {
		return nil, fmt.Errorf("training part: %w", err)
	}
	m.encoder.settle(m.encoder.count(training)) // medians, by which slots are chosen
	counts := m.encoder.count(training)
	long := m.encoder.tailShare(counts) > longTails
	m.encoder.settle(counts)
	if long && (components == 0 || learned) {
		cfg.Components = cmp.Or(components, manyComponents)
		e := m.encoder
		if learned {
			cfg.Scales = e.learnScales(counts)
			if len(cfg.Covariates) > 0 && e.graph.siblingsLead() {
				cfg.Ancestors = cmp.Or(ancestors, maxAncestors)
			}
		}
		m = newRace(cfg, training.MarkNames, training.NumMarks(), rootSlots(training))
		m.encoder.mean, m.encoder.std = e.mean, e.std
		m.encoder.settle(counts)
	}
	m.seen = &slotCounts{counts.came, counts.never}
	*m.background = *counts.background(m.encoder.structure)
	m.offsets = m.encoder.learnOffsets(training)
	m.encoder.table(counts, nn.Of(m.net.table, m.params), cfg.Components)
	t := &trainer{net: m.net, opts: opts, params: m.params}
	t.summary = TrainingSummary{Seed: opts.Seed, TrainingSequences: len(training.Sequences)}
	if t.training, err = newExamples(m, training); err != nil {
		return nil, fmt.Errorf("training part: %w", err)
	}
	events, rows := 0, 0
	for _, x := range t.training {
		events, rows = events+x.events, rows+len(x.rows)
	}
	t.opts.fit(long, rows)
	if events == 0 {
		return nil, errors.New("training part: no sequence has an event to score")
	}
	if validation != nil && len(validation.Sequences) > 0 {
		if err := validation.Validate(); err != nil {
			return nil, fmt.Errorf("validation part: %w", err)
		}
		if validation, err = validation.WithMarks(m.markNames); err != nil {
			return nil, fmt.Errorf("validation part: %w", err)
		}
		if validation, err = seen(cfg.Regime, validation); err != nil {
			return nil, fmt.Errorf("validation part: %w", err)
		}
		if t.validation, err = newExamples(m, validation); err != nil {
			return nil, fmt.Errorf("validation part: %w", err)
		}
		t.summary.ValidationSequences = len(t.validation)
	} else {
		t.validation = t.training
	}
	m.net.initialise(t.params, newRandom(opts.Seed, 0, 0))
	t.adam = nn.Adam[float32]{LR: t.opts.LearningRate, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}
	t.grads = make([][]float32, (min(opts.BatchSize, len(t.training))+shardSize-1)/shardSize)
	for i := range t.grads {
		t.grads[i] = make([]float32, len(t.params))
	}
	t.sum = make([]float32, len(t.params))
	t.pool = workers.New(opts.Workers)
	t.work = make([]pass[float32], t.pool.Size())
	t.nets, t.prepared = []*network[float32]{m.net}, make([]int, t.pool.Size())
	for len(t.nets) < t.pool.Size() {
		t.nets = append(t.nets, m.newNetwork())
	}
	t.order = slices.Clone(t.training)
	return &prepared{m, t, training, validation}, nil
}

// seen returns a dataset as a model in the regime sees it. It is an error if the dataset does not say when its events started, and the
// regime tells that.
func seen(regime Regime, d *tpp.Dataset) (*tpp.Dataset, error) {
	switch regime {
	case OnlyStarts:
		return starts.SeenDataset(&Race{cfg: Config{Regime: regime}}, d)
	case Starts:
		for i := range d.Sequences {
			if s := &d.Sequences[i]; s.Len() > 0 && s.WaitTimes == nil {
				return nil, fmt.Errorf("sequence %d: no wait times, by which regime %s knows when events start", i, regime)
			}
		}
	}
	return d, nil
}

// learnGraph returns the graph of a dataset from the parents of its events or, if it has none, estimates it.
func learnGraph(d *tpp.Dataset) (*Graph, error) {
	for i := range d.Sequences {
		if d.Sequences[i].Parents != nil {
			return GraphFromParents(d)
		}
	}
	g, _, err := EstimateGraph(d)
	return g, err
}

// rootSlots returns the slot of the first events of sequences whose start is known; none if there are no such sequences.
func rootSlots(d *tpp.Dataset) []Slot {
	var marks []int
	for i := range d.Sequences {
		if s := &d.Sequences[i]; s.TStart != nil && s.Len() > 0 && len(marks) < MaxAlternatives && !slices.Contains(marks, s.Mark(0)) {
			marks = append(marks, s.Mark(0))
		}
	}
	if len(marks) == 0 {
		return nil
	}
	slices.Sort(marks)
	return []Slot{{Marks: marks}}
}

func newExamples(m *Race, d *tpp.Dataset) ([]*example[float32], error) {
	out := make([]*example[float32], len(d.Sequences))
	for i := range d.Sequences {
		var err error
		if out[i], err = newExample[float32](m.encoder, m.background, &d.Sequences[i]); err != nil {
			return nil, fmt.Errorf("sequence %d: %w", i, err)
		}
	}
	return out, nil
}
