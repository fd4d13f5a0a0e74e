package nn

import "math"

// The element-wise parts of the encoders that have no kernel of their own. Slices of D units; of G·D gates.

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// rnnForward: h = tanh(gx + gh).
func rnnForward[F Float](h, gx, gh []F) {
	for i := range h {
		h[i] = F(math.Tanh(float64(gx[i] + gh[i])))
	}
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
	for row := range rows {
		gx, gh, act := gx[row*4*d:][:4*d], gh[row*4*d:][:4*d], act[row*4*d:][:4*d]
		for i := range d {
			in := sigmoid(float64(gx[i] + gh[i]))
			forget := sigmoid(float64(gx[d+i] + gh[d+i]))
			cell := math.Tanh(float64(gx[2*d+i] + gh[2*d+i]))
			out := sigmoid(float64(gx[3*d+i] + gh[3*d+i]))
			next := forget*float64(cPrev[row*d+i]) + in*cell
			act[i], act[d+i], act[2*d+i], act[3*d+i] = F(in), F(forget), F(cell), F(out)
			c[row*d+i], h[row*d+i] = F(next), F(out*math.Tanh(next))
		}
	}
}

// lstmBackward turns dh, and dc, what reached the cell states from the event after, into the gradients of the gates. It
// replaces cPrev by the gradients of the cell states before; the hidden states before are reached through the gates only.
func lstmBackward[F Float](rows, d int, dgx, dgh, cPrev, dh, dc, act, c []F) {
	for row := range rows {
		dgx, dgh, act := dgx[row*4*d:][:4*d], dgh[row*4*d:][:4*d], act[row*4*d:][:4*d]
		for i := range d {
			j := row*d + i
			in, forget, cell, out := act[i], act[d+i], act[2*d+i], act[3*d+i]
			tc := F(math.Tanh(float64(c[j])))
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
