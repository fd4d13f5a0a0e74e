package oracle

import (
	"math"
	"slices"
)

// ChainOptions say what O3 may do.
type ChainOptions struct {
	// AtStart: it learns of a request when the root's run starts, as where policies see starts only. Otherwise when the root arrives.
	AtStart bool
	// Keep is for how long containers of roots are kept after a use, in seconds; 0: not at all, so that every root is cold.
	Keep float64
	// Hindsight: every container, of whatever function, is kept over those gaps over which that costs less than starting one for the
	// request, the waits of what a late container delays included. Keep has no meaning then.
	Hindsight bool
}

// Chain returns the costs of O3, which knows nothing before a request is there, and then its whole tree of calls with their delays and
// durations, at a price λ. It starts a container for each so that it is ready when the run can start: at need(v) − c, but not before t0, when it
// learns of the request. A call waits for max(0, c − (need(v) − t0)), where need(v) follows from when the caller really started; nothing is
// idle. The root itself waits for its whole start, unless a container of its function was kept.
func (b *Bounds) Chain(o ChainOptions, lambda float64) *Result {
	r := &Result{Added: make([]float64, 0, len(b.load.Requests))}
	var shifts []float64
	c := chain{bounds: b, options: o, lambda: lambda}
	for i := range b.load.Requests {
		c.begin(b.load.Requests[i].Calls, b.first[i])
		for k := range c.calls {
			f, u := &b.load.Functions[c.calls[k].Function], &b.uses[c.root+k]
			if c.outcomes[k].fresh {
				r.Starting += f.MemoryMB*f.Start + f.Fixed
			} else {
				r.Idle += f.MemoryMB * u.gap
			}
			if k == 0 && !o.Hindsight && c.outcomes[k].fresh && !math.IsInf(u.gap, 1) {
				r.Idle += f.MemoryMB * o.Keep
			}
		}
		shifts = slices.Grow(shifts[:0], len(c.calls))[:len(c.calls)]
		r.add(b, c.root, c.calls, c.outcomes, shifts)
	}
	if o.Keep > 0 && !o.Hindsight {
		b.keepRoots(r, o.Keep)
	}
	return r
}

// keepRoots adds what keeping the containers of roots costs after their last uses.
func (b *Bounds) keepRoots(r *Result, keep float64) {
	root := make([]bool, len(b.functions))
	for i := range b.load.Requests {
		root[b.load.Requests[i].Calls[0].Function] = true
	}
	for f := range b.functions {
		if root[f] {
			for _, tail := range b.functions[f].tails {
				r.Idle += b.load.Functions[f].MemoryMB * min(tail, keep)
			}
		}
	}
}

// chain decides for the calls of one request after the other.
type chain struct {
	bounds   *Bounds
	options  ChainOptions
	lambda   float64
	calls    []Call
	root     int       // the number of the root's use
	offsets  []float64 // from the request's arrival to each start, when warm
	next     []int     // by call, the next one of the same caller; −1: none
	children []int     // by call, the first it calls; −1: none
	outcomes []outcome
	known    map[situation]choice
}

// situation is that of a call which starts a shift later than when warm, where the request was known at t0 after its arrival. The shift is in units
// of shiftUnit.
type situation struct {
	call  int
	shift int64
	t0    float64
}

// choice is the better one of a situation.
type choice struct {
	cost float64 // of the call and all that it calls
	kept bool
}

// shiftUnit is by how much situations may differ that are taken for the same, in seconds: it bounds their number.
const shiftUnit = 1e-4

// begin decides for a request.
func (c *chain) begin(calls []Call, root int) {
	n := len(calls)
	c.calls, c.root = calls, root
	c.offsets, c.outcomes = slices.Grow(c.offsets[:0], n)[:n], slices.Grow(c.outcomes[:0], n)[:n]
	c.next, c.children = slices.Grow(c.next[:0], n)[:n], slices.Grow(c.children[:0], n)[:n]
	for k := n - 1; k >= 0; k-- {
		c.children[k], c.next[k] = -1, -1
	}
	for k := n - 1; k > 0; k-- {
		p := calls[k].Parent
		c.next[k], c.children[p] = c.children[p], k
	}
	for k, call := range calls {
		c.offsets[k] = call.Delay
		if call.Parent >= 0 {
			c.offsets[k] += c.offsets[call.Parent]
		}
	}
	if c.options.Hindsight {
		c.known = map[situation]choice{}
	}
	// The root.
	gap := c.bounds.uses[root].gap
	cold := c.outcomeOf(0, 0, 0)
	cold.wait = c.function(0).Start
	kept := gap <= c.options.Keep && !math.IsInf(gap, 1)
	if c.options.Hindsight {
		kept = c.costOf(0, 0, outcome{}) <= c.costOf(0, 0, cold)
	}
	c.outcomes[0] = cold
	if kept {
		c.outcomes[0] = outcome{}
	}
	c.follow(0, 0, c.t0(c.outcomes[0]))
}

func (c *chain) function(call int) *Function { return &c.bounds.load.Functions[c.calls[call].Function] }

// t0 returns when the request is known, after its arrival, if that is what becomes of the root.
func (c *chain) t0(root outcome) float64 {
	if c.options.AtStart {
		return c.offsets[0] + root.wait
	}
	return 0
}

// outcomeOf returns what becomes of a call that would start a shift later than when warm, if a container is started for it.
func (c *chain) outcomeOf(call int, shift, t0 float64) outcome {
	return outcome{max(c.function(call).Start-(c.offsets[call]+shift-t0), 0), true}
}

// shifted returns by how much what a call calls is later.
func (c *chain) shifted(call int, shift float64, o outcome) float64 {
	shift += o.wait
	if o.fresh {
		shift += c.bounds.firstCall(c.function(call), c.root+call)
	}
	return shift
}

// follow sets the outcomes of all that a call calls, where its own is known.
func (c *chain) follow(call int, shift, t0 float64) {
	shift = c.shifted(call, shift, c.outcomes[call])
	for k := c.children[call]; k >= 0; k = c.next[k] {
		c.outcomes[k] = c.outcomeOf(k, shift, t0)
		if c.options.Hindsight && c.best(k, shift, t0).kept {
			c.outcomes[k] = outcome{}
		}
		c.follow(k, shift, t0)
	}
}

// costOf returns what a call and all that it calls cost if that is what becomes of it.
func (c *chain) costOf(call int, shift float64, o outcome) float64 {
	return c.costKnown(call, shift, c.t0(o), o)
}

func (c *chain) costKnown(call int, shift, t0 float64, o outcome) float64 {
	f := c.function(call)
	cost := f.MemoryMB * c.bounds.uses[c.root+call].gap
	after := c.shifted(call, shift, o)
	if o.fresh {
		cost = f.MemoryMB*f.Start + f.Fixed + c.lambda*(after-shift)
	}
	for k := c.children[call]; k >= 0; k = c.next[k] {
		cost += c.best(k, after, t0).cost
	}
	return cost
}

// best returns whether to have kept the container of a call.
func (c *chain) best(call int, shift, t0 float64) choice {
	at := situation{call, int64(math.Round(shift / shiftUnit)), t0}
	if known, ok := c.known[at]; ok {
		return known
	}
	start := c.costKnown(call, shift, t0, c.outcomeOf(call, shift, t0))
	keep := math.Inf(1)
	if !math.IsInf(c.bounds.uses[c.root+call].gap, 1) {
		keep = c.costKnown(call, shift, t0, outcome{})
	}
	found := choice{min(start, keep), keep <= start}
	c.known[at] = found
	return found
}
