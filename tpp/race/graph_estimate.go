package race

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tppfaas/tppfaas/tpp"
)

// GraphReport says what an estimated graph rests on, and where it is not sure.
type GraphReport struct {
	// Waits says that all sequences have wait times, so that a delay could be counted from the start of a parent's run. Without them an
	// event that comes shortly after another one is taken for its child, though it may be its sibling.
	Waits bool
	// Events is the number of events that need a parent, of the sequences that were looked at; Unexplained is how many were given none.
	Events, Unexplained int
	// Marks has for each mark where its events come from.
	Marks []MarkReport
}

// MarkReport says where the events of a mark come from.
type MarkReport struct {
	// Events is the number of events that need a parent: all but the first ones of sequences. Unexplained is how many were given none.
	Events, Unexplained int
	// Parents are the marks that were taken as parents, the one with most children first.
	Parents []int
	// Ambiguous are marks that explain the events as well as the only one of Parents, or nearly so.
	Ambiguous []int
}

// EstimateGraph estimates the graph of a dataset from its sequences alone, whatever their Parents say, and reports what it is not sure of.
//
// The parent of an event is an earlier one after which its delay can be told best, in the sense of the shortest code: a parent mark costs
// the entropy of its delays, and that of which of its events have a child. Where all sequences have wait times, delays are counted from
// the end of the parent's wait and initialisation, and a mark whose waits the children do not wait for is no parent. Parents are added
// as long as the code becomes shorter. GraphFromParents explains what becomes of the parents.
//
// It is an error if the dataset is not valid, if no sequence has two events, or if half of the events or more have no parent that
// explains them. A dataset of many sequences is estimated from some of them, spread over all.
func EstimateGraph(d *tpp.Dataset) (*Graph, GraphReport, error) {
	if err := d.Validate(); err != nil {
		return nil, GraphReport{}, fmt.Errorf("graph: %w", err)
	}
	e := newEstimator(d)
	if len(e.sequences) == 0 {
		return nil, GraphReport{}, errors.New("graph: no sequence has two events or more")
	}
	report := GraphReport{Waits: e.waits, Marks: make([]MarkReport, e.numMarks)}
	for c, found := range e.allParents() {
		r := &report.Marks[c]
		r.Events, r.Parents, r.Ambiguous = e.children(c), found.parents(), found.ambiguous
		r.Unexplained = r.Events - len(found.links)
		report.Events += r.Events
		report.Unexplained += r.Unexplained
		for _, l := range found.links {
			e.sequences[l.sequence].parents[l.child] = l.parent
		}
	}
	if report.Events == 0 || 2*report.Unexplained >= report.Events {
		return nil, report, fmt.Errorf("graph: it cannot be estimated: of %d events that need a cause, %d have none that explains when they come",
			report.Events, report.Unexplained)
	}
	counter := newChildCounter(e.numMarks)
	for i := range e.sequences {
		s := &e.sequences[i]
		counter.add(s.Sequence, s.parents)
	}
	return counter.graph(mistaken), report, nil
}

const (
	// maxEstimated is how many events are looked at, about.
	maxEstimated = 100_000
	// maxBack is how many earlier events of one mark are tried as the parent of an event.
	maxBack = 16
	// maxCandidates is how many marks are tried together as parents of a mark, and maxParents how many of them may be.
	maxCandidates, maxParents = 12, 8
	// mistaken is how often exclusive children may seem to be together, of the times that were to be expected if they were not, since
	// some events are given a wrong parent.
	mistaken = 0.1
)

// estimator has what the search for the parents of one mark needs to know of a dataset.
type estimator struct {
	sequences []estimated
	numMarks  int
	waits     bool
	// resolution is the smallest difference between two gaps.
	resolution float64
	// total is the time of all sequences, in units of resolution. anywhere is the cost, in nats, of one event that comes at any time of a
	// sequence.
	total, anywhere float64
	// events has the number of events of each mark; having the sequences with events of each mark that need a parent.
	events []int
	having [][]int
}

// estimated is a sequence with the parents that were found.
type estimated struct {
	*tpp.Sequence
	// order are the events by mark, and in their order for each.
	order   []int
	parents []int
}

// first returns the first event that needs a parent.
func (s *estimated) first() int {
	if s.TStart != nil {
		return 0
	}
	return 1
}

// of returns the events with mark m, ascending.
func (s *estimated) of(m int) []int {
	from, _ := slices.BinarySearchFunc(s.order, m, func(i, m int) int { return s.Mark(i) - m })
	to := from
	for to < len(s.order) && s.Mark(s.order[to]) == m {
		to++
	}
	return s.order[from:to]
}

// waited returns how long event i waited and initialised before it ran; 0 without wait times.
func (s *estimated) waited(i int) float64 {
	if s.WaitTimes == nil {
		return 0
	}
	if s.InitTimes == nil {
		return s.WaitTimes[i]
	}
	return s.WaitTimes[i] + s.InitTimes[i]
}

func newEstimator(d *tpp.Dataset) *estimator {
	e := &estimator{numMarks: d.NumMarks(), waits: true}
	e.events, e.having = make([]int, e.numMarks), make([][]int, e.numMarks)
	step := max(1, float64(d.NumEvents())/maxEstimated)
	var spans, gaps []float64
	largest := 0.
	for at := 0.; int(at) < len(d.Sequences); at += step {
		s := &d.Sequences[int(at)]
		if s.Len() < 2 {
			continue
		}
		est := estimated{Sequence: s, order: make([]int, s.Len()), parents: make([]int, s.Len())}
		for i := range s.Len() {
			est.order[i], est.parents[i] = i, -1
			m := s.Mark(i)
			e.events[m]++
			if of := e.having[m]; i >= est.first() && (len(of) == 0 || of[len(of)-1] != len(e.sequences)) {
				e.having[m] = append(of, len(e.sequences))
			}
			largest = max(largest, math.Abs(s.ArrivalTimes[i]))
		}
		slices.SortStableFunc(est.order, func(a, b int) int { return s.Mark(a) - s.Mark(b) })
		e.waits = e.waits && s.WaitTimes != nil
		gaps = append(gaps, s.InterTimes()...)
		spans = append(spans, s.ArrivalTimes[s.Len()-1]-s.ArrivalTimes[0])
		e.sequences = append(e.sequences, est)
	}
	e.resolution = resolutionOf(gaps, largest)
	if len(spans) == 0 {
		return e
	}
	for _, span := range spans {
		e.total += span / e.resolution
	}
	e.anywhere = math.Log(max(medianInPlace(spans)/e.resolution, 1)) + 3
	return e
}

// resolutionOf returns the smallest difference between two gaps that is larger than the rounding of the largest time; 1 if all are the same.
func resolutionOf(gaps []float64, largest float64) float64 {
	slices.Sort(gaps)
	resolution, last := math.Inf(1), 0.
	for _, g := range gaps {
		if step := g - last; step > largest*0x1p-50 {
			resolution = min(resolution, step)
		}
		last = g
	}
	if math.IsInf(resolution, 1) {
		return 1
	}
	return resolution
}

// children returns the number of events of mark c that need a parent.
func (e *estimator) children(c int) int {
	n := 0
	for _, k := range e.having[c] {
		s := &e.sequences[k]
		for _, i := range s.of(c) {
			if i >= s.first() {
				n++
			}
		}
	}
	return n
}

// unexplained returns the cost of n events without a parent, in nats: they come at a constant rate, or one by one.
func (e *estimator) unexplained(n int) float64 {
	if n == 0 {
		return 0
	}
	return float64(n) * min(e.anywhere, 1+math.Log(max(e.total/float64(n), 1)))
}

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

// candidates returns the marks of which an event comes before at least one in fifty of the events of mark c.
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
			for j := range i {
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
		if round == 8 {
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
		first := len(links)
	next:
		for _, p := range possible {
			for _, l := range links[first:] {
				if l.child == p.child || l.parent == p.parent && l.slot == p.slot {
					continue next
				}
			}
			links = append(links, p.link)
		}
	}
	return links
}
