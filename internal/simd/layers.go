package simd

// The functions here are what rectified layers do with rows of n elements, in one pass. Each does for every element what the functions do that its
// comment names.

// GatherSum sets the rows of dst to a[ia] + b[ib].
func GatherSum[T Float](n int, dst, a []T, ia []int32, b []T, ib []int32) {
	if n == 0 || len(ia) == 0 {
		return
	}
	dst, ib = first(dst, len(ia)*n), first(ib, len(ia))
	checkInt32(ia, len(a)/n)
	checkInt32(ib, len(b)/n)
	if fast[T]() {
		gatherSumFast(n, f32(dst), f32(a), ia, f32(b), ib)
		return
	}
	for i := range ia {
		AddScaled(dst[i*n:(i+1)*n], a[int(ia[i])*n:][:n], 1, b[int(ib[i])*n:][:n])
	}
}

// RectifyScattered is Rectify(x) and AddScattered(n, sums, x, index, scale).
func RectifyScattered[T Float](n int, x, sums []T, index []int32, scale T) {
	if n == 0 || len(index) == 0 {
		return
	}
	x = first(x, len(index)*n)
	checkInt32(index, len(sums)/n)
	if fast[T]() {
		rectifyScatteredFast(n, f32(x), f32(sums), index, float32(scale))
		return
	}
	Rectify(x)
	AddScattered(n, sums, x, index, scale)
}

// AddGatheredRectified is AddGathered(n, dst, src, index, 1) and Rectify(dst).
func AddGatheredRectified[T Float](n int, dst, src []T, index []int32) {
	if n == 0 || len(index) == 0 {
		return
	}
	dst = first(dst, len(index)*n)
	checkInt32(index, len(src)/n)
	if fast[T]() {
		addGatheredRectifiedFast(n, f32(dst), f32(src), index)
		return
	}
	AddGathered(n, dst, src, index, 1)
	Rectify(dst)
}

// RectifyGradScattered is RectifyGrad(grad, x) and AddScattered(n, sums, grad, index, 1).
func RectifyGradScattered[T Float](n int, grad, x, sums []T, index []int32) {
	if n == 0 || len(index) == 0 {
		return
	}
	grad, x = first(grad, len(index)*n), first(x, len(index)*n)
	checkInt32(index, len(sums)/n)
	if fast[T]() {
		rectifyGradScatteredFast(n, f32(grad), f32(x), f32(sums), index)
		return
	}
	RectifyGrad(grad, x)
	AddScattered(n, sums, grad, index, 1)
}

// Pooled says to which steps and classes rows belong.
type Pooled struct{ Steps, Classes []int32 }

// PooledGrad is AddGathered(n, grad, pooled, p.Steps, scale), RectifyGrad(grad, x), AddScattered(n, steps, grad, p.Steps, 1) and
// AddScattered(n, classes, grad, p.Classes, 1).
func PooledGrad[T Float](p Pooled, n int, grad, x, pooled []T, scale T, steps, classes []T) {
	if n == 0 || len(p.Steps) == 0 {
		return
	}
	rows := len(p.Steps)
	grad, x = first(grad, rows*n), first(x, rows*n)
	checkInt32(p.Steps, min(len(pooled), len(steps))/n)
	checkInt32(first(p.Classes, rows), len(classes)/n)
	if fast[T]() {
		pooledGradFast(p, n, f32(grad), f32(x), f32(pooled), float32(scale), f32(steps), f32(classes))
		return
	}
	AddGathered(n, grad, pooled, p.Steps, scale)
	RectifyGrad(grad, x)
	AddScattered(n, steps, grad, p.Steps, 1)
	AddScattered(n, classes, grad, p.Classes, 1)
}
