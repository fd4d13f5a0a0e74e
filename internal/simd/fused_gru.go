package simd

// GRUForward computes one step of gated recurrent units (Cho et al. 2014, in PyTorch's form), for rows sequences of d
// units each. With the gates' inputs in the order r, z, n of gx = x·W_ihᵀ + b_ih and gh = h·W_hhᵀ + b_hh (rows×3d):
//
//	r = σ(gx_r + gh_r)    z = σ(gx_z + gh_z)    n = tanh(gx_n + r ⊙ gh_n)    next = (1 − z) ⊙ n + z ⊙ h
//
// h and next are rows×d; next may be h. act (rows×4d) is what the backward step needs: r, z, gh_n and n. All matrices are contiguous.
func GRUForward[T Float](rows, d int, next, act, gx, gh, h []T) {
	size := rows * d
	next, act, gx, gh, h = first(next, size), first(act, 4*size), first(gx, 3*size), first(gh, 3*size), first(h, size)
	if size == 0 {
		return
	}
	if fast[T]() {
		gruForwardFast(rows, d, f32(next), f32(act), f32(gx), f32(gh), f32(h))
		return
	}
	for row := range rows {
		gx, gh, act := gx[3*d*row:][:3*d], gh[3*d*row:][:3*d], act[4*d*row:][:4*d]
		for j := range d {
			i := row*d + j
			r, z, recurrent := sigmoid(gx[j]+gh[j]), sigmoid(gx[d+j]+gh[d+j]), gh[2*d+j]
			n := tanh(gx[2*d+j] + r*recurrent)
			act[j], act[d+j], act[2*d+j], act[3*d+j] = r, z, recurrent, n
			next[i] = n + z*(h[i]-n)
		}
	}
}

// GRUBackward computes the gradients of GRUForward from dnext, the gradient of next (rows×d), and what the forward step
// left in act (rows×4d). It replaces that by the gradients of r, z and n of gh, followed by that of n of gx, whose r and z have the same gradients as
// those of gh. It sets dh (rows×d), to which the caller adds the part dgh·W_hh that goes through the gates. dh may be dnext. All
// matrices are contiguous.
func GRUBackward[T Float](rows, d int, act, dh, dnext, h []T) {
	size := rows * d
	act, dh, dnext, h = first(act, 4*size), first(dh, size), first(dnext, size), first(h, size)
	if size == 0 {
		return
	}
	if fast[T]() {
		gruBackwardFast(rows, d, f32(act), f32(dh), f32(dnext), f32(h))
		return
	}
	for row := range rows {
		act := act[4*d*row:][:4*d]
		for j := range d {
			i := row*d + j
			r, z, recurrent, n := act[j], act[d+j], act[2*d+j], act[3*d+j]
			g := dnext[i]
			dz := g * (h[i] - n) * z * (1 - z)
			dn := g * (1 - z) * (1 - n*n)
			dr := dn * recurrent * r * (1 - r)
			dh[i] = g * z
			act[j], act[d+j], act[2*d+j], act[3*d+j] = dr, dz, dn*r, dn
		}
	}
}
