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

	hPrev, gh, act []F // hidden state before each event; recurrent part of the gates; activated gates
	c, cPrev       []F // cell states of an LSTM
	dgh, dc        []F // gradients of gh and c
	dPrev          []F // gradient of a step's previous hidden states
}

// Reset resizes the trace to the rows of a batch. The content of GX and DH is undefined afterwards.
func (t *Trace[F]) Reset(r *Recurrent[F], rows int) {
	g := r.cell.gates() * r.d
	for _, b := range []*[]F{&t.GX, &t.gh, &t.act, &t.dgh} {
		*b = Resize(*b, rows*g)
	}
	for _, b := range []*[]F{&t.H, &t.DH, &t.hPrev} {
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
	for row := range p.Rows() {
		copy(t.gh[row*g:(row+1)*g], bias)
	}
	for step := range p.Steps() {
		a, b := p.Offsets[step], p.Offsets[step+1]
		n := b - a
		if step == 0 {
			clear(t.hPrev[:n*d])
			if r.cell == LSTM {
				clear(t.cPrev[:n*d])
			}
		} else {
			before := p.Offsets[step-1]
			copy(t.hPrev[a*d:b*d], t.H[before*d:])
			if r.cell == LSTM {
				copy(t.cPrev[a*d:b*d], t.c[before*d:])
			}
			simd.Gemm(n, g, d, t.hPrev[a*d:], d, 1, r.transposed, g, t.gh[a*g:], g, true)
		}
		begin := meter.Begin()
		r.activate(t, a, b)
		meter.End(meter.Cells, begin)
	}
}

// activate computes the states of rows a to b from their gates. For a GRU, the activated gates are stored gate by gate: r of
// all these rows, then z, then n.
func (r *Recurrent[F]) activate(t *Trace[F], a, b int) {
	d, g := r.d, r.cell.gates()*r.d
	n := (b - a) * d
	gx, gh, act := t.GX[a*g:b*g], t.gh[a*g:b*g], t.act[a*g:b*g]
	h, hPrev := t.H[a*d:b*d], t.hPrev[a*d:b*d]
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
		r.activateBackward(t, a, b)
		meter.End(meter.Cells, begin)
		if step == 0 {
			break
		}
		before := p.Offsets[step-1]
		simd.Gemm(n, d, g, t.dgh[a*g:], g, 1, weight, d, t.dPrev, d, true)
		dh := t.DH[before*d : (before+n)*d]
		simd.AddScaled(dh, dh, 1, t.dPrev[:n*d])
		if r.cell == LSTM {
			copy(t.dc[before*d:(before+n)*d], t.cPrev[a*d:b*d])
		}
	}
	rows, first := p.Rows(), p.Offsets[1]
	simd.Gemm(g, d, rows-first, t.dgh[first*g:], 1, g, t.hPrev[first*d:], d, Of(r.weight, grad), d, true)
	addRows(Of(r.bias, grad), t.dgh[:rows*g])
}

// activateBackward computes the gradients of the gates of rows a to b from those of their states. It sets dPrev to the part
// of the gradient of the previous hidden states that does not pass through the gates; for an LSTM it replaces cPrev by the
// gradient of the previous cell states.
func (r *Recurrent[F]) activateBackward(t *Trace[F], a, b int) {
	d, g := r.d, r.cell.gates()*r.d
	n := (b - a) * d
	gx, gh, act := t.GX[a*g:b*g], t.gh[a*g:b*g], t.act[a*g:b*g]
	dgh, dh, dPrev := t.dgh[a*g:b*g], t.DH[a*d:b*d], t.dPrev[:n]
	switch r.cell {
	case RNN:
		clear(dPrev)
		rnnBackward(gx, dgh, dh, t.H[a*d:b*d])
	case GRU:
		simd.GRUBackward(b-a, d, gx, dgh, dPrev, dh, act[:n], act[n:2*n], act[2*n:], gh, t.hPrev[a*d:b*d])
	case LSTM:
		clear(dPrev)
		lstmBackward(b-a, d, gx, dgh, t.cPrev[a*d:b*d], dh, t.dc[a*d:b*d], act, t.c[a*d:b*d])
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
