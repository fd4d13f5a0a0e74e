package dist

import (
	"errors"
	"fmt"
	"math"
)

// Shifted is the distribution of Offset + τ. The zero value is not valid: without Dist all is NaN.
type Shifted struct {
	// Dist is the distribution of τ.
	Dist Distribution
	// Offset is added to τ; it is finite and ≥ 0.
	Offset float64
}

// HasDensity reports whether Dist has a density.
func (s Shifted) HasDensity() bool { return HasDensity(s.Dist) }

// Validate returns an error if Dist is nil or Offset is not valid.
func (s Shifted) Validate() error {
	if s.Dist == nil {
		return errors.New("shifted distribution: no distribution")
	}
	if !(s.Offset >= 0) || math.IsInf(s.Offset, 1) {
		return fmt.Errorf("shifted distribution: offset is %v, want a finite number ≥ 0", s.Offset)
	}
	return nil
}

// Prob returns the probability density.
func (s Shifted) Prob(t float64) float64 { return Prob(s.Dist, t-s.Offset) }

// LogProb returns the logarithm of the probability density.
func (s Shifted) LogProb(t float64) float64 { return known(s.Dist).LogProb(t - s.Offset) }

// CDF returns P(Offset + τ ≤ t).
func (s Shifted) CDF(t float64) float64 { return known(s.Dist).CDF(t - s.Offset) }

// LogCDF returns log P(Offset + τ ≤ t).
func (s Shifted) LogCDF(t float64) float64 { return LogCDF(s.Dist, t-s.Offset) }

// Survival returns P(Offset + τ > t).
func (s Shifted) Survival(t float64) float64 { return Survival(s.Dist, t-s.Offset) }

// LogSurvival returns log P(Offset + τ > t).
func (s Shifted) LogSurvival(t float64) float64 { return known(s.Dist).LogSurvival(t - s.Offset) }

// LogInterval returns log P(a < Offset + τ ≤ b).
func (s Shifted) LogInterval(a, b float64) float64 {
	if a == s.Offset && a > 0 {
		// Here 0 is an ordinary bound of τ, and the mass at it is outside.
		return LogInterval(s.Dist, math.SmallestNonzeroFloat64, b-s.Offset)
	}
	return LogInterval(s.Dist, a-s.Offset, b-s.Offset)
}

// Hazard returns the hazard at t, 0 before Offset.
func (s Shifted) Hazard(t float64) float64 { return Hazard(s.Dist, t-s.Offset) }

// Mean returns Offset + E[τ].
func (s Shifted) Mean() float64 { return s.Offset + Mean(s.Dist) }

// Median returns Quantile(0.5).
func (s Shifted) Median() float64 { return s.Quantile(0.5) }

// Quantile returns Offset + τ's quantile, and 0 for p = 0.
func (s Shifted) Quantile(p float64) float64 {
	if p == 0 {
		return 0
	}
	return s.Offset + known(s.Dist).Quantile(p)
}

// Rand draws a τ and adds Offset.
func (s Shifted) Rand() float64 { return s.Offset + Rand(s.Dist, nil) }

// RestrictedMean returns E[min(Offset + τ, h)].
func (s Shifted) RestrictedMean(h float64) float64 {
	if h <= s.Offset {
		return h
	}
	return s.Offset + RestrictedMean(s.Dist, h-s.Offset)
}
