package simd

// The bounds of the log scales of logistic distributions: from below so that nothing is divided by zero, from above so that all tails of
// exponentials of them have a mean.
const (
	MinLogScale = -11
	MaxLogScale = -0.5
)

// LogisticPrecisions sets dst to e^−v for log scales v, which are bounded by MinLogScale and MaxLogScale.
func LogisticPrecisions[T Float](dst, logScales []T) {
	dst = first(dst, len(logScales))
	if fast[T]() && len(logScales) > 0 {
		logisticPrecisionsFast(f32(dst), f32(logScales))
		return
	}
	for i, v := range logScales {
		dst[i] = -min(max(v, MinLogScale), MaxLogScale)
	}
	Exp(dst, dst)
}

// Rectify sets x to max(x, 0), element by element.
func Rectify[T Float](x []T) {
	if fast[T]() && len(x) > 0 {
		rectifyFast(f32(x))
		return
	}
	for i, v := range x {
		x[i] = max(v, 0)
	}
}

// RectifyGrad sets the gradient of what Rectify left to 0 where that is 0. The product, without a branch, is 1 for all positive x but the tiniest.
func RectifyGrad[T Float](grad, x []T) {
	x = first(x, len(grad))
	if fast[T]() && len(x) > 0 {
		rectifyGradFast(f32(grad), f32(x))
		return
	}
	for i, v := range x {
		grad[i] *= min(v*1e30, 1)
	}
}

// Mul multiplies dst by x, element by element.
func Mul[T Float](dst, x []T) {
	x = first(x, len(dst))
	if fast[T]() && len(x) > 0 {
		mulFast(f32(dst), f32(x))
		return
	}
	for i, v := range x {
		dst[i] *= v
	}
}
