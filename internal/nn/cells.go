package nn

import "github.com/tppfaas/tppfaas/internal/simd"

// The element-wise parts of the encoders that have no kernel of their own. Slices of D units; of G·D gates.

// rnnForward: h = tanh(gx + gh).
func rnnForward[F Float](h, gx, gh []F) {
	simd.AddScaled(h, gx, 1, gh)
	simd.Tanh(h, h)
}

// rnnBackward turns dh into the gradient of the gates.
func rnnBackward[F Float](dgx, dgh, dh, h []F) {
	for i := range dh {
		d := dh[i] * (1 - h[i]*h[i])
		dgx[i], dgh[i] = d, d
	}
}

// lstmForward: c = f⊙c_prev + i⊙g, h = o⊙tanh(c), for rows of d units. It leaves the activated gates in act, laid out as
// gx. c may be c_prev.
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

// lstmBackward turns dh, and dc, what reached the cell states from the event after, into the gradients of the gates. It
// replaces cPrev by the gradients of the cell states before; the hidden states before are reached through the gates only.
func lstmBackward[F Float](rows, d int, dgx, dgh, cPrev, dh, dc, act, c []F) {
	for row := range rows {
		dgx, dgh, act := dgx[row*4*d:][:4*d], dgh[row*4*d:][:4*d], act[row*4*d:][:4*d]
		simd.Tanh(dgh[:d], c[row*d:][:d]) // read before it is overwritten
		for i := range d {
			j := row*d + i
			in, forget, cell, out := act[i], act[d+i], act[2*d+i], act[3*d+i]
			tc := dgh[i]
			dcj := dc[j] + dh[j]*out*(1-tc*tc)
			dIn := dcj * cell * in * (1 - in)
			dForget := dcj * cPrev[j] * forget * (1 - forget)
			dCell := dcj * in * (1 - cell*cell)
			dOut := dh[j] * tc * out * (1 - out)
			dgx[i], dgx[d+i], dgx[2*d+i], dgx[3*d+i] = dIn, dForget, dCell, dOut
			dgh[i], dgh[d+i], dgh[2*d+i], dgh[3*d+i] = dIn, dForget, dCell, dOut
			cPrev[j] = dcj * forget
		}
	}
}
