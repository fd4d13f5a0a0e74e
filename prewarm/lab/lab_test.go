package lab

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
)

// none decides nothing; containers are kept for the platform's idle timeout.
func none(prewarm.Platform, []prewarm.Function, prewarm.Knowledge, uint64) (prewarm.Policy, error) {
	return prewarm.PolicyFunc(func(*prewarm.Event, *prewarm.Fleet, *prewarm.Decisions) {}), nil
}

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

func TestQuick(t *testing.T) {
	for _, app := range []string{"sequence", "tree_small", "parallel_small", "fanout_large", "long", "branch", "memory", "sequence~0.6"} {
		w, err := NewWorkload(app, "poisson:1200", Options{Requests: 200})
		require.NoError(t, err)
		begin := time.Now()
		_, err = w.Knowledge()
		require.NoError(t, err)
		t.Log(app, "knowledge", time.Since(begin))
		begin = time.Now()
		_, err = w.Plan(t.Context(), 1)
		require.NoError(t, err)
		t.Log("plan", time.Since(begin))
		begin = time.Now()
		var p95, mem float64
		for s := range 4 {
			r, err := w.Run(t.Context(), Setting{}, uint64(s), keepAlive(600*time.Second), Observer{})
			require.NoError(t, err)
			p95 += r.Measures.P95 / 4
			mem += r.Measures.Memory() / 4
		}
		t.Logf("run %v p95 %.2f mem %.0f", time.Since(begin), p95, mem)
	}
}
