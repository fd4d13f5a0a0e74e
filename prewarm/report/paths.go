package report

import (
	"math"
	"slices"
)

// paths finds out what the cold starts of a trace cost end to end. Its memory is used for one trace after the other.
//
// What an invocation calls is taken to arrive so long after the start of its run, whenever that was: without a cold start all that follows it
// would have come earlier by its wait and initialisation. The end of a request is the last end of its runs; where ends are not known, the last
// start. Where a call lies within its caller's run, the caller is taken to have waited for the last such one, so that it ends so long after that.
//
// The critical path leads from the root to the invocation that ends last. By how much the request would have ended earlier without any cold start is
// shared out among the cold starts on the critical path, by how long they took; those beside it reach the end with nothing.
type paths struct {
	trace  []invocation
	depth  []int
	order  []int // callers before what they call, each with all below it behind it
	ends   []float64
	shifts []float64
	stack  []int
	child  []int // the first it calls; −1: none
	next   []int // of the same caller

	// What is found:
	end     float64   // of the request, in the time of the trace
	warmEnd float64   // without cold starts
	reach   []float64 // by invocation, what of its cold start reaches the end
	onPath  []bool
}

// grown returns a slice of n values, which may have the memory of s.
func grown[T any](s []T, n int) []T { return slices.Grow(s[:0], n)[:n] }

// follow analyses a trace, whose parents are known.
func (p *paths) follow(trace []invocation) {
	n := len(trace)
	p.walk(trace)
	p.ends, p.shifts, p.reach, p.onPath = grown(p.ends, n), grown(p.shifts, n), grown(p.reach, n), grown(p.onPath, n)
	p.findEnds()
	last := 0
	p.warmEnd = math.Inf(-1)
	for _, i := range p.order {
		p.reach[i], p.onPath[i] = 0, false
		shift := 0.0
		if parent := trace[i].parent; parent >= 0 {
			shift = p.shifts[parent]
		}
		if trace[i].cold {
			shift += known(trace[i].latency())
		}
		p.shifts[i] = shift
		p.warmEnd = max(p.warmEnd, p.ends[i]-shift)
		if p.ends[i] > p.ends[last] {
			last = i
		}
	}
	p.end = p.ends[last]
	took := p.shifts[last]
	for i := last; i >= 0; i = int(trace[i].parent) {
		p.onPath[i] = true
		if trace[i].cold && took > 0 {
			p.reach[i] = known(trace[i].latency()) / took * (p.end - p.warmEnd)
		}
	}
}

// walk finds the depths and the order of a trace. It reports whether all invocations lie below roots: parents may go round in circles.
func (p *paths) walk(trace []invocation) bool {
	n := len(trace)
	p.trace, p.order = trace, p.order[:0]
	p.depth, p.child, p.next = grown(p.depth, n), grown(p.child, n), grown(p.next, n)
	for i := range p.trace {
		p.child[i], p.next[i] = -1, -1
	}
	roots := -1
	for i := len(p.trace) - 1; i >= 0; i-- {
		first := &roots
		if parent := p.trace[i].parent; parent >= 0 {
			first = &p.child[parent]
		}
		p.next[i], *first = *first, i
	}
	for i := roots; i >= 0; i = p.next[i] {
		p.visit(i, 0)
	}
	return len(p.order) == n
}

// visit puts an invocation, and all below it, into the order.
func (p *paths) visit(i, depth int) {
	p.stack = append(p.stack[:0], i)
	p.depth[i] = depth
	for len(p.stack) > 0 {
		i := p.stack[len(p.stack)-1]
		p.stack = p.stack[:len(p.stack)-1]
		p.order = append(p.order, i)
		for c := p.child[i]; c >= 0; c = p.next[c] {
			p.depth[c] = p.depth[i] + 1
			p.stack = append(p.stack, c)
		}
	}
}

// findEnds finds when each invocation ended on its own.
func (p *paths) findEnds() {
	for i := range p.trace {
		v := &p.trace[i]
		p.ends[i] = v.start()
		if !math.IsNaN(v.duration) {
			p.ends[i] = max(p.ends[i], v.arrival+v.duration)
		}
	}
	// A caller that waits ends with the last call that it has waited for.
	for _, i := range p.order {
		v := &p.trace[i]
		if math.IsNaN(v.duration) {
			continue
		}
		last, at := -1, math.Inf(-1)
		for c := p.child[i]; c >= 0; c = p.next[c] {
			if e := p.trace[c].arrival + p.trace[c].duration; e <= v.arrival+v.duration && e > at {
				last, at = c, e
			}
		}
		if last >= 0 {
			p.ends[last], p.ends[i] = max(p.ends[last], p.ends[i]), v.start()
		}
	}
}
