package simd

// GatherRows sets the rows of dst, of n = len(w) elements each, to table[index] + scale·w. The index of row i, a whole number, is
// values[i·stride+category], and its scale values[i·stride+real].
func GatherRows[T Float](dst, table, w, values []T, stride, category, real int) {
	n := len(w)
	if n == 0 || len(dst) < n {
		return
	}
	rows := len(dst) / n
	checkIndices(table, n, values, rows, stride, category)
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

// ScatterRows adds the rows of src, of n elements each, to those of a table, in order: table[index] += row, with the indices of GatherRows.
func ScatterRows[T Float](table, src []T, n int, values []T, stride, category int) {
	if n == 0 || len(src) < n {
		return
	}
	rows := len(src) / n
	checkIndices(table, n, values, rows, stride, category)
	if fast[T]() {
		scatterRowsFast(rows, n, f32(table), f32(src), f32(values[category:]), stride)
		return
	}
	for i := range rows {
		level := int(values[i*stride+category])
		row := table[level*n : (level+1)*n]
		AddScaled(row, row, 1, src[i*n:(i+1)*n])
	}
}

// checkIndices panics unless all indices are those of rows of a table.
func checkIndices[T Float](table []T, n int, values []T, rows, stride, category int) {
	levels := T(len(table) / n)
	for i := range rows {
		if v := values[i*stride+category]; !(v >= 0 && v < levels) {
			panic("simd: index of a row out of range")
		}
	}
}

// AddRows adds the rows of src, each as long as dst, to dst in order.
func AddRows[T Float](dst, src []T) {
	one := [1]T{1}
	addWeightedRows(dst, src, one[:], 0)
}

// AddWeightedRows adds the rows of src, each as long as dst, to dst in order, row i times weights[i·stride].
func AddWeightedRows[T Float](dst, src, weights []T, stride int) {
	if n := len(dst); n > 0 && len(src) >= n {
		_ = weights[(len(src)/n-1)*stride]
	}
	addWeightedRows(dst, src, weights, stride)
}

func addWeightedRows[T Float](dst, src, weights []T, stride int) {
	n := len(dst)
	if n == 0 || len(src) < n {
		return
	}
	if fast[T]() {
		gemmFast(1, n, len(src)/n, f32(weights), 0, stride, f32(src), n, f32(dst), n, f32(dst), n)
		return
	}
	for i := 0; (i+1)*n <= len(src); i++ {
		AddScaled(dst, dst, weights[i*stride], src[i*n:(i+1)*n])
	}
}
