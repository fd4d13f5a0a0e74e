package policy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestBestDelay checks ORION's search: a first stage of 10 s, a start of 4 s and a second stage of 5 s are at their best with a delay of 6 s, at which
// nothing waits and nothing is idle.
func TestBestDelay(t *testing.T) {
	for name, v := range map[string]struct {
		first, second []float64
		start         float64
		want          time.Duration
	}{
		"just in time":                            {[]float64{10}, []float64{5}, 4, 6 * time.Second},
		"no time for a delay":                     {[]float64{3}, []float64{5}, 4, 0},
		"for ever is beyond the grid":             {[]float64{100}, []float64{5}, 4, 14900 * time.Millisecond},
		"the percentile is that of the best case": {[]float64{10, 10, 10, 10, 10, 10, 10, 10, 10, 6}, []float64{5}, 4, 2 * time.Second},
		"the second stage does not matter here":   {[]float64{10}, []float64{1, 9}, 4, 6 * time.Second},
	} {
		require.Equal(t, v.want, bestDelay(v.first, v.start, v.second), name)
	}
}

// TestTwoStages checks what ORION's search compares for a first stage of 10 s, a start of 4 s and a second stage of 5 s.
func TestTwoStages(t *testing.T) {
	for _, tt := range []struct{ delay, total, idle, utilisation float64 }{
		{0, 15, 6, 0.76}, {3, 15, 3, 19. / 22}, {6, 15, 0, 1}, {8, 17, 0, 1},
		{14.9, 19, 0, 1}, // the second begins to start with the end of the first at the latest
	} {
		total, idle, utilisation := twoStages(tt.delay, 10, 4, 5)
		require.Equal(t, tt.total, total, "%+v", tt)
		require.Equal(t, tt.idle, idle, "%+v", tt)
		require.InDelta(t, tt.utilisation, utilisation, 1e-12, "%+v", tt)
	}
}
