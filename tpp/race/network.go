package race

import (
	"math"
	"math/rand/v2"

	"github.com/tppfaas/tppfaas/internal/meter"
	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/internal/simd"
)

// network computes the mixtures of all that is due in float32 or float64. A recurrent layer turns the steps so far into a context.
// Each row (an alternative of a slot that is due) has a hidden vector of the context, its class and its features; a second one sees
// the sum over all rows of the step as well. The output is that of the class, a table, plus what the second hidden vector adds. The
// network does not hold the parameters: they are a flat vector that is passed to prepare and then to each call.
type network[F nn.Float] struct {
	components int // K
	size       int // numbers of a row of outputs: 3K + 1
	context    int // units of the recurrent layer
	hidden     int // units of the two hidden layers
	classes    int
	features   int // of a row
	values     int // of a step

	layout             nn.Layout
	input              *nn.Input[F]
	rnn                *nn.Recurrent[F]
	fromContext        *nn.Linear[F]
	fromFeatures       nn.Span // features × hidden
	classHidden        nn.Span // classes × hidden
	pool, second, last *nn.Linear[F]
	table              nn.Span // classes × size
}

// embeddingSize is the number of columns of the embedding of marks.
const embeddingSize = 16

func newNetwork[F nn.Float](c *Config, levels int, stepFeatures []nn.Feature, classes, rowFeatures int) *network[F] {
	n := &network[F]{
		components: c.Components, size: 3*c.Components + 1, context: c.ContextSize, hidden: c.ContextSize, classes: classes,
		features: rowFeatures,
	}
	features := append([]nn.Feature{{Name: "mark", Levels: levels, Size: embeddingSize}}, stepFeatures...)
	n.values = len(features)
	n.input = nn.NewInput[F](&n.layout, nn.GRU, n.context, features)
	n.rnn = nn.NewRecurrent[F](&n.layout, nn.GRU, n.context)
	n.fromContext = nn.NewLinear[F](&n.layout, "slot.context", n.context, n.hidden)
	n.fromFeatures = n.layout.Add("slot.features", rowFeatures, n.hidden)
	n.classHidden = n.layout.Add("slot.class", classes, n.hidden)
	n.pool = nn.NewLinear[F](&n.layout, "slot.pool", n.hidden, n.hidden)
	n.second = nn.NewLinear[F](&n.layout, "slot.second", n.hidden, n.hidden)
	n.last = nn.NewLinear[F](&n.layout, "slot.out", n.hidden, n.size)
	n.table = n.layout.Add("class.mixture", classes, n.size)
	return n
}

// initialise sets the parameters of all but the table: uniform within ±1/√(inputs), and zero for the output, so that training begins
// with the mixtures of the table.
func (n *network[F]) initialise(params []F, rng *rand.Rand) {
	for _, t := range n.layout.Tensors() {
		p := nn.Of(t.Span, params)
		bound := 0.0
		switch t.Name {
		case "class.mixture":
			continue
		case "slot.out.weight", "slot.out.bias", "slot.pool.bias", "slot.second.bias", "slot.context.bias", "slot.class":
		case "mark_embedding.weight":
			bound = 1
		default:
			bound = 1 / math.Sqrt(float64(n.context))
		}
		for i := range p {
			p[i] = F(bound * (2*rng.Float64() - 1))
		}
	}
}

// prepare computes what depends on the parameters alone. It must be called after every change of them.
func (n *network[F]) prepare(params []F) {
	n.rnn.Prepare(params)
	n.input.Prepare(params)
	for _, l := range []*nn.Linear[F]{n.fromContext, n.pool, n.second, n.last} {
		l.Prepare(params)
	}
}

// poolScale scales the sum over the rows of a step, so that it is about as large as one of many.
const poolScale = 0.25

// rowsWork holds the values of a pass over the rows of some steps.
type rowsWork[F nn.Float] struct {
	pooled, poolOut     []F     // steps × hidden
	first, second, outs []F     // rows × hidden, × hidden, × size
	mask                []F     // rows × hidden: the dropout of second
	steps, classes      []int32 // of the rows

	gradSecond, gradFirst []F
	gradPool, gradPooled  []F
}

// forward computes w.outs from the parts of contexts in the hidden vectors (steps × hidden), where rows of step i are those from start[i] to start[i+1],
// and feats holds their features. If rng is not nil, units of the second hidden layer are dropped.
func (n *network[F]) forward(params, context []F, start []int32, rows []row[F], feats []F, dropout float64, rng *rand.Rand, w *rowsWork[F]) {
	steps, count, d := len(start)-1, len(rows), n.hidden
	for _, b := range []*[]F{&w.pooled, &w.poolOut} {
		*b = nn.Resize(*b, steps*d)
	}
	for _, b := range []*[]F{&w.first, &w.second} {
		*b = nn.Resize(*b, count*d)
	}
	w.outs = nn.Resize(w.outs, count*n.size)
	begin := meter.Begin()
	w.steps, w.classes = nn.Resize(w.steps, count), nn.Resize(w.classes, count)
	for step := range steps {
		for r := int(start[step] - start[0]); r < int(start[step+1]-start[0]); r++ {
			w.steps[r], w.classes[r] = int32(step), rows[r].class
		}
	}
	simd.GatherSum(d, w.first, context, w.steps, nn.Of(n.classHidden, params), w.classes)
	meter.End(meter.Rows, begin)
	if count > 0 {
		simd.Gemm(count, d, n.features, feats, n.features, 1, nn.Of(n.fromFeatures, params), d, w.first, d, true)
	}
	begin = meter.Begin()
	clear(w.pooled)
	simd.RectifyScattered(d, w.first, w.pooled, w.steps, poolScale)
	meter.End(meter.Cells, begin)
	n.pool.Forward(w.poolOut, params, w.pooled, steps)
	if count == 0 {
		return
	}
	n.second.Forward(w.second, params, w.first, count)
	begin = meter.Begin()
	simd.AddGatheredRectified(d, w.second, w.poolOut, w.steps)
	if rng != nil {
		w.mask = nn.Resize(w.mask, count*d)
		drop(w.mask, dropout, rng)
		simd.Mul(w.second, w.mask)
	}
	meter.End(meter.Cells, begin)
	n.last.Forward(w.outs, params, w.second, count)
	begin = meter.Begin()
	simd.AddGathered(n.size, w.outs, nn.Of(n.table, params), w.classes, 1)
	meter.End(meter.Rows, begin)
}

// backward adds the gradients of the parameters to grad, or with SetParams sets them, and sets gradContext to that of forward's context, given the gradient
// of the outputs in w.outs and the other values of forward.
func (n *network[F]) backward(grad, params, gradContext []F, steps int, feats []F, dropped bool, set nn.Writes, w *rowsWork[F]) {
	count, d := len(w.steps), n.hidden
	for _, b := range []*[]F{&w.gradPool, &w.gradPooled} {
		*b = nn.Resize(*b, steps*d)
	}
	if set != 0 {
		clear(nn.Of(n.classHidden, grad))
		clear(nn.Of(n.table, grad))
		if count == 0 {
			clear(nn.Of(n.fromFeatures, grad))
			n.second.ClearGradient(grad)
			n.last.ClearGradient(grad)
		}
	}
	clear(gradContext)
	clear(w.gradPool)
	for _, b := range []*[]F{&w.gradSecond, &w.gradFirst} {
		*b = nn.Resize(*b, count*d)
	}
	if count > 0 {
		begin := meter.Begin()
		simd.AddScattered(n.size, nn.Of(n.table, grad), w.outs, w.classes, 1)
		meter.End(meter.Rows, begin)
		n.last.BackwardTo(grad, params, w.gradSecond, w.outs, w.second, count, set|nn.SetInput)
		begin = meter.Begin()
		if dropped {
			simd.Mul(w.gradSecond, w.mask)
		}
		simd.RectifyGradScattered(d, w.gradSecond, w.second, w.gradPool, w.steps)
		meter.End(meter.Cells, begin)
		n.second.BackwardTo(grad, params, w.gradFirst, w.gradSecond, w.first, count, set|nn.SetInput)
	}
	n.pool.BackwardTo(grad, params, w.gradPooled, w.gradPool, w.pooled, steps, set|nn.SetInput)
	begin := meter.Begin()
	of := simd.Pooled{Steps: w.steps, Classes: w.classes}
	simd.PooledGrad(of, d, w.gradFirst, w.first, w.gradPooled, poolScale, gradContext, nn.Of(n.classHidden, grad))
	meter.End(meter.Cells, begin)
	if count > 0 {
		simd.Gemm(n.features, d, count, feats, 1, n.features, w.gradFirst, d, nn.Of(n.fromFeatures, grad), d, set == 0)
	}
}

// drop fills a mask with 0 at the given rate and 1/(1 − rate) elsewhere.
func drop[F nn.Float](mask []F, rate float64, rng *rand.Rand) {
	keep := F(1 / (1 - rate))
	limit := uint64(rate * (1 << 16))
	var word uint64
	for i := range mask {
		if i%4 == 0 {
			word = rng.Uint64()
		}
		mask[i] = keep
		if word&0xffff < limit {
			mask[i] = 0
		}
		word >>= 16
	}
}
