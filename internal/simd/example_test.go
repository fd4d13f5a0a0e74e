package simd_test

import (
	"fmt"

	"github.com/tppfaas/tppfaas/internal/simd"
)

// The product of a batch with weights, and the gradient of the weights from the same strided kernel.
func ExampleGemm() {
	x := []float32{1, 2, 3, 4, 5, 6} // 3×2
	w := []float32{1, 0, 2, 1}       // 2×2
	y := make([]float32, 6)          // 3×2
	simd.Gemm(3, 2, 2, x, 2, 1, w, 2, y, 2, false)
	fmt.Println(y)

	dw := make([]float32, 4)
	simd.Gemm(2, 2, 3, x, 1, 2, y, 2, dw, 2, true) // dw += xᵀ·y
	fmt.Println(dw)
	// Output:
	// [5 2 11 4 17 6]
	// [123 44 156 56]
}

// The log density of a mixture of two standard normal distributions at ±1, seen from the middle.
func ExampleNormalMixtureLogProb() {
	head := []float64{-1, 1 /* locations */, 0, 0 /* log scales */, 0, 0 /* logits */}
	logProb := make([]float64, 1)
	simd.NormalMixtureLogProb(logProb, head, []float64{0}, 2)
	fmt.Printf("%.4f\n", logProb[0])
	// Output: -1.4189
}

func ExampleLogNormalCDFGrad() {
	x := []float64{-40, 0, 40}
	derivative := make([]float64, len(x))
	simd.LogNormalCDFGrad(x, derivative, x)
	fmt.Printf("%.3f\n%.3f\n", x, derivative)
	// Output:
	// [-804.608 -0.693 -0.000]
	// [40.025 0.798 0.000]
}
