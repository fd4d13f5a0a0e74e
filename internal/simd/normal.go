package simd

import "math"

// LogNormalCDFGrad sets dst to log Φ(src), element by element, where Φ is the distribution function of the standard normal
// distribution, and derivative to its derivative φ(src)/Φ(src). Both are accurate however far in either tail: the relative
// error is below 1e-6 for float32, 5e-13 for float64. Both have the length of src; one of them may be src.
//
// log Φ of the left tail is log M(−x) − x²/2 − ½·log 2π with Mills' ratio M = (1 − Φ)/φ, of the right tail
// log(1 − φ(x)·M(x)).
func LogNormalCDFGrad[T Float](dst, derivative, src []T) {
	dst, derivative = first(dst, len(src)), first(derivative, len(src))
	if fast[T]() && len(src) > 0 {
		logNormalCDFGradFast(f32(dst), f32(derivative), f32(src))
		return
	}
	for i, x := range src {
		x := float64(x)
		l := logNormalCDF(x)
		dst[i] = T(l)
		if x < asymptotic {
			derivative[i] = T(-x / millsSeries(x))
		} else {
			derivative[i] = T(math.Exp(logNormalDensity(x) - l))
		}
	}
}

// asymptotic is where the tail is left to the series of millsSeries.
const asymptotic = -12

const halfLog2Pi = 0.91893853320467274178 // ½·log 2π

func logNormalDensity(x float64) float64 { return -x*x/2 - halfLog2Pi }

func logNormalCDF(x float64) float64 {
	switch {
	case math.IsInf(x, -1):
		return x
	case x < asymptotic:
		return logNormalDensity(x) + math.Log(-millsSeries(x)/x)
	case x < 0:
		return math.Log(math.Erfc(-x/math.Sqrt2) / 2)
	default:
		return math.Log1p(-math.Erfc(x/math.Sqrt2) / 2)
	}
}

// millsSeries returns |x|·M(|x|) for x < −12: 1 − 1/x² + 3/x⁴ − 15/x⁶ + …, of which twelve terms are enough for 1e-16
// (Abramowitz and Stegun, 26.2.12).
func millsSeries(x float64) float64 {
	sum, term := 1.0, 1.0
	for n := 1.0; n <= 23; n += 2 {
		term *= -n / (x * x)
		sum += term
	}
	return sum
}

// NormalMixtureCDF returns Σ w·Φ(u), Σ w·Φ(−u) and the derivative Σ w·p·φ(u) of the first, at x, of a mixture of normal
// distributions with the given weights w, locations μ, and precisions p = 1/σ, where u = (x − μ)·p. The slices have one
// length. The second result, the survival, is accurate where it is small, and so is the first.
func NormalMixtureCDF[T Float](weights, locations, precisions []T, x T) (cdf, survival, density T) {
	locations, precisions = first(locations, len(weights)), first(precisions, len(weights))
	if fast[T]() && len(weights) > 0 {
		c, s, d := normalMixtureCDFFast(f32(weights), f32(locations), f32(precisions), float32(x))
		return T(c), T(s), T(d)
	}
	for i, w := range weights {
		u := float64((x - locations[i]) * precisions[i])
		cdf += w * T(math.Erfc(-u/math.Sqrt2)/2)
		survival += w * T(math.Erfc(u/math.Sqrt2)/2)
		density += w * precisions[i] * T(math.Exp(logNormalDensity(u)))
	}
	return cdf, survival, density
}
