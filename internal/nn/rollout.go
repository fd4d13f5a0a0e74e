package nn

import "github.com/tppfaas/tppfaas/internal/simd"

// StepRows updates several states with one event each: the hidden states h (rows × D) and, for an LSTM, the cell states c
// (rows × D), where gx (rows × G·D) is the input part of the gates. It does not allocate after its first call with the same
// Stepper and as many rows. The results equal those of Step up to rounding.
func (r *Recurrent[F]) StepRows(params, h, c, gx []F, rows int, s *Stepper[F]) {
	d, g := r.d, r.cell.gates()*r.d
	s.gh, s.act = Resize(s.gh, rows*g), Resize(s.act, rows*r.actSize())
	n := rows * d
	h, gx = h[:n], gx[:rows*g]
	simd.GemmFrom(rows, g, d, h, d, 1, r.transposed, g, s.gh, g, Of(r.bias, params), 0)
	switch r.cell {
	case RNN:
		rnnForward(h, gx, s.gh)
	case GRU:
		simd.GRUForward(rows, d, h, s.act, gx, s.gh, h)
	case LSTM:
		lstmForward(rows, d, h, c[:n], s.act, gx, s.gh, c[:n])
	}
}

// ForwardColumns computes the outputs first to first+n−1 of each row: dst (rows × n) from x (rows × in).
func (l *Linear[F]) ForwardColumns(dst, params, x []F, rows, first, n int) {
	bias := Of(l.bias, params)[first : first+n]
	simd.GemmFrom(rows, n, l.In, x, l.In, 1, l.transposed[first:], l.Out, dst, n, bias, 0)
}

// ForwardAt returns one output of one row x (in).
func (l *Linear[F]) ForwardAt(params, x []F, output int) F {
	w := Of(l.weight, params)[output*l.In : (output+1)*l.In]
	return Of(l.bias, params)[output] + simd.Dot(w, x[:l.In])
}
