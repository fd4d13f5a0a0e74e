package dist

import (
	"math"
	"math/rand/v2"
)

// Distribution is the distribution of a time τ ≥ 0 to the next event, in any unit of time. Densities are per that unit. These
// four methods are all that a distribution needs; the functions of this package derive the rest from them: [LogInterval],
// [Median], [Mean], [Hazard], [Rand] and others. Each of these calls the method of the same name if the distribution has one.
// The distributions of this package have methods for nearly all of them.
//
// A distribution may be defective: with probability 1 − CDF(+Inf) the event never comes, and then its mean is +Inf, and so are
// quantiles beyond CDF(+Inf). With valid parameters no method returns NaN for any time from 0 to +Inf. For times below 0
// density and CDF are 0. A NaN gives NaN, and so does a nil Distribution.
type Distribution interface {
	// LogProb returns the logarithm of the probability density f(t), accurate where f(t) underflows.
	LogProb(t float64) float64
	// CDF returns F(t) = P(τ ≤ t).
	CDF(t float64) float64
	// LogSurvival returns log S(t) = log P(τ > t), accurate far in the tail where S(t) underflows and near 0 where it is close to 1.
	LogSurvival(t float64) float64
	// Quantile returns the smallest t with F(t) ≥ p, for 0 ≤ p ≤ 1. Any other p gives NaN.
	Quantile(p float64) float64
}

// LogMass returns the logarithm of the probability that a clock of the given resolution reads t: the probability of the cell
// (t − resolution/2, t + resolution/2], where the cell of 0 takes all mass below. Unlike a density it is bounded by 0,
// whatever the data: compare models by it where times are rounded. A resolution of 0 gives LogProb(t).
func LogMass(d Distribution, t, resolution float64) float64 {
	if resolution == 0 {
		return known(d).LogProb(t)
	}
	return LogInterval(d, math.Max(t-resolution/2, 0), t+resolution/2)
}

// uniform draws from (0, 1], so that its logarithm is finite. A nil source means the global one.
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
