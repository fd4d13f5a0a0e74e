package forecast

import (
	"math"
	"slices"
)

const (
	learnerFirst = 240  // samples before the first fit
	leastSpans   = 24   // horizons that the samples must hold to be fitted on
	learnerRows  = 4000 // samples to fit on at most, evenly spread over the window
)

// learner is what forecasters share that are fitted now and then: it keeps the window, and says when. A horizon is fitted when it is first
// asked for, and with all others when 240 samples were seen, growth times as many, and so on, and daily where every is a day.
type learner struct {
	window, every int
	growth        float64
	fit           func(values []float64, steps int) model // nil where too little is known

	values  []float64 // ring of the last window samples
	seen    int
	fitted  int // samples seen at the last fit
	last    float64
	missing int
	models  map[int]model
}

// model says quantiles of the residual at Levels from the state of what it belongs to.
type model interface {
	quantiles(out []float64)
}

func newLearner(window, every int, growth float64) learner {
	return learner{window: max(window, 1), every: every, growth: growth, last: math.NaN(), models: map[int]model{}}
}

func (l *learner) observe(value float64) {
	if len(l.values) < l.window {
		l.values = append(l.values, value)
	} else {
		l.values[l.seen%l.window] = value
	}
	l.seen++
	l.missing++
	if !math.IsNaN(value) {
		l.last, l.missing = value, 0
	}
	due := float64(l.seen) >= l.growth*float64(l.fitted) || l.every > 0 && l.seen-l.fitted >= l.every
	if l.seen >= learnerFirst && due {
		l.fitted = l.seen
		values := l.ordered()
		for steps := range l.models {
			l.models[steps] = l.fit(values, steps)
		}
	}
}

// ordered returns the values of the window, the earliest first.
func (l *learner) ordered() []float64 {
	if l.seen <= l.window {
		return l.values
	}
	at := l.seen % l.window
	return append(slices.Clone(l.values[at:]), l.values[:at]...)
}

// Quantiles writes the quantiles of the largest of the next steps samples, as Forecaster says: between Levels it interpolates, beyond them it takes the ends.
func (l *learner) Quantiles(steps int, levels, out []float64) {
	m, known := l.models[steps]
	if !known && steps > 0 && len(l.models) < maxHorizons {
		if l.seen >= learnerFirst {
			m = l.fit(l.ordered(), steps)
		}
		l.models[steps] = m
	}
	if m == nil || math.IsNaN(l.last) || l.missing > maxMissing {
		unknown(out)
		return
	}
	var q [4]float64
	m.quantiles(q[:])
	slices.Sort(q[:]) // they are learned one by one, and may cross
	for i, level := range levels {
		out[i] = max(l.last+between(Levels, q[:], level), 0)
	}
}

// between interpolates y, given at increasing x, and takes the ends beyond them.
func between(x, y []float64, at float64) float64 {
	i, _ := slices.BinarySearch(x, at)
	switch {
	case i == 0:
		return y[0]
	case i == len(x):
		return y[len(y)-1]
	}
	return y[i-1] + (y[i]-y[i-1])*(at-x[i-1])/(x[i]-x[i-1])
}

// conform returns what must be added to a quantile so that it is that at the level of values it has not seen, given their residuals, which it sorts:
// split conformal prediction.
func conform(residuals []float64, level float64) float64 {
	slices.Sort(residuals)
	return rankOf(residuals, level)
}

// rankOf returns the quantile of values in ascending order, as sorted.Quantile has it.
func rankOf(ascending []float64, level float64) float64 {
	return ascending[quantileRank(len(ascending), level)]
}

// fitShare is the share of the rows that are fitted on; those after them, which are the newest, correct the quantiles.
const fitShare = 0.75
