package race

import (
	"cmp"
	"math"
	"slices"
)

// explain returns the explanation of the events of mark c by the given slots. Delays count from the start of the parent's run, or from
// its arrival.
func (e *estimator) explain(c int, slots []int, fromStart bool) explanation {
	delays := make([]delays, len(slots))
	for s, p := range slots {
		e.allDelays(c, p, nth(slots, s), fromStart, &delays[s])
		delays[s].prepare(e.events[p])
		delays[s].use = 0.5
	}
	var best explanation
	for round := 0; ; round++ {
		x := explanation{slots: slots, links: e.match(c, slots, delays, fromStart)}
		for s := range delays {
			delays[s].values = delays[s].values[:0]
		}
		for _, l := range x.links {
			delays[l.slot].values = append(delays[l.slot].values, e.delay(l.sequence, l.parent, l.child, fromStart))
		}
		x.cost = e.unexplained(e.children(c) - len(x.links))
		for s, p := range slots {
			delays[s].prepare(e.events[p])
			x.cost += delays[s].cost(e.events[p])
		}
		x.cost += 0.03 * float64(e.children(c)) * float64(len(slots)-1)
		if round > 0 && x.cost >= best.cost-1e-9 {
			return best
		}
		best = x
		if round == maxRounds {
			return best
		}
	}
}

// nth returns how many slots before slot s have the same parent.
func nth(slots []int, s int) int {
	n := 0
	for _, p := range slots[:s] {
		if p == slots[s] {
			n++
		}
	}
	return n
}

func (e *estimator) delay(sequence, parent, child int, fromStart bool) float64 {
	s := &e.sequences[sequence]
	d := s.ArrivalTimes[child] - s.ArrivalTimes[parent]
	if fromStart {
		d -= s.waited(parent)
	}
	return d / e.resolution
}

// allDelays collects the delays of the events of mark c from all earlier events of mark p; for nth > 0 only from those between which and
// the event there are at least nth others of mark c.
func (e *estimator) allDelays(c, p, nth int, fromStart bool, to *delays) {
	for _, k := range e.having[c] {
		s := &e.sequences[k]
		parents, children := s.of(p), s.of(c)
		before := 0
		for at, i := range children {
			for before < len(parents) && parents[before] < i {
				before++
			}
			if i < s.first() {
				continue
			}
			for _, j := range parents[max(0, before-maxBack):before] {
				if nth == 0 || at >= nth && children[at-nth] > j {
					to.values = append(to.values, e.delay(k, j, i, fromStart))
				}
			}
		}
	}
}

// match returns the links between the events of mark c and those of the slots' marks, cheapest first, where each event has one parent and
// each parent one child in each slot.
func (e *estimator) match(c int, slots []int, delays []delays, fromStart bool) []link {
	type candidate struct {
		link
		cost float64
	}
	var links []link
	var possible []candidate
	// The number + 1 of the last sequence in which an event has its parent, and its child in each slot.
	longest := 0
	for _, k := range e.having[c] {
		longest = max(longest, e.sequences[k].Len())
	}
	hasParent, hasChild := make([]int, longest), make([]int, longest*len(slots))
	for _, k := range e.having[c] {
		s := &e.sequences[k]
		possible = possible[:0]
		for slot, p := range slots {
			parents := s.of(p)
			before := 0
			for _, i := range s.of(c) {
				for before < len(parents) && parents[before] < i {
					before++
				}
				if i < s.first() {
					continue
				}
				for _, j := range parents[max(0, before-maxBack):before] {
					cost := delays[slot].surprise(e.delay(k, j, i, fromStart)) - math.Log(delays[slot].use/(1-delays[slot].use))
					if cost < e.anywhere {
						possible = append(possible, candidate{link{k, j, i, slot}, cost})
					}
				}
			}
		}
		slices.SortFunc(possible, func(a, b candidate) int {
			return cmp.Or(cmp.Compare(a.cost, b.cost), a.child-b.child, b.parent-a.parent, a.slot-b.slot)
		})
		for _, p := range possible {
			of := p.slot*longest + p.parent
			if hasParent[p.child] == k+1 || hasChild[of] == k+1 {
				continue
			}
			hasParent[p.child], hasChild[of] = k+1, k+1
			links = append(links, p.link)
		}
	}
	return links
}
