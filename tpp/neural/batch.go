package neural

import (
	"fmt"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/internal/meter"
	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/tpp"
)

// example is an encoded sequence: the features of its events, and the target that is scored after each.
type example[F nn.Float] struct {
	values      []F // features of each event, steps × numFeatures
	targets     targets[F]
	initial     targets[F] // the first event, if it is scored from the initial context
	scored      int        // events
	logJacobian float64    // sum over the events of log|dx/dgap|, which converts log densities of x to those of the gaps
}

func (e *example[F]) steps() int { return e.targets.len() }

// empty reports whether the sequence is a window in which nothing came.
func (e *example[F]) empty() bool { return e.initial.len() > 0 && e.initial.kind[0] == targetSurvival }

// addTarget appends the target of the next context to t.
func (n *network[F]) addTarget(e *example[F], t *targets[F], kind targetKind, gap float64, mark int) {
	standard := func(v float64) F { return F((math.Log(v) - n.norm.Mean) / n.norm.Std) }
	floored := max(gap, n.cfg.GapFloor)
	half := n.cfg.Resolution / 2
	t.kind = append(t.kind, kind)
	t.mark = append(t.mark, mark)
	t.gap = append(t.gap, F(floored))
	t.x = append(t.x, standard(floored))
	if gap > half {
		t.tick = append(t.tick, F((math.Log(gap-half)/2+math.Log(gap+half)/2-n.norm.Mean)/n.norm.Std))
		t.width = append(t.width, F(2*math.Atanh(half/gap)/n.norm.Std)) // log((gap + half)/(gap − half))
	} else {
		t.tick = append(t.tick, standard(gap+half))
		t.width = append(t.width, F(math.Inf(1)))
	}
	if kind == targetEvent && n.head.density() {
		e.logJacobian -= math.Log(floored) + math.Log(n.norm.Std)
	}
}

// newExample encodes a sequence. The last event is left out if nothing is scored after it.
func (n *network[F]) newExample(s *tpp.Sequence) (example[F], error) {
	e := example[F]{scored: s.NumScored()}
	last := s.Len() - 1
	steps := last
	waited, open := s.Waited()
	survived := waited > 0 && n.survival != nil
	if last < 0 { // nothing came in the whole window
		if survived {
			n.addTarget(&e, &e.initial, targetSurvival, waited, 0)
		}
		return e, nil
	}
	if !open && !n.cfg.WithoutEnd || survived {
		steps++
	}
	for _, c := range n.cfg.Covariates {
		if err := s.CheckCovariate(c.Name); err != nil {
			return e, err
		}
	}
	e.values = make([]F, 0, steps*n.numFeatures())
	e.targets.resize(steps)
	e.targets.resize(0) // room for all of them and no more: examples are most of what training holds
	covariates := make([]float64, len(n.cfg.Covariates))
	if s.TStart != nil {
		gap, _ := s.GapBefore(0)
		n.addTarget(&e, &e.initial, targetEvent, gap, s.Mark(0))
	}
	for i := range steps {
		gap := 0.0
		if i > 0 {
			gap, _ = s.GapBefore(i)
		}
		var err error
		for j, c := range n.cfg.Covariates {
			covariates[j] = s.Covariate(c.Name, i)
		}
		e.values, err = n.appendFeatures(e.values, gap, s.Mark(i), covariates)
		if err != nil {
			return e, fmt.Errorf("event %d: %w", i, err)
		}
		switch {
		case i < last:
			next, _ := s.GapBefore(i + 1)
			n.addTarget(&e, &e.targets, targetEvent, next, s.Mark(i+1))
		case open:
			n.addTarget(&e, &e.targets, targetSurvival, waited, 0)
		default:
			n.addTarget(&e, &e.targets, targetEnd, 0, n.numMarks)
		}
	}
	return e, nil
}

func (n *network[F]) newExamples(d *tpp.Dataset) ([]example[F], error) {
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

// workspace is the scratch memory of one worker. It grows to the largest batch and is reused.
type workspace[F nn.Float] struct {
	order   []*example[F]
	lengths []int
	offsets []int
	values  []F // R × numFeatures
	targets targets[F]
	trace   nn.Trace[F]
	inputs  nn.InputGradient[F]

	timeOut, markOut []F        // outputs of the heads, headChunk rows
	memory           []F        // of the losses
	set              nn.Writes  // SetParams until the gradients of the heads were set, if they are to be set
	run              targets[F] // a run of consecutive targets of one kind
	initialH         []F        // copies of the initial context
	initialDH        []F
	markTime         markTimeMemory[F]
}

// headChunk is the number of rows that heads processes at a time, small enough for the outputs to stay in the cache.
const headChunk = 64

// run returns the log likelihood of a batch of examples. If grad is not nil, run adds the gradient of −scale times it.
func (n *network[F]) run(params, grad []F, examples []*example[F], scale F, ws *workspace[F]) lossSum {
	return n.runTo(params, grad, examples, scale, ws, 0)
}

// runTo is run but for that with SetParams it sets grad to the gradient, whatever it was. That is faster than clearing it, where other processors have
// read it since.
func (n *network[F]) runTo(params, grad []F, examples []*example[F], scale F, ws *workspace[F], set nn.Writes) lossSum {
	ws.order = append(ws.order[:0], examples...)
	slices.SortStableFunc(ws.order, longerFirst[F])
	ws.lengths = ws.lengths[:0]
	var sum lossSum
	for _, e := range ws.order {
		ws.lengths = append(ws.lengths, e.steps())
		sum.events += e.scored
		sum.time += e.logJacobian
	}
	p := nn.Pack(ws.lengths, ws.offsets)
	ws.offsets = p.Offsets
	rows := p.Rows()
	if grad == nil {
		set = 0
	}
	if set != 0 && rows == 0 {
		clear(grad)
		set = 0
	}
	ws.set = set
	n.runInitial(params, grad, scale, ws, &sum)
	if rows == 0 {
		return sum
	}
	begin := meter.Begin()
	n.gather(p, ws)
	t := &ws.trace
	d := n.cfg.ContextSize
	meter.End(meter.Rows, begin)
	n.rnn.Encode(params, n.input, ws.values, p, t)
	for a := 0; a < rows; a += headChunk {
		b := min(a+headChunk, rows)
		n.heads(params, grad, t.H[a*d:b*d], t.DH[a*d:b*d], ws.targets.slice(a, b), scale, ws, &sum)
	}
	if grad != nil {
		n.rnn.EncodeBackward(grad, params, n.input, ws.values, p, t, &ws.inputs, set)
	}
	return sum
}

// longerFirst compares examples for sorting by descending number of steps.
func longerFirst[F nn.Float](a, b *example[F]) int { return b.steps() - a.steps() }

// gather copies the features and targets of the examples of ws.order into rows, packed as p.
func (n *network[F]) gather(p nn.Packed, ws *workspace[F]) {
	f := n.numFeatures()
	ws.values = nn.Resize(ws.values, p.Rows()*f)
	ws.targets.resize(p.Rows())
	row := 0
	for t := range p.Steps() {
		for _, e := range ws.order[:p.Offsets[t+1]-p.Offsets[t]] {
			copy(ws.values[row*f:(row+1)*f], e.values[t*f:])
			ws.targets.set(row, &e.targets, t)
			row++
		}
	}
}

// runInitial scores, given the initial context, the first events of the examples whose sequence has a TStart.
func (n *network[F]) runInitial(params, grad []F, scale F, ws *workspace[F], sum *lossSum) {
	d, set := n.cfg.ContextSize, ws.set
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
	for a := 0; a < rows; a += headChunk {
		b := min(a+headChunk, rows)
		n.heads(params, grad, ws.initialH[a*d:b*d], ws.initialDH[a*d:b*d], ws.targets.slice(a, b), scale, ws, sum)
	}
	if grad != nil {
		dContext := nn.Of(n.contextInit, grad)
		if set != 0 {
			clear(dContext)
		}
		for i, v := range ws.initialDH {
			dContext[i%d] += v
		}
	}
}

// heads scores the targets of at most headChunk contexts h (rows × D). If grad is not nil, it adds the gradients of the
// parameters to grad and sets dh (rows × D) to those of the contexts.
func (n *network[F]) heads(params, grad, h, dh []F, t targets[F], scale F, ws *workspace[F], sum *lossSum) {
	rows, k, m := t.len(), n.time.Out, n.mark.Out
	ws.timeOut, ws.markOut = nn.Resize(ws.timeOut, headChunk*k), nn.Resize(ws.markOut, headChunk*m)
	ws.memory = nn.Resize(ws.memory, max(headChunk, 2*k))
	n.time.Forward(ws.timeOut, params, h, rows)
	n.mark.Forward(ws.markOut, params, h, rows)
	var projected []F // rows × hidden; nothing if time and mark are independent of each other
	hidden := 0
	if n.markTime != nil {
		hidden = n.markTime.shift.Hidden
		projected = n.markTime.project(params, h, rows, &ws.markTime)
	}
	if grad == nil {
		scale = 0
	} else if n.markTime != nil && ws.set != 0 {
		n.markTime.shift.ClearGradient(grad)
	}
	begin := meter.Begin()
	for a := 0; a < rows; {
		b := a + 1
		for t.kind[a] == targetEvent && b < rows && t.kind[b] == targetEvent {
			b++
		}
		run := &ws.run // a local variable would escape to the heap through the interface call
		*run = t.slice(a, b)
		timeOut, markOut := ws.timeOut[a*k:b*k], ws.markOut[a*m:b*m]
		switch t.kind[a] {
		case targetEvent:
			if n.markTime != nil {
				n.markTime.given(params, timeOut, projected[a*hidden:], run.mark, &ws.markTime)
			}
			sum.time += n.head.score(timeOut, run, ws.memory, scale)
			if n.markTime != nil && grad != nil {
				n.markTime.backward(grad, params, timeOut, projected[a*hidden:], run.mark, &ws.markTime)
			}
			sum.mark += nn.SoftmaxNLL(markOut, run.mark, ws.memory, scale)
		case targetEnd:
			clear(timeOut)
			clear(projected[a*hidden : b*hidden])
			sum.mark += nn.SoftmaxNLL(markOut, run.mark, ws.memory, scale)
		case targetSurvival:
			sum.survival += n.scoreSurvival(params, grad, timeOut, markOut, projected[a*hidden:], run, ws, scale)
		}
		a = b
	}
	meter.End(meter.Loss, begin)
	if grad != nil {
		n.time.BackwardTo(grad, params, dh, ws.timeOut, h, rows, ws.set|nn.SetInput)
		n.mark.BackwardTo(grad, params, dh, ws.markOut, h, rows, ws.set)
		if n.markTime != nil {
			n.markTime.shift.BackwardProject(grad, params, dh, projected, h, rows)
		}
		ws.set = 0
	}
}

// scoreSurvival returns the log probability that nothing came until the end of the window: the event comes later or, for a
// model with an end class, the sequence is over.
func (n *network[F]) scoreSurvival(params, grad, timeOut, markOut, projected []F, t *targets[F], ws *workspace[F], scale F) float64 {
	if n.markTime != nil {
		n.markTime.mean(params, timeOut, markOut, projected, &ws.markTime)
	}
	logS := n.survival.survival(timeOut, t, ws.memory, scale)
	if n.cfg.WithoutEnd {
		clear(markOut)
	} else {
		logS = nn.EndOrSurvival(timeOut, markOut, n.numMarks, logS, scale)
	}
	if n.markTime != nil && grad != nil {
		n.markTime.meanBackward(grad, params, timeOut, markOut, projected, &ws.markTime)
	}
	return logS
}
