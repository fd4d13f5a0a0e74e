package mirror_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm/mirror"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// TestRestoreCircle checks that a snapshot in which an invocation has called itself, over others or not, is refused: who looks for its first caller would never end.
func TestRestoreCircle(t *testing.T) {
	o := mirror.Options{Epoch: epoch, Platform: own}
	m, err := mirror.New(o)
	require.NoError(t, err)
	for i, call := range []string{"1", "2", "3"} {
		parent := ""
		if i > 0 {
			parent = "1"
		}
		_, err := m.Observe(time.Second, &source.Observation{Kind: source.Invoked, Function: "a", Trace: "t", Call: call, ParentCall: parent, Time: epoch}, nil)
		require.NoError(t, err)
	}
	s := m.Snapshot()
	_, _, err = mirror.Restore(o, s, 2*time.Second)
	require.NoError(t, err)
	for _, parent := range []int{0, 1} {
		s.Invocations[0].Parent = s.Invocations[parent].ID
		_, _, err = mirror.Restore(o, s, 2*time.Second)
		require.ErrorContains(t, err, "has called itself")
	}
	s.Invocations[0].Parent = s.LastInvocation + 1
	_, _, err = mirror.Restore(o, s, 2*time.Second)
	require.ErrorContains(t, err, "was called by number 4, which was not given", "the next that comes would have it")
}
