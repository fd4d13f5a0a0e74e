package dist

import "math"

// LogInterval returns log P(a < τ ≤ b). Components over which the interval is narrow are integrated by the series of the
// normal density around its middle, the others by the difference of the smaller tails.
func (l LogNormMix) LogInterval(a, b float64) float64 {
	switch {
	case isNaN(a) || isNaN(b):
		return math.NaN()
	case a <= 0:
		return l.LogCDF(b)
	case b <= a:
		return math.Inf(-1)
	case math.IsInf(b, 1):
		return l.LogSurvival(a)
	}
	// Half the width and the middle in log time; the width from the ratio, so that a narrow one keeps its digits.
	half := 0.5 * logRatio(a, b)
	middle := math.Log(a) + half
	m := l.maxLogWeight()
	mu, sigma := l.Mu[:len(l.LogWeights)], l.Sigma[:len(l.LogWeights)]
	mass, total := 0.0, 0.0
	for k, lw := range l.LogWeights {
		w := expNeg(lw - m)
		if w == 0 {
			continue
		}
		total += w
		d, s := math.Abs(middle-mu[k]), sigma[k]
		if z, h := -d/s, half/s; isNarrow(z, h) {
			mass += w * expNeg(-0.5*z*z) * narrowSeries(z, h) * (2 / sqrt2Pi) * h
		} else {
			mass += w * (normCDF((half-d)/s) - normTail((half+d)/s))
		}
	}
	if mass > tiny {
		return math.Min(math.Log(mass/total), 0)
	}
	sum := newLogSum()
	for k, lw := range l.LogWeights {
		if !math.IsInf(lw, -1) {
			sum.add(lw + logNormInterval(math.Abs(middle-mu[k]), half, sigma[k]))
		}
	}
	return math.Min(sum.log()-l.logTotalWeight(), 0)
}

// logRatio returns log(b/a) for 0 < a < b, accurate where b is close to a.
func logRatio(a, b float64) float64 {
	if r := (b - a) / a; r < 1 {
		return math.Log1p(r)
	}
	return math.Log(b) - math.Log(a)
}

// normCDF returns Φ(x).
func normCDF(x float64) float64 {
	if x > 0 {
		return 1 - normTail(x)
	}
	return normTail(-x)
}

// isNarrow reports whether narrowSeries is exact to rounding for z ± h.
func isNarrow(z, h float64) bool { return (1+math.Abs(z))*h < 0.1 }

// narrowSeries returns (Φ(z+h) − Φ(z−h)) / (2 h φ(z)) = Σₙ He₂ₙ(z) h²ⁿ / (2n+1)!, by Taylor's expansion of φ around z with
// Hermite's polynomials.
func narrowSeries(z, h float64) float64 {
	sum, term := 1.0, 1.0
	even, odd := 1.0, z // He₂ₙ and He₂ₙ₊₁
	for n := 1.0; n <= 5; n++ {
		even = z*odd - (2*n-1)*even
		odd = z*even - 2*n*odd
		term *= h * h / (2 * n * (2*n + 1))
		sum += even * term
	}
	return sum
}

// logNormInterval returns the logarithm of the probability of the interval of ± half around the mean ± d, d ≥ 0, of a normal
// distribution with standard deviation sigma.
func logNormInterval(d, half, sigma float64) float64 {
	if z, h := -d/sigma, half/sigma; isNarrow(z, h) {
		return -0.5*z*z - logSqrt2Pi + math.Log(2*h*narrowSeries(z, h))
	}
	upper := logNormCDF((half - d) / sigma)
	if math.IsInf(upper, -1) {
		return upper
	}
	return logSubExp(upper, logNormCDF(-(half+d)/sigma))
}
