//go:build amd64 && !noasm

package simd

// The functions here take checked slices of at least one row of at least one element.

func gruForwardFast(rows, d int, next, act, gx, gh, h []float32) {
	if active == avx512 {
		gruForwardAVX512(rows, d, &next[0], &act[0], &gx[0], &gh[0], &h[0])
	} else {
		gruForwardAVX2(rows, d, &next[0], &act[0], &gx[0], &gh[0], &h[0])
	}
}

func gruBackwardFast(rows, d int, act, dh, dnext, h []float32) {
	if active == avx512 {
		gruBackwardAVX512(rows, d, &act[0], &dh[0], &dnext[0], &h[0])
	} else {
		gruBackwardAVX2(rows, d, &act[0], &dh[0], &dnext[0], &h[0])
	}
}

func mixtureFast(k int, head, x, peak, ratio []float32) {
	if active == avx512 {
		mixtureAVX512(len(ratio), k, &head[0], &x[0], &peak[0], &ratio[0])
	} else {
		mixtureAVX2(len(ratio), k, &head[0], &x[0], &peak[0], &ratio[0])
	}
}

func mixtureGradFast(k int, head, x, peak, ratio, grad []float32, scale float32) {
	if active == avx512 {
		mixtureGradAVX512(len(ratio), k, &head[0], &x[0], &peak[0], &ratio[0], &grad[0], scale)
	} else {
		mixtureGradAVX2(len(ratio), k, &head[0], &x[0], &peak[0], &ratio[0], &grad[0], scale)
	}
}

func mixtureTickFast(k int, head, middle, width, peak, ratio []float32) {
	if active == avx512 {
		mixtureTickAVX512(len(ratio), k, &head[0], &middle[0], &width[0], &peak[0], &ratio[0])
	} else {
		mixtureTickAVX2(len(ratio), k, &head[0], &middle[0], &width[0], &peak[0], &ratio[0])
	}
}

func mixtureTickGradFast(k int, head, middle, width, peak, ratio, grad []float32, scale float32) {
	if active == avx512 {
		mixtureTickGradAVX512(len(ratio), k, &head[0], &middle[0], &width[0], &peak[0], &ratio[0], &grad[0], scale)
	} else {
		mixtureTickGradAVX2(len(ratio), k, &head[0], &middle[0], &width[0], &peak[0], &ratio[0], &grad[0], scale)
	}
}

// adamRoom is how many parameters are updated apart before they are written.
const adamRoom = 2048

// adamFast updates the parameters apart: where other processors have read them since, their cache lines are had for writing one after the other if
// other stores come between, several times slower than those of a copy.
func adamFast(params, grads, m, v []float32, keep float32, coefficients *[7]float32) {
	var room [adamRoom]float32
	for i := 0; i < len(params); i += adamRoom {
		n := min(adamRoom, len(params)-i)
		copy(room[:], params[i:i+n])
		if keep != 0 {
			addScaledFast(room[:n], room[:n], keep-1, room[:n])
		}
		if active == avx512 {
			adamAVX512(n, &room[0], &grads[i], &m[i], &v[i], coefficients)
		} else {
			adamAVX2(n, &room[0], &grads[i], &m[i], &v[i], coefficients)
		}
		copy(params[i:i+n], room[:])
	}
}

// gatherRowsFast takes the values from the first index and the first scale on.
func gatherRowsFast(rows int, dst, table, w, index, scale []float32, stride int) {
	if active == avx512 {
		gatherRowsAVX512(rows, len(w), &dst[0], &table[0], &w[0], &index[0], &scale[0], stride)
	} else {
		gatherRowsAVX2(rows, len(w), &dst[0], &table[0], &w[0], &index[0], &scale[0], stride)
	}
}

func scatterRowsFast(rows, n int, table []float32, trs int, src []float32, srs int, index []float32, stride int) {
	if active == avx512 {
		scatterRowsAVX512(rows, n, &table[0], trs, &src[0], srs, &index[0], stride)
	} else {
		scatterRowsAVX2(rows, n, &table[0], trs, &src[0], srs, &index[0], stride)
	}
}

func transposeFast(rows, cols int, dst []float32, drs int, src []float32, srs int) {
	transposeAVX2(rows, cols, &dst[0], drs, &src[0], srs)
}
