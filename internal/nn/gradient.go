package nn

import "github.com/tppfaas/tppfaas/internal/simd"

// SumGradients adds others[i][first:last] to sum[first:last] for each i, and returns the sum of squares of the result.
// Parts that do not overlap may be summed concurrently.
func SumGradients(sum []float32, others [][]float32, first, last int) (squares float64) {
	own := sum[first:last]
	for _, o := range others {
		simd.AddScaled(own, own, 1, o[first:last])
	}
	return float64(simd.Dot(own, own))
}

// Scale multiplies a gradient by factor.
func Scale(grad []float32, factor float64) {
	simd.AddScaled(grad, grad, float32(factor)-1, grad)
}
