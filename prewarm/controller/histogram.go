package controller

import "slices"

// Bounds of the histograms of State, in seconds.
var (
	LatenessBounds = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
	NoticeBounds   = []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}
)

// Histogram counts values by size.
type Histogram struct {
	// Bounds ascend. Counts has one number more: Counts[i] is of the values above Bounds[i-1] and at most Bounds[i], the last of those above all.
	Bounds []float64 `json:"bounds"`
	Counts []uint64  `json:"counts"`
	Sum    float64   `json:"sum"`
}

// NewHistogram returns an empty histogram.
func NewHistogram(bounds []float64) Histogram {
	return Histogram{Bounds: bounds, Counts: make([]uint64, len(bounds)+1)}
}

// Observe counts a value.
func (h *Histogram) Observe(value float64) {
	i, _ := slices.BinarySearch(h.Bounds, value)
	h.Counts[i]++
	h.Sum += value
}

// Clone returns a copy that does not change with h.
func (h Histogram) Clone() Histogram {
	h.Counts = slices.Clone(h.Counts)
	return h
}

// Add adds what another histogram with the same bounds has counted.
func (h *Histogram) Add(o *Histogram) {
	for i := range min(len(h.Counts), len(o.Counts)) {
		h.Counts[i] += o.Counts[i]
	}
	h.Sum += o.Sum
}
