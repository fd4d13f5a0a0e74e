package dist

import "math"

// none stands for a distribution that is missing: all about it is NaN.
type none struct{}

// known returns d, or none in the place of nil.
func known(d Distribution) Distribution {
	if d == nil {
		return none{}
	}
	return d
}

func (none) HasDensity() bool                        { return false }
func (none) LogProb(float64) float64                 { return math.NaN() }
func (none) CDF(float64) float64                     { return math.NaN() }
func (none) LogSurvival(float64) float64             { return math.NaN() }
func (none) LogInterval(a, b float64) float64        { return math.NaN() }
func (none) Quantile(float64) float64                { return math.NaN() }
func (none) QuantileLogSurvival(float64) float64     { return math.NaN() }
func (none) RestrictedMean(float64) float64          { return math.NaN() }
func (none) MeanResidual(elapsed, h float64) float64 { return math.NaN() }
