package learn

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/seed"
	"github.com/tppfaas/tppfaas/prewarm"

	"math/rand/v2"
)

// BenchmarkRecord measures what recording takes for an event, with so many requests in flight of ten invocations each, beside what the policy does
// with it; what is recorded has reached its bound. It allocates nothing.
func BenchmarkRecord(b *testing.B) {
	for _, inFlight := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprint("in-flight=", inFlight), func(b *testing.B) {
			const calls = 10
			platform := prewarm.Platform{Arrivals: true}
			r := newRecorder(platform)
			l := &library{most: 1 << 20, rng: rand.New(seed.Stream(1, "bench"))}
			r.over = func(f *flight) { l.add(f) }
			fleet, err := prewarm.NewFleet(platform, functionsOf(calls))
			require.NoError(b, err)
			// Requests run one behind the other, each a step of its three events per invocation at a time.
			step := 0
			tell := func() {
				trace, k := step/(3*calls*inFlight)*inFlight+step%inFlight+1, step/inFlight%(3*calls)
				e := prewarm.Event{
					Kind: [...]prewarm.Kind{prewarm.Arrived, prewarm.Started, prewarm.Ended}[k%3], At: time.Duration(step) * 20 * time.Microsecond,
					Function: k / 3, Trace: prewarm.ID(trace), Invocation: prewarm.ID(trace*calls + k/3),
				}
				if k >= 3 {
					e.Parent = e.Invocation - 1
				}
				r.observe(&e, fleet)
				step++
			}
			for range 3*calls*max(inFlight, 2000)*2 + 200_000 {
				tell()
			}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				tell()
			}
		})
	}
}
