package dist

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Exponential is the exponential distribution, that of the gaps of a homogeneous Poisson process: f(t) = Rate exp(−Rate t).
// The zero value is not valid; it stands for an event that never comes.
type Exponential struct {
	// Rate is the number of events per unit of time, finite and > 0.
	Rate float64
	// Src is the source of Rand; nil means the global source.
	Src rand.Source
}

// Validate returns an error if Rate is not valid.
func (e Exponential) Validate() error {
	if !(e.Rate > 0) || math.IsInf(e.Rate, 1) {
		return fmt.Errorf("exponential: rate is %v, want a finite number > 0", e.Rate)
	}
	return nil
}

// Prob returns the probability density.
func (e Exponential) Prob(t float64) float64 { return math.Exp(e.LogProb(t)) }

// LogProb returns log Rate − Rate t.
func (e Exponential) LogProb(t float64) float64 {
	if t < 0 {
		return math.Inf(-1)
	}
	return math.Log(e.Rate) - times(e.Rate, t)
}

// CDF returns 1 − exp(−Rate t).
func (e Exponential) CDF(t float64) float64 {
	if t < 0 {
		return 0
	}
	return -math.Expm1(-times(e.Rate, t))
}

// LogCDF returns log(1 − exp(−Rate t)).
func (e Exponential) LogCDF(t float64) float64 {
	if t <= 0 {
		return math.Inf(-1)
	}
	return log1mExp(-times(e.Rate, t))
}

// Survival returns exp(−Rate t).
func (e Exponential) Survival(t float64) float64 { return math.Exp(e.LogSurvival(t)) }

// LogSurvival returns −Rate t.
func (e Exponential) LogSurvival(t float64) float64 {
	if t <= 0 {
		return 0
	}
	return -times(e.Rate, t)
}

// LogInterval returns log P(a < τ ≤ b) = −Rate a + log(1 − exp(−Rate (b − a))).
func (e Exponential) LogInterval(a, b float64) float64 {
	switch {
	case isNaN(a) || isNaN(b):
		return math.NaN()
	case a <= 0:
		return e.LogCDF(b)
	case b <= a:
		return math.Inf(-1)
	}
	return -times(e.Rate, a) + log1mExp(-times(e.Rate, b-a))
}

// Hazard returns Rate.
func (e Exponential) Hazard(t float64) float64 {
	switch {
	case isNaN(t):
		return t
	case t < 0:
		return 0
	}
	return e.Rate
}

// Mean returns 1/Rate.
func (e Exponential) Mean() float64 { return 1 / e.Rate }

// Median returns log(2)/Rate.
func (e Exponential) Median() float64 { return math.Ln2 / e.Rate }

// Quantile returns −log(1 − p)/Rate.
func (e Exponential) Quantile(p float64) float64 {
	if !(p >= 0 && p <= 1) {
		return math.NaN()
	}
	return e.QuantileLogSurvival(math.Log1p(-p))
}

// QuantileLogSurvival returns −logS/Rate.
func (e Exponential) QuantileLogSurvival(logS float64) float64 {
	if !(logS <= 0) {
		return math.NaN()
	}
	return math.Abs(logS) / e.Rate
}

// Rand draws a τ by inversion.
func (e Exponential) Rand() float64 { return e.QuantileLogSurvival(math.Log(uniform(e.Src))) }

// RestrictedMean returns (1 − exp(−Rate h))/Rate.
func (e Exponential) RestrictedMean(h float64) float64 {
	if h <= 0 || e.Rate == 0 {
		return h
	}
	return -math.Expm1(-e.Rate*h) / e.Rate
}

// MeanResidual returns RestrictedMean(h) for any elapsed time: the distribution has no memory.
func (e Exponential) MeanResidual(elapsed, h float64) float64 { return e.RestrictedMean(h) }
