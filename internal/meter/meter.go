// Package meter counts where the time of a training goes, by phases, and the operations of its matrix products. It is off, and costs a branch where
// a phase begins and ends, until a benchmark turns it on.
//
//	stop := meter.Start()
//	start := meter.Begin() // around the work of a phase, on any goroutine; phases do not nest
//	…
//	meter.End(meter.Cells, start)
//	counts := stop()
package meter

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// Phase is a kind of work.
type Phase int

// The phases.
const (
	Products Phase = iota // matrix products
	Cells                 // gates and states of recurrent layers, and other element-wise work of layers
	Loss                  // the likelihood of outputs and its gradient
	Update                // sums of gradients, and the optimiser
	Prepare               // what depends on the parameters alone: transposed weights, tables
	Rows                  // batches put in rows; rows that are gathered from tables, and added to their gradients
	Wait                  // workers without work while others have some
	numPhases
)

var names = [numPhases]string{"products", "cells", "loss", "update", "prepare", "rows", "wait"}

// String returns the name of the phase.
func (p Phase) String() string { return names[p] }

var (
	on         bool // changes only while no phase is under way
	origin     = time.Now()
	spent      [numPhases]atomic.Int64 // ns
	operations atomic.Int64
	loops      atomic.Int64 // ns that parallel loops took
)

// Counts are the sums over all goroutines since Start.
type Counts struct {
	Time [numPhases]time.Duration
	// Operations are the multiplications and additions of matrix products.
	Operations int64
	// Loops is how long parallel loops took.
	Loops time.Duration
}

// Start turns counting on, from zero. It returns a function that turns it off and returns the counts. No phase may be under way in either call.
func Start() (stop func() Counts) {
	for i := range spent {
		spent[i].Store(0)
	}
	operations.Store(0)
	loops.Store(0)
	on = true
	return func() Counts {
		on = false
		c := Counts{Operations: operations.Load(), Loops: time.Duration(loops.Load())}
		for i := range spent {
			c.Time[i] = time.Duration(spent[i].Load())
		}
		return c
	}
}

// On reports whether counting is on.
func On() bool { return on }

// Begin returns the time at which a phase begins, 0 if counting is off.
func Begin() time.Duration {
	if !on {
		return 0
	}
	return time.Since(origin)
}

// End counts the time since Begin as that of a phase.
func End(p Phase, begin time.Duration) {
	if begin != 0 {
		Add(p, time.Since(origin)-begin)
	}
}

// EndProduct is End for a matrix product of m×k by k×n.
func EndProduct(begin time.Duration, m, n, k int) {
	if begin != 0 {
		Add(Products, time.Since(origin)-begin)
		operations.Add(2 * int64(m) * int64(n) * int64(k))
	}
}

// Add counts time for a phase.
func Add(p Phase, d time.Duration) {
	if on {
		spent[p].Add(int64(d))
	}
}

// AddLoop counts a parallel loop of some workers, who did not wait for busy of their time.
func AddLoop(took time.Duration, workers int, busy time.Duration) {
	Add(Wait, time.Duration(workers)*took-busy)
	loops.Add(int64(took))
}

// Report writes the share of each phase in the processor time that a number of workers had in elapsed time. Outside of parallel loops all but one
// wait. What no phase counted is the rest.
func (c *Counts) Report(elapsed time.Duration, workers int) string {
	total := time.Duration(workers) * elapsed
	rest := total
	var b strings.Builder
	for p, d := range c.Time {
		if Phase(p) == Wait {
			d += time.Duration(workers-1) * (elapsed - c.Loops)
		}
		rest -= d
		fmt.Fprintf(&b, "%s %.1f %%, ", Phase(p), 100*float64(d)/float64(total))
	}
	fmt.Fprintf(&b, "rest %.1f %%", 100*float64(rest)/float64(total))
	return b.String()
}
