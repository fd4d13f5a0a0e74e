package nn

import (
	"math"

	"github.com/tppfaas/tppfaas/internal/simd"
)

// StateSpace is an encoder whose states decay exponentially and independently of each other between events, as excitations of a Hawkes process do:
//
//	c' = exp(−exp(z)) ⊙ c + u,  h = tanh(c'·Wᵀ + b),
//
// with z and u from Input. Where z is the logarithm of a gap plus a constant, the decay is that of a rate in continuous time. The state before the
// first event is zero.
type StateSpace[F Float] struct {
	d            int
	weight, bias Span

	transposed []F // Wᵀ, D × D
}

// NewStateSpace returns an encoder of d units, whose tensors rnn.weight_out and rnn.bias_out it adds to the layout. Its Input is one of the cell SSM.
func NewStateSpace[F Float](l *Layout, d int) *StateSpace[F] {
	return &StateSpace[F]{d: d, weight: l.Add("rnn.weight_out", d, d), bias: l.Add("rnn.bias_out", d), transposed: make([]F, d*d)}
}

// stateSpaceTrace are the values of a forward pass of a StateSpace, rows × D each.
type stateSpaceTrace[F Float] struct {
	rate, left []F // exp(z), and exp(−rate)
	c, dc      []F // states after each event; their gradients
}

// Prepare transposes the weights.
func (s *StateSpace[F]) Prepare(params []F) {
	simd.Transpose(s.transposed, Of(s.weight, params), s.d, s.d)
}

// Gates returns the number of gate values of an event: D of z and D of u.
func (s *StateSpace[F]) Gates() int { return SSM.gates() * s.d }

// StateSize returns the number of values of a state: D of h, and D of c.
func (s *StateSpace[F]) StateSize() int { return 2 * s.d }

// Encode computes t.H from the features of the events, for a batch with the layout p. It resizes t.
func (s *StateSpace[F]) Encode(params []F, in *Input[F], values []F, p Packed, t *Trace[F]) {
	s.reset(t, p.Rows())
	in.ForwardRows(t.GX, values)
	s.forward(params, p, t)
}

// EncodeBackward adds the gradients of the output's weights and those of the input to grad, or with SetParams sets them, given t.DH and the trace of
// Encode of the same values.
func (s *StateSpace[F]) EncodeBackward(grad, params []F, in *Input[F], values []F, p Packed, t *Trace[F], ws *InputGradient[F], set Writes) {
	if set&SetParams != 0 {
		clear(Of(s.weight, grad))
		clear(Of(s.bias, grad))
	}
	s.backward(grad, params, p, t)
	in.backward(grad, params, t.GX, s.Gates(), []gateSpan{{0, s.Gates(), 0}}, p.Rows(), values, ws, set)
}

// reset resizes the trace to the rows of a batch.
func (s *StateSpace[F]) reset(t *Trace[F], rows int) {
	t.GX = Resize(t.GX, rows*s.Gates())
	for _, b := range []*[]F{&t.H, &t.DH, &t.space.rate, &t.space.left, &t.space.c, &t.space.dc} {
		*b = Resize(*b, rows*s.d)
	}
}

// highestLogRate keeps exp(z) finite: nothing is left long before.
const highestLogRate = 20

// decay sets rate to exp(z) and left to exp(−rate) for rows of gates.
func (s *StateSpace[F]) decay(rate, left, gx []F, rows int) {
	d := s.d
	for row := range rows {
		for i, z := range gx[row*2*d : row*2*d+d] {
			rate[row*d+i] = min(z, highestLogRate)
		}
	}
	simd.Exp(rate[:rows*d], rate[:rows*d])
	simd.AddScaled(left[:rows*d], rate[:rows*d], -2, rate[:rows*d])
	simd.Exp(left[:rows*d], left[:rows*d])
}

// output computes h = tanh(c·Wᵀ + b) for rows of states.
func (s *StateSpace[F]) output(h, params, c []F, rows int) {
	d := s.d
	bias := Of(s.bias, params)
	for row := range rows {
		copy(h[row*d:(row+1)*d], bias)
	}
	if rows == 1 {
		simd.GemvT(c[:d], s.transposed, d, h[:d], true)
	} else {
		simd.Gemm(rows, d, d, c, d, 1, s.transposed, d, h, d, true)
	}
	simd.Tanh(h[:rows*d], h[:rows*d])
}

// forward computes t.H from t.GX, for a batch with the layout p.
func (s *StateSpace[F]) forward(params []F, p Packed, t *Trace[F]) {
	d, rows, m := s.d, p.Rows(), &t.space
	s.decay(m.rate, m.left, t.GX, rows)
	for step := range p.Steps() {
		for row := p.Offsets[step]; row < p.Offsets[step+1]; row++ {
			c, u := m.c[row*d:(row+1)*d], t.GX[row*2*d+d:(row+1)*2*d]
			copy(c, u)
			if step > 0 {
				before := p.Offsets[step-1] + row - p.Offsets[step]
				left, last := m.left[row*d:], m.c[before*d:]
				for i := range c {
					c[i] += left[i] * last[i]
				}
			}
		}
	}
	s.output(t.H, params, m.c, rows)
}

// backward adds the gradients of the output's weights to grad and replaces t.GX by its gradient, given t.DH and the trace of forward.
func (s *StateSpace[F]) backward(grad, params []F, p Packed, t *Trace[F]) {
	d, rows, m := s.d, p.Rows(), &t.space
	dh := t.DH[:rows*d]
	for i, h := range t.H[:rows*d] {
		dh[i] *= 1 - h*h
	}
	simd.Gemm(d, d, rows, dh, 1, d, m.c, d, Of(s.weight, grad), d, true)
	simd.AddRows(rows, Of(s.bias, grad), dh, d)
	simd.Gemm(rows, d, d, dh, d, 1, Of(s.weight, params), d, m.dc, d, false)
	for step := p.Steps() - 1; step >= 0; step-- {
		for row := p.Offsets[step]; row < p.Offsets[step+1]; row++ {
			dz, du, dc := t.GX[row*2*d:row*2*d+d], t.GX[row*2*d+d:(row+1)*2*d], m.dc[row*d:(row+1)*d]
			copy(du, dc)
			if step == 0 {
				clear(dz)
				continue
			}
			before := p.Offsets[step-1] + row - p.Offsets[step]
			left, rate, last, dLast := m.left[row*d:], m.rate[row*d:], m.c[before*d:], m.dc[before*d:]
			for i, v := range dc {
				inside := dz[i] < highestLogRate
				dz[i] = 0
				if inside {
					dz[i] = -v * last[i] * left[i] * rate[i]
				}
				dLast[i] += v * left[i]
			}
		}
	}
}

// Step updates a state (h, then c) with one event, where gx is the input part of its gates.
func (s *StateSpace[F]) Step(params, state, gx []F, w *Stepper[F]) {
	s.StepRows(params, state[:s.d], state[s.d:], gx, 1, w)
}

// StepRows updates several states with one event each.
func (s *StateSpace[F]) StepRows(params, h, c, gx []F, rows int, w *Stepper[F]) {
	d := s.d
	w.gh, w.act = Resize(w.gh, rows*d), Resize(w.act, rows*d)
	s.decay(w.gh, w.act, gx, rows)
	for row := range rows {
		u := gx[row*2*d+d:]
		for i := row * d; i < (row+1)*d; i++ {
			c[i] = w.act[i]*c[i] + u[i-row*d]
		}
	}
	s.output(h, params, c, rows)
}

// StartInput sets the parameters of the encoder's Input so that each unit decays at a rate of its own, whatever the mark: first is the weight of the
// first feature, which is a standardised logarithm of the gap with the standard deviation std. The rates are spread around the inverse of the mean gap.
func (s *StateSpace[F]) StartInput(weight, bias []F, std float64) {
	columns := len(weight) / s.Gates()
	for i := range s.d {
		row := weight[i*columns : (i+1)*columns]
		clear(row)
		row[0] = F(std)
		bias[i] = F(slowest + (fastest-slowest)*(float64(i)+0.5)/float64(s.d))
	}
}

// The logarithms of the slowest and the fastest rate from which a training starts, in units of the inverse of the mean gap.
var slowest, fastest = math.Log(0.005), math.Log(20)
