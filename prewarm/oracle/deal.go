package oracle

import (
	"cmp"
	"container/heap"
	"math"
	"slices"
)

// Bounds are a load whose invocations have been dealt to containers.
type Bounds struct {
	load      Workload
	first     []int // by request: the number of its root, and of what follows the last one
	uses      []use // by number: in the order of the requests, and of their calls
	functions []dealt
}

// use is an invocation in the all-warm schedule.
type use struct {
	begin, end float64
	// gap is how long the container had been idle before, +Inf for its first use.
	gap float64
	// calls says that it makes calls.
	calls bool
}

// dealt is what a function's containers do.
type dealt struct {
	// uses are the numbers of its uses, in the order in which they begin.
	uses []int
	// tails are how long each container is there after its last use, until memory is not charged any more.
	tails []float64
	// calls says that any of its uses makes calls.
	calls bool
}

// New deals the invocations of a load to containers. The error names what is wrong with the load.
func New(w Workload) (*Bounds, error) {
	if err := w.validate(); err != nil {
		return nil, err
	}
	b := &Bounds{load: w, functions: make([]dealt, len(w.Functions)), first: make([]int, 0, len(w.Requests)+1)}
	last := math.Inf(-1)
	for i := range w.Requests {
		r := &w.Requests[i]
		root := len(b.uses)
		b.first = append(b.first, root)
		for k, c := range r.Calls {
			from := r.Arrival
			if c.Parent >= 0 {
				parent := &b.uses[root+c.Parent]
				from, parent.calls = parent.begin, true
				b.functions[r.Calls[c.Parent].Function].calls = true
			}
			d := &b.functions[c.Function]
			d.uses = append(d.uses, root+k)
			u := use{begin: from + c.Delay}
			u.end = u.begin + c.Duration + w.Return
			last = max(last, u.end)
			b.uses = append(b.uses, u)
		}
	}
	b.first = append(b.first, len(b.uses))
	for f := range b.functions {
		b.deal(&b.functions[f], max(w.Until, last))
	}
	return b, nil
}

// Requests returns the number of requests.
func (b *Bounds) Requests() int { return len(b.load.Requests) }

// Invocations returns the number of invocations.
func (b *Bounds) Invocations() int { return len(b.uses) }

// Containers returns with how many containers the schedule of a function can be served when none waits: as many as it has uses at once.
func (b *Bounds) Containers(function int) int { return len(b.functions[function].tails) }

// Gaps returns the gaps between the uses of a function's containers, in seconds and in the order of time.
func (b *Bounds) Gaps(function int) []float64 {
	var gaps []float64
	for _, u := range b.functions[function].uses {
		if g := b.uses[u].gap; !math.IsInf(g, 1) {
			gaps = append(gaps, g)
		}
	}
	return gaps
}

// ends are the ends of uses that are under way.
type ends []float64

func (e ends) Len() int           { return len(e) }
func (e ends) Less(i, k int) bool { return e[i] < e[k] }
func (e ends) Swap(i, k int)      { e[i], e[k] = e[k], e[i] }
func (e *ends) Push(x any)        { *e = append(*e, x.(float64)) }
func (e *ends) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// deal gives each use the container that was used last of those that are free; at the moment at which one is free it can be used again.
func (b *Bounds) deal(d *dealt, until float64) {
	slices.SortStableFunc(d.uses, func(i, k int) int {
		return cmp.Or(cmp.Compare(b.uses[i].begin, b.uses[k].begin), cmp.Compare(b.uses[i].end, b.uses[k].end))
	})
	var busy ends
	var idle []float64 // since when, ascending
	for _, i := range d.uses {
		u := &b.uses[i]
		for len(busy) > 0 && busy[0] <= u.begin {
			idle = append(idle, heap.Pop(&busy).(float64))
		}
		u.gap = math.Inf(1)
		if n := len(idle); n > 0 {
			u.gap = u.begin - idle[n-1]
			idle = idle[:n-1]
		}
		heap.Push(&busy, u.end)
	}
	for _, end := range append(idle, busy...) {
		d.tails = append(d.tails, max(until-end, 0))
	}
}
