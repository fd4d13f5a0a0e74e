//go:build amd64 && !noasm

package simd

// The functions here take slices of at least one element.

func logNormalCDFGradFast(dst, derivative, src []float32) {
	if active == avx512 {
		logNormalCDFGradAVX512(&dst[0], &derivative[0], &src[0], len(src))
	} else {
		logNormalCDFGradAVX2(&dst[0], &derivative[0], &src[0], len(src))
	}
}

func normalMixtureCDFFast(weights, locations, precisions []float32, x float32) (cdf, survival, density float32) {
	if active == avx512 {
		return mixtureCDFAVX512(len(weights), &weights[0], &locations[0], &precisions[0], x)
	}
	return mixtureCDFAVX2(len(weights), &weights[0], &locations[0], &precisions[0], x)
}
