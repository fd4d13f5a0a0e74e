package policy

import (
	"slices"
	"time"
)

// windowSize is how many values a window has: few enough that what was recorded with warm containers only gives way to what happens
// while a policy runs.
const windowSize = 128

// window has the last values that were measured, in two orders.
type window struct {
	recent []time.Duration // a ring
	next   int
	sorted []time.Duration
	added  uint64 // values that were added, those that are forgotten too
}

func (w *window) add(d time.Duration) {
	w.added++
	if w.recent == nil {
		w.recent, w.sorted = make([]time.Duration, 0, windowSize), make([]time.Duration, 0, windowSize)
	}
	if len(w.recent) < windowSize {
		w.recent = append(w.recent, d)
	} else {
		old := w.recent[w.next]
		w.recent[w.next] = d
		w.next = (w.next + 1) % windowSize
		i, _ := slices.BinarySearch(w.sorted, old)
		w.sorted = slices.Delete(w.sorted, i, i+1)
	}
	i, _ := slices.BinarySearch(w.sorted, d)
	w.sorted = slices.Insert(w.sorted, i, d)
}

// quantile returns the q-quantile of the values, of which there is one at least.
func (w *window) quantile(q float64) time.Duration {
	return w.sorted[min(int(q*float64(len(w.sorted))), len(w.sorted)-1)]
}
