package simd

// Exp sets dst to e^src, element by element; for float32, results below the smallest normal number may be zero, and the
// relative error is below 1.7e-7. dst has the length of src and may be src.
func Exp[T Float](dst, src []T) {
	dst = first(dst, len(src))
	if fast[T]() && len(src) > 0 {
		expFast(f32(dst), f32(src))
		return
	}
	for i, x := range src {
		dst[i] = exp(x)
	}
}

// Log sets dst to the natural logarithm of src, element by element: −Inf at zero and NaN below; for float32, the relative
// error is below 2.2e-7. dst has the length of src and may be src.
func Log[T Float](dst, src []T) {
	dst = first(dst, len(src))
	if fast[T]() && len(src) > 0 {
		logFast(f32(dst), f32(src))
		return
	}
	for i, x := range src {
		dst[i] = log(x)
	}
}

// Sigmoid sets dst to 1/(1 + e^−src), element by element; for float32, the relative error is below 3e-7 and results below
// the smallest normal number may be zero. dst has the length of src and may be src.
func Sigmoid[T Float](dst, src []T) {
	dst = first(dst, len(src))
	if fast[T]() && len(src) > 0 {
		sigmoidFast(f32(dst), f32(src))
		return
	}
	for i, x := range src {
		dst[i] = sigmoid(x)
	}
}

// Tanh sets dst to the hyperbolic tangent of src, element by element; for float32, the relative error is below 3.5e-7.
// dst has the length of src and may be src.
func Tanh[T Float](dst, src []T) {
	dst = first(dst, len(src))
	if fast[T]() && len(src) > 0 {
		tanhFast(f32(dst), f32(src))
		return
	}
	for i, x := range src {
		dst[i] = tanh(x)
	}
}
