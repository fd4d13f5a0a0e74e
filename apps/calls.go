package apps

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/internal/num"
	"github.com/tppfaas/tppfaas/internal/seed"
)

// Sleeps of a duration anomaly; both are equally likely.
const (
	LongAnomaly  = 100 * time.Millisecond
	ShortAnomaly = 5 * time.Millisecond
)

// CallGap is the time between two calls of one function.
const CallGap = 15 * time.Millisecond

// Call is one planned invocation.
type Call struct {
	// Function is an index into the functions of the application.
	Function int
	// Sleep is how long the function sleeps before it makes its calls.
	Sleep time.Duration
	// Invokes are the calls that this one makes, in their order, as indices into the calls of the request.
	Invokes []int
}

// Variation says what is varied from request to request.
type Variation struct {
	// Anomalies is the number of functions that sleep 100 or 5 ms instead of their duration. Missing is the number of functions
	// that are skipped: their successors are invoked in their place. They are drawn anew for each request; a function is drawn
	// for at most one of the two, and main for neither.
	Anomalies, Missing int
	// RandomDurations draws each sleep from the function's gamma distribution.
	RandomDurations bool
}

// Validate reports what makes the variation impossible for the application.
func (v Variation) Validate(app *Application) error {
	others := len(app.Functions) - 1
	switch {
	case v.Anomalies < 0:
		return fmt.Errorf("%d duration anomalies: there cannot be fewer than none", v.Anomalies)
	case v.Missing < 0:
		return fmt.Errorf("%d missing functions: there cannot be fewer than none", v.Missing)
	case v.Anomalies > others || v.Missing > others-v.Anomalies: // not their sum, which may overflow
		return fmt.Errorf("%d duration anomalies and %d missing functions are more than the %d functions that %s has besides main",
			v.Anomalies, v.Missing, others, app.Name)
	}
	return nil
}

// Drawer draws the calls of one request after the other. Branches, durations, anomalies and missing functions come from separate random
// streams: each stays the same whatever else is varied, except that missing functions are drawn from those without an anomaly, and that
// durations are drawn for the calls that are made.
type Drawer struct {
	app       *Application
	variation Variation
	// tree has the calls of a request in which nothing is missing, level by level; nil if they differ from request to request.
	tree []Call
	// numbers are 0, 1, 2, …: the children of a call stand side by side, so what it invokes is a part of them.
	numbers []int
	index   map[string]int // of each function

	branchRand, durationRand, anomalyRand, lengthRand, missingRand *rand.Rand

	functions []int // besides main
	shuffled  []int // copy of functions to draw from
}

// NewDrawer returns a drawer for a valid application. A variation that is impossible for the application is an error.
func NewDrawer(app *Application, v Variation, number uint64) (*Drawer, error) {
	if err := v.Validate(app); err != nil {
		return nil, err
	}
	d := &Drawer{
		app: app, variation: v, index: app.indices(),
		branchRand:   rand.New(seed.Stream(number, "branches")),
		durationRand: rand.New(seed.Stream(number, "durations")),
		anomalyRand:  rand.New(seed.Stream(number, "anomalies")),
		lengthRand:   rand.New(seed.Stream(number, "lengths of anomalies")),
		missingRand:  rand.New(seed.Stream(number, "missing functions")),
	}
	branches := false
	for i, f := range app.Functions {
		if f.Name != Main {
			d.functions = append(d.functions, i)
		}
		branches = branches || slices.ContainsFunc(f.Invokes, Invoke.branches)
	}
	d.numbers = make([]int, app.Invocations())
	for i := range d.numbers {
		d.numbers[i] = i
	}
	if !branches {
		d.tree = d.grow()
	}
	return d, nil
}

// grow returns the calls of a request in which nothing is missing.
func (d *Drawer) grow() []Call {
	calls := []Call{{Function: d.index[Main]}}
	again := []int{0} // how often the function of each call is repeated
	for i := 0; i < len(calls); i++ {
		first := len(calls)
		add := func(function, repetitions int) {
			calls = append(calls, Call{Function: function, Sleep: d.app.Functions[function].Duration})
			again = append(again, repetitions)
		}
		if again[i] > 0 {
			add(calls[i].Function, again[i]-1)
		} else {
			for _, v := range d.app.Functions[calls[i].Function].Invokes {
				if name, repetitions := d.branch(v); name != "" {
					add(d.index[name], repetitions)
				}
			}
		}
		calls[i].Invokes = d.numbers[first:len(calls)]
	}
	return calls
}

// branch draws which function an entry invokes, "" for none, and how often it is repeated.
func (d *Drawer) branch(v Invoke) (function string, repetitions int) {
	if v.Choice != nil {
		u := d.branchRand.Float64()
		for _, o := range v.Choice[:len(v.Choice)-1] {
			if u -= o.Probability; u < 0 {
				return o.Function, 0
			}
		}
		return v.Choice[len(v.Choice)-1].Function, 0
	}
	for repetitions < v.Loop.Max-1 && d.branchRand.Float64() < v.Loop.Again {
		repetitions++
	}
	return v.Function, repetitions
}

// Next returns the calls of the next request, main first and callers before those they call, and the functions that were
// hit by an anomaly and are missing. The calls of several requests may share memory: do not change them.
func (d *Drawer) Next() (calls []Call, anomalies, missing []int) {
	if d.tree == nil {
		calls = d.grow()
	} else if d.variation == (Variation{}) {
		return d.tree, nil, nil
	} else {
		calls = slices.Clone(d.tree)
	}
	if d.variation.RandomDurations {
		for i := range calls[1:] {
			c := &calls[i+1]
			gamma := d.app.Functions[c.Function].Gamma
			c.Sleep = toDuration(num.DrawGamma(gamma.Shape, gamma.Rate, d.durationRand))
		}
	}
	d.shuffled = append(d.shuffled[:0], d.functions...)
	anomalies = choose(d.anomalyRand, d.shuffled, d.variation.Anomalies)
	for _, f := range anomalies {
		sleep := ShortAnomaly
		if d.lengthRand.IntN(2) == 0 {
			sleep = LongAnomaly
		}
		for i := range calls {
			if calls[i].Function == f {
				calls[i].Sleep = sleep
			}
		}
	}
	missing = choose(d.missingRand, d.shuffled[len(anomalies):], d.variation.Missing)
	return d.prune(calls, missing), anomalies, missing
}

// toDuration converts milliseconds to a Duration, bounded so that sums of them do not overflow.
func toDuration(ms float64) time.Duration {
	return time.Duration(math.Round(min(ms*float64(time.Millisecond), float64(MaxDuration))))
}

// choose draws k of the items, moves them to the front and returns a copy of them.
func choose(rng *rand.Rand, items []int, k int) []int {
	if k == 0 {
		return nil
	}
	for i := range k {
		j := i + rng.IntN(len(items)-i)
		items[i], items[j] = items[j], items[i]
	}
	return append([]int(nil), items[:k]...)
}

// prune removes the missing functions: their successors are called in their place, also where several missing functions follow each
// other.
func (d *Drawer) prune(calls []Call, missing []int) []Call {
	if len(missing) == 0 {
		return calls
	}
	gone := make([]bool, len(d.app.Functions))
	for _, f := range missing {
		gone[f] = true
	}
	kept := make([]Call, 0, len(calls))
	source := make([]int, 0, len(calls)) // where each of the kept ones stands in calls
	var add func(i int)
	add = func(i int) {
		if !gone[calls[i].Function] {
			kept = append(kept, calls[i])
			source = append(source, i)
			return
		}
		for _, j := range calls[i].Invokes {
			add(j)
		}
	}
	add(0)
	for i := 0; i < len(kept); i++ {
		first := len(kept)
		for _, j := range calls[source[i]].Invokes {
			add(j)
		}
		kept[i].Invokes = d.numbers[first:len(kept)]
	}
	return kept
}
