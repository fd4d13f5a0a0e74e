package nn

import "github.com/tppfaas/tppfaas/internal/simd"

// StepRows updates several states with one event each: the hidden states h (rows × D) and, for an LSTM, the cell states c
// (rows × D), where gx (rows × G·D) is the input part of the gates. It does not allocate after its first call with the same
// Stepper and as many rows. The results equal those of Step up to rounding.
func (r *Recurrent[F]) StepRows(params, h, c, gx []F, rows int, s *Stepper[F]) {
	d, g := r.d, r.cell.gates()*r.d
	s.gh, s.act = Resize(s.gh, rows*g), Resize(s.act, rows*g)
	bias := Of(r.bias, params)
	for row := range rows {
		copy(s.gh[row*g:(row+1)*g], bias)
	}
	n := rows * d
	h, gx = h[:n], gx[:rows*g]
	simd.Gemm(rows, g, d, h, d, 1, r.transposed, g, s.gh, g, true)
	switch r.cell {
	case RNN:
		rnnForward(h, gx, s.gh)
	case GRU:
		simd.GRUForward(rows, d, h, s.act[:n], s.act[n:2*n], s.act[2*n:], gx, s.gh, h)
	case LSTM:
		lstmForward(rows, d, h, c[:n], s.act, gx, s.gh, c[:n])
	}
}

// ForwardColumns computes the outputs first to first+n−1 of each row: dst (rows × n) from x (rows × in).
func (l *Linear[F]) ForwardColumns(dst, params, x []F, rows, first, n int) {
	bias := Of(l.bias, params)[first : first+n]
	for row := range rows {
		copy(dst[row*n:(row+1)*n], bias)
	}
	simd.Gemm(rows, n, l.In, x, l.In, 1, l.transposed[first:], l.Out, dst, n, true)
}

// ForwardAt returns one output of one row x (in).
func (l *Linear[F]) ForwardAt(params, x []F, output int) F {
	w := Of(l.weight, params)[output*l.In : (output+1)*l.In]
	return Of(l.bias, params)[output] + simd.Dot(w, x[:l.In])
}
