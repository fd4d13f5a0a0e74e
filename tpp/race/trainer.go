package race

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/internal/meter"
	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/internal/workers"
)

// shardSize is the number of sequences whose gradients one worker sums. Batches are cut into shards of this size whatever the number of
// workers, and the gradients of the shards are added in order, so the sums do not depend on it.
const shardSize = 16

// chunkRows is the number of rows from which a chunk of steps is evaluated, so few that what is computed of them stays in the cache.
const chunkRows = 128

// pass is the scratch memory of a pass over the sequences of a shard.
type pass[F nn.Float] struct {
	lengths []int
	offsets []int
	trace   nn.Trace[F]
	values  []F
	input   nn.InputGradient[F]

	context, gradContext []F // steps × hidden: the parts of the contexts in the hidden vectors of rows

	// Of a chunk of steps.
	start   []int32
	rows    []row[F]
	feats   []F
	targets []target
	work    rowsWork[F]
	loss    lossWork[F]

	touched F
}

// run returns the log likelihood of examples, which are longest first, and the number of their scored events. If grad is not nil it is set to
// the gradient of −scale times the log likelihood; units are then dropped by rng.
func (n *network[F]) run(params, grad []F, batch []*example[F], scale, dropout float64, rng *rand.Rand, w *pass[F]) (total float64, events int) {
	w.lengths = w.lengths[:0]
	for _, x := range batch {
		w.lengths = append(w.lengths, x.steps())
		events += x.events
	}
	p := nn.Pack(w.lengths, w.offsets)
	w.offsets = p.Offsets
	steps, d := p.Rows(), n.hidden
	if steps == 0 {
		clear(grad)
		return 0, events
	}
	begin := meter.Begin()
	w.values = nn.Resize(w.values, steps*n.values)
	for t := range p.Steps() {
		for b := range p.Offsets[t+1] - p.Offsets[t] {
			r := p.Row(b, t)
			copy(w.values[r*n.values:(r+1)*n.values], batch[b].values[t*n.values:])
		}
	}
	w.context = nn.Resize(w.context, steps*d)
	meter.End(meter.Rows, begin)
	n.rnn.Encode(params, n.input, w.values, p, &w.trace)
	n.fromContext.Forward(w.context, params, w.trace.H, steps)
	if grad == nil {
		rng, scale = nil, 0
	} else {
		w.gradContext = nn.Resize(w.gradContext, steps*d)
	}
	w.loss.sum = newLogSum(grad != nil)
	w.clear()
	first := 0 // step of the chunk
	for t := range p.Steps() {
		w.touch(batch[:p.Offsets[t+1]-p.Offsets[t]], t, n.features)
		for b := range p.Offsets[t+1] - p.Offsets[t] {
			w.add(batch[b], t, n.features)
			if r := p.Row(b, t) + 1; len(w.rows) >= chunkRows || r == steps {
				n.chunk(params, grad, first, scale, dropout, rng, w)
				w.clear()
				first = r
			}
		}
	}
	if grad != nil {
		n.fromContext.BackwardTo(grad, params, w.trace.DH, w.gradContext, w.trace.H, steps, nn.SetInput|nn.SetParams)
		n.rnn.EncodeBackward(grad, params, n.input, w.values, p, &w.trace, &w.input, nn.SetParams)
	}
	return w.loss.sum.result(), events
}

// clear starts a chunk.
func (w *pass[F]) clear() {
	w.start, w.rows, w.feats, w.targets = append(w.start[:0], 0), w.rows[:0], w.feats[:0], w.targets[:0]
}

// touch reads from the memory of a step of all examples, which add copies: read at once it comes at once, and piece by piece each is waited for.
func (w *pass[F]) touch(batch []*example[F], step, features int) {
	var sum F
	for _, x := range batch {
		if first, last := int(x.start[step]), int(x.start[step+1]); first < last {
			sum += x.rows[first].y + x.rows[last-1].y + x.feats[first*features] + x.feats[last*features-1]
		}
	}
	w.touched = sum
}

// add adds a step of an example to the chunk.
func (w *pass[F]) add(x *example[F], step, features int) {
	first, last := x.start[step], x.start[step+1]
	w.rows = append(w.rows, x.rows[first:last]...)
	w.feats = append(w.feats, x.feats[int(first)*features:int(last)*features]...)
	w.start = append(w.start, int32(len(w.rows)))
	w.targets = append(w.targets, x.targets[step])
}

// chunk evaluates a chunk of steps, from first on. The first one sets the gradients that the others are added to: that is faster than clearing them, where
// other processors have read them since.
func (n *network[F]) chunk(params, grad []F, first int, scale, dropout float64, rng *rand.Rand, w *pass[F]) {
	steps, d := len(w.targets), n.hidden
	n.forward(params, w.context[first*d:(first+steps)*d], w.start, w.rows, w.feats, dropout, rng, &w.work)
	begin := meter.Begin()
	stepsLoss(w.work.outs, n.size, n.components, w.start, w.rows, w.targets, scale, &w.loss)
	meter.End(meter.Loss, begin)
	if grad != nil {
		set := nn.Writes(0)
		if first == 0 {
			set = nn.SetParams
		}
		n.backward(grad, params, w.gradContext[first*d:(first+steps)*d], steps, w.feats, rng != nil, set, &w.work)
	}
}

type trainer struct {
	net                  *network[float32]
	opts                 TrainOptions
	training, validation []*example[float32]
	adam                 nn.Adam[float32]
	params, best         []float32
	average              average
	pool                 *workers.Pool
	nets                 []*network[float32] // one for each worker: what it prepares itself is in its cache
	prepared             []int               // for which parameters each is prepared, as current counts them
	current              int
	squares              [updateParts]float64 // of the sum of gradients, about
	grads                [][]float32
	sum                  []float32 // of them
	work                 []pass[float32]
	order                []*example[float32]
	summary              TrainingSummary
}

// newRandom returns the random number generator of an epoch's order, or of the dropout of one of its shards.
func newRandom(seed uint64, epoch, shard int) *rand.Rand {
	return rand.New(rand.NewPCG(seed, 0x7ace+uint64(epoch)<<32+uint64(shard)<<16))
}

func (t *trainer) run(ctx context.Context) error {
	t.summary.ValidationLoss = math.Inf(1)
	began := time.Now()
	if err := t.keepIfBest(0, t.params, t.loss(t.params, t.validation)); err != nil { // the mixtures of the classes alone
		return err
	}
	for epoch := 1; epoch <= t.opts.Epochs; epoch++ {
		loss, err := t.epoch(ctx, epoch)
		if err != nil {
			return err
		}
		validation := t.loss(t.average.params, t.validation)
		if err := t.keepIfBest(epoch, t.average.params, validation); err != nil {
			return err
		}
		t.summary.Epochs, t.summary.Seconds = epoch, time.Since(began).Seconds()
		if t.opts.Progress != nil {
			t.opts.Progress(Epoch{
				epoch, t.opts.Epochs, loss, validation, t.summary.BestEpoch, t.summary.ValidationLoss, t.adam.LR, t.summary.Seconds,
			})
		}
		if t.opts.MaxDuration > 0 && time.Since(began) >= t.opts.MaxDuration {
			break
		}
	}
	return nil
}

// keepIfBest keeps the parameters of an epoch if their validation loss is the lowest so far.
func (t *trainer) keepIfBest(epoch int, params []float32, loss float64) error {
	if loss < t.summary.ValidationLoss {
		t.best = append(t.best[:0], params...)
		t.summary.BestEpoch, t.summary.ValidationLoss = epoch, loss
	}
	if t.best == nil { // it is not a number, or infinite
		return fmt.Errorf("the loss became %v in epoch %d: a lower learning rate may help", loss, epoch)
	}
	return nil
}

// epoch makes one pass over the training part, one update per batch, and returns its loss per event.
func (t *trainer) epoch(ctx context.Context, epoch int) (float64, error) {
	rng := newRandom(t.opts.Seed, epoch, 0)
	rng.Shuffle(len(t.order), func(i, j int) { t.order[i], t.order[j] = t.order[j], t.order[i] })
	total, events, shard := 0.0, 0, 1
	for i := 0; i < len(t.order); i += t.opts.BatchSize {
		if err := ctx.Err(); err != nil {
			return 0, fmt.Errorf("training stopped in epoch %d: %w", epoch, err)
		}
		t.adam.LR = t.opts.LearningRate * oneCycle((float64(epoch-1)+float64(i)/float64(len(t.order)))/float64(t.opts.Epochs))
		batch := t.order[i:min(i+t.opts.BatchSize, len(t.order))]
		own, n := t.step(batch, epoch, shard)
		total, events, shard = total+own, events+n, shard+len(t.grads)
	}
	return -total / float64(max(events, 1)), nil
}

// shards deals examples out to shards by length, so that each has its share of long ones.
func shards(batch []*example[float32], n int) [][]*example[float32] {
	sorted := slices.Clone(batch)
	slices.SortStableFunc(sorted, longerFirst[float32])
	out := make([][]*example[float32], n)
	for i, x := range sorted {
		out[i%n] = append(out[i%n], x)
	}
	return out
}

// step makes one update from a batch and returns its log likelihood and the number of its events.
func (t *trainer) step(batch []*example[float32], epoch, shard int) (total float64, events int) {
	for _, x := range batch {
		events += x.events
	}
	parts := shards(batch, (len(batch)+shardSize-1)/shardSize)
	t.current++
	totals := make([]float64, len(parts))
	t.pool.Run(len(parts), func(worker, i int) {
		var rng *rand.Rand
		if t.opts.Dropout > 0 {
			rng = newRandom(t.opts.Seed, epoch, shard+i)
		}
		totals[i], _ = t.network(worker, t.params).run(t.params, t.grads[i], parts[i], 1/float64(max(events, 1)), t.opts.Dropout, rng, &t.work[worker])
	})
	for _, v := range totals {
		total += v
	}
	t.update(t.grads[:len(parts)])
	return total, events
}

// network returns the network of a worker, prepared for the current parameters.
func (t *trainer) network(worker int, params []float32) *network[float32] {
	n := t.nets[worker]
	if t.prepared[worker] != t.current {
		n.prepare(params)
		t.prepared[worker] = t.current
	}
	return n
}

// updateParts is the number of parts in which an update is made, whatever the number of workers.
const updateParts = 4

// update makes an update from the sum of gradients.
func (t *trainer) update(grads [][]float32) {
	n := len(t.params)
	eachPart := func(do func(i, first, last int)) {
		t.pool.Run(updateParts, func(_, i int) {
			begin := meter.Begin()
			do(i, n*i/updateParts, n*(i+1)/updateParts)
			meter.End(meter.Update, begin)
		})
	}
	eachPart(func(i, first, last int) { t.squares[i] = nn.SumGradients(t.sum, grads, first, last) })
	norm := t.norm()
	t.adam.Begin(n)
	decayed, table := t.adam, t.net.table // the table is not decayed
	if keep := 1 - t.adam.LR*t.opts.WeightDecay; keep < 1 {
		decayed.Keep = keep
	}
	t.average.begin(t.params)
	eachPart(func(_, first, last int) {
		for first < last {
			end, adam := min(first+updateBlock, last), &decayed
			switch {
			case first < table.Offset:
				end = min(end, table.Offset)
			case first < table.Offset+table.Len:
				end, adam = min(end, table.Offset+table.Len), &t.adam
			}
			if norm > t.opts.ClipNorm {
				nn.Scale(t.sum[first:end], t.opts.ClipNorm/norm)
			}
			adam.UpdatePart(t.params, t.sum, first, end)
			t.average.addPart(t.params, first, end)
			first = end
		}
	})
}

// norm returns the norm of the sum of gradients, or something less than ClipNorm if it is certainly less. Only a gradient that may be clipped is
// worth being read once more, by one worker.
func (t *trainer) norm() float64 {
	about := 0.0
	for _, s := range t.squares {
		about += s
	}
	if norm := math.Sqrt(about); norm < 0.999*t.opts.ClipNorm {
		return norm
	}
	return math.Sqrt(nn.Squares(t.sum))
}

// updateBlock is the number of parameters of which an update does all that it does, before it goes on: they stay in the first-level cache.
const updateBlock = 2048

// loss returns the loss per event of examples under some parameters.
func (t *trainer) loss(params []float32, examples []*example[float32]) float64 {
	t.current++
	parts := shards(examples, (len(examples)+shardSize-1)/shardSize)
	totals, counts := make([]float64, len(parts)), make([]int, len(parts))
	t.pool.Run(len(parts), func(worker, i int) {
		totals[i], counts[i] = t.network(worker, params).run(params, nil, parts[i], 0, 0, nil, &t.work[worker])
	})
	total, events := 0.0, 0
	for i, v := range totals {
		total, events = total+v, events+counts[i]
	}
	return -total / float64(max(events, 1))
}
