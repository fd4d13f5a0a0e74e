//go:build amd64 && !noasm

package simd

// The functions here take slices of at least one element.

func sumFast(x []float32) float32 {
	if active == avx512 {
		return sumAVX512(&x[0], len(x))
	}
	return sumAVX2(&x[0], len(x))
}

func dotFast(a, b []float32) float32 {
	if active == avx512 {
		return dotAVX512(&a[0], &b[0], len(a))
	}
	return dotAVX2(&a[0], &b[0], len(a))
}

func addScaledFast(dst, a []float32, scale float32, b []float32) {
	if active == avx512 {
		addScaledAVX512(&dst[0], &a[0], scale, &b[0], len(dst))
	} else {
		addScaledAVX2(&dst[0], &a[0], scale, &b[0], len(dst))
	}
}

func sumExpFast(x []float32) (peak, total float32) {
	if active == avx512 {
		return sumExpAVX512(&x[0], len(x))
	}
	return sumExpAVX2(&x[0], len(x))
}

// softmaxRowsFast computes softmaxRows for rows of n = len(src)/len(peak) elements.
func softmaxRowsFast(dst, src []float32, scale float32, peak, total []float32) {
	rows, n := len(peak), len(src)/len(peak)
	if active == avx512 {
		softmaxRowsAVX512(rows, n, &dst[0], &src[0], scale, &peak[0], &total[0])
	} else {
		softmaxRowsAVX2(rows, n, &dst[0], &src[0], scale, &peak[0], &total[0])
	}
}
