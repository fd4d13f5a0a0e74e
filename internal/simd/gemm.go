package simd

import "github.com/tppfaas/tppfaas/internal/meter"

// Gemm computes C = A·B, or C += A·B with accumulate, for A of m×k, B of k×n and C of m×n.
//
// Element (i, p) of A is a[i·ars + p·acs], so a transposed matrix is one with its strides swapped; the rows of B and C
// are contiguous, brs and crs elements apart. Every element of C is summed in the order of k, whatever m and n are: a row
// computed alone equals the same row computed in a batch. C must not overlap A or B.
func Gemm[T Float](m, n, k int, a []T, ars, acs int, b []T, brs int, c []T, crs int, accumulate bool) {
	var start []T
	if accumulate {
		start = c
	}
	gemm(m, n, k, a, ars, acs, b, brs, c, crs, start, crs)
}

// GemmFrom computes C = S + A·B as Gemm does, where row i of S begins at start[i·srs]: with srs = 0 every row of C begins with the same one, such as a
// bias.
func GemmFrom[T Float](m, n, k int, a []T, ars, acs int, b []T, brs int, c []T, crs int, start []T, srs int) {
	if m <= 0 || n <= 0 {
		return
	}
	if srs < 0 {
		panic("simd: GemmFrom with a negative stride")
	}
	_ = start[(m-1)*srs+n-1]
	gemm(m, n, k, a, ars, acs, b, brs, c, crs, start, srs)
}

// gemm is GemmFrom without a check of start, which is nil for zero.
func gemm[T Float](m, n, k int, a []T, ars, acs int, b []T, brs int, c []T, crs int, start []T, srs int) {
	if m <= 0 || n <= 0 {
		return
	}
	if ars < 0 || acs < 0 || brs < 0 || crs < 0 {
		panic("simd: Gemm with a negative stride")
	}
	_ = c[(m-1)*crs+n-1]
	if k <= 0 {
		startRows(m, n, c, crs, start, srs)
		return
	}
	_ = a[(m-1)*ars+(k-1)*acs]
	_ = b[(k-1)*brs+n-1]
	begin := meter.Begin()
	if fast[T]() {
		gemmFast(m, n, k, f32(a), ars, acs, f32(b), brs, f32(c), crs, f32(start), srs)
	} else {
		startRows(m, n, c, crs, start, srs)
		gemmPortable(m, n, k, a, ars, acs, b, brs, c, crs)
	}
	meter.EndProduct(begin, m, n, k)
}

// startRows sets C to what its sums begin with.
func startRows[T Float](m, n int, c []T, crs int, start []T, srs int) {
	for i := range m {
		if start == nil {
			clear(c[i*crs:][:n])
		} else {
			copy(c[i*crs:][:n], start[i*srs:][:n])
		}
	}
}

// GemvT computes y = x·B, or y += x·B with accumulate, for a row x of k = len(x) elements and B of k×n, n = len(y), with
// contiguous rows brs elements apart: Gemm of one row, and the fast form of a matrix-vector product with a weight matrix
// that is stored transposed.
func GemvT[T Float](x, b []T, brs int, y []T, accumulate bool) {
	Gemm(1, len(y), len(x), x, 0, 1, b, brs, y, 0, accumulate)
}

// gemmPortable computes C += A·B, two rows by four steps of k at a time: enough to halve the loads of B and quarter those of C.
func gemmPortable[T Float](m, n, k int, a []T, ars, acs int, b []T, brs int, c []T, crs int) {
	i := 0
	for ; i+2 <= m; i += 2 {
		gemmRows2(k, a[i*ars:], a[(i+1)*ars:], acs, b, brs, c[i*crs:][:n], c[(i+1)*crs:][:n])
	}
	if i < m {
		gemmRow(k, a[i*ars:], acs, b, brs, c[i*crs:][:n])
	}
}

func gemmRows2[T Float](k int, a0, a1 []T, acs int, b []T, brs int, c0, c1 []T) {
	c1 = c1[:len(c0)]
	p := 0
	for ; p+4 <= k; p += 4 {
		x0, x1, x2, x3 := a0[p*acs], a0[(p+1)*acs], a0[(p+2)*acs], a0[(p+3)*acs]
		y0, y1, y2, y3 := a1[p*acs], a1[(p+1)*acs], a1[(p+2)*acs], a1[(p+3)*acs]
		b0, b1, b2, b3 := b[p*brs:][:len(c0)], b[(p+1)*brs:][:len(c0)], b[(p+2)*brs:][:len(c0)], b[(p+3)*brs:][:len(c0)]
		for j := range c0 {
			c0[j] += x0*b0[j] + x1*b1[j] + x2*b2[j] + x3*b3[j]
			c1[j] += y0*b0[j] + y1*b1[j] + y2*b2[j] + y3*b3[j]
		}
	}
	for ; p < k; p++ {
		x, y, bp := a0[p*acs], a1[p*acs], b[p*brs:][:len(c0)]
		for j := range c0 {
			c0[j] += x * bp[j]
			c1[j] += y * bp[j]
		}
	}
}

func gemmRow[T Float](k int, a []T, acs int, b []T, brs int, c []T) {
	p := 0
	for ; p+4 <= k; p += 4 {
		x0, x1, x2, x3 := a[p*acs], a[(p+1)*acs], a[(p+2)*acs], a[(p+3)*acs]
		b0, b1, b2, b3 := b[p*brs:][:len(c)], b[(p+1)*brs:][:len(c)], b[(p+2)*brs:][:len(c)], b[(p+3)*brs:][:len(c)]
		for j := range c {
			c[j] += x0*b0[j] + x1*b1[j] + x2*b2[j] + x3*b3[j]
		}
	}
	for ; p < k; p++ {
		x, bp := a[p*acs], b[p*brs:][:len(c)]
		for j := range c {
			c[j] += x * bp[j]
		}
	}
}
