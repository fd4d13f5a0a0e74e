package dist

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
)

// Empirical is the empirical distribution of a sample of times, mixed with a broad background distribution of small weight w,
// so that times outside of the sample are unlikely but not impossible: F(t) = (1 − w) Fₙ(t) + w B(t). The default background
// has the sample's median, so the mixture has it too: smoothing changes the likelihood, not the prediction. It is made by
// NewEmpirical; the zero value is not valid, and all about it is NaN.
//
// The sample's part is discrete. Where Resolution is > 0, Prob is a density all the same: the probability of a cell of
// the clock around t, divided by its width. Compare likelihoods by LogMass. Where Resolution is 0, Prob is +Inf at the
// values of the sample.
type Empirical struct {
	// Resolution is the step of the clock that measured the sample, in the unit of time: 1 for whole milliseconds; 0
	// means an ideal clock.
	Resolution float64
	// Background is the background distribution B. It may be replaced before use, but not by nil.
	Background Distribution
	// BackgroundWeight is the probability of Background, from 0 (the sample alone) to 1. NewEmpirical sets 1/(n+1), as if
	// one more time had been seen, which was anywhere.
	BackgroundWeight float64
	// Src is the source of Rand; nil means the global source.
	Src rand.Source

	values []float64 // sorted
	sums   []float64 // sums[i] is the sum of values[:i]
}

// NewEmpirical returns the distribution of a sample, which it copies. The sample must have at least one time, all
// finite and ≥ 0, measured by a clock of the given resolution ≥ 0. The background is the log-normal distribution with
// the sample's median, and with the sample's variance of log τ plus one.
func NewEmpirical(sample []float64, resolution float64) (*Empirical, error) {
	if len(sample) == 0 {
		return nil, errors.New("empirical distribution: the sample is empty")
	}
	if !(resolution >= 0) || math.IsInf(resolution, 1) {
		return nil, fmt.Errorf("empirical distribution: resolution is %v, want a finite number ≥ 0", resolution)
	}
	for i, x := range sample {
		if !(x >= 0) || math.IsInf(x, 1) {
			return nil, fmt.Errorf("empirical distribution: time %d of the sample is %v, want a finite number ≥ 0", i, x)
		}
	}
	e := &Empirical{
		Resolution:       resolution,
		BackgroundWeight: 1 / float64(len(sample)+1),
		values:           slices.Clone(sample),
		sums:             make([]float64, len(sample)+1),
	}
	slices.Sort(e.values)
	for i, x := range e.values {
		e.sums[i+1] = e.sums[i] + x
	}
	e.Background = e.defaultBackground()
	return e, nil
}

// defaultBackground returns the log-normal distribution of NewEmpirical. A time of 0 counts as half the resolution, or as the
// smallest positive time of the sample where there is none.
func (e *Empirical) defaultBackground() *LogNormMix {
	floor := e.Resolution / 2
	if floor == 0 {
		floor = 1
		if i := e.rank(0); i < len(e.values) {
			floor = e.values[i]
		}
	}
	center := math.Log(math.Max(e.sampleQuantile(0.5), floor))
	mean, squares := 0.0, 0.0 // Welford's update
	for i, x := range e.values {
		lx := math.Log(math.Max(x, floor))
		delta := lx - mean
		mean += delta / float64(i+1)
		squares += delta * (lx - mean)
	}
	sigma := math.Sqrt(1 + squares/float64(len(e.values)))
	return &LogNormMix{LogWeights: []float64{0}, Mu: []float64{center}, Sigma: []float64{sigma}}
}

// Validate returns an error if the background or its weight is not valid, or if e was not made by NewEmpirical.
func (e *Empirical) Validate() error {
	switch {
	case len(e.values) == 0:
		return errors.New("empirical distribution: the sample is empty")
	case e.Background == nil:
		return errors.New("empirical distribution: no background")
	case !(e.BackgroundWeight >= 0 && e.BackgroundWeight <= 1):
		return fmt.Errorf("empirical distribution: weight of the background is %v, want 0 to 1", e.BackgroundWeight)
	}
	return nil
}

// Len returns the size of the sample.
func (e *Empirical) Len() int { return len(e.values) }

// rank returns the number of times in the sample that are ≤ t.
func (e *Empirical) rank(t float64) int {
	return sort.Search(len(e.values), func(i int) bool { return e.values[i] > t })
}

// share returns the probability of count times of the sample: (1 − w) count/n.
func (e *Empirical) share(count int) float64 {
	return (1 - e.BackgroundWeight) * float64(count) / float64(len(e.values))
}

// logMixture returns log(share(count) + w exp(background)), where background is a log probability of the background.
func (e *Empirical) logMixture(count int, background float64) float64 {
	if e.BackgroundWeight == 0 {
		return math.Log(e.share(count))
	}
	background += math.Log(e.BackgroundWeight)
	if count == 0 {
		return background
	}
	return math.Min(math.Log(e.share(count)+math.Exp(background)), 0)
}

// Prob returns the probability of the clock's cell around t divided by its width.
func (e *Empirical) Prob(t float64) float64 { return math.Exp(e.LogProb(t)) }

// LogProb returns the logarithm of Prob.
func (e *Empirical) LogProb(t float64) float64 {
	switch {
	case isNaN(t) || len(e.values) == 0:
		return math.NaN()
	case t < 0 || math.IsInf(t, 1):
		return math.Inf(-1)
	case e.Resolution > 0:
		lo, hi := math.Max(t-e.Resolution/2, 0), t+e.Resolution/2
		if hi == lo {
			hi = math.Nextafter(hi, math.Inf(1)) // the clock is finer than float64 is at t
		}
		return e.LogInterval(lo, hi) - math.Log(hi-lo)
	}
	if _, found := slices.BinarySearch(e.values, t); found && e.BackgroundWeight < 1 {
		return math.Inf(1)
	}
	if e.BackgroundWeight == 0 {
		return math.Inf(-1)
	}
	return math.Log(e.BackgroundWeight) + known(e.Background).LogProb(t)
}

// CDF returns (1 − w) Fₙ(t) + w B(t).
func (e *Empirical) CDF(t float64) float64 { return math.Exp(e.LogCDF(t)) }

// LogCDF returns log F(t).
func (e *Empirical) LogCDF(t float64) float64 {
	switch {
	case isNaN(t):
		return t
	case t < 0:
		return math.Inf(-1)
	}
	return e.logMixture(e.rank(t), LogCDF(e.Background, t))
}

// Survival returns 1 − F(t).
func (e *Empirical) Survival(t float64) float64 { return math.Exp(e.LogSurvival(t)) }

// LogSurvival returns log S(t).
func (e *Empirical) LogSurvival(t float64) float64 {
	switch {
	case isNaN(t):
		return t
	case t < 0:
		return 0
	}
	above := len(e.values) - e.rank(t)
	if above == len(e.values) {
		return log1mExp(e.LogCDF(t)) // S may differ from 1 by less than rounding
	}
	return e.logMixture(above, known(e.Background).LogSurvival(t))
}

// LogInterval returns log P(a < τ ≤ b), a ≤ 0 including the zeros of the sample.
func (e *Empirical) LogInterval(a, b float64) float64 {
	switch {
	case isNaN(a) || isNaN(b):
		return math.NaN()
	case a <= 0:
		return e.LogCDF(b)
	case b <= a:
		return math.Inf(-1)
	}
	return e.logMixture(e.rank(b)-e.rank(a), LogInterval(e.Background, a, b))
}

// Hazard returns the probability of the clock's cell around t, given that nothing came before the cell, divided by the
// cell's width; at resolution 0, f(t)/S(t).
func (e *Empirical) Hazard(t float64) float64 {
	switch {
	case isNaN(t):
		return t
	case t < 0 || math.IsInf(t, 1):
		return 0
	}
	logS := 0.0
	if before := t - e.Resolution/2; before > 0 {
		logS = e.LogSurvival(before)
	}
	if math.IsInf(logS, -1) {
		return math.Inf(1)
	}
	return math.Exp(e.LogProb(t) - logS)
}

// Mean returns the mean of the mixture.
func (e *Empirical) Mean() float64 { return e.RestrictedMean(math.Inf(1)) }

// Median returns Quantile(0.5); with the default background, the median of the sample.
func (e *Empirical) Median() float64 { return e.Quantile(0.5) }

// Quantile returns the smallest t with F(t) ≥ p. Of the sample alone (BackgroundWeight 0) it is the sample quantile that
// averages at steps, definition 2 of Hyndman and Fan (1996): for p = 0.5 the usual median.
func (e *Empirical) Quantile(p float64) float64 {
	if !(p >= 0 && p <= 1) {
		return math.NaN()
	}
	return e.quantile(p, 1-p)
}

// QuantileLogSurvival returns the smallest t with log S(t) ≤ logS.
func (e *Empirical) QuantileLogSurvival(logS float64) float64 {
	if !(logS <= 0) {
		return math.NaN()
	}
	return e.quantile(-math.Expm1(logS), math.Exp(logS))
}

// quantile returns the smallest t with F(t) ≥ p, s = 1 − p.
func (e *Empirical) quantile(p, s float64) float64 {
	switch {
	case p == 0:
		return 0
	case e.BackgroundWeight == 0:
		return e.sampleQuantile(p)
	}
	n := len(e.values)
	i := sort.Search(n, func(i int) bool {
		if s < 0.5 {
			return e.Survival(e.values[i]) <= s
		}
		return e.CDF(e.values[i]) >= p
	})
	// F reaches p at values[i] or, if it does so by the background alone, before.
	below := i
	if i < n {
		below = sort.SearchFloat64s(e.values, e.values[i])
	}
	t := e.backgroundQuantile((p-e.share(below))/e.BackgroundWeight, (s-e.share(n-below))/e.BackgroundWeight)
	if below > 0 {
		t = math.Max(t, e.values[below-1])
	}
	if i < n {
		t = math.Min(t, e.values[i])
	}
	return t
}

// backgroundQuantile returns the quantile of the background, 0 ≤ p ≤ 1 and s = 1 − p up to rounding.
func (e *Empirical) backgroundQuantile(p, s float64) float64 {
	switch {
	case p <= 0:
		return 0
	case s <= 0:
		return math.Inf(1)
	}
	if d, ok := known(e.Background).(tailQuantiler); ok && s < 0.5 {
		return d.QuantileLogSurvival(math.Log(s))
	}
	return known(e.Background).Quantile(p)
}

// sampleQuantile returns the quantile of the sample alone.
func (e *Empirical) sampleQuantile(p float64) float64 {
	n := len(e.values)
	if n == 0 {
		return math.NaN()
	}
	position := float64(n) * p
	i := math.Round(position)
	if math.Abs(position-i) > 1e-12*float64(n) { // between two steps, not on one up to rounding
		return e.values[min(int(position), n-1)]
	}
	switch {
	case i <= 0:
		return e.values[0]
	case i >= float64(n):
		return e.values[n-1]
	}
	return 0.5 * (e.values[int(i)-1] + e.values[int(i)])
}

// Rand draws a time of the sample, or one of the background.
func (e *Empirical) Rand() float64 {
	u := uniform(e.Src)
	return e.quantile(u, 1-u)
}

// RestrictedMean returns E[min(τ, h)] of the mixture.
func (e *Empirical) RestrictedMean(h float64) float64 {
	n := len(e.values)
	switch {
	case n == 0:
		return math.NaN()
	case h <= 0 || isNaN(h):
		return h
	}
	i := e.rank(h)
	mean := (1 - e.BackgroundWeight) * (e.sums[i] + times(float64(n-i), h)) / float64(n)
	if e.BackgroundWeight > 0 {
		mean += e.BackgroundWeight * RestrictedMean(e.Background, h)
	}
	return mean
}

// MeanResidual returns E[min(τ − elapsed, h) | τ > elapsed] of the mixture; 0 where nothing lies beyond elapsed.
func (e *Empirical) MeanResidual(elapsed, h float64) float64 {
	if elapsed == 0 || len(e.values) == 0 {
		return e.RestrictedMean(h)
	}
	reached := e.Survival(elapsed)
	if reached == 0 {
		return 0
	}
	n := len(e.values)
	from, to := e.rank(elapsed), e.rank(elapsed+h)
	rest := e.sums[to] - e.sums[from] - float64(to-from)*elapsed + times(float64(n-to), h)
	mean := (1 - e.BackgroundWeight) * rest / float64(n)
	if e.BackgroundWeight > 0 {
		background := Conditional{Dist: e.Background, Elapsed: elapsed}
		mean += e.BackgroundWeight * Survival(e.Background, elapsed) * background.RestrictedMean(h)
	}
	return mean / reached
}
