package dist

import (
	"math"
	"math/rand/v2"
)

// Prob returns the probability density f(t).
func Prob(d Distribution, t float64) float64 {
	d = known(d)
	if m, ok := d.(interface{ Prob(t float64) float64 }); ok {
		return m.Prob(t)
	}
	return math.Exp(d.LogProb(t))
}

// LogCDF returns log F(t). Derived, it is as accurate as CDF where F(t) is small.
func LogCDF(d Distribution, t float64) float64 {
	d = known(d)
	if m, ok := d.(interface{ LogCDF(t float64) float64 }); ok {
		return m.LogCDF(t)
	}
	if logS := d.LogSurvival(t); logS < -math.Ln2 {
		return log1mExp(logS)
	}
	return math.Log(d.CDF(t))
}

// Survival returns S(t) = P(τ > t) = 1 − F(t).
func Survival(d Distribution, t float64) float64 {
	d = known(d)
	if m, ok := d.(interface{ Survival(t float64) float64 }); ok {
		return m.Survival(t)
	}
	return math.Exp(d.LogSurvival(t))
}

// LogInterval returns log P(a < τ ≤ b). Where a ≤ 0 it includes the mass at 0. It is −Inf for an empty interval.
//
// Derived, it is the difference of two values of the survival function or of the CDF, and where those agree in most of their
// digits the integral of the density, which takes τ to be continuous there: a distribution with atoms should have a
// LogInterval method of its own.
func LogInterval(d Distribution, a, b float64) float64 {
	d = known(d)
	if m, ok := d.(interface{ LogInterval(a, b float64) float64 }); ok {
		return m.LogInterval(a, b)
	}
	switch {
	case isNaN(a) || isNaN(b):
		return math.NaN()
	case a <= 0:
		return LogCDF(d, b)
	case b <= a:
		return math.Inf(-1)
	}
	logA, logB := d.LogSurvival(a), d.LogSurvival(b)
	if math.IsInf(logA, -1) {
		return logA // nothing is left after a
	}
	difference, resolved := logA+log1mExp(logB-logA), logA-logB > 1e-6
	if logA > -math.Ln2 {
		f, g := d.CDF(a), d.CDF(b)
		difference, resolved = math.Log(math.Max(g-f, 0)), g-f > 1e-6*g
	}
	if resolved || math.IsInf(b, 1) {
		return difference
	}
	peak := d.LogProb(a + 0.5*(b-a))
	if math.IsInf(peak, 0) || isNaN(peak) {
		return difference
	}
	mass := peak + math.Log(gauss(func(t float64) float64 { return d.LogProb(t) - peak }, a, b))
	return math.Min(mass, logA)
}

// Hazard returns f(t)/S(t), the rate of the event at t given that it has not come before.
func Hazard(d Distribution, t float64) float64 {
	d = known(d)
	if m, ok := d.(interface{ Hazard(t float64) float64 }); ok {
		return m.Hazard(t)
	}
	logS := d.LogSurvival(t)
	switch {
	case t < 0:
		return 0
	case math.IsInf(logS, -1):
		return math.Inf(1) // after the end of the support the event cannot but have come
	}
	return math.Exp(d.LogProb(t) - logS)
}

// Median returns the quantile at 0.5.
func Median(d Distribution) float64 {
	d = known(d)
	if m, ok := d.(interface{ Median() float64 }); ok {
		return m.Median()
	}
	return d.Quantile(0.5)
}

// QuantileLogSurvival returns the smallest t with log S(t) ≤ logS, for logS ≤ 0: the quantile also where the survival
// probability underflows. Any other logS gives NaN.
func QuantileLogSurvival(d Distribution, logS float64) float64 {
	d = known(d)
	if m, ok := d.(interface{ QuantileLogSurvival(logS float64) float64 }); ok {
		return m.QuantileLogSurvival(logS)
	}
	switch {
	case !(logS <= 0):
		return math.NaN()
	case logS == 0:
		return 0
	case logS > -5: // 1 − S keeps its digits
		return d.Quantile(-math.Expm1(logS))
	}
	return bisect(func(t float64) bool { return d.LogSurvival(t) <= logS })
}

// Mean returns E[τ], which may be +Inf.
func Mean(d Distribution) float64 {
	d = known(d)
	if m, ok := d.(interface{ Mean() float64 }); ok {
		return m.Mean()
	}
	return RestrictedMean(d, math.Inf(1))
}

// RestrictedMean returns E[min(τ, h)] = ∫₀ʰ S(t) dt, the mean of τ capped at h: finite for every finite h, and Mean for
// h = +Inf. (Royston & Parmar 2013, Restricted mean survival time.)
func RestrictedMean(d Distribution, h float64) float64 {
	d = known(d)
	if m, ok := d.(interface{ RestrictedMean(h float64) float64 }); ok {
		return m.RestrictedMean(h)
	}
	if h <= 0 || isNaN(h) {
		return h
	}
	return integrateSurvival(d, h, 1e-13)
}

// Rand draws a τ by inversion with numbers from src. Where src is nil, a distribution that has a method Rand() draws with its
// own source, any other one with the global source.
func Rand(d Distribution, src rand.Source) float64 {
	d = known(d)
	if m, ok := d.(interface{ Rand() float64 }); ok && src == nil {
		return m.Rand()
	}
	return QuantileLogSurvival(d, math.Log(uniform(src)))
}

// HasDensity reports whether d has a density. It is true unless d has a method HasDensity that returns false, as [Point] has.
func HasDensity(d Distribution) bool {
	d = known(d)
	m, ok := d.(interface{ HasDensity() bool })
	return !ok || m.HasDensity()
}
