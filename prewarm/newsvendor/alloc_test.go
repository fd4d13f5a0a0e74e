package newsvendor

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAllocatesNothing has hundreds of requests in flight, of which as many come as go. What happens then, all decisions included, allocates nothing: memory
// is used again. Where gaps and durations are random there may be more at once than ever before, for which lists grow: more and more rarely, and far more
// rarely than anything happens that a policy is told of.
func TestAllocatesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("trains models, and what the race detector allocates is not ours")
	}
	const traces, arrivals = 600, 6000
	for _, model := range []string{Table, "race"} {
		for _, regular := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/regular=%v", model, regular), func(t *testing.T) {
				s := newBenchmark(t, model, traces)
				s.regular = regular
				for f := range benchFunctions { // as if starts had been measured under each load
					for load := range 100 {
						s.policy.AddStart(f, load, benchStart*time.Second)
						s.fleet.Starts.Add(f, load, benchStart*time.Second)
					}
				}
				s.run(2 * warmUp * traces)
				allocated := mallocs(func() { s.run(arrivals) })
				for again := 0; again < 2 && regular && allocated > 0; again++ { // the runtime may allocate beside it
					allocated = min(allocated, mallocs(func() { s.run(arrivals) }))
				}
				require.InDelta(t, traces, s.policy.predictor.index.Len(), traces/4)
				if regular {
					require.Zero(t, allocated)
				} else {
					require.Less(t, float64(allocated)/arrivals, 0.01)
				}
			})
		}
	}
}
