package simd

import "math"

// Sum returns Σ x; 0 if x is empty. The order of the additions depends on the set of kernels.
func Sum[T Float](x []T) T {
	if fast[T]() && len(x) > 0 {
		return T(sumFast(f32(x)))
	}
	var s0, s1, s2, s3 T
	i := 0
	for ; i+4 <= len(x); i += 4 {
		s0, s1, s2, s3 = s0+x[i], s1+x[i+1], s2+x[i+2], s3+x[i+3]
	}
	for ; i < len(x); i++ {
		s0 += x[i]
	}
	return (s0 + s1) + (s2 + s3)
}

// Dot returns Σ a·b of two vectors of one length. The order of the additions depends on the set of kernels.
func Dot[T Float](a, b []T) T {
	b = first(b, len(a))
	if fast[T]() && len(a) > 0 {
		return T(dotFast(f32(a), f32(b)))
	}
	return dotPortable(a, b)
}

func dotPortable[T Float](a, b []T) T {
	b = first(b, len(a))
	var s0, s1, s2, s3 T
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return (s0 + s1) + (s2 + s3)
}

// AddScaled sets dst to a + scale·b, element by element: the sum of two vectors with scale 1, and the axpy of BLAS with
// dst = a. All have the length of dst, which may be a or b.
func AddScaled[T Float](dst, a []T, scale T, b []T) {
	a, b = first(a, len(dst)), first(b, len(dst))
	if fast[T]() && len(dst) > 0 {
		addScaledFast(f32(dst), f32(a), float32(scale), f32(b))
		return
	}
	for i := range dst {
		dst[i] = a[i] + scale*b[i]
	}
}

// Max returns the greatest element of x; −Inf if x is empty, NaN if an element is.
func Max[T Float](x []T) T {
	greatest := T(math.Inf(-1))
	for _, v := range x {
		greatest = max(greatest, v)
	}
	return greatest
}

// LogSumExp returns log Σ e^x, without overflow; −Inf if x is empty or all −Inf.
func LogSumExp[T Float](x []T) T {
	peak, total := sumExp(x)
	if math.IsInf(float64(peak), 1) {
		return Max(x) // Inf, or NaN if there is one besides
	}
	return peak + log(total)
}

// Softmax sets dst to e^src / Σ e^src. dst has the length of src and may be src.
func Softmax[T Float](dst, src []T) {
	var peak, total [1]T
	softmaxRows(first(dst, len(src)), src, len(src), 1, peak[:], total[:])
}

// sumExp returns the maximum of x, which is finite even if all elements are −Inf, and Σ exp(x − maximum).
func sumExp[T Float](x []T) (peak, total T) {
	if fast[T]() && len(x) > 0 {
		p, s := sumExpFast(f32(x))
		return T(p), T(s)
	}
	peak = finiteMax(x)
	for _, v := range x {
		total += exp(v - peak)
	}
	return peak, total
}

// softmaxRows sets dst to scale·softmax(src) for each row of n elements, and peak and total to what sumExp returns; dst
// may be src.
func softmaxRows[T Float](dst, src []T, n int, scale T, peak, total []T) {
	if n == 0 || len(peak) == 0 {
		return
	}
	if fast[T]() {
		softmaxRowsFast(f32(dst), f32(src), float32(scale), f32(peak), f32(total))
		return
	}
	for i := range peak {
		peak[i], total[i] = softmaxPortable(dst[i*n:][:n], src[i*n:][:n], scale)
	}
}

func softmaxPortable[T Float](dst, src []T, scale T) (peak, total T) {
	peak = finiteMax(src)
	for i, v := range src {
		dst[i] = exp(v - peak)
		total += dst[i]
	}
	factor := scale / total
	for i := range dst {
		dst[i] *= factor
	}
	return peak, total
}

// finiteMax returns the maximum of x and a finite number, so that −Inf less the maximum of nothing but −Inf is −Inf and not NaN.
func finiteMax[T Float](x []T) T { return max(Max(x), -math.MaxFloat32) }
