package prewarm

import (
	"slices"
	"time"
)

// StartTimes are the start times that were measured, by function and by load: how many other containers were being created when a start
// was asked for. Of each it keeps the last 64.
type StartTimes struct {
	functions [][]sample // by function, then by range of the load
	all       []sample   // of all functions, by range of the load
}

// Ranges of the load: loadRange containers each, and the last without an end.
const (
	loadRange  = 8
	loadRanges = 9
)

// sample holds the last values in two orders.
type sample struct {
	recent []time.Duration // a ring
	next   int
	sorted []time.Duration
}

const sampleSize = 64

// NewStartTimes returns start times of n functions, of which none is known.
func NewStartTimes(n int) *StartTimes {
	s := &StartTimes{functions: make([][]sample, n), all: make([]sample, loadRanges)}
	for i := range s.functions {
		s.functions[i] = make([]sample, loadRanges)
	}
	return s
}

// Grow adds functions, of which nothing is known, until there are n.
func (s *StartTimes) Grow(n int) {
	for len(s.functions) < n {
		s.functions = append(s.functions, make([]sample, loadRanges))
	}
}

// Forget forgets the start times of a function, because its code has changed. Those of all functions together stay.
func (s *StartTimes) Forget(function int) { clear(s.functions[function]) }

// Add adds a measurement: a start of a function that took d, while load others were being created when it began.
func (s *StartTimes) Add(function, load int, d time.Duration) {
	r := rangeOf(load)
	s.functions[function][r].add(d)
	s.all[r].add(d)
}

// Each calls f for each start time of a function that is kept, the oldest first of each range of the load, with the lowest of the range.
func (s *StartTimes) Each(function int, f func(load int, d time.Duration)) {
	for r := range s.functions[function] {
		t := &s.functions[function][r]
		for i := range t.recent {
			f(r*loadRange, t.recent[(t.next+i)%len(t.recent)])
		}
	}
}

// Sorted returns measured start times in ascending order: those of the function at about this load; where there are none those of all
// functions at about this load, and then those of the nearest load. It is empty if nothing was measured. The slice is valid until the
// next Add.
func (s *StartTimes) Sorted(function, load int) []time.Duration {
	r := rangeOf(load)
	if t := s.functions[function][r].sorted; len(t) > 0 {
		return t
	}
	for distance := range loadRanges {
		for _, k := range [2]int{r - distance, r + distance} {
			if k < 0 || k >= loadRanges {
				continue
			}
			if t := s.all[k].sorted; len(t) > 0 {
				return t
			}
		}
	}
	return nil
}

// Quantile returns the q-quantile of Sorted, or otherwise if nothing was measured.
func (s *StartTimes) Quantile(function, load int, q float64, otherwise time.Duration) time.Duration {
	t := s.Sorted(function, load)
	if len(t) == 0 {
		return otherwise
	}
	return t[min(int(q*float64(len(t))), len(t)-1)]
}

// Mean returns the mean of Sorted, or otherwise if nothing was measured.
func (s *StartTimes) Mean(function, load int, otherwise time.Duration) time.Duration {
	t := s.Sorted(function, load)
	if len(t) == 0 {
		return otherwise
	}
	var sum time.Duration
	for _, d := range t {
		sum += d
	}
	return sum / time.Duration(len(t))
}

func rangeOf(load int) int { return min(max(load, 0)/loadRange, loadRanges-1) }

func (s *sample) add(d time.Duration) {
	if s.recent == nil { // at once, so that nothing is allocated later
		memory := make([]time.Duration, 2*sampleSize)
		s.recent, s.sorted = memory[:0:sampleSize], memory[sampleSize:sampleSize]
	}
	if len(s.recent) < sampleSize {
		s.recent = append(s.recent, d)
	} else {
		old := s.recent[s.next]
		s.recent[s.next] = d
		s.next = (s.next + 1) % sampleSize
		i, _ := slices.BinarySearch(s.sorted, old)
		s.sorted = slices.Delete(s.sorted, i, i+1)
	}
	i, _ := slices.BinarySearch(s.sorted, d)
	s.sorted = slices.Insert(s.sorted, i, d)
}
