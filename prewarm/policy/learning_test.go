package policy

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/prewarm"
)

// TestWindow checks a window's quantiles against those of the last values themselves.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, 20), 1, 3*windowSize).Draw(t, "values")
		var w window
		var all []time.Duration
		for _, v := range values {
			w.add(time.Duration(v))
			all = append(all, time.Duration(v))
		}
		last := slices.Clone(all[max(len(all)-windowSize, 0):])
		slices.Sort(last)
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		require.Equal(t, last[min(int(q*float64(len(last))), len(last)-1)], w.quantile(q))
	})
}

// branches returns recorded requests in which A calls B, C or nobody.
func branches(b, c, none int) prewarm.Knowledge {
	request := func(children ...int) prewarm.Trace {
		trace := prewarm.Trace{{Parent: -1, End: 2}}
		for i, f := range children {
			trace = append(trace, prewarm.Invocation{Function: f, Arrival: float64(i + 1), Start: float64(i + 1), End: 5})
		}
		return trace
	}
	var r prewarm.Recording
	for range b {
		r.Warm = append(r.Warm, request(1))
	}
	for range c {
		r.Warm = append(r.Warm, request(2))
	}
	for range none {
		r.Warm = append(r.Warm, request())
	}
	return prewarm.Knowledge{Applications: []prewarm.Recording{r}}
}

// TestBranchProbabilities checks the counts: one more than the requests with a branch, of two more than all.
func TestBranchProbabilities(t *testing.T) {
	o := Options{Functions: []prewarm.Function{{Name: "A"}, {Name: "B"}, {Name: "C"}}, Knowledge: branches(70, 20, 8)}
	c := newTracker(o, true, false).compositions[0]
	require.Len(t, c.nodes, 3)
	require.Equal(t, 1, c.nodes[1].function)
	require.InDelta(t, 0.71, c.probability(1, 0), 1e-9)
	require.InDelta(t, 0.21, c.probability(2, 0), 1e-9)
	require.InDelta(t, 1./72, c.probability(2, 1), 1e-9, "where B has come C never has")
	require.InDelta(t, 1./22, c.probability(1, 2), 1e-9)
	require.Equal(t, time.Second, c.nodes[1].after[0].start.quantile(0.5), "after the start of A")
	require.Equal(t, -time.Second, c.nodes[1].after[0].end.quantile(0.5), "after its end")
}

// TestAfterEnd checks that of a branch which comes before its caller's end little is expected after it.
func TestAfterEnd(t *testing.T) {
	o := Options{
		Platform:  prewarm.Platform{Arrivals: true},
		Functions: []prewarm.Function{{Name: "A"}, {Name: "B"}, {Name: "C"}}, Knowledge: branches(70, 20, 8),
	}
	tracker := newTracker(o, true, false)
	require.Zero(t, tracker.afterEnd(tracker.compositions[0], 1, 0.71, 0))
	require.Equal(t, 0.71, newTracker(Options{Functions: o.Functions, Knowledge: o.Knowledge}, true, false).afterEnd(tracker.compositions[0], 1, 0.71, 0),
		"where only starts are seen it may wait for its container")
}

// TestRepresentative checks the coefficient of variation of the bins, √(240/k − 1) with k equal ones, also where it is just 2, which floating point
// numbers miss, and what is decided by it.
func TestRepresentative(t *testing.T) {
	p, err := New("histogram", Options{Functions: []prewarm.Function{{Name: "f"}}})
	require.NoError(t, err)
	for _, tt := range []struct {
		equal       int
		low, high   int           // the coefficient is from low to below high, in hundredths
		load, until time.Duration // PW and END
	}{
		{1, 1545, 1546, 0, 66 * time.Second}, // the head is in the first minute
		{47, 202, 203, 108 * time.Second, 3102 * time.Second},
		{48, 200, 201, 108 * time.Second, 3168 * time.Second},
		{49, 197, 198, 0, 4 * time.Hour},
		{240, 0, 1, 0, 4 * time.Hour},
	} {
		times := idleTimes{bins: make([]uint64, 240)}
		for i := range 10 * tt.equal {
			times.add(time.Duration(i%tt.equal) * time.Minute)
		}
		require.True(t, times.representative(uint64(tt.low*tt.low)), "%d bins", tt.equal)
		require.False(t, times.representative(uint64(tt.high*tt.high)), "%d bins", tt.equal)
		load, until := p.(*hybrid).windows(&times)
		require.Equal(t, tt.load, load, "%d bins", tt.equal)
		require.Equal(t, tt.until, until, "%d bins", tt.equal)
	}
	require.False(t, (&idleTimes{bins: make([]uint64, 240)}).representative(0), "nothing is known")
}
