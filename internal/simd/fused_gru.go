package simd

// GRUForward computes one step of gated recurrent units (Cho et al. 2014, in PyTorch's form), for rows sequences of d
// units each. With the gates' inputs in the order r, z, n of gx = x·W_ihᵀ + b_ih and gh = h·W_hhᵀ + b_hh (rows×3d):
//
//	r = σ(gx_r + gh_r)    z = σ(gx_z + gh_z)    n = tanh(gx_n + r ⊙ gh_n)    next = (1 − z) ⊙ n + z ⊙ h
//
// r, z, n, h and next are rows×d; next may be h. All matrices are contiguous.
func GRUForward[T Float](rows, d int, next, r, z, n, gx, gh, h []T) {
	size := rows * d
	next, r, z, n = first(next, size), first(r, size), first(z, size), first(n, size)
	gx, gh, h = first(gx, 3*size), first(gh, 3*size), first(h, size)
	if size == 0 {
		return
	}
	if fast[T]() {
		gruForwardFast(rows, d, f32(next), f32(r), f32(z), f32(n), f32(gx), f32(gh), f32(h))
		return
	}
	for row := range rows {
		gx, gh := gx[3*d*row:][:3*d], gh[3*d*row:][:3*d]
		for j := range d {
			i := row*d + j
			r[i] = sigmoid(gx[j] + gh[j])
			z[i] = sigmoid(gx[d+j] + gh[d+j])
			n[i] = tanh(gx[2*d+j] + r[i]*gh[2*d+j])
			next[i] = n[i] + z[i]*(h[i]-n[i])
		}
	}
}

// GRUBackward computes the gradients of GRUForward from dnext, the gradient of next (rows×d), and what the forward step
// left: dgx and dgh (rows×3d), the gradients of gx and gh, and dh (rows×d), of which the caller adds the part dgh·W_hh
// that goes through the gates. dh may be dnext; dgx and dgh may be gx and gh. All matrices are contiguous.
func GRUBackward[T Float](rows, d int, dgx, dgh, dh, dnext, r, z, n, gh, h []T) {
	size := rows * d
	dgx, dgh, dh, dnext, r = first(dgx, 3*size), first(dgh, 3*size), first(dh, size), first(dnext, size), first(r, size)
	z, n, gh, h = first(z, size), first(n, size), first(gh, 3*size), first(h, size)
	if size == 0 {
		return
	}
	if fast[T]() {
		gruBackwardFast(rows, d, f32(dgx), f32(dgh), f32(dh), f32(dnext), f32(r), f32(z), f32(n), f32(gh), f32(h))
		return
	}
	for row := range rows {
		dgx, dgh, gh := dgx[3*d*row:][:3*d], dgh[3*d*row:][:3*d], gh[3*d*row:][:3*d]
		for j := range d {
			i := row*d + j
			g := dnext[i]
			dz := g * (h[i] - n[i]) * z[i] * (1 - z[i])
			dn := g * (1 - z[i]) * (1 - n[i]*n[i])
			dr := dn * gh[2*d+j] * r[i] * (1 - r[i])
			dh[i] = g * z[i]
			dgx[j], dgx[d+j], dgx[2*d+j] = dr, dz, dn
			dgh[j], dgh[d+j], dgh[2*d+j] = dr, dz, dn*r[i]
		}
	}
}
