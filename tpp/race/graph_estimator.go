package race

import (
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
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

// newEstimator returns an estimator that looks at most at the given number of events, at least 2, of a dataset.
func newEstimator(d *tpp.Dataset, most int) *estimator {
	e := &estimator{numMarks: d.NumMarks(), waits: true}
	e.events, e.having = make([]int, e.numMarks), make([][]int, e.numMarks)
	step := max(1, float64(d.NumEvents())/float64(most))
	var spans, gaps []float64
	largest, events := 0., 0
	for at := 0.; int(at) < len(d.Sequences); at += step {
		s := &d.Sequences[int(at)]
		if s.Len() < 2 {
			continue
		}
		left := most - events
		if left < 2 {
			break
		}
		if s.Len() > left {
			first := s.First(left)
			s = &first
		}
		events += s.Len()
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
