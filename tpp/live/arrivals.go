package live

import (
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// ownForecast returns the state as one that knows what is to come, or nil if futures have to be drawn: because it does not know, or because the
// options ask for what only futures have.
func (o *ForecastOptions) ownForecast(state tpp.State) tpp.ForecastingState {
	if o.Paths != 0 || o.Covariates != nil {
		return nil
	}
	s, _ := state.(tpp.ForecastingState)
	return s
}

// forecastArrivals returns the forecast of a state that knows what is to come.
func forecastArrivals(state tpp.ForecastingState, now, horizon float64, levels []float64) *Forecast {
	o := &Forecast{Horizon: horizon, Sequences: 1}
	next := state.Next(now)
	o.Marks = make([]MarkForecast, len(next.Marks))
	o.Any.Probability = within(next, horizon)
	if o.Any.Probability > 0 {
		o.Any.When = make([]float64, len(levels))
		for i, q := range levels {
			o.Any.When[i] = nextQuantile(next, q, horizon)
		}
	}
	var e expectation
	e.reset(state.Arrivals(now), len(o.Marks))
	o.Over, e.memory = tpp.ArrivalsOver(e.arrivals, horizon, e.memory)
	for mark := range o.Marks {
		to := &o.Marks[mark]
		if e.first[mark] < 0 {
			continue
		}
		to.Probability, to.Count = e.within(mark, horizon), e.count(mark, horizon)
		to.Count = max(to.Count, to.Probability) // but for rounding
		o.Any.Count += to.Count
		if to.Probability > 0 {
			to.When = make([]float64, len(levels))
			for i, q := range levels {
				to.When[i] = e.quantile(mark, q*to.Probability, horizon)
			}
		}
	}
	o.Any.Count = max(o.Any.Count, o.Any.Probability)
	return o
}

// within returns the probability that the next event comes within t.
func within(next *tpp.Next, t float64) float64 {
	switch {
	case t < 0:
		return 0
	case math.IsInf(t, 1):
		return 1 - next.End
	}
	return min(max(next.Within(t), 0), 1)
}

// nextQuantile returns a quantile of the time until the next event, given that it comes within the horizon.
func nextQuantile(next *tpp.Next, q, horizon float64) float64 {
	if dist.HasDensity(next.Time) {
		q *= next.Time.CDF(horizon)
	}
	return min(next.Time.Quantile(min(q, almostAll)), horizon)
}

// almostAll bounds the levels of quantiles, so that the time until what comes in the end is a number.
const almostAll = 1 - 1e-9

// expectation is the events that a state expects, by mark.
type expectation struct {
	arrivals  []tpp.ExpectedArrival
	first     []int // the first arrival of each mark, −1 if there is none
	following []int // of each arrival: the next one of the same mark, −1 after the last
	memory    []float64
}

func (e *expectation) reset(arrivals []tpp.ExpectedArrival, marks int) {
	e.arrivals = arrivals
	e.first = slices.Grow(e.first[:0], marks)[:marks]
	e.following = slices.Grow(e.following[:0], len(arrivals))[:len(arrivals)]
	for i := range e.first {
		e.first[i] = -1
	}
	for i := len(arrivals) - 1; i >= 0; i-- {
		mark := arrivals[i].Mark
		e.following[i], e.first[mark] = e.first[mark], i
	}
}

// single returns the only arrival of a mark, nil if there are several.
func (e *expectation) single(mark int) *tpp.ExpectedArrival {
	if i := e.first[mark]; e.following[i] < 0 {
		return &e.arrivals[i]
	}
	return nil
}

// within returns the probability that an event with the mark comes within t.
func (e *expectation) within(mark int, t float64) (p float64) {
	if a := e.single(mark); a != nil {
		return min(a.Probability, 1) * a.Within(t)
	}
	p, e.memory = tpp.ArrivalsWithin(e.arrivals, mark, t, e.memory)
	return min(max(p, 0), 1)
}

// count returns the expected number of events with the mark within t.
func (e *expectation) count(mark int, t float64) float64 {
	sum := 0.0
	for i := e.first[mark]; i >= 0; i = e.following[i] {
		sum += e.arrivals[i].Probability * e.arrivals[i].Within(t)
	}
	return sum
}

// quantile returns the time, up to the horizon, within which an event with the mark comes with a probability.
func (e *expectation) quantile(mark int, p, horizon float64) float64 {
	if p <= 0 {
		return 0 // where the distribution begins
	}
	hi := 0.0
	for i := e.first[mark]; i >= 0; i = e.following[i] {
		hi = max(hi, e.arrivals[i].Times[len(e.arrivals[i].Times)-1])
	}
	ever := e.within(mark, math.Inf(1))
	p = min(p, ever*almostAll)
	if hi = min(max(hi, math.SmallestNonzeroFloat64), horizon); hi < horizon {
		for width := hi; e.within(mark, hi) < p && hi < horizon && width < math.MaxFloat64/4; width *= 2 {
			hi = min(hi+width, horizon)
		}
	}
	// Bisection by turns with the secant: the function consists of lines, and may have jumps.
	lo, atLo, atHi := 0.0, -p, e.within(mark, hi)-p
	for i := 0; i < 100 && hi-lo > 1e-9*hi; i++ {
		t := lo + (hi-lo)/2
		if i%2 > 0 && atHi > atLo {
			if secant := lo - atLo*(hi-lo)/(atHi-atLo); secant > lo && secant < hi {
				t = secant
			}
		}
		at := e.within(mark, t) - p
		if math.Abs(at) < 1e-12*ever {
			return t
		}
		if at < 0 {
			lo, atLo = t, at
		} else {
			hi, atHi = t, at
		}
	}
	return hi
}
