package tpp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tppfaas/tppfaas/tpp/internal/nn"
)

// TrainOptions says how a recurrent model is trained. The zero value is the paper's way (TppFaaS, section V): every field
// left zero takes the default that its comment gives.
type TrainOptions struct {
	// Seed draws the initial parameters and the order of the sequences. The same seed gives the same model on machines
	// of one architecture, whatever the number of workers.
	Seed uint64
	// Workers is the number of goroutines that compute (default: GOMAXPROCS).
	Workers int
	// Loss is what a LogNormMix is trained on: LossResolution (the default) or LossDensity, the paper's.
	Loss string
	// BatchSize is the number of sequences in a batch (default 64).
	BatchSize int
	// LearningRate is that of Adam (default 1e-3).
	LearningRate float64
	// WeightDecay is the factor of the L2 regularisation (default 1e-5; below 0: none).
	WeightDecay float64
	// MaxEpochs is the number of passes over the training part after which training stops (default 4000).
	MaxEpochs int
	// Patience is the number of epochs without a better validation loss after which training stops (default 100).
	Patience int
	// MaxDuration stops training after the epoch in which it is reached (default: no limit). The model then depends on
	// how fast the machine is.
	MaxDuration time.Duration
	// Progress, if not nil, is called after each epoch.
	Progress func(Epoch)
}

// The losses of a LogNormMix.
const (
	// LossResolution is the negative log probability of a gap's tick of the clock.
	LossResolution = "resolution"
	// LossDensity is the negative log density of a gap. On gaps in whole ticks it has no lower bound.
	LossDensity = "density"
)

// PaperTraining is the published way to train (TppFaaS, section V): patience 100 epochs for LogNormMix and 200 for
// TruncNorm.
func PaperTraining(kind string) TrainOptions {
	o := TrainOptions{Loss: LossDensity, BatchSize: 64, LearningRate: 1e-3, WeightDecay: 1e-5, MaxEpochs: 4000, Patience: 100}
	if kind == TruncNorm {
		o.Patience = 200
	}
	return o
}

// Epoch is how training stands after an epoch. Losses are negative log likelihoods per scored event.
type Epoch struct {
	Epoch          int     `json:"epoch"` // counted from 1
	TrainingLoss   float64 `json:"training_loss"`
	ValidationLoss float64 `json:"validation_loss"`
	BestEpoch      int     `json:"best_epoch"` // with the lowest validation loss so far
	BestLoss       float64 `json:"best_loss"`
}

func (o TrainOptions) withDefaults() TrainOptions {
	setDefault(&o.Workers, runtime.GOMAXPROCS(0))
	setDefault(&o.Loss, LossResolution)
	setDefault(&o.BatchSize, 64)
	setDefault(&o.LearningRate, 1e-3)
	setDefault(&o.WeightDecay, 1e-5)
	setDefault(&o.MaxEpochs, 4000)
	setDefault(&o.Patience, 100)
	o.WeightDecay = max(o.WeightDecay, 0)
	return o
}

func (o *TrainOptions) validate() error {
	switch {
	case o.Workers < 1:
		return fmt.Errorf("%d workers", o.Workers)
	case o.Loss != LossResolution && o.Loss != LossDensity:
		return fmt.Errorf("unknown loss %q, it is %s or %s", o.Loss, LossResolution, LossDensity)
	case o.BatchSize < 1:
		return fmt.Errorf("a batch size of %d", o.BatchSize)
	case !(o.LearningRate > 0) || math.IsInf(o.LearningRate, 0):
		return fmt.Errorf("a learning rate of %v", o.LearningRate)
	case math.IsNaN(o.WeightDecay) || math.IsInf(o.WeightDecay, 0):
		return fmt.Errorf("a weight decay of %v", o.WeightDecay)
	case o.MaxEpochs < 1:
		return fmt.Errorf("a limit of %d epochs", o.MaxEpochs)
	case o.Patience < 1:
		return fmt.Errorf("a patience of %d epochs", o.Patience)
	case o.MaxDuration < 0:
		return fmt.Errorf("a limit of %v", o.MaxDuration)
	}
	return nil
}

// Train fits a recurrent model to the training part by maximum likelihood, and stops when the loss on the validation
// part has not fallen for a while; the model has the parameters of the best epoch. Without a validation part the
// training part takes its place. When ctx is done, Train returns the best model so far together with ctx's error, so
// that hours of training are not lost; every other error comes without a model.
func Train(ctx context.Context, cfg Config, training, validation *Dataset, opts TrainOptions) (*Recurrent, error) {
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
	err = t.run(ctx)
	if t.best == nil {
		return nil, cmp.Or(err, errors.New("training made no model"))
	}
	copy(m.params, t.best)
	m.net.prepare(m.params)
	m.summary = &t.summary
	return m, err
}

// shardSize is the number of sequences whose gradient is summed in one go. Batches are cut into shards of this size
// whatever the number of workers, and the shards' gradients are added in order: so the sums never depend on it.
const shardSize = 16

type trainer struct {
	net                  *network[float32]
	opts                 TrainOptions
	training, validation []example[float32]
	rng                  *rand.Rand
	adam                 nn.Adam[float32]
	params, best         []float32
	grads                [][]float32 // one a shard
	work                 []workspace[float32]
	summary              TrainingSummary
}

func newTrainer(m *Recurrent, training, validation *Dataset, opts TrainOptions) (*trainer, error) {
	t := &trainer{net: m.net, opts: opts, rng: rand.New(rand.NewPCG(opts.Seed, 0x7a_11ed))}
	var err error
	if t.training, err = t.net.newExamples(training); err != nil {
		return nil, fmt.Errorf("training part: %w", err)
	}
	if validation != nil && len(validation.Sequences) > 0 {
		if err := validation.Validate(); err != nil {
			return nil, fmt.Errorf("validation part: %w", err)
		}
		if validation, err = validation.WithMarks(m.markNames); err != nil {
			return nil, fmt.Errorf("validation part: %w", err)
		}
		if t.validation, err = t.net.newExamples(validation); err != nil {
			return nil, fmt.Errorf("validation part: %w", err)
		}
	}
	t.summary = TrainingSummary{Seed: opts.Seed, TrainingSequences: len(t.training), ValidationSequences: len(t.validation)}
	if len(t.validation) == 0 {
		t.validation = t.training
	}
	events := 0
	for i := range t.training {
		events += t.training[i].scored
	}
	if events == 0 {
		return nil, errors.New("training part: no sequence has an event to score")
	}
	t.params = t.net.initialise(t.rng)
	t.adam = nn.Adam[float32]{LR: opts.LearningRate, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: opts.WeightDecay}
	t.grads = make([][]float32, (opts.BatchSize+shardSize-1)/shardSize)
	for i := range t.grads {
		t.grads[i] = make([]float32, len(t.params))
	}
	t.work = make([]workspace[float32], opts.Workers)
	return t, nil
}

func (t *trainer) run(ctx context.Context) error {
	start := time.Now()
	order := make([]*example[float32], len(t.training))
	for i := range order {
		order[i] = &t.training[i]
	}
	t.summary.ValidationLoss = math.Inf(1)
	for epoch := 1; epoch <= t.opts.MaxEpochs; epoch++ {
		t.rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		var training lossSum
		for batch := range slices.Chunk(order, t.opts.BatchSize) {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("training stopped in epoch %d: %w", epoch, err)
			}
			training.add(t.step(batch))
		}
		t.net.prepare(t.params)
		loss := t.validate().perEvent()
		t.summary.Epochs = epoch
		t.summary.Seconds = time.Since(start).Seconds()
		if math.IsNaN(loss) || math.IsInf(loss, 0) || math.IsNaN(training.perEvent()) {
			if t.best == nil {
				return fmt.Errorf("the loss became %v in epoch %d: a lower learning rate may help", loss, epoch)
			}
			return nil
		}
		if loss < t.summary.ValidationLoss {
			t.best = append(t.best[:0], t.params...)
			t.summary.ValidationLoss, t.summary.BestEpoch = loss, epoch
		}
		if t.opts.Progress != nil {
			t.opts.Progress(Epoch{epoch, training.perEvent(), loss, t.summary.BestEpoch, t.summary.ValidationLoss})
		}
		if epoch-t.summary.BestEpoch >= t.opts.Patience || t.opts.MaxDuration > 0 && time.Since(start) >= t.opts.MaxDuration {
			break
		}
	}
	return nil
}

// step makes one update from a batch.
func (t *trainer) step(batch []*example[float32]) lossSum {
	events := 0
	for _, e := range batch {
		events += e.scored
	}
	if events == 0 {
		return lossSum{}
	}
	// Dealing the sequences out in order of their length gives every shard its share of long ones.
	slices.SortStableFunc(batch, func(a, b *example[float32]) int { return b.steps() - a.steps() })
	shards := (len(batch) + shardSize - 1) / shardSize
	sums := make([]lossSum, shards)
	t.net.prepare(t.params)
	t.parallel(shards, func(worker, shard int) {
		clear(t.grads[shard])
		var own []*example[float32]
		for i := shard; i < len(batch); i += shards {
			own = append(own, batch[i])
		}
		sums[shard] = t.net.run(t.params, t.grads[shard], own, 1/float32(events), &t.work[worker])
	})
	var sum lossSum
	for shard, s := range sums {
		sum.add(s)
		if shard > 0 {
			for i, g := range t.grads[shard] {
				t.grads[0][i] += g
			}
		}
	}
	t.adam.Update(t.params, t.grads[0])
	return sum
}

// validate scores the validation part with the prepared parameters.
func (t *trainer) validate() lossSum {
	shards := (len(t.validation) + shardSize - 1) / shardSize
	sums := make([]lossSum, shards)
	t.parallel(shards, func(worker, shard int) {
		var own []*example[float32]
		for i := shard * shardSize; i < min((shard+1)*shardSize, len(t.validation)); i++ {
			own = append(own, &t.validation[i])
		}
		sums[shard] = t.net.run(t.params, nil, own, 0, &t.work[worker])
	})
	var sum lossSum
	for _, s := range sums {
		sum.add(s)
	}
	return sum
}

// parallel calls f for every shard, from as many goroutines as there are workers.
func (t *trainer) parallel(shards int, f func(worker, shard int)) {
	workers := min(t.opts.Workers, shards)
	if workers <= 1 {
		for shard := range shards {
			f(0, shard)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for {
				shard := int(next.Add(1)) - 1
				if shard >= shards {
					return
				}
				f(worker, shard)
			}
		})
	}
	wg.Wait()
}
