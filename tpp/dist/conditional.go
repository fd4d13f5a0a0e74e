package dist

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
)

// Conditional is the distribution of the remaining time τ − Elapsed given τ > Elapsed,
//
//	S(t | Elapsed) = S(Elapsed + t)/S(Elapsed).
//
// It is computed from logarithms and from probabilities of intervals, and stays correct where S(Elapsed) underflows. If Dist
// has a method MeanResidual(elapsed, h), E[min(τ − elapsed, h) | τ > elapsed], means are computed by it. With Elapsed 0 it is
// Dist itself, including its mass at 0.
//
// If S(Elapsed) is 0 (for example a Point that has passed), the event is overdue and all mass is at 0. Times are sums
// Elapsed + t in float64, so t is resolved to about 1e-16 Elapsed. The zero value is not valid: without Dist all is NaN.
type Conditional struct {
	// Dist is the distribution of τ from its beginning.
	Dist Distribution
	// Elapsed is the time that has passed without the event, finite and ≥ 0.
	Elapsed float64
	// Src is the source of Rand; nil means the global source.
	Src rand.Source
}

// tailQuantiler is a Distribution that inverts its log survival function.
type tailQuantiler interface {
	Distribution
	QuantileLogSurvival(logS float64) float64
}

// HasDensity reports whether Dist has a density.
func (c Conditional) HasDensity() bool { return HasDensity(c.Dist) }

// Validate returns an error if Dist is nil or Elapsed is not valid.
func (c Conditional) Validate() error {
	if c.Dist == nil {
		return errors.New("conditional distribution: no distribution")
	}
	if !(c.Elapsed >= 0) || math.IsInf(c.Elapsed, 1) {
		return fmt.Errorf("conditional distribution: elapsed time is %v, want a finite number ≥ 0", c.Elapsed)
	}
	return nil
}

// Total returns the distribution of τ itself given τ > Elapsed.
func (c Conditional) Total() Shifted { return Shifted{Dist: c, Offset: c.Elapsed} }

// logReached returns log S(Elapsed); 0 if Elapsed is 0.
func (c *Conditional) logReached() float64 {
	if c.Elapsed == 0 {
		return 0
	}
	return known(c.Dist).LogSurvival(c.Elapsed)
}

// Prob returns the probability density of the remaining time.
func (c Conditional) Prob(t float64) float64 { return math.Exp(c.LogProb(t)) }

// LogProb returns log f(Elapsed + t) − log S(Elapsed).
func (c Conditional) LogProb(t float64) float64 {
	reached := c.logReached()
	switch {
	case isNaN(t):
		return t
	case t < 0:
		return math.Inf(-1)
	case math.IsInf(reached, -1):
		return Point{}.LogProb(t)
	}
	return known(c.Dist).LogProb(c.Elapsed+t) - reached
}

// CDF returns P(τ ≤ Elapsed + t | τ > Elapsed), the probability that the event comes within t from now.
func (c Conditional) CDF(t float64) float64 {
	reached, logS := c.ratio(t)
	if logS < -math.Ln2 {
		return -math.Expm1(logS)
	}
	return math.Exp(c.logCDFNear(t, reached))
}

// LogCDF returns log P(Elapsed < τ ≤ Elapsed + t) − log S(Elapsed), computed from the survival where that is small.
func (c Conditional) LogCDF(t float64) float64 {
	reached, logS := c.ratio(t)
	if logS < -math.Ln2 {
		return log1mExp(logS)
	}
	return c.logCDFNear(t, reached)
}

// Survival returns S(Elapsed + t)/S(Elapsed).
func (c Conditional) Survival(t float64) float64 { return math.Exp(c.LogSurvival(t)) }

// LogSurvival returns log S(Elapsed + t) − log S(Elapsed), computed from the CDF where the two are close.
func (c Conditional) LogSurvival(t float64) float64 {
	reached, logS := c.ratio(t)
	if logS < -math.Ln2 {
		return logS
	}
	return log1mExp(c.logCDFNear(t, reached))
}

// ratio returns log S(Elapsed), and log S(Elapsed + t) − log S(Elapsed) by plain subtraction.
func (c *Conditional) ratio(t float64) (reached, logS float64) {
	reached = c.logReached()
	switch {
	case isNaN(t):
		return reached, t
	case t < 0:
		return reached, 0
	case math.IsInf(reached, -1):
		return reached, reached
	}
	return reached, known(c.Dist).LogSurvival(c.Elapsed+t) - reached
}

// logCDFNear returns LogCDF for t before the median, where subtraction of logarithms would cancel.
func (c *Conditional) logCDFNear(t, reached float64) float64 {
	switch {
	case isNaN(t):
		return t
	case t < 0:
		return math.Inf(-1)
	}
	return math.Min(LogInterval(c.Dist, c.Elapsed, c.Elapsed+t)-reached, 0)
}

// LogInterval returns log P(Elapsed + a < τ ≤ Elapsed + b) − log S(Elapsed).
func (c Conditional) LogInterval(a, b float64) float64 {
	reached := c.logReached()
	switch {
	case isNaN(a) || isNaN(b):
		return math.NaN()
	case a <= 0:
		return c.LogCDF(b)
	case math.IsInf(reached, -1):
		return math.Inf(-1)
	}
	return math.Min(LogInterval(c.Dist, c.Elapsed+a, c.Elapsed+b)-reached, 0)
}

// Hazard returns the hazard of Dist at Elapsed + t: conditioning does not change it.
func (c Conditional) Hazard(t float64) float64 {
	switch {
	case isNaN(t):
		return t
	case t < 0:
		return 0
	case math.IsInf(c.logReached(), -1):
		return Point{}.Hazard(t)
	}
	return Hazard(c.Dist, c.Elapsed+t)
}

// Mean returns the mean residual life E[τ − Elapsed | τ > Elapsed].
func (c Conditional) Mean() float64 { return c.RestrictedMean(math.Inf(1)) }

// Median returns Quantile(0.5).
func (c Conditional) Median() float64 { return c.Quantile(0.5) }

// Quantile returns the smallest remaining time with CDF ≥ p, by Dist's QuantileLogSurvival if it has one, otherwise by
// bisection.
func (c Conditional) Quantile(p float64) float64 {
	switch {
	case !(p >= 0 && p <= 1):
		return math.NaN()
	case p == 0:
		return 0
	case c.Elapsed == 0:
		return known(c.Dist).Quantile(p)
	}
	if d, ok := known(c.Dist).(tailQuantiler); ok && !(p <= -1e-7*c.logReached()) {
		return c.quantile(d, math.Log1p(-p))
	}
	// Added to log S(Elapsed), log(1 − p) would lose its digits.
	logP := math.Log(p)
	return bisect(func(t float64) bool { return c.LogCDF(t) >= logP })
}

// QuantileLogSurvival returns the smallest remaining time with log S(t | Elapsed) ≤ logS.
func (c Conditional) QuantileLogSurvival(logS float64) float64 {
	switch {
	case !(logS <= 0):
		return math.NaN()
	case logS == 0:
		return 0
	}
	if d, ok := known(c.Dist).(tailQuantiler); ok {
		return c.quantile(d, logS)
	}
	return bisect(func(t float64) bool { return c.LogSurvival(t) <= logS })
}

// quantile returns the remaining time at which log S has decreased by −logS.
func (c *Conditional) quantile(d tailQuantiler, logS float64) float64 {
	reached := c.logReached()
	if math.IsInf(reached, -1) {
		return 0
	}
	t := d.QuantileLogSurvival(reached + logS)
	if math.IsInf(t, 1) {
		return t
	}
	return math.Max(t-c.Elapsed, 0)
}

// Rand draws a remaining time by inversion.
func (c Conditional) Rand() float64 { return c.QuantileLogSurvival(math.Log(uniform(c.Src))) }

// RestrictedMean returns E[min(τ − Elapsed, h) | τ > Elapsed].
func (c Conditional) RestrictedMean(h float64) float64 {
	switch {
	case h <= 0 || isNaN(h):
		return h
	case c.Elapsed == 0:
		return RestrictedMean(c.Dist, h)
	}
	if d, ok := known(c.Dist).(interface {
		MeanResidual(elapsed, h float64) float64
	}); ok {
		return d.MeanResidual(c.Elapsed, h)
	}
	reached := c.logReached()
	if math.IsInf(reached, -1) {
		return 0
	}
	whole := RestrictedMean(c.Dist, c.Elapsed+h)
	if rest := whole - RestrictedMean(c.Dist, c.Elapsed); rest > 1e-3*whole && reached > -700 {
		return math.Min(rest/math.Exp(reached), h)
	}
	return math.Min(integrateSurvival(&c, h, 1e-13-1e-15*reached), h) // log S is noisy by its own rounding
}
