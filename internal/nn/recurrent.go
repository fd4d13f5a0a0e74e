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
	simd.Transpose(r.transposed, Of(r.weight, params), r.cell.gates()*r.d, r.d)
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

// actSize returns the number of values of an event that the backward step needs: the activated gates, for a GRU with the recurrent part of n.
func (r *Recurrent[F]) actSize() int {
	if r.cell == GRU {
		return 4 * r.d
	}
	return r.Gates()
}

// Trace holds the values of a forward pass over a batch that the backward pass needs. The zero value is ready for Reset.
type Trace[F Float] struct {
	// GX is the input part of the gates, R × G·D, for Forward, if they do not come from an Input. The caller sets it; Backward replaces it by its
	// gradient.
	GX []F
	// H is the hidden state after each event, R × D: the context of the event that follows.
	H []F
	// DH is the gradient of the loss with respect to H, R × D. The caller sets it; Backward overwrites it.
	DH []F

	act      []F // activated gates; Backward replaces them by the gradients of the gates
	c, cPrev []F // cell states of an LSTM
	dc       []F // gradient of c
	hPrev    []F // hidden states before the events that have one before them

	// Of one step: the two parts of the gates, the hidden states before the first event, the gradient of the previous hidden states.
	gx, gh, zero, dPrev []F
}

// Reset resizes the trace to the rows of a batch. The content of GX and DH is undefined afterwards.
func (t *Trace[F]) Reset(r *Recurrent[F], rows int) {
	t.GX, t.act = Resize(t.GX, rows*r.Gates()), Resize(t.act, rows*r.actSize())
	t.resetStates(r, rows)
}

func (t *Trace[F]) resetStates(r *Recurrent[F], rows int) {
	t.H, t.DH = Resize(t.H, rows*r.d), Resize(t.DH, rows*r.d)
	if r.cell == LSTM {
		for _, b := range []*[]F{&t.c, &t.cPrev, &t.dc} {
			*b = Resize(*b, rows*r.d)
		}
	}
}

// Forward computes t.H from t.GX, for a batch with the layout p.
func (r *Recurrent[F]) Forward(params []F, p Packed, t *Trace[F]) { r.forward(params, nil, nil, p, t) }

// Encode computes t.H from the features of the events, as in.Forward and Forward do. It resizes t, whose GX it leaves alone.
func (r *Recurrent[F]) Encode(params []F, in *Input[F], values []F, p Packed, t *Trace[F]) {
	t.act = Resize(t.act, p.Rows()*r.actSize())
	t.resetStates(r, p.Rows())
	r.forward(params, in, values, p, t)
}

// forward takes the input part of the gates from in, or from t.GX if in is nil. It is computed step by step: a batch of them would not stay in the cache.
func (r *Recurrent[F]) forward(params []F, in *Input[F], values []F, p Packed, t *Trace[F]) {
	d, g := r.d, r.Gates()
	bias := Of(r.bias, params)
	first := p.Offsets[1]
	t.zero, t.gh = Resize(t.zero, first*d), Resize(t.gh, first*g)
	clear(t.zero)
	for row := range first {
		copy(t.gh[row*g:(row+1)*g], bias)
	}
	if in != nil {
		t.gx = Resize(t.gx, first*g)
	}
	for step := range p.Steps() {
		a, b := p.Offsets[step], p.Offsets[step+1]
		n, hPrev := b-a, r.before(p, step, t)
		switch {
		case step > 0:
			simd.GemmFrom(n, g, d, hPrev, d, 1, r.transposed, g, t.gh, g, bias, 0)
			if r.cell == LSTM {
				copy(t.cPrev[a*d:b*d], t.c[p.Offsets[step-1]*d:])
			}
		case r.cell == LSTM:
			clear(t.cPrev[:n*d])
		}
		var gx []F
		if in != nil {
			gx = t.gx[:n*g]
			begin := meter.Begin()
			in.ForwardRows(gx, values[a*len(in.features):])
			meter.End(meter.Rows, begin)
		} else {
			gx = t.GX[a*g : b*g]
		}
		begin := meter.Begin()
		h, gh, act := t.H[a*d:b*d], t.gh[:n*g], t.act[a*r.actSize():b*r.actSize()]
		switch r.cell {
		case RNN:
			rnnForward(h, gx, gh)
		case GRU:
			simd.GRUForward(n, d, h, act, gx, gh, hPrev)
		case LSTM:
			lstmForward(n, d, h, t.c[a*d:b*d], act, gx, gh, t.cPrev[a*d:b*d])
		}
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

// Backward adds the gradients of the recurrent weights to grad and replaces t.GX by its gradient, given t.DH and the trace
// of Forward.
func (r *Recurrent[F]) Backward(grad, params []F, p Packed, t *Trace[F]) {
	r.backward(grad, params, p, t, 0)
	g, size := r.Gates(), r.actSize()
	for row := range p.Rows() {
		dgx, act := t.GX[row*g:(row+1)*g], t.act[row*size:(row+1)*size]
		for _, s := range r.inputGates() {
			copy(dgx[s.gate:s.gate+s.n], act[s.at:])
		}
	}
}

// EncodeBackward adds the gradients of the recurrent weights and those of the input to grad, or with SetParams sets them, given t.DH and the trace of
// Encode of the same values.
func (r *Recurrent[F]) EncodeBackward(grad, params []F, in *Input[F], values []F, p Packed, t *Trace[F], ws *InputGradient[F], set Writes) {
	r.backward(grad, params, p, t, set)
	in.backward(grad, params, t.act, r.actSize(), r.inputGates(), p.Rows(), values, ws, set)
}

// gateSpan says that the gradients of n gates, from one on, stand together in a row of gradients.
type gateSpan struct{ gate, n, at int }

// inputGates returns where t.act has the gradients of the input part of the gates after backward.
func (r *Recurrent[F]) inputGates() []gateSpan {
	if r.cell == GRU {
		return []gateSpan{{0, 2 * r.d, 0}, {2 * r.d, r.d, 3 * r.d}}
	}
	return []gateSpan{{0, r.Gates(), 0}}
}

// backward is Backward but for t.GX. It leaves the gradients of the recurrent part of the gates first in the rows of t.act.
func (r *Recurrent[F]) backward(grad, params []F, p Packed, t *Trace[F], set Writes) {
	d, g, size := r.d, r.Gates(), r.actSize()
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
		simd.Gemm(n, d, g, t.act[a*size:], size, 1, weight, d, t.dPrev, d, true)
		begin = meter.Begin()
		dh := t.DH[before*d : (before+n)*d]
		simd.AddScaled(dh, dh, 1, t.dPrev[:n*d])
		meter.End(meter.Cells, begin)
		if r.cell == LSTM {
			copy(t.dc[before*d:(before+n)*d], t.cPrev[a*d:b*d])
		}
	}
	first := p.Offsets[1]
	simd.Gemm(g, d, p.Rows()-first, t.act[first*size:], 1, size, r.allBefore(p, t), d, Of(r.weight, grad), d, set&SetParams == 0)
	begin := meter.Begin()
	if set&SetParams != 0 {
		clear(Of(r.bias, grad))
	}
	simd.AddRows(p.Rows(), Of(r.bias, grad), t.act, size)
	meter.End(meter.Rows, begin)
}

// activateBackward replaces the activated gates of rows a to b by the gradients of the gates, from those of their states. It sets dPrev to the part
// of the gradient of the previous hidden states that does not pass through the gates; for an LSTM it replaces cPrev by the
// gradient of the previous cell states.
func (r *Recurrent[F]) activateBackward(t *Trace[F], a, b int, hPrev []F) {
	d, size := r.d, r.actSize()
	n := (b - a) * d
	act, dh, dPrev := t.act[a*size:b*size], t.DH[a*d:b*d], t.dPrev[:n]
	switch r.cell {
	case RNN:
		clear(dPrev)
		rnnBackward(act, dh, t.H[a*d:b*d])
	case GRU:
		simd.GRUBackward(b-a, d, act, dPrev, dh, hPrev)
	case LSTM:
		clear(dPrev)
		t.gh = Resize(t.gh, d)
		lstmBackward(b-a, d, act, t.cPrev[a*d:b*d], dh, t.dc[a*d:b*d], t.c[a*d:b*d], t.gh[:d])
	}
}

// Stepper is the scratch memory of Step and StepRows. The zero value is ready to use.
type Stepper[F Float] struct{ gh, act []F }

// Step updates a state (StateSize values) with one event, where gx (G·D) is the input part of its gates. It does not
// allocate after its first call with the same Stepper.
func (r *Recurrent[F]) Step(params, state, gx []F, s *Stepper[F]) {
	d, g := r.d, r.Gates()
	s.gh, s.act = Resize(s.gh, g), Resize(s.act, r.actSize())
	h := state[:d]
	simd.GemmFrom(1, g, d, h, 0, 1, r.transposed, g, s.gh, g, Of(r.bias, params), 0)
	switch r.cell {
	case RNN:
		rnnForward(h, gx, s.gh)
	case GRU:
		simd.GRUForward(1, d, h, s.act, gx, s.gh, h)
	case LSTM:
		lstmForward(1, d, h, state[d:], s.act, gx, s.gh, state[d:])
	}
}
