//go:build amd64 && !noasm

package simd

// The functions here take slices of at least one element.

func rectifyFast(x []float32) {
	if active == avx512 {
		rectifyAVX512(&x[0], len(x))
	} else {
		rectifyAVX2(&x[0], len(x))
	}
}

func rectifyGradFast(grad, x []float32) {
	if active == avx512 {
		rectifyGradAVX512(&grad[0], &x[0], len(x))
	} else {
		rectifyGradAVX2(&grad[0], &x[0], len(x))
	}
}

func mulFast(dst, x []float32) {
	if active == avx512 {
		mulAVX512(&dst[0], &x[0], len(x))
	} else {
		mulAVX2(&dst[0], &x[0], len(x))
	}
}

func logisticPrecisionsFast(dst, src []float32) {
	if active == avx512 {
		logisticPrecisionsAVX512(&dst[0], &src[0], len(src))
	} else {
		logisticPrecisionsAVX2(&dst[0], &src[0], len(src))
	}
}

func logisticSurvivalFast(u, s, weights, locations, precisions []float32, y float32) float32 {
	if active == avx512 {
		return logisticSurvivalAVX512(&u[0], &s[0], &weights[0], &locations[0], &precisions[0], len(u), y)
	}
	return logisticSurvivalAVX2(&u[0], &s[0], &weights[0], &locations[0], &precisions[0], len(u), y)
}

func logisticGradFast(location, scale, logit, weights, precisions, logScales, e, eu, s, su []float32, numbers *[4]float32) {
	if active == avx512 {
		logisticGradAVX512(&location[0], &scale[0], &logit[0], &weights[0], &precisions[0], &logScales[0], &e[0], &eu[0], &s[0], &su[0], len(location), numbers)
	} else {
		logisticGradAVX2(&location[0], &scale[0], &logit[0], &weights[0], &precisions[0], &logScales[0], &e[0], &eu[0], &s[0], &su[0], len(location), numbers)
	}
}

func addGatheredFast(n int, dst, src []float32, index []int32, scale float32) {
	if active == avx512 {
		addGatheredAVX512(len(index), n, &dst[0], &src[0], &index[0], scale)
	} else {
		addGatheredAVX2(len(index), n, &dst[0], &src[0], &index[0], scale)
	}
}

func addScatteredFast(n int, dst, src []float32, index []int32, scale float32) {
	if active == avx512 {
		addScatteredAVX512(len(index), n, &dst[0], &src[0], &index[0], scale)
	} else {
		addScatteredAVX2(len(index), n, &dst[0], &src[0], &index[0], scale)
	}
}
