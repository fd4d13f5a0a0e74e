package dist

import (
	"fmt"
	"math"
)

// Point is the distribution with all mass at one value, for models that predict a single time. It has no density:
// LogProb is +Inf at Value and −Inf elsewhere. Score such a model by its error or by LogMass. The zero value has all
// mass at 0.
type Point struct {
	// Value is the time, finite and ≥ 0.
	Value float64
}

// Validate returns an error if Value is not valid.
func (p Point) Validate() error {
	if !(p.Value >= 0) || math.IsInf(p.Value, 1) {
		return fmt.Errorf("point distribution: value is %v, want a finite number ≥ 0", p.Value)
	}
	return nil
}

// HasDensity returns false.
func (p Point) HasDensity() bool { return false }

// logIf returns 0 if certain, otherwise −Inf.
func logIf(certain bool) float64 {
	if certain {
		return 0
	}
	return math.Inf(-1)
}

// Prob returns +Inf at Value and 0 elsewhere.
func (p Point) Prob(t float64) float64 { return math.Exp(p.LogProb(t)) }

// LogProb returns +Inf at Value and −Inf elsewhere.
func (p Point) LogProb(t float64) float64 {
	switch {
	case isNaN(t):
		return t
	case t == p.Value:
		return math.Inf(1)
	}
	return math.Inf(-1)
}

// CDF returns 1 from Value on and 0 before.
func (p Point) CDF(t float64) float64 { return math.Exp(p.LogCDF(t)) }

// LogCDF returns 0 from Value on and −Inf before.
func (p Point) LogCDF(t float64) float64 {
	if isNaN(t) {
		return t
	}
	return logIf(t >= p.Value)
}

// Survival returns 1 before Value and 0 from it on.
func (p Point) Survival(t float64) float64 { return math.Exp(p.LogSurvival(t)) }

// LogSurvival returns 0 before Value and −Inf from it on.
func (p Point) LogSurvival(t float64) float64 {
	if isNaN(t) {
		return t
	}
	return logIf(t < p.Value)
}

// LogInterval returns 0 if a < Value ≤ b, or if Value is 0 and a ≤ 0 ≤ b, and −Inf otherwise.
func (p Point) LogInterval(a, b float64) float64 {
	if isNaN(a) || isNaN(b) {
		return math.NaN()
	}
	return logIf((a < p.Value || a <= 0) && p.Value <= b)
}

// Hazard returns +Inf at Value and 0 elsewhere.
func (p Point) Hazard(t float64) float64 { return p.Prob(t) }

// Mean returns Value.
func (p Point) Mean() float64 { return p.Value }

// Median returns Value.
func (p Point) Median() float64 { return p.Value }

// Quantile returns Value for every p > 0, and 0 for p = 0.
func (p Point) Quantile(q float64) float64 {
	switch {
	case !(q >= 0 && q <= 1):
		return math.NaN()
	case q == 0:
		return 0
	}
	return p.Value
}

// QuantileLogSurvival returns Value for every logS < 0, and 0 for logS = 0.
func (p Point) QuantileLogSurvival(logS float64) float64 {
	return p.Quantile(-math.Expm1(logS))
}

// Rand returns Value.
func (p Point) Rand() float64 { return p.Value }

// RestrictedMean returns min(Value, h).
func (p Point) RestrictedMean(h float64) float64 { return math.Min(p.Value, h) }

// MeanResidual returns min(Value − elapsed, h), or 0 once Value has passed.
func (p Point) MeanResidual(elapsed, h float64) float64 {
	return math.Min(math.Max(p.Value-elapsed, 0), h)
}
