package nn

import "github.com/tppfaas/tppfaas/internal/simd"

// SumGradients sets sum[first:last] to the sum of the gradients, added in order, and returns the sum of its squares.
// Parts that do not overlap may be summed concurrently.
func SumGradients(sum []float32, grads [][]float32, first, last int) (squares float64) {
	AddGradients(sum, grads, first, last)
	return Squares(sum[first:last])
}

// Squares returns the sum of the squares of a gradient.
func Squares(grad []float32) float64 { return float64(simd.Dot(grad, grad)) }

// AddGradients is SumGradients without the squares.
func AddGradients(sum []float32, grads [][]float32, first, last int) {
	own := sum[first:last]
	if len(grads) == 1 {
		copy(own, grads[0][first:last])
		return
	}
	simd.AddScaled(own, grads[0][first:last], 1, grads[1][first:last])
	for _, g := range grads[2:] {
		simd.AddScaled(own, own, 1, g[first:last])
	}
}

// Scale multiplies a gradient by factor.
func Scale(grad []float32, factor float64) {
	simd.AddScaled(grad, grad, float32(factor)-1, grad)
}
