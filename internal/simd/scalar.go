package simd

import (
	"math"
	"unsafe"
)

// The scalar forms of the elementary functions, for portable Go: those of package math for float64, and for float32 the
// approximations that the assembly uses, at a third of the time.

func exp[T Float](x T) T {
	if unsafe.Sizeof(x) == 4 {
		return T(exp32(float32(x)))
	}
	return T(math.Exp(float64(x)))
}

func tanh[T Float](x T) T {
	if unsafe.Sizeof(x) == 4 {
		return T(tanh32(float32(x)))
	}
	return T(math.Tanh(float64(x)))
}

func log[T Float](x T) T { return T(math.Log(float64(x))) }

// sigmoid never takes the exponential of a positive number, and keeps its relative accuracy for negative ones.
func sigmoid[T Float](x T) T {
	if x < 0 {
		e := exp(x)
		return e / (1 + e)
	}
	return 1 / (1 + exp(-x))
}

// exp32 returns 2ⁿ·exp(r) with |r| ≤ ½·log 2, whose polynomial is a Chebyshev fit. log 2 is taken in two parts, the first so
// short that its product with n is exact. Denormal results are zero.
func exp32(x float32) float32 {
	const high, low = 0.693359375, -2.12194440054690583e-4
	switch {
	case x < -87.33654:
		return 0
	case x > 88.72283:
		return float32(math.Inf(1))
	case x != x:
		return x
	}
	turned := x * math.Log2E
	if turned < 0 {
		turned -= 0.5
	} else {
		turned += 0.5
	}
	n := int32(turned)
	r := x - float32(n)*high - float32(n)*low
	p := float32(0.00139262508315)
	p = p*r + 0.00836323288368
	p = p*r + 0.041666554213
	p = p*r + 0.166665766661
	p = p*r + 0.5
	p = p*r*r + r + 1
	return math.Float32frombits(math.Float32bits(p) + uint32(n)<<23)
}

// tanh32 returns tanh(x) by a rational function, a least-squares fit, up to where the result is 1 to the last bit.
func tanh32(x float32) float32 {
	x = max(min(x, 9.02), -9.02)
	s := x * x
	p := float32(1.33848278376e-8)
	p = p*s + 2.06362648483e-5
	p = p*s + 0.00349748700528
	p = p*s + 0.133827127674
	p = p*s + 1
	q := float32(7.79048501199e-7)
	q = q*s + 0.00032885635887
	q = q*s + 0.0258844750306
	q = q*s + 0.467160340408
	q = q*s + 1
	return max(min(x*p/q, 1), -1)
}
