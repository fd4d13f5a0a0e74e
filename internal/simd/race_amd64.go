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

func logisticRowsFast(rows, k int, outs []float32, size int, y, work, survivals []float32) {
	if active == avx512 {
		logisticRowsAVX512(rows, k, &outs[0], size, &y[0], &work[0], &survivals[0])
	} else {
		logisticRowsAVX2(rows, k, &outs[0], size, &y[0], &work[0], &survivals[0])
	}
}

func logisticRowsGradFast(k int, index []int32, outs []float32, size int, work []float32, workSize int, numbers []float32) {
	if active == avx512 {
		logisticRowsGradAVX512(len(index), k, &index[0], &outs[0], size, &work[0], workSize, &numbers[0])
	} else {
		logisticRowsGradAVX2(len(index), k, &index[0], &outs[0], size, &work[0], workSize, &numbers[0])
	}
}

func logisticTicksFast(k int, index []int32, work []float32, workSize int, widths, ticks, masses []float32) {
	if active == avx512 {
		logisticTicksAVX512(len(index), k, &index[0], &work[0], workSize, &widths[0], &ticks[0], &masses[0])
	} else {
		logisticTicksAVX2(len(index), k, &index[0], &work[0], workSize, &widths[0], &ticks[0], &masses[0])
	}
}

func logisticTicksGradFast(k int, index []int32, outs []float32, size int, work []float32, workSize int, ticks, numbers []float32) {
	if active == avx512 {
		logisticTicksGradAVX512(len(index), k, &index[0], &outs[0], size, &work[0], workSize, &ticks[0], &numbers[0])
	} else {
		logisticTicksGradAVX2(len(index), k, &index[0], &outs[0], size, &work[0], workSize, &ticks[0], &numbers[0])
	}
}

// paddedComponents returns for how many components of a row the kernels have room.
func paddedComponents(k int) int {
	if active == avx512 {
		return (k + 15) &^ 15
	}
	return (k + 7) &^ 7
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

func gatherSumFast(n int, dst, a []float32, ia []int32, b []float32, ib []int32) {
	if active == avx512 {
		gatherSumAVX512(len(ia), n, &dst[0], &a[0], &ia[0], &b[0], &ib[0])
	} else {
		gatherSumAVX2(len(ia), n, &dst[0], &a[0], &ia[0], &b[0], &ib[0])
	}
}

func rectifyScatteredFast(n int, x, sums []float32, index []int32, scale float32) {
	if active == avx512 {
		rectifyScatteredAVX512(len(index), n, &x[0], &sums[0], &index[0], scale)
	} else {
		rectifyScatteredAVX2(len(index), n, &x[0], &sums[0], &index[0], scale)
	}
}

func addGatheredRectifiedFast(n int, dst, src []float32, index []int32) {
	if active == avx512 {
		addGatheredRectifiedAVX512(len(index), n, &dst[0], &src[0], &index[0])
	} else {
		addGatheredRectifiedAVX2(len(index), n, &dst[0], &src[0], &index[0])
	}
}

func rectifyGradScatteredFast(n int, grad, x, sums []float32, index []int32) {
	if active == avx512 {
		rectifyGradScatteredAVX512(len(index), n, &grad[0], &x[0], &sums[0], &index[0])
	} else {
		rectifyGradScatteredAVX2(len(index), n, &grad[0], &x[0], &sums[0], &index[0])
	}
}

func pooledGradFast(p Pooled, n int, grad, x, pooled []float32, scale float32, steps, classes []float32) {
	if active == avx512 {
		pooledGradAVX512(len(p.Steps), n, &grad[0], &x[0], &pooled[0], scale, &p.Steps[0], &steps[0], &p.Classes[0], &classes[0])
	} else {
		pooledGradAVX2(len(p.Steps), n, &grad[0], &x[0], &pooled[0], scale, &p.Steps[0], &steps[0], &p.Classes[0], &classes[0])
	}
}
