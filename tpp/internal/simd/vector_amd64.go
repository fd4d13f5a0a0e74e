//go:build amd64 && !noasm

package simd

func expFast(dst, src []float32) bool {
	switch {
	case len(src) == 0:
	case active == avx512:
		expAVX512(&dst[0], &src[0], len(src))
	default:
		expAVX2(&dst[0], &src[0], len(src))
	}
	return true
}

func logFast(dst, src []float32) bool {
	switch {
	case len(src) == 0:
	case active == avx512:
		logAVX512(&dst[0], &src[0], len(src))
	default:
		logAVX2(&dst[0], &src[0], len(src))
	}
	return true
}

func sigmoidFast(dst, src []float32) bool {
	switch {
	case len(src) == 0:
	case active == avx512:
		sigmoidAVX512(&dst[0], &src[0], len(src))
	default:
		sigmoidAVX2(&dst[0], &src[0], len(src))
	}
	return true
}

func tanhFast(dst, src []float32) bool {
	switch {
	case len(src) == 0:
	case active == avx512:
		tanhAVX512(&dst[0], &src[0], len(src))
	default:
		tanhAVX2(&dst[0], &src[0], len(src))
	}
	return true
}
