//go:build amd64 && !noasm

package simd

// The functions here take slices of at least one element.

func expFast(dst, src []float32) {
	if active == avx512 {
		expAVX512(&dst[0], &src[0], len(src))
	} else {
		expAVX2(&dst[0], &src[0], len(src))
	}
}

func logFast(dst, src []float32) {
	if active == avx512 {
		logAVX512(&dst[0], &src[0], len(src))
	} else {
		logAVX2(&dst[0], &src[0], len(src))
	}
}

func sigmoidFast(dst, src []float32) {
	if active == avx512 {
		sigmoidAVX512(&dst[0], &src[0], len(src))
	} else {
		sigmoidAVX2(&dst[0], &src[0], len(src))
	}
}

func tanhFast(dst, src []float32) {
	if active == avx512 {
		tanhAVX512(&dst[0], &src[0], len(src))
	} else {
		tanhAVX2(&dst[0], &src[0], len(src))
	}
}
