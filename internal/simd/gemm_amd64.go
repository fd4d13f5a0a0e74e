//go:build amd64 && !noasm

package simd

// gemmDepth is how many rows of B one pass takes at most, so that a panel of B (48 or 24 columns) and the rows of A beside
// it stay in the first-level cache. The sums continue across passes, so the depth does not change the result.
const gemmDepth = 128

// gemmFast computes GemmFrom for checked arguments, m, n, k ≥ 1; without a start the sums begin with zero.
func gemmFast(m, n, k int, a []float32, ars, acs int, b []float32, brs int, c []float32, crs int, start []float32, srs int) {
	passes := (k + gemmDepth - 1) / gemmDepth
	for pass, p := 0, 0; pass < passes; pass++ {
		depth := (k - p) / (passes - pass)
		ap, bp := a[p*acs:], b[p*brs:]
		if pass > 0 {
			start, srs = c, crs
		}
		j := 0
		if m == 1 {
			j = gemvPanels(n, depth, &ap[0], acs, bp, brs, c, start)
		}
		for j < n {
			var from *float32
			if start != nil {
				from = &start[j]
			}
			j += gemmPanel(m, n-j, depth, &ap[0], ars, acs, &bp[j], brs, &c[j], crs, from, srs)
		}
		p += depth
	}
}

// panelVectors returns how many vectors of columns the next panel takes of those that are left: three, which keeps the
// multipliers busiest, but not three and one of the last four: with AVX-512, which has the registers, four, and else two and two.
func panelVectors(left, most int) int {
	if left == 4 {
		return most
	}
	return min(left, 3)
}

// gemmPanel computes the first columns of C and returns how many.
func gemmPanel(m, n, k int, a *float32, ars, acs int, b *float32, brs int, c *float32, crs int, start *float32, srs int) int {
	if active == avx512 {
		vectors := panelVectors((n+15)/16, 4)
		columns := min(n, 16*vectors)
		last := columns - 16*(vectors-1)
		switch vectors {
		case 4:
			gemm6x64AVX512(m, last, k, a, ars, acs, b, brs, c, crs, start, srs)
		case 3:
			gemm8x48AVX512(m, last, k, a, ars, acs, b, brs, c, crs, start, srs)
		case 2:
			gemm8x32AVX512(m, last, k, a, ars, acs, b, brs, c, crs, start, srs)
		default:
			gemm8x16AVX512(m, last, k, a, ars, acs, b, brs, c, crs, start, srs)
		}
		return columns
	}
	vectors := panelVectors((n+7)/8, 2)
	columns := min(n, 8*vectors)
	last := columns - 8*(vectors-1)
	switch {
	case vectors == 3 && last == 8:
		gemm4x24AVX2(m, last, k, a, ars, acs, b, brs, c, crs, start, srs)
	case vectors == 3:
		gemm4x24MaskedAVX2(m, last, k, a, ars, acs, b, brs, c, crs, start, srs)
	case vectors == 2 && last == 8:
		gemm6x16AVX2(m, last, k, a, ars, acs, b, brs, c, crs, start, srs)
	case vectors == 2:
		gemm6x16MaskedAVX2(m, last, k, a, ars, acs, b, brs, c, crs, start, srs)
	case last == 8:
		gemm8x8AVX2(m, last, k, a, ars, acs, b, brs, c, crs, start, srs)
	default:
		gemm8x8MaskedAVX2(m, last, k, a, ars, acs, b, brs, c, crs, start, srs)
	}
	return columns
}

// gemvPanels computes the columns of a single row that fill wide panels, and returns how many.
func gemvPanels(n, k int, x *float32, xs int, b []float32, brs int, y, start []float32) int {
	j := 0
	from := func() *float32 {
		if start == nil {
			return nil
		}
		return &start[j]
	}
	if active == avx512 {
		for ; n-j >= 192; j += 192 {
			gemvT192AVX512(k, x, xs, &b[j], brs, &y[j], from())
		}
		for ; n-j >= 128; j += 128 {
			gemvT128AVX512(k, x, xs, &b[j], brs, &y[j], from())
		}
		for ; n-j >= 64; j += 64 {
			gemvT64AVX512(k, x, xs, &b[j], brs, &y[j], from())
		}
		return j
	}
	for ; n-j >= 96; j += 96 {
		gemvT96AVX2(k, x, xs, &b[j], brs, &y[j], from())
	}
	for ; n-j >= 64; j += 64 {
		gemvT64AVX2(k, x, xs, &b[j], brs, &y[j], from())
	}
	for ; n-j >= 32; j += 32 {
		gemvT32AVX2(k, x, xs, &b[j], brs, &y[j], from())
	}
	return j
}
