package dist

import "math"

// Mean returns E[τ] = Σₖ wₖ exp(μₖ + σₖ²/2). It may be astronomically large, or overflow to +Inf, where the median is
// moderate: predict with Median or RestrictedMean.
func (l LogNormMix) Mean() float64 {
	sum := newLogSum()
	for k, lw := range l.LogWeights {
		if !math.IsInf(lw, -1) {
			sum.add(lw + (l.Mu[k] + 0.5*l.Sigma[k]*l.Sigma[k]))
		}
	}
	return math.Exp(sum.log() - l.logTotalWeight())
}

// RestrictedMean returns E[min(τ, h)], per component the partial expectation below h and h times the survival,
//
//	exp(μ + σ²/2) Φ(z − σ) + h (1 − Φ(z)), z = (log h − μ)/σ.
func (l LogNormMix) RestrictedMean(h float64) float64 {
	switch {
	case h <= 0 || isNaN(h):
		return h
	case math.IsInf(h, 1):
		return l.Mean()
	}
	x := math.Log(h)
	m := l.maxLogWeight()
	sum, total := 0.0, 0.0
	for k, lw := range l.LogWeights {
		w := expNeg(lw - m)
		if w == 0 {
			continue
		}
		z := (x - l.Mu[k]) / l.Sigma[k]
		total += w
		sum += w * (partialMean(h, z, l.Mu[k], l.Sigma[k]) + h*normCDF(-z))
	}
	return math.Min(sum/total, h)
}

// partialMean returns E[τ; τ ≤ h] of one component, z = (log h − μ)/σ. Below z = σ, where exp(σ²/2) may overflow beside a
// tail that underflows, it is h φ(z) M(σ − z) with Mills' ratio M.
func partialMean(h, z, mu, sigma float64) float64 {
	if z >= sigma {
		return math.Exp(mu+0.5*sigma*sigma) * normCDF(z-sigma)
	}
	if math.Abs(z) > 40 {
		return 0
	}
	return h * expNeg(-0.5*z*z) * mills(sigma-z) * (1 / sqrt2Pi)
}
