package race

import (
	"cmp"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// explanation says where the events of one mark come from.
type explanation struct {
	slots []int // the parent marks; one that is named twice has two children
	links []link
	cost  float64 // in nats
	// ambiguous are marks that could be in place of the only one of slots.
	ambiguous []int
}

// link is a parent that was found, by the indices of a sequence and its events, and of the slot.
type link struct{ sequence, parent, child, slot int }

// parents returns the parent marks, each once, the one with most children first.
func (x *explanation) parents() []int {
	count := map[int]int{}
	for _, l := range x.links {
		count[x.slots[l.slot]]++
	}
	var marks []int
	for m := range count {
		marks = append(marks, m)
	}
	slices.SortFunc(marks, func(a, b int) int { return cmp.Or(count[b]-count[a], a-b) })
	return marks
}

// allParents returns what parentsOf returns for each mark.
func (e *estimator) allParents() []explanation {
	found := make([]explanation, e.numMarks)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), e.numMarks) {
		wg.Go(func() {
			for c := next.Add(1) - 1; c < int64(e.numMarks); c = next.Add(1) - 1 {
				found[c] = e.parentsOf(int(c))
			}
		})
	}
	wg.Wait()
	return found
}

// parentsOf returns the best explanation of the events of mark c that was found.
func (e *estimator) parentsOf(c int) explanation {
	n := e.children(c)
	best := explanation{cost: e.unexplained(n)}
	if n == 0 {
		return best
	}
	single := e.singles(c)
	slices.SortStableFunc(single, func(a, b explanation) int { return cmp.Compare(a.cost, b.cost) })
	single = single[:min(len(single), maxCandidates)]
	for len(best.slots) < maxParents {
		next := best
		for i := range single {
			x := single[i]
			if len(best.slots) > 0 {
				x = e.explain(c, append(slices.Clone(best.slots), x.slots[0]), e.waits)
			}
			if x.cost < next.cost {
				next = x
			}
		}
		// What was added may have replaced something.
		for i := 0; i < len(next.slots) && len(next.slots) > 1; {
			x := e.explain(c, slices.Delete(slices.Clone(next.slots), i, i+1), e.waits)
			if x.cost < next.cost {
				next, i = x, 0
			} else {
				i++
			}
		}
		if next.cost >= best.cost {
			break
		}
		best = next
	}
	if len(best.slots) == 1 {
		for _, x := range single {
			if x.slots[0] != best.slots[0] && x.cost < best.cost+max(10, 0.02*float64(n)) {
				best.ambiguous = append(best.ambiguous, x.slots[0])
			}
		}
	}
	return best
}

// candidates returns the marks of which an event comes not long before at least one in fifty of the events of mark c.
func (e *estimator) candidates(c int) []int {
	before := make([]int, e.numMarks)
	seen := make([]int, e.numMarks) // the last child + 1 for which a mark was counted
	n := 0
	for _, k := range e.having[c] {
		s := &e.sequences[k]
		of := s.of(c)
		for _, i := range of {
			if i < s.first() {
				continue
			}
			n++
			for j := max(0, i-maxBack*e.numMarks); j < i; j++ {
				if m := s.Mark(j); seen[m] != n {
					seen[m] = n
					before[m]++
				}
			}
		}
	}
	var marks []int
	for m, times := range before {
		if times > 0 && 50*times >= n {
			marks = append(marks, m)
		}
	}
	return marks
}

// singles returns the explanations of the events of mark c by one mark, without those that cannot be: children wait for the waits of their
// parents, siblings do not.
func (e *estimator) singles(c int) []explanation {
	type candidate struct {
		explanation
		proven bool
	}
	var possible []candidate
	sibling := math.Inf(1) // the cost if the events come after one that is no parent, by its arrival
	for _, p := range e.candidates(c) {
		x := e.explain(c, []int{p}, e.waits)
		if len(x.links) == 0 {
			continue
		}
		if !e.waits {
			if !e.reversed(c, p) {
				possible = append(possible, candidate{x, true})
			}
			continue
		}
		kept, broken := e.waitsKept(c, &x)
		if plain := e.costFromArrival(c, &x); broken > kept || plain < x.cost-0.5*float64(len(x.links)) {
			sibling = min(sibling, plain)
		} else {
			possible = append(possible, candidate{x, kept > 0})
		}
	}
	var single []explanation
	for _, x := range possible {
		// Where a parent never waited long, nothing tells it from a sibling but that other siblings are as close.
		if x.proven || x.cost < sibling || x.cost > sibling+0.5*float64(len(x.links)) {
			single = append(single, x.explanation)
		}
	}
	return single
}

// costFromArrival returns the cost of the explanation by one mark if delays count from the parent's arrival in place of the start of its run.
func (e *estimator) costFromArrival(c int, x *explanation) float64 {
	var d delays
	for _, l := range x.links {
		d.values = append(d.values, e.delay(l.sequence, l.parent, l.child, false))
	}
	parents := e.events[x.slots[0]]
	d.prepare(parents)
	return d.cost(parents) + e.unexplained(e.children(c)-len(x.links))
}

// reversed reports whether the only event of mark c in a sequence comes before the only one of mark p more often than by mistake, as it
// does with siblings now and then.
func (e *estimator) reversed(c, p int) bool {
	both, before := 0, 0
	for _, k := range e.having[c] {
		s := &e.sequences[k]
		if children, parents := s.of(c), s.of(p); len(children) == 1 && len(parents) == 1 {
			both++
			if children[0] < parents[0] {
				before++
			}
		}
	}
	return before >= 2 && before*500 >= both
}

// waitsKept returns of how many parents that waited so long that a usual delay would have passed before they ran, the child came after
// that, and of how many before. Before also comes an event that could not be given a parent for that reason alone: its delay is usual.
func (e *estimator) waitsKept(c int, x *explanation) (kept, broken int) {
	var arrivals []float64
	matched := map[[2]int]bool{}
	for _, l := range x.links {
		arrivals = append(arrivals, e.delay(l.sequence, l.parent, l.child, false))
		matched[[2]int{l.sequence, l.child}] = true
	}
	slices.Sort(arrivals)
	usual := medianInPlace(arrivals)
	low, high := arrivals[len(arrivals)/20], arrivals[len(arrivals)-1-len(arrivals)/20]
	count := func(sequence, parent, child int) {
		switch {
		case e.sequences[sequence].waited(parent)/e.resolution <= usual+20:
		case e.delay(sequence, parent, child, true) < -5:
			broken++
		case matched[[2]int{sequence, child}]:
			kept++
		}
	}
	for _, l := range x.links {
		count(l.sequence, l.parent, l.child)
	}
	for _, k := range e.having[c] {
		s := &e.sequences[k]
		parents := s.of(x.slots[0])
		for _, i := range s.of(c) {
			if i < s.first() || matched[[2]int{k, i}] {
				continue
			}
			before, _ := slices.BinarySearch(parents, i)
			for _, j := range parents[max(0, before-maxBack):before] {
				if d := e.delay(k, j, i, false); d >= low && d <= high {
					count(k, j, i)
				}
			}
		}
	}
	return kept, broken
}
