package nn

import (
	"github.com/tppfaas/tppfaas/internal/meter"
	"github.com/tppfaas/tppfaas/internal/simd"
)

// Cell is the type of a recurrent layer, with PyTorch's formulas and gate orders.
type Cell int

// The cells, with the gates in the order of their rows.
const (
	RNN  Cell = iota // h' = tanh(gx + gh)
	GRU              // gates r, z, n
	LSTM             // gates i, f, g, o
)

// gates returns the number of gates G of the cell.
func (c Cell) gates() int { return [...]int{RNN: 1, GRU: 3, LSTM: 4}[c] }

// Recurrent is a recurrent layer: it computes the next state from the current state and the input part of the gates, which
// Input computes. The state before the first event is zero.
type Recurrent[F Float] struct {
	cell         Cell
	d            int
	weight, bias Span

	transposed []F // W_hhᵀ, D × G·D
}

// NewRecurrent returns a layer of d units, whose tensors rnn.weight_hh_l0 and rnn.bias_hh_l0 it adds to the layout.
func NewRecurrent[F Float](l *Layout, cell Cell, d int) *Recurrent[F] {
	g := cell.gates() * d
	return &Recurrent[F]{
		cell: cell, d: d,
		weight:     l.Add("rnn.weight_hh_l0", g, d),
		bias:       l.Add("rnn.bias_hh_l0", g),
		transposed: make([]F, d*g),
	}
}

// Prepare transposes the weights. It must be called after every change of the parameters, before Forward or Step.
func (r *Recurrent[F]) Prepare(params []F) {
	begin := meter.Begin()
	transpose(r.transposed, Of(r.weight, params), r.cell.gates()*r.d, r.d)
	meter.End(meter.Prepare, begin)
}

// Gates returns the number of gate values of an event, G·D.
func (r *Recurrent[F]) Gates() int { return r.cell.gates() * r.d }

// StateSize returns the number of values of a state: D for the hidden state, and for an LSTM D more for the cell state,
// which follows it.
func (r *Recurrent[F]) StateSize() int {
	if r.cell == LSTM {
		return 2 * r.d
	}
	return r.d
}

// Trace holds the values of a forward pass over a batch that the backward pass needs. The zero value is ready for Reset.
type Trace[F Float] struct {
	// GX is the input part of the gates, R × G·D. The caller sets it; Backward replaces it by its gradient.
	GX []F
	// H is the hidden state after each event, R × D: the context of the event that follows.
	H []F
	// DH is the gradient of the loss with respect to H, R × D. The caller sets it; Backward overwrites it.
	DH []F

	gh, act  []F // recurrent part of the gates, replaced by its gradient; activated gates
	c, cPrev []F // cell states of an LSTM
	dc       []F // gradient of c
	dPrev    []F // gradient of a step's previous hidden states
	zero     []F // hidden states before the first event
	hPrev    []F // hidden states before the events that have one before them
}

// Reset resizes the trace to the rows of a batch. The content of GX and DH is undefined afterwards.
func (t *Trace[F]) Reset(r *Recurrent[F], rows int) {
	g := r.cell.gates() * r.d
	for _, b := range []*[]F{&t.GX, &t.gh, &t.act} {
		*b = Resize(*b, rows*g)
	}
	for _, b := range []*[]F{&t.H, &t.DH} {
		*b = Resize(*b, rows*r.d)
	}
	if r.cell == LSTM {
		for _, b := range []*[]F{&t.c, &t.cPrev, &t.dc} {
			*b = Resize(*b, rows*r.d)
		}
	}
}

// Forward computes t.H from t.GX, for a batch with the layout p.
func (r *Recurrent[F]) Forward(params []F, p Packed, t *Trace[F]) {
	d, g := r.d, r.cell.gates()*r.d
	bias := Of(r.bias, params)
	first := p.Offsets[1]
	t.zero = Resize(t.zero, first*d)
	clear(t.zero)
	for row := range first {
		copy(t.gh[row*g:(row+1)*g], bias)
	}
	for step := range p.Steps() {
		a, b := p.Offsets[step], p.Offsets[step+1]
		n, hPrev := b-a, r.before(p, step, t)
		switch {
		case step > 0:
			simd.GemmFrom(n, g, d, hPrev, d, 1, r.transposed, g, t.gh[a*g:], g, bias, 0)
			if r.cell == LSTM {
				copy(t.cPrev[a*d:b*d], t.c[p.Offsets[step-1]*d:])
			}
		case r.cell == LSTM:
			clear(t.cPrev[:n*d])
		}
		begin := meter.Begin()
		r.activate(t, a, b, hPrev)
		meter.End(meter.Cells, begin)
	}
}

// before returns the hidden states before the events of a step, one row for each: those of the same sequences after the step before.
func (r *Recurrent[F]) before(p Packed, step int, t *Trace[F]) []F {
	n := (p.Offsets[step+1] - p.Offsets[step]) * r.d
	if step == 0 {
		return t.zero[:n]
	}
	return t.H[p.Offsets[step-1]*r.d:][:n]
}

// allBefore returns the hidden states before all events but the first ones of sequences. Unless sequences end before the last step but one, these are
// the rows of t.H as they are.
func (r *Recurrent[F]) allBefore(p Packed, t *Trace[F]) []F {
	first, last := p.Offsets[1], max(p.Steps()-2, 0)
	if p.Offsets[last+1]-p.Offsets[last] == first {
		return t.H
	}
	begin := meter.Begin()
	t.hPrev = Resize(t.hPrev, (p.Rows()-first)*r.d)
	for step := 1; step < p.Steps(); step++ {
		copy(t.hPrev[(p.Offsets[step]-first)*r.d:], r.before(p, step, t))
	}
	meter.End(meter.Rows, begin)
	return t.hPrev
}

// activate computes the states of rows a to b from their gates. For a GRU, the activated gates are stored gate by gate: r of
// all these rows, then z, then n.
func (r *Recurrent[F]) activate(t *Trace[F], a, b int, hPrev []F) {
	d, g := r.d, r.cell.gates()*r.d
	n := (b - a) * d
	gx, gh, act := t.GX[a*g:b*g], t.gh[a*g:b*g], t.act[a*g:b*g]
	h := t.H[a*d : b*d]
	switch r.cell {
	case RNN:
		rnnForward(h, gx, gh)
	case GRU:
		simd.GRUForward(b-a, d, h, act[:n], act[n:2*n], act[2*n:], gx, gh, hPrev)
	case LSTM:
		lstmForward(b-a, d, h, t.c[a*d:b*d], act, gx, gh, t.cPrev[a*d:b*d])
	}
}

// Backward adds the gradients of the recurrent weights to grad and replaces t.GX by its gradient, given t.DH and the trace
// of Forward.
func (r *Recurrent[F]) Backward(grad, params []F, p Packed, t *Trace[F]) {
	d, g := r.d, r.cell.gates()*r.d
	weight := Of(r.weight, params)
	if r.cell == LSTM {
		clear(t.dc)
	}
	t.dPrev = Resize(t.dPrev, p.Offsets[1]*d)
	for step := p.Steps() - 1; step >= 0; step-- {
		a, b := p.Offsets[step], p.Offsets[step+1]
		n := b - a
		begin := meter.Begin()
		r.activateBackward(t, a, b, r.before(p, step, t))
		meter.End(meter.Cells, begin)
		if step == 0 {
			break
		}
		before := p.Offsets[step-1]
		simd.Gemm(n, d, g, t.gh[a*g:], g, 1, weight, d, t.dPrev, d, true)
		begin = meter.Begin()
		dh := t.DH[before*d : (before+n)*d]
		simd.AddScaled(dh, dh, 1, t.dPrev[:n*d])
		meter.End(meter.Cells, begin)
		if r.cell == LSTM {
			copy(t.dc[before*d:(before+n)*d], t.cPrev[a*d:b*d])
		}
	}
	first := p.Offsets[1]
	simd.Gemm(g, d, p.Rows()-first, t.gh[first*g:], 1, g, r.allBefore(p, t), d, Of(r.weight, grad), d, true)
	begin := meter.Begin()
	simd.AddRows(Of(r.bias, grad), t.gh[:p.Rows()*g])
	meter.End(meter.Rows, begin)
}

// activateBackward computes the gradients of the gates of rows a to b from those of their states. It sets dPrev to the part
// of the gradient of the previous hidden states that does not pass through the gates; for an LSTM it replaces cPrev by the
// gradient of the previous cell states.
func (r *Recurrent[F]) activateBackward(t *Trace[F], a, b int, hPrev []F) {
	d, g := r.d, r.cell.gates()*r.d
	n := (b - a) * d
	gx, gh, act := t.GX[a*g:b*g], t.gh[a*g:b*g], t.act[a*g:b*g]
	dh, dPrev := t.DH[a*d:b*d], t.dPrev[:n]
	switch r.cell {
	case RNN:
		clear(dPrev)
		rnnBackward(gx, gh, dh, t.H[a*d:b*d])
	case GRU:
		simd.GRUBackward(b-a, d, gx, gh, dPrev, dh, act[:n], act[n:2*n], act[2*n:], gh, hPrev)
	case LSTM:
		clear(dPrev)
		lstmBackward(b-a, d, gx, gh, t.cPrev[a*d:b*d], dh, t.dc[a*d:b*d], act, t.c[a*d:b*d])
	}
}

// Stepper is the scratch memory of Step and StepRows. The zero value is ready to use.
type Stepper[F Float] struct{ gh, act []F }

// Step updates a state (StateSize values) with one event, where gx (G·D) is the input part of its gates. It does not
// allocate after its first call with the same Stepper.
func (r *Recurrent[F]) Step(params, state, gx []F, s *Stepper[F]) {
	d, g := r.d, r.cell.gates()*r.d
	s.gh, s.act = Resize(s.gh, g), Resize(s.act, g)
	copy(s.gh, Of(r.bias, params))
	h := state[:d]
	simd.GemvT(h, r.transposed, g, s.gh, true)
	switch r.cell {
	case RNN:
		rnnForward(h, gx, s.gh)
	case GRU:
		simd.GRUForward(1, d, h, s.act[:d], s.act[d:2*d], s.act[2*d:], gx, s.gh, h)
	case LSTM:
		lstmForward(1, d, h, state[d:], s.act, gx, s.gh, state[d:])
	}
}
