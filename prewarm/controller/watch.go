package controller

import (
	"fmt"
	"math"
)

// watch compares the probabilities of a model with what comes, all the time. For each request, once it is over, it takes for each function the
// difference D between the number of invocations that came after the first and the number that was expected when the first arrived. If the
// probabilities are right, D is 0 on average, whatever happened before, so that their sum S is a martingale. By Delyon (2009) the process
// exp(λS − λ²V/2) with V = (ΣD² + 2·ΣVar D)/3 is then a supermartingale for every λ; mixed over λ with a normal distribution of variance 1/ρ
// (Robbins 1970), it follows that |S| exceeds
//
//	√((V + ρ)·ln((V + ρ)/(ρα²)))
//
// at any time at all with a probability of α at most, however often one looks. A model disagrees if that happens for one of its functions, where α is
// shared among them, and if the difference matters: more than a tenth of what was expected or came. Var D is taken as Σp(1−p), as if invocations
// came independently. Where they come together it is larger, and so is ΣD²: the larger of V and ΣD² is taken.
//
// The same test finds a model stale whose probabilities hold and whose times do not, because functions take another time than those that it was trained on:
// of each request it takes for each function that came whether one came quite outside of the times between which nine of ten should, see Core.outside, and takes
// one in four for right.
//
// So that a model which was right for long is found out soon when the world changes, the sums begin anew after a block of requests. A model that
// disagrees is followed on, without being used, and agrees again once the test finds nothing in twice as many requests as it has taken to find it.
type watch struct {
	sums     []deviation // by function of the model
	times    []deviation // the same of what came at another time
	traces   int         // in this block
	length   int         // of this block
	disagree string      // why the model is not used; "" if it is
	previous deviation   // of the block before, over all functions
}

// deviation sums up what was expected and what came.
type deviation struct {
	expected, came    float64
	squares, variance float64
}

const (
	watchBlock    = 500  // requests of a block
	watchRegain   = 100  // the least of a model that disagrees
	watchAlpha    = 1e-3 // probability that a model which is right disagrees in a block
	watchScale    = 10.0 // ρ
	watchRelative = 0.1
	watchOutside  = 0.25 // part of what comes that may come outside of the times
)

func newWatch(functions int) *watch {
	return &watch{sums: make([]deviation, functions), times: make([]deviation, functions), length: watchBlock}
}

// add adds what was expected of a function when a request began, the variance of that, and what came of it.
func (w *watch) add(function int, expected, variance, came float64) {
	d := &w.sums[function]
	d.expected += expected
	d.came += came
	d.squares += (came - expected) * (came - expected)
	d.variance += variance
}

// addTime adds whether what came of a function came outside of the times that were foretold: 1 if it did.
func (w *watch) addTime(function int, outside float64) {
	d := &w.times[function]
	d.expected += watchOutside
	d.came += outside
	d.squares += (outside - watchOutside) * (outside - watchOutside)
	d.variance += watchOutside * (1 - watchOutside)
}

// close ends a request, of which add was called for each function, and reports whether the model has come to agree or disagree. The names are those of
// the functions.
func (w *watch) close(names []string) (changed bool) {
	w.traces++
	for i := range w.sums {
		d, t := &w.sums[i], &w.times[i]
		reason := ""
		switch {
		case d.excess(2 * len(w.sums)):
			reason = fmt.Sprintf("miscalibrated: %.0f invocations of %s were expected of %d requests, and %.0f came", d.expected, names[i], w.traces, d.came)
		case t.came > t.expected && t.excess(2*len(w.sums)):
			reason = fmt.Sprintf("stale: of %.0f requests with %s %.0f came outside of the times at which nine of ten should", t.expected/watchOutside, names[i], t.came)
		default:
			continue
		}
		changed = w.disagree == ""
		w.disagree = reason
		w.renew(min(max(2*w.traces, watchRegain), watchBlock))
		return changed
	}
	if w.traces < w.length {
		return false
	}
	changed, w.disagree = w.disagree != "", ""
	w.renew(watchBlock)
	return changed
}

// renew begins a block.
func (w *watch) renew(length int) {
	w.previous = deviation{}
	for i := range w.sums {
		w.previous.expected += w.sums[i].expected
		w.previous.came += w.sums[i].came
		w.sums[i], w.times[i] = deviation{}, deviation{}
	}
	w.traces, w.length = 0, length
}

// excess reports whether what came differs from what was expected by more than chance, and by much. It shares α with so many tests.
func (d *deviation) excess(tests int) bool {
	s := math.Abs(d.came - d.expected)
	if s <= watchRelative*max(d.came, d.expected) {
		return false
	}
	v := max(d.squares, (d.squares+2*d.variance)/3) + watchScale
	alpha := watchAlpha / float64(tests)
	return s > math.Sqrt(v*math.Log(v/(watchScale*alpha*alpha)))
}

// totals returns what was expected and what came in this block and the one before.
func (w *watch) totals() (expected, came float64) {
	expected, came = w.previous.expected, w.previous.came
	for i := range w.sums {
		expected += w.sums[i].expected
		came += w.sums[i].came
	}
	return expected, came
}
