package nn

import "github.com/tppfaas/tppfaas/internal/simd"

// This file has the element-wise parts of the cells for which package simd has no fused kernel. States are slices of D
// values per row, gates of G·D.

// rnnForward computes h = tanh(gx + gh).
func rnnForward[F Float](h, gx, gh []F) {
	simd.AddScaled(h, gx, 1, gh)
	simd.Tanh(h, h)
}

// rnnBackward computes the gradients of the gates from dh, the gradient of h.
func rnnBackward[F Float](gates, dh, h []F) {
	for i := range dh {
		gates[i] = dh[i] * (1 - h[i]*h[i])
	}
}

// lstmForward computes c = f⊙cPrev + i⊙g and h = o⊙tanh(c) for rows of d units, with the gates σ(i), σ(f), tanh(g), σ(o) of
// gx + gh (rows × 4D). It stores the activated gates in act, laid out as gx. c may be cPrev.
func lstmForward[F Float](rows, d int, h, c, act, gx, gh, cPrev []F) {
	simd.AddScaled(act[:rows*4*d], gx, 1, gh)
	for row := range rows {
		act, c, cPrev, h := act[row*4*d:][:4*d], c[row*d:][:d], cPrev[row*d:][:d], h[row*d:][:d]
		simd.Sigmoid(act[:2*d], act[:2*d])
		simd.Tanh(act[2*d:3*d], act[2*d:3*d])
		simd.Sigmoid(act[3*d:], act[3*d:])
		in, forget, cell, out := act[:d], act[d:2*d], act[2*d:3*d], act[3*d:]
		for i := range d {
			c[i] = forget[i]*cPrev[i] + in[i]*cell[i]
		}
		simd.Tanh(h, c)
		for i := range d {
			h[i] *= out[i]
		}
	}
}

// lstmBackward replaces the activated gates act (rows × 4D) by their gradients, from dh and dc, the gradients of the hidden and
// cell states (rows × D), where dc is from the following event. It replaces cPrev by the gradient of the previous cell
// states. The gradient of the previous hidden states is act·W_hh alone. tanh is scratch memory for D numbers.
func lstmBackward[F Float](rows, d int, act, cPrev, dh, dc, c, tanh []F) {
	for row := range rows {
		act := act[row*4*d:][:4*d]
		simd.Tanh(tanh, c[row*d:][:d])
		for i := range d {
			j := row*d + i
			in, forget, cell, out := act[i], act[d+i], act[2*d+i], act[3*d+i]
			tc := tanh[i]
			dcj := dc[j] + dh[j]*out*(1-tc*tc)
			dIn := dcj * cell * in * (1 - in)
			dForget := dcj * cPrev[j] * forget * (1 - forget)
			dCell := dcj * in * (1 - cell*cell)
			dOut := dh[j] * tc * out * (1 - out)
			act[i], act[d+i], act[2*d+i], act[3*d+i] = dIn, dForget, dCell, dOut
			cPrev[j] = dcj * forget
		}
	}
}
