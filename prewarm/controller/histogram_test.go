package controller

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestHistogram checks that each value is counted once, in the bucket between whose bounds it is.
func TestHistogram(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bounds := []float64{0.5, 1, 2}
		h := NewHistogram(bounds)
		sum, want := 0.0, make([]uint64, 4)
		for _, value := range rapid.SliceOf(rapid.OneOf(rapid.SampledFrom(bounds), rapid.Float64Range(0, 3))).Draw(t, "values") {
			before := h.Clone()
			h.Observe(value)
			require.NotEqual(t, before.Counts, h.Counts, "a copy changes too")
			i := 0
			for i < len(bounds) && value > bounds[i] {
				i++
			}
			want[i]++
			sum += value
		}
		require.Equal(t, want, h.Counts)
		require.Equal(t, sum, h.Sum)
	})
}
