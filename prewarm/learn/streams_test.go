package learn

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/newsvendor"
)

// TestSeveralRoots: where requests of an application begin with two functions, each is foreseen by its own requests.
func TestSeveralRoots(t *testing.T) {
	w := newWorld(t, 4, Options{Model: newsvendor.Table})
	const often, rarely = 10 * time.Minute, 17 * time.Minute
	at := [2]prewarm.Time{often, rarely + time.Minute}
	foreseen := [2]int{}
	for n := 0; n < 120; n++ {
		root := 0
		if at[1] < at[0] {
			root = 1
		}
		w.started()
		w.request(at[root], w.chain(1, root, 2))
		// What was started of the root before it came. Its own start is by the platform.
		if n >= 80 {
			foreseen[root] += min(w.started()[root], 1)
		}
		at[root] += [...]time.Duration{often, rarely}[root]
	}
	require.Empty(t, w.policy.Warnings())
	require.Len(t, w.policy.Models(), 1)
	a := w.policy.library.apps[0]
	require.Equal(t, []int{0, 1, 2}, a.functions)
	require.Contains(t, a.streams, 1)
	require.NotContains(t, a.streams, 0, "it is that of the application itself")
	require.NotContains(t, a.streams, 2, "no request begins with it")
	require.Greater(t, foreseen[0], 15)
	require.Greater(t, foreseen[1], 4)
}
