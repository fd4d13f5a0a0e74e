package neural

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/tppfaas/tppfaas/internal/errorfs"
	"github.com/tppfaas/tppfaas/internal/meter"
	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/internal/workers"
	"github.com/tppfaas/tppfaas/tpp"
)

// shardSize is the number of sequences whose gradients one worker sums. Batches are cut into shards of this size whatever
// the number of workers, and the gradients of the shards are added in order, so the sums do not depend on it.
const shardSize = 16

type trainer struct {
	net                  *network[float32]
	opts                 TrainOptions
	training, validation examples
	adam                 nn.Adam[float32]
	params, best         []float32
	pool                 *workers.Pool
	nets                 []*network[float32] // one for each worker: what it prepares itself is in its cache
	prepared             []int               // for which parameters each is prepared, as current counts them
	current              int
	grads                [][]float32           // one a shard
	sum                  []float32             // of them; apart, so that each part of it is written by one worker alone
	shards               [][]*example[float32] // the examples of each shard
	sums                 []lossSum             // of each shard
	work                 []workspace[float32]  // one a worker
	scale                float32               // of the batch under way
	empty                int                   // windows without events in the training part
	scoring              []*example[float32]   // of the validation part
	eventsEach           float64               // scored events of a sequence in the training part, on average
	used                 int                   // shards of the batch under way
	squares              [updateParts]float64  // of the gradient, by parts
	shrink               float64               // by what the gradient is multiplied

	stepShard, scoreShard, sumPart, updatePart func(worker, item int) // what the pool runs
	summary                                    TrainingSummary
	drops, since                               int // how often the rate was lowered; epochs without progress
	order                                      []*example[float32]
	snapshot                                   *checkpoint // the state after the last whole epoch, if checkpoints are wanted
	disk                                       errorfs.FS  // of the checkpoints
}

// random returns the random number generator of an epoch, which draws the order of its sequences; that of epoch 0 draws the
// initial parameters. Each epoch has a separate one, so that training can resume after any epoch.
func (o *TrainOptions) random(epoch int) *rand.Rand {
	return rand.New(rand.NewPCG(o.Seed, 0x7a_11ed+uint64(epoch)<<32))
}

func newTrainer(m *Recurrent, training, validation *tpp.Dataset, opts TrainOptions) (*trainer, error) {
	encoded, err := m.net.newExamples(training)
	if err != nil {
		return nil, fmt.Errorf("training part: %w", err)
	}
	var scored []example[float32]
	if validation != nil && len(validation.Sequences) > 0 {
		if err := validation.Validate(); err != nil {
			return nil, fmt.Errorf("validation part: %w", err)
		}
		if validation, err = validation.WithMarks(m.markNames); err != nil {
			return nil, fmt.Errorf("validation part: %w", err)
		}
		if scored, err = m.net.newExamples(validation); err != nil {
			return nil, fmt.Errorf("validation part: %w", err)
		}
	}
	return newTrainerOn(m, inMemory{encoded}, inMemory{scored}, opts)
}

// newTrainerOn returns a trainer on encoded sequences.
func newTrainerOn(m *Recurrent, training, validation examples, opts TrainOptions) (*trainer, error) {
	t := &trainer{net: m.net, opts: opts, training: training, validation: validation}
	all := training.counts()
	t.summary = TrainingSummary{Seed: opts.Seed, TrainingSequences: all.sequences, ValidationSequences: validation.counts().sequences}
	if t.summary.ValidationSequences == 0 {
		t.validation = t.training
	}
	t.empty = all.empty
	t.eventsEach = float64(all.events) / float64(all.sequences)
	if all.events == 0 {
		return nil, errors.New("training part: no sequence has an event to score")
	}
	t.params = t.net.initialise(opts.random(0))
	t.adam = nn.Adam[float32]{LR: opts.LearningRate, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: opts.WeightDecay}
	t.grads = make([][]float32, (min(opts.BatchSize, all.sequences)+shardSize-1)/shardSize)
	for i := range t.grads {
		t.grads[i] = make([]float32, len(t.params))
	}
	t.sum = make([]float32, len(t.params))
	t.makeShards(len(t.grads))
	t.bindParts()
	t.pool = workers.New(opts.Workers)
	t.work = make([]workspace[float32], t.pool.Size())
	t.nets, t.prepared = []*network[float32]{m.net}, make([]int, t.pool.Size())
	for len(t.nets) < t.pool.Size() {
		own, err := newNetwork[float32](m.net.cfg, m.net.numMarks, m.net.norm, opts.Loss)
		if err != nil {
			t.close()
			return nil, err
		}
		t.nets = append(t.nets, own)
	}
	return t, nil
}

// makeShards makes room for a number of shards.
func (t *trainer) makeShards(n int) {
	for len(t.shards) < n {
		t.shards, t.sums = append(t.shards, nil), append(t.sums, lossSum{})
	}
}

// close stops the trainer's goroutines and waits for them.
func (t *trainer) close() { t.pool.Close() }

// epoch makes one pass over the training part, one update per batch, and returns its loss.
func (t *trainer) epoch(ctx context.Context, epoch int) (lossSum, error) {
	var sum lossSum
	rng, done, total := t.opts.random(epoch), 0, t.summary.TrainingSequences
	for window, err := range t.training.windows(ctx, t.opts.ShuffleWindow) {
		if err != nil {
			return sum, fmt.Errorf("training part: %w", err)
		}
		t.shuffle(rng, window)
		for i := 0; i < len(t.order); i += t.opts.BatchSize {
			if err := ctx.Err(); err != nil {
				return sum, fmt.Errorf("training stopped in epoch %d: %w", epoch, err)
			}
			if t.opts.Schedule == ScheduleOneCycle {
				at := (float64(epoch-1) + float64(done+i)/float64(total)) / float64(t.opts.MaxEpochs)
				t.adam.LR = t.opts.LearningRate * oneCycle(at)
			}
			sum.add(t.step(t.order[i:min(i+t.opts.BatchSize, len(t.order))]))
		}
		done += len(window)
	}
	return sum, nil
}

// bucket is the number of batches among which sequences are sorted by length, so that those of a batch have similar lengths.
const bucket = 16

// shuffle draws the order of a window, which is the whole training part unless there is a ShuffleWindow: it shuffles the sequences, sorts them by length
// within each bucket, and shuffles the batches of a bucket. Windows without events are dealt out evenly among the others: in batches of their
// own they would count for nothing or for too much.
func (t *trainer) shuffle(rng *rand.Rand, window []example[float32]) {
	t.order = t.order[:0]
	empty := 0
	for i := range window {
		t.order = append(t.order, &window[i])
		if window[i].empty() {
			empty++
		}
	}
	swap := func(order []*example[float32]) func(i, j int) {
		return func(i, j int) { order[i], order[j] = order[j], order[i] }
	}
	rng.Shuffle(len(t.order), swap(t.order))
	size := min(t.opts.BatchSize, max(len(window), 1))
	order := t.order
	if empty > 0 {
		slices.SortStableFunc(t.order, func(a, b *example[float32]) int {
			switch {
			case a.empty() == b.empty():
				return 0
			case b.empty():
				return -1
			}
			return 1
		})
		order = t.order[:len(t.order)-empty]
		defer t.spreadEmpty(empty)
	}
	for pool := range slices.Chunk(order, bucket*size) {
		slices.SortStableFunc(pool, longerFirst[float32])
		rng.Shuffle(len(pool)/size, func(i, j int) {
			for k := range size {
				pool[i*size+k], pool[j*size+k] = pool[j*size+k], pool[i*size+k]
			}
		})
	}
}

// afterEpoch scores the validation part, keeps the parameters if they are the best so far, reports progress, and lowers the
// learning rate if the schedule is SchedulePlateau and the patience is used up.
func (t *trainer) afterEpoch(ctx context.Context, training lossSum) error {
	validation, err := t.validate(ctx)
	if err != nil {
		return err
	}
	loss := validation.perEvent()
	t.summary.Epochs++
	epoch := t.summary.Epochs
	finite := !math.IsNaN(loss) && !math.IsInf(loss, 0) && !math.IsNaN(training.perEvent())
	if !finite && t.best == nil {
		return fmt.Errorf("the loss became %v in epoch %d: a lower learning rate may help", loss, epoch)
	}
	t.since++
	switch {
	case !finite:
		t.since = t.opts.Patience // no recovery from there
	case loss < t.summary.ValidationLoss:
		t.best = append(t.best[:0], t.params...)
		t.summary.ValidationLoss, t.summary.BestEpoch = loss, epoch
		t.since = 0
	}
	if t.opts.Progress != nil {
		t.opts.Progress(Epoch{epoch, t.opts.MaxEpochs, training.perEvent(), loss, t.summary.BestEpoch, t.summary.ValidationLoss, t.adam.LR, t.summary.Seconds})
	}
	if t.since >= t.opts.Patience && t.opts.Schedule == SchedulePlateau && t.drops < plateauDrops {
		t.drops++
		t.since = 0
		t.adam.LR *= plateauFactor
		copy(t.params, t.best)
		clear(t.adam.M)
		clear(t.adam.V)
		t.adam.Step = 0
	}
	return nil
}

// spreadEmpty deals the windows without events, which are the last in the order, out evenly among the others.
func (t *trainer) spreadEmpty(count int) {
	n := len(t.order)
	sorted := slices.Clone(t.order)
	others, empty := sorted[:n-count], sorted[n-count:]
	for i := range t.order {
		if i*count/n < (i+1)*count/n {
			t.order[i], empty = empty[0], empty[1:]
		} else {
			t.order[i], others = others[0], others[1:]
		}
	}
}

// step makes one update from a batch and returns its loss. It does not allocate once its memory has grown to the largest
// batch.
func (t *trainer) step(batch []*example[float32]) lossSum {
	events := 0
	for _, e := range batch {
		events += e.scored
	}
	if events == 0 && t.empty == 0 {
		return lossSum{}
	}
	// Dealing the sequences out in order of their length gives every shard its share of long ones.
	slices.SortStableFunc(batch, longerFirst[float32])
	shards := (len(batch) + shardSize - 1) / shardSize
	for shard := range shards {
		own := t.shards[shard][:0]
		for i := shard; i < len(batch); i += shards {
			own = append(own, batch[i])
		}
		t.shards[shard] = own
	}
	t.current++
	t.scale = 1 / float32(events)
	if t.empty > 0 {
		// By the mean number of events: by its own, a batch with few events and much survival would count for more than another.
		t.scale = float32(1 / (t.eventsEach * float64(len(batch))))
	}
	t.pool.Run(shards, t.stepShard)
	t.used = shards
	t.adam.Begin(len(t.params))
	if t.opts.ClipNorm > 0 {
		t.pool.Run(updateParts, t.sumPart)
		t.clip()
	}
	t.pool.Run(updateParts, t.updatePart)
	return t.total(shards)
}

// updateParts is the number of parts into which the parameters are cut for an update, whatever the number of workers: so
// the norm of the gradient is always added up in the same order.
const updateParts = 4

// part returns the first and last index (exclusive) of a part of the parameters.
func (t *trainer) part(i int) (first, last int) {
	n := len(t.params)
	return n * i / updateParts, n * (i + 1) / updateParts
}

// bindParts makes the functions that the pool runs; made once, they cost no allocation in a step.
func (t *trainer) bindParts() {
	t.stepShard = func(worker, shard int) {
		t.sums[shard] = t.network(worker).runTo(t.params, t.grads[shard], t.shards[shard], t.scale, &t.work[worker], nn.SetParams)
	}
	t.scoreShard = func(worker, shard int) {
		t.sums[shard] = t.network(worker).run(t.params, nil, t.shards[shard], 0, &t.work[worker])
	}
	t.sumPart = func(_, part int) {
		begin := meter.Begin()
		first, last := t.part(part)
		t.squares[part] = nn.SumGradients(t.sum, t.grads[:t.used], first, last)
		meter.End(meter.Update, begin)
	}
	t.updatePart = func(_, part int) {
		begin := meter.Begin()
		first, last := t.part(part)
		switch {
		case t.opts.ClipNorm <= 0:
			nn.AddGradients(t.sum, t.grads[:t.used], first, last)
		case t.shrink != 1:
			nn.Scale(t.sum[first:last], t.shrink)
		}
		t.adam.UpdatePart(t.params, t.sum, first, last)
		meter.End(meter.Update, begin)
	}
}

// total returns the sum of the shards' losses, added in order.
func (t *trainer) total(shards int) lossSum {
	var sum lossSum
	for _, s := range t.sums[:shards] {
		sum.add(s)
	}
	return sum
}

// clip chooses t.shrink so that the norm of the gradient is at most ClipNorm.
func (t *trainer) clip() {
	t.shrink = 1
	squares := 0.0
	for _, s := range t.squares {
		squares += s
	}
	if norm := math.Sqrt(squares); norm > t.opts.ClipNorm {
		t.shrink = t.opts.ClipNorm / norm
	}
}

// network returns the network of a worker, prepared for the current parameters.
func (t *trainer) network(worker int) *network[float32] {
	n := t.nets[worker]
	if t.prepared[worker] != t.current {
		n.prepare(t.params)
		t.prepared[worker] = t.current
	}
	return n
}

// validate returns the loss of the validation part under the parameters.
func (t *trainer) validate(ctx context.Context) (lossSum, error) {
	t.current++
	var sum lossSum
	for window, err := range t.validation.windows(ctx, validationWindow) {
		if err != nil {
			return sum, fmt.Errorf("validation part: %w", err)
		}
		t.scoring = t.scoring[:0]
		for i := range window {
			t.scoring = append(t.scoring, &window[i])
		}
		shards := (len(window) + shardSize - 1) / shardSize
		t.makeShards(shards)
		for shard := range shards {
			t.shards[shard] = append(t.shards[shard][:0], t.scoring[shard*shardSize:min((shard+1)*shardSize, len(window))]...)
		}
		t.pool.Run(shards, t.scoreShard)
		for _, s := range t.sums[:shards] { // in order, whatever the windows
			sum.add(s)
		}
	}
	return sum, nil
}

// validationWindow is the number of sequences that are scored at a time, a multiple of shardSize.
const validationWindow = 64 * shardSize

// finished reports whether the epochs, the patience, or the drops of the learning rate are used up.
func (t *trainer) finished() bool {
	return t.summary.Epochs >= t.opts.MaxEpochs || t.since >= t.opts.Patience
}

// checkpoint is the state of a training after a whole epoch.
type checkpoint struct {
	Fingerprint string          `json:"fingerprint"` // of everything that the further training depends on
	Summary     TrainingSummary `json:"summary"`
	LR          float64         `json:"learning_rate"`
	AdamStep    int             `json:"adam_step"`
	Drops       int             `json:"drops"`
	Since       int             `json:"since"`
	Sum         string          `json:"sum"` // SHA-256 of everything else in the file

	params, best, m, v []float32
}
