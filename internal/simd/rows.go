package simd

// GatherRows sets the rows of dst, of n = len(w) elements each, to table[index] + scale·w. The index of row i, a whole number, is
// values[i·stride+category], and its scale values[i·stride+real].
func GatherRows[T Float](dst, table, w, values []T, stride, category, real int) {
	n := len(w)
	if n == 0 || len(dst) < n {
		return
	}
	rows := len(dst) / n
	checkIndices(len(table)/n, values, rows, stride, category)
	_ = values[(rows-1)*stride+real]
	if fast[T]() {
		gatherRowsFast(rows, f32(dst), f32(table), f32(w), f32(values[category:]), f32(values[real:]), stride)
		return
	}
	for i := range rows {
		row, level := dst[i*n:(i+1)*n], int(values[i*stride+category])
		copy(row, table[level*n:(level+1)*n])
		AddScaled(row, row, values[i*stride+real], w)
	}
}

// ScatterRows adds rows of n elements of src, srs elements apart, to those of a table, trs elements apart, in order: table[index] += row, with the
// indices of GatherRows.
func ScatterRows[T Float](rows, n int, table []T, trs int, src []T, srs int, values []T, stride, category int) {
	if n == 0 || rows == 0 {
		return
	}
	_ = src[(rows-1)*srs+n-1]
	levels := 0
	if len(table) >= n {
		levels = (len(table)-n)/trs + 1
	}
	checkIndices(levels, values, rows, stride, category)
	if fast[T]() {
		scatterRowsFast(rows, n, f32(table), trs, f32(src), srs, f32(values[category:]), stride)
		return
	}
	for i := range rows {
		row := table[int(values[i*stride+category])*trs:][:n]
		AddScaled(row, row, 1, src[i*srs:][:n])
	}
}

// checkIndices panics unless all indices are below levels.
func checkIndices[T Float](levels int, values []T, rows, stride, category int) {
	for i := range rows {
		if v := values[i*stride+category]; !(v >= 0 && v < T(levels)) {
			panic("simd: index of a row out of range")
		}
	}
}

// AddRows adds rows of src, srs elements apart and each as long as dst, to dst in order.
func AddRows[T Float](rows int, dst, src []T, srs int) {
	one := [1]T{1}
	AddWeightedRows(rows, dst, src, srs, one[:], 0)
}

// AddWeightedRows is AddRows of rows each times a weight of its own, that of row i weights[i·stride].
func AddWeightedRows[T Float](rows int, dst, src []T, srs int, weights []T, stride int) {
	n := len(dst)
	if n == 0 || rows == 0 {
		return
	}
	_, _ = src[(rows-1)*srs+n-1], weights[(rows-1)*stride]
	if fast[T]() {
		gemmFast(1, n, rows, f32(weights), 0, stride, f32(src), srs, f32(dst), n, f32(dst), n)
		return
	}
	for i := range rows {
		AddScaled(dst, dst, weights[i*stride], src[i*srs:][:n])
	}
}

// AddWeightedSums adds to m rows of dst, of n elements each and drs apart, sums of rows of src, srs apart, times weights: row i of src counts for row j of
// dst weights[i·stride+j].
func AddWeightedSums[T Float](m, n, rows int, dst []T, drs int, weights []T, stride int, src []T, srs int) {
	if m == 0 || n == 0 || rows == 0 {
		return
	}
	_, _, _ = dst[(m-1)*drs+n-1], weights[(rows-1)*stride+m-1], src[(rows-1)*srs+n-1]
	if fast[T]() {
		gemmFast(m, n, rows, f32(weights), 1, stride, f32(src), srs, f32(dst), drs, f32(dst), drs)
		return
	}
	for j := range m {
		AddWeightedRows(rows, dst[j*drs:][:n], src, srs, weights[j:], stride)
	}
}

// AddCombinations adds to rows of dst, of n elements each, the rows of w times their weights, in order: those of row i are the k numbers from
// weights[i·stride] on.
func AddCombinations[T Float](rows, n, k int, dst, weights []T, stride int, w []T) {
	if rows == 0 || n == 0 || k == 0 {
		return
	}
	_, _, _ = dst[rows*n-1], weights[(rows-1)*stride+k-1], w[k*n-1]
	if fast[T]() {
		gemmFast(rows, n, k, f32(weights), stride, 1, f32(w), n, f32(dst), n, f32(dst), n)
		return
	}
	for i := range rows {
		row := dst[i*n : (i+1)*n]
		for j := range k {
			AddScaled(row, row, weights[i*stride+j], w[j*n:(j+1)*n])
		}
	}
}

// AddGathered adds rows of src, of n elements each, to the rows of dst, times scale: dst[i] += scale·src[index[i]].
func AddGathered[T Float](n int, dst, src []T, index []int32, scale T) {
	if n == 0 || len(index) == 0 {
		return
	}
	_ = dst[len(index)*n-1]
	checkInt32(index, len(src)/n)
	if fast[T]() {
		addGatheredFast(n, f32(dst), f32(src), index, float32(scale))
		return
	}
	for i, at := range index {
		row := dst[i*n : (i+1)*n]
		AddScaled(row, row, scale, src[int(at)*n:(int(at)+1)*n])
	}
}

// AddScattered adds the rows of src, of n elements each, to rows of dst, in order and times scale: dst[index[i]] += scale·src[i].
func AddScattered[T Float](n int, dst, src []T, index []int32, scale T) {
	if n == 0 || len(index) == 0 {
		return
	}
	_ = src[len(index)*n-1]
	checkInt32(index, len(dst)/n)
	if fast[T]() {
		addScatteredFast(n, f32(dst), f32(src), index, float32(scale))
		return
	}
	for i, at := range index {
		row := dst[int(at)*n : (int(at)+1)*n]
		AddScaled(row, row, scale, src[i*n:(i+1)*n])
	}
}

// checkInt32 panics unless all indices are below levels.
func checkInt32(index []int32, levels int) {
	for _, at := range index {
		if uint(at) >= uint(levels) {
			panic("simd: index of a row out of range")
		}
	}
}

// Transpose sets dst (cols × rows) to the transpose of src (rows × cols), by blocks so that lines of both stay in the cache.
func Transpose[T Float](dst, src []T, rows, cols int) {
	dst, src = first(dst, rows*cols), first(src, rows*cols)
	wholeRows, wholeCols := 0, 0
	if fast[T]() {
		wholeRows, wholeCols = rows&^7, cols&^7
		if wholeRows > 0 && wholeCols > 0 {
			transposeFast(wholeRows, wholeCols, f32(dst), rows, f32(src), cols)
		}
	}
	transposePart(dst, src, rows, cols, 0, wholeRows, wholeCols)
	transposePart(dst, src, rows, cols, wholeRows, rows, 0)
}

// transposePart transposes rows first to last of src, from a column on.
func transposePart[T Float](dst, src []T, rows, cols, first, last, column int) {
	const block = 16
	for i := first; i < last; i += block {
		for j := column; j < cols; j += block {
			for c := j; c < min(j+block, cols); c++ {
				line := dst[c*rows+i : c*rows+min(i+block, last)]
				at := i*cols + c
				for r := range line {
					line[r] = src[at]
					at += cols
				}
			}
		}
	}
}
