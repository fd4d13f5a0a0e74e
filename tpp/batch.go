package tpp

import (
	"fmt"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/tpp/internal/nn"
)

// targetKind says what is scored from a context.
type targetKind uint8

const (
	targetEvent    targetKind = iota // the next event: its gap and its mark
	targetSurvival                   // that nothing came until the end of the window
)

// targets are what is scored from contexts, one entry a context.
type targets[F nn.Float] struct {
	kind []targetKind
	mark []int
	x    []F // (log gap − mean)/std
}

func (t *targets[F]) len() int { return len(t.kind) }

func (t *targets[F]) resize(n int) {
	t.kind, t.mark, t.x = nn.Resize(t.kind, n), nn.Resize(t.mark, n), nn.Resize(t.x, n)
}

func (t *targets[F]) slice(a, b int) targets[F] {
	return targets[F]{kind: t.kind[a:b], mark: t.mark[a:b], x: t.x[a:b]}
}

// set copies entry j of src to entry i.
func (t *targets[F]) set(i int, src *targets[F], j int) {
	t.kind[i], t.mark[i], t.x[i] = src.kind[j], src.mark[j], src.x[j]
}

// example is a sequence in the form that a network takes: its encoded events, and what is scored after each.
type example[F nn.Float] struct {
	values      []F // features of each event, steps × numFeatures
	targets     targets[F]
	initial     targets[F] // the first event, if it is scored from the initial context
	scored      int        // events
	logJacobian float64    // what turns the log densities of x into those of the gaps, summed over the events
}

func (e *example[F]) steps() int { return e.targets.len() }

// addTarget appends what is scored from the next context.
func (n *network[F]) addTarget(e *example[F], t *targets[F], kind targetKind, gap float64, mark int) {
	log := math.Log(max(gap, n.cfg.GapFloor))
	t.kind = append(t.kind, kind)
	t.mark = append(t.mark, mark)
	t.x = append(t.x, F((log-n.mean)/n.std))
	if kind == targetEvent {
		e.logJacobian -= log + math.Log(n.std)
	}
}

// newExample encodes a sequence. The last event is left out where nothing is scored after it.
func (n *network[F]) newExample(s *Sequence) (example[F], error) {
	e := example[F]{scored: s.NumScored()}
	steps := s.Len() - 1
	if s.TEnd != nil && *s.TEnd > s.ArrivalTimes[s.Len()-1] {
		steps++
	}
	e.values = make([]F, 0, steps*n.numFeatures())
	if s.TStart != nil {
		gap, _ := s.gapBefore(0)
		n.addTarget(&e, &e.initial, targetEvent, gap, s.Mark(0))
	}
	for i := range steps {
		gap := 0.0
		if i > 0 {
			gap, _ = s.gapBefore(i)
		}
		var err error
		e.values, err = n.appendFeatures(e.values, gap, s.Mark(i), func(j int) float64 {
			return s.covariate(n.cfg.Covariates[j].Name, i)
		})
		if err != nil {
			return e, fmt.Errorf("event %d: %w", i, err)
		}
		if i+1 < s.Len() {
			next, _ := s.gapBefore(i + 1)
			n.addTarget(&e, &e.targets, targetEvent, next, s.Mark(i+1))
		} else {
			n.addTarget(&e, &e.targets, targetSurvival, *s.TEnd-s.ArrivalTimes[i], 0)
		}
	}
	return e, nil
}

func (n *network[F]) newExamples(d *Dataset) ([]example[F], error) {
	if d.NumMarks() != n.numMarks {
		return nil, fmt.Errorf("the dataset has %d marks, the model %d", d.NumMarks(), n.numMarks)
	}
	out := make([]example[F], len(d.Sequences))
	for i := range d.Sequences {
		var err error
		if out[i], err = n.newExample(&d.Sequences[i]); err != nil {
			return nil, fmt.Errorf("sequence %d: %w", i, err)
		}
	}
	return out, nil
}

// lossSum is the sum of log likelihoods over some examples. For a head without density, time is minus its loss.
type lossSum struct {
	time, mark, survival float64
	events               int
}

func (l *lossSum) add(o lossSum) {
	l.time += o.time
	l.mark += o.mark
	l.survival += o.survival
	l.events += o.events
}

// perEvent is the negative log likelihood per scored event, 0 where there is none.
func (l lossSum) perEvent() float64 {
	if l.events == 0 {
		return 0
	}
	return -(l.time + l.mark + l.survival) / float64(l.events)
}

// workspace is the memory of one worker: it grows to the largest batch and is then used again.
type workspace[F nn.Float] struct {
	order   []*example[F]
	lengths []int
	offsets []int
	values  []F // R × numFeatures
	targets targets[F]
	trace   nn.Trace[F]
	inputs  nn.InputGradient[F]

	timeOut, markOut []F // outputs of the heads, headChunk rows
	memory           []F // of the losses
	initialH         []F // copies of the initial context
	initialDH        []F
}

// headChunk is the number of rows that the heads work on at a time, few enough for their outputs to stay in cache.
const headChunk = 64

// run scores examples. With a gradient vector it adds to it the gradient of scale times their negative log likelihood.
func (n *network[F]) run(params, grad []F, examples []*example[F], scale F, ws *workspace[F]) lossSum {
	ws.order = append(ws.order[:0], examples...)
	slices.SortStableFunc(ws.order, func(a, b *example[F]) int { return b.steps() - a.steps() })
	ws.lengths = ws.lengths[:0]
	var sum lossSum
	for _, e := range ws.order {
		ws.lengths = append(ws.lengths, e.steps())
		sum.events += e.scored
		sum.time += e.logJacobian
	}
	n.runInitial(params, grad, scale, ws, &sum)
	p := nn.Pack(ws.lengths, ws.offsets)
	ws.offsets = p.Offsets
	rows := p.Rows()
	if rows == 0 {
		return sum
	}
	n.gather(p, ws)
	t := &ws.trace
	t.Reset(n.rnn, rows)
	f, g, d := n.numFeatures(), n.rnn.Gates(), n.cfg.ContextSize
	for row := range rows {
		n.input.Forward(t.GX[row*g:(row+1)*g], params, ws.values[row*f:(row+1)*f])
	}
	n.rnn.Forward(params, p, t)
	clear(t.DH)
	for a := 0; a < rows; a += headChunk {
		b := min(a+headChunk, rows)
		n.heads(params, grad, t.H[a*d:b*d], t.DH[a*d:b*d], ws.targets.slice(a, b), scale, ws, &sum)
	}
	if grad != nil {
		n.rnn.Backward(grad, params, p, t)
		n.input.Backward(grad, params, t.GX[:rows*g], ws.values, &ws.inputs)
	}
	return sum
}

// gather lays the examples of ws.order out in rows.
func (n *network[F]) gather(p nn.Packed, ws *workspace[F]) {
	f := n.numFeatures()
	ws.values = nn.Resize(ws.values, p.Rows()*f)
	ws.targets.resize(p.Rows())
	for b, e := range ws.order {
		for t := range e.steps() {
			row := p.Row(b, t)
			copy(ws.values[row*f:(row+1)*f], e.values[t*f:])
			ws.targets.set(row, &e.targets, t)
		}
	}
}

// runInitial scores the first events of the examples whose window has a beginning, from the initial context.
func (n *network[F]) runInitial(params, grad []F, scale F, ws *workspace[F], sum *lossSum) {
	d := n.cfg.ContextSize
	context := nn.Of(n.contextInit, params)
	ws.targets.resize(len(ws.order))
	ws.initialH = ws.initialH[:0]
	rows := 0
	for _, e := range ws.order {
		if e.initial.len() > 0 {
			ws.targets.set(rows, &e.initial, 0)
			ws.initialH = append(ws.initialH, context...)
			rows++
		}
	}
	ws.targets.resize(rows)
	ws.initialDH = nn.Resize(ws.initialDH, rows*d)
	clear(ws.initialDH)
	for a := 0; a < rows; a += headChunk {
		b := min(a+headChunk, rows)
		n.heads(params, grad, ws.initialH[a*d:b*d], ws.initialDH[a*d:b*d], ws.targets.slice(a, b), scale, ws, sum)
	}
	if grad != nil {
		dContext := nn.Of(n.contextInit, grad)
		for i, v := range ws.initialDH {
			dContext[i%d] += v
		}
	}
}

// heads scores the targets of at most headChunk contexts h. With a gradient vector it adds the parameters' part to it
// and the contexts' part to dh.
func (n *network[F]) heads(params, grad, h, dh []F, t targets[F], scale F, ws *workspace[F], sum *lossSum) {
	rows, k, m := t.len(), n.time.Out, n.mark.Out
	ws.timeOut, ws.markOut = nn.Resize(ws.timeOut, headChunk*k), nn.Resize(ws.markOut, headChunk*m)
	ws.memory = nn.Resize(ws.memory, max(headChunk, k))
	n.time.Forward(ws.timeOut, params, h, rows)
	n.mark.Forward(ws.markOut, params, h, rows)
	if grad == nil {
		scale = 0
	}
	for a := 0; a < rows; {
		b := a + 1
		if t.kind[a] == targetSurvival {
			own := t.slice(a, b)
			sum.survival += n.head.survival(ws.timeOut[a*k:b*k], &own, ws.memory, scale)
			clear(ws.markOut[a*m : b*m])
			a = b
			continue
		}
		for b < rows && t.kind[b] == targetEvent {
			b++
		}
		own := t.slice(a, b)
		sum.time += n.head.score(ws.timeOut[a*k:b*k], &own, ws.memory, scale)
		sum.mark += nn.SoftmaxNLL(ws.markOut[a*m:b*m], own.mark, ws.memory, scale)
		a = b
	}
	if grad != nil {
		n.time.Backward(grad, params, dh, ws.timeOut, h, rows)
		n.mark.Backward(grad, params, dh, ws.markOut, h, rows)
	}
}
