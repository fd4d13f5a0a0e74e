package tpp

import (
	"math"
	"slices"
)

// ExpectedArrival is an event that is expected in the rest of a sequence.
type ExpectedArrival struct {
	// Mark is the class of the event.
	Mark int
	// Probability is the probability that it comes at all.
	Probability float64
	// Parent is the index, in the same list, of the event that must come before it, −1 if it is due already.
	Parent int
	// Cause is the index of the event that has made it due, counted from the first one that the state has observed; −1 if that is not known,
	// if it is the start of the sequence, and where there is a Parent.
	Cause int
	// Slot numbers what the same parent makes due, and for those that are due already what has been made due: of events with equal
	// Parent and Slot at most one comes. Others are independent of each other, given that their parents come.
	Slot int
	// Steps is how many events must come until it has, at least: 1 if it is due already.
	Steps int
	// Times are equally likely times from now until it comes, given that it does, in ascending order and at least one: the quantiles
	// at the middles of equal shares of its distribution.
	Times []float64
}

// ForecastingState is a State that knows all events to come as events of their own, with the distribution of the time of each. Package
// live then forecasts without drawing futures.
type ForecastingState interface {
	State
	// Arrivals returns the events that are expected, given that none has come between the last one and now. An event stands after its
	// parent, and before the next event with the same parent stand all that are below it; those of one slot are in a row, apart from
	// what is below them. The result belongs to the state and is valid until the next call of one of its methods.
	Arrivals(now float64) []ExpectedArrival
}

// Within returns the probability that the event comes within t, given that it comes at all: the distribution function of its time, linear
// between Times. It is 0 if t is NaN; without Times, of which nothing is known then, it is 0 for each finite t.
func (a *ExpectedArrival) Within(t float64) float64 {
	n := len(a.Times)
	if n == 0 {
		if math.IsInf(t, 1) {
			return 1
		}
		return 0
	}
	i, _ := slices.BinarySearch(a.Times, t) // the first that is not below t
	switch {
	case i == 0:
		if t > 0 && a.Times[0] > 0 {
			return 0.5 / float64(n) * t / a.Times[0]
		}
		return 0
	case math.IsInf(t, 1):
		return 1
	case i == n:
		// The last half of a share falls off as far beyond as it lies apart from the one before.
		last := a.Times[n-1]
		width := last - a.Times[max(n-2, 0)]
		if width <= 0 {
			return 1
		}
		return 1 - 0.5/float64(n)*math.Exp(-(t-last)/width)
	}
	share := 1.0
	if width := a.Times[i] - a.Times[i-1]; width > 0 {
		share = (t - a.Times[i-1]) / width
	}
	return (float64(i) - 0.5 + share) / float64(n)
}

// ArrivalsWithin returns the probability that at least one of the events that are expected has the mark and comes within t. Memory is
// scratch memory, which is returned for the next call; it may be nil.
func ArrivalsWithin(arrivals []ExpectedArrival, mark int, t float64, memory []float64) (float64, []float64) {
	n := len(arrivals)
	// For each event, and last for what is due already: the probability that nothing of the slots that are complete does, the sum over the
	// slot under way, and the number of that.
	memory = slices.Grow(memory[:0], 3*(n+1))[:3*(n+1)]
	none, sum, slot := memory[:n+1], memory[n+1:2*(n+1)], memory[2*(n+1):]
	for i := range none {
		none[i], sum[i], slot[i] = 1, 0, -1
	}
	for i := n - 1; i >= 0; i-- {
		a := &arrivals[i]
		within := 1 - none[i]*(1-min(sum[i], 1))
		if a.Mark == mark {
			within = a.Within(t)
		}
		parent, given := a.Parent, a.Probability
		if parent < 0 {
			parent = n
		} else if p := arrivals[parent].Probability; p > 0 {
			given /= p
		}
		if slot[parent] != float64(a.Slot) {
			none[parent] *= 1 - min(sum[parent], 1)
			sum[parent], slot[parent] = 0, float64(a.Slot)
		}
		sum[parent] += given * within
	}
	return 1 - none[n]*(1-min(sum[n], 1)), memory
}

// ArrivalsOver returns the probability that none of the events that are expected comes after t: each comes by then, or never. Events of
// different slots are taken for independent of each other, given that their parents come by then; none comes before its parent.
// Memory is as for ArrivalsWithin.
func ArrivalsOver(arrivals []ExpectedArrival, t float64, memory []float64) (float64, []float64) {
	n := len(arrivals)
	// For each event, and last for what is due already: the probability that the slots that are complete leave nothing for later, given that
	// the event comes by t, the probability that the slot under way leaves something, and the number of that.
	memory = slices.Grow(memory[:0], 3*(n+1))[:3*(n+1)]
	none, sum, slot := memory[:n+1], memory[n+1:2*(n+1)], memory[2*(n+1):]
	for i := range none {
		none[i], sum[i], slot[i] = 1, 0, -1
	}
	for i := n - 1; i >= 0; i-- {
		a := &arrivals[i]
		over := a.Within(t) * none[i] * (1 - min(sum[i], 1))
		parent, given, above := n, a.Probability, 1.0
		if a.Parent >= 0 {
			parent, above = a.Parent, arrivals[a.Parent].Within(t)
			if p := arrivals[parent].Probability; p > 0 {
				given /= p
			}
		}
		if slot[parent] != float64(a.Slot) {
			none[parent] *= 1 - min(sum[parent], 1)
			sum[parent], slot[parent] = 0, float64(a.Slot)
		}
		if over < above {
			sum[parent] += given * (1 - over/above)
		}
	}
	return none[n] * (1 - min(sum[n], 1)), memory
}
