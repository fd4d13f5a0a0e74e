package dist

import (
	"math"
	"math/rand/v2"
)

// Distribution is the distribution of a time τ ≥ 0 to the next event, in any unit of time. Densities and hazards are per
// that unit.
//
// It may be defective: with probability Survival(+Inf) > 0 the event never comes, and then Mean is +Inf, and so are
// quantiles beyond CDF(+Inf). With valid parameters no method returns NaN for any time from 0 to +Inf. A time below 0
// is before everything: density and CDF are 0 there. A NaN gives NaN.
type Distribution interface {
	// Prob is the probability density f(t).
	Prob(t float64) float64
	// LogProb is log f(t), accurate where f(t) underflows.
	LogProb(t float64) float64
	// CDF is F(t) = P(τ ≤ t).
	CDF(t float64) float64
	// LogCDF is log F(t), accurate where F(t) underflows.
	LogCDF(t float64) float64
	// Survival is S(t) = P(τ > t) = 1 − F(t).
	Survival(t float64) float64
	// LogSurvival is log S(t), accurate far in the tail where S(t) underflows and near 0 where it is close to 1.
	LogSurvival(t float64) float64
	// LogInterval is log P(a < τ ≤ b), accurate for intervals so narrow or so far in a tail that the CDF does not
	// resolve them. Where a ≤ 0 it includes the mass at 0. It is −Inf for an empty interval.
	LogInterval(a, b float64) float64
	// Hazard is f(t)/S(t), the rate of the event at t given that it has not come before.
	Hazard(t float64) float64
	// Mean is E[τ], which may be +Inf.
	Mean() float64
	// Median is Quantile(0.5).
	Median() float64
	// Quantile is the smallest t with F(t) ≥ p, for 0 ≤ p ≤ 1. Any other p gives NaN.
	Quantile(p float64) float64
	// Rand draws a τ.
	Rand() float64
	// RestrictedMean is E[min(τ, h)] = ∫₀ʰ S(t) dt, the mean under a cap: finite for every finite h, and Mean for
	// h = +Inf. (Royston & Parmar 2013, Restricted mean survival time.)
	RestrictedMean(h float64) float64
}

// TailQuantiler is a Distribution that inverts its survival function on the logarithmic scale, also where the survival
// probability underflows. Conditional makes use of it.
type TailQuantiler interface {
	Distribution
	// QuantileLogSurvival is the smallest t with log S(t) ≤ logS, for logS ≤ 0.
	QuantileLogSurvival(logS float64) float64
}

// MeanResidualer is a Distribution that knows the mean of what remains. Conditional makes use of it.
type MeanResidualer interface {
	Distribution
	// MeanResidual is E[min(τ − elapsed, h) | τ > elapsed] for elapsed ≥ 0 and 0 ≤ h ≤ +Inf.
	MeanResidual(elapsed, h float64) float64
}

// LogMass is the logarithm of the probability that a clock of the given resolution reads t: the probability of the cell
// (t − resolution/2, t + resolution/2], where the cell of 0 takes all mass below. Unlike a density it is bounded by 0,
// whatever the data: compare models by it where times are rounded. A resolution of 0 gives LogProb(t).
func LogMass(d Distribution, t, resolution float64) float64 {
	if resolution == 0 {
		return d.LogProb(t)
	}
	return d.LogInterval(math.Max(t-resolution/2, 0), t+resolution/2)
}

// uniform draws from (0, 1], so that its logarithm is finite. A nil source stands for the global one.
func uniform(src rand.Source) float64 {
	if src == nil {
		return 1 - rand.Float64()
	}
	return float64(src.Uint64()>>11+1) / (1 << 53)
}

// normal draws from the standard normal distribution.
func normal(src rand.Source) float64 {
	if src == nil {
		return rand.NormFloat64()
	}
	return rand.New(src).NormFloat64()
}

func isNaN(x float64) bool { return x != x }
