package lab

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
)

// TestStock checks the measures of a policy that keeps two stem cells and nothing else: every invocation takes one, which is initialised in 0.1 s, and
// has it replaced, which takes 2 s. After the last request two are left that were not used.
func TestStock(t *testing.T) {
	w := clockwork(t)
	w.options.Stock = true
	w.Functions = append(w.Functions, prewarm.Function{Name: stockName, MemoryMB: 256, StemCell: true})
	const stock = 2
	run, err := w.Run(t.Context(), Setting{}, 1, policyOf(func(e *prewarm.Event, f *prewarm.Fleet, out *prewarm.Decisions) {
		switch {
		case e.Kind == prewarm.Woken:
			out.Start(stock, 2, prewarm.Why{})
		case e.Kind == prewarm.Removed && e.Function == stock:
			require.Equal(t, prewarm.ByPlatform, e.By)
			out.Start(stock, 1, prewarm.Why{})
		case e.Kind == prewarm.Idle && e.Function == stock:
			out.Hold(f.Container(e.Container), prewarm.Never, prewarm.Why{})
		case e.Kind == prewarm.Idle:
			out.GiveBack(f.Container(e.Container), prewarm.Why{})
		}
	}), Observer{})
	require.NoError(t, err)
	const wait = 0.1 + 0.25 + 0.1
	requireMeasures(t, Measures{
		Requests: 3, Mean: wait, P50: wait, P95: wait, P99: wait, Starting: 256 * (2*0.1 + 2*2), Idle: 256 * 2 * 498, Busy: 256 * 5.25, Cold: 2, Wasted: 2.0 / 3,
	}, run.Measures)
	require.InDelta(t, 256*2*498, run.Functions[stock].Idle, 1e-6)
	require.Equal(t, "n=8,fixed,stock", Settings(w, Setting{}))
}

// TestStockIsLast checks that the stock is beside the functions of the applications, and has no part in what was recorded.
func TestStockIsLast(t *testing.T) {
	w, err := NewWorkload("sequence+tree_small", "poisson:60", Options{Requests: 10, Stock: true})
	require.NoError(t, err)
	last := len(w.Functions) - 1
	require.Equal(t, prewarm.Function{Name: stockName, MemoryMB: 256, StemCell: true}, w.Functions[last])
	k, err := w.Knowledge()
	require.NoError(t, err)
	for _, a := range k.Applications {
		require.NotContains(t, a.Functions, last)
	}
}
