package lab

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
)

// keepAlive keeps idle containers for d.
func keepAlive(d time.Duration) NewPolicy {
	return func(prewarm.Platform, []prewarm.Function, prewarm.Knowledge, uint64) (prewarm.Policy, error) {
		return prewarm.PolicyFunc(func(e *prewarm.Event, f *prewarm.Fleet, out *prewarm.Decisions) {
			if e.Kind == prewarm.Idle {
				out.Hold(f.Container(e.Container), f.Now+d, prewarm.Why{Rule: "kept after its use"})
			}
		}), nil
	}
}

// TestWithoutKeepingEveryStartIsCold checks that a policy which gives every container back pays a cold start for each invocation and no idle
// memory.
func TestWithoutKeepingEveryStartIsCold(t *testing.T) {
	w, err := NewWorkload("sequence", "poisson:1200", Options{Requests: 30})
	require.NoError(t, err)
	run, err := w.Run(t.Context(), Setting{}, 1, keepAlive(0), Observer{})
	require.NoError(t, err)
	m := run.Measures
	require.Equal(t, 25, m.Requests)
	require.InDelta(t, 11, m.Cold, 1e-9)
	require.Zero(t, m.Idle)
	require.Zero(t, m.Late+m.Wasted)
	require.Greater(t, m.P50, 11*1.3)
}
