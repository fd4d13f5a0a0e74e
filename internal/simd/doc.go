// Package simd provides the numeric kernels of the models: matrix products, elementary functions of vectors, and the fused
// passes of training, each for float32 and float64.
//
// For float32 the kernels are assembly for AVX-512 or AVX2 with FMA, chosen when the program starts by what the processor
// and the operating system offer; float64, other processors, and builds with the tag noasm take portable Go. A product
// of a batch X (m×k) with a weight matrix W (k×n), both in rows:
//
//	y := make([]float32, m*n)
//	simd.Gemm(m, n, k, x, k, 1, w, n, y, n, false)
//
// and of its transpose, for the gradient dW (k×n) += Xᵀ·dY, which only swaps the strides of X:
//
//	simd.Gemm(k, n, m, x, 1, k, dy, n, dw, n, true)
//
// No kernel allocates, none starts a goroutine, and all may be called by several goroutines at once. The results depend
// on the arguments and the set of kernels alone. An argument too short for its stated shape is a mistake of the caller
// and panics, like an index out of range, before anything is written.
package simd

//go:generate go run ./gen -kernels gemm -out gemm_amd64.s -stubs gemm_stubs_amd64.go -pkg simd
//go:generate go run ./gen -kernels vector -out vector_amd64.s -stubs vector_stubs_amd64.go -pkg simd
//go:generate go run ./gen -kernels fused -out fused_amd64.s -stubs fused_stubs_amd64.go -pkg simd
//go:generate go run ./gen -kernels race -out race_amd64.s -stubs race_stubs_amd64.go -pkg simd
