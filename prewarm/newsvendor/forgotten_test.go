package newsvendor

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
)

// TestForgottenTraceDemandsNothing: a run has started, and nobody says that it has ended. While it is followed, it demands what it may call; once it is
// forgotten, nothing is left of it.
func TestForgottenTraceDemandsNothing(t *testing.T) {
	s := newBenchmark(t, Table, 1)
	demands := func() int {
		n := 0
		for _, d := range s.policy.deciders {
			n += len(d.entries)
		}
		return n
	}
	s.tell(&prewarm.Event{Kind: prewarm.Woken})
	e := prewarm.Event{Kind: prewarm.Arrived, At: moment(1), Trace: 7, Invocation: 5, Container: 9, Start: prewarm.Cold}
	for _, kind := range []prewarm.Kind{prewarm.Arrived, prewarm.Placed, prewarm.Started} {
		e.Kind = kind
		s.now = e.At
		s.tell(&e)
	}
	wake := func(from, to float64) {
		for at := from; at < to; at += 5 {
			s.now = moment(at)
			for _, key := range []uint64{keyPredictor, keyDeciders} {
				s.tell(&prewarm.Event{Kind: prewarm.Woken, At: s.now, Key: key})
			}
		}
	}
	wake(2, forgotten)
	require.Equal(t, benchFunctions-1, demands())
	wake(forgotten, 1.5*forgotten)
	require.Zero(t, s.policy.predictor.index.Len())
	require.Zero(t, demands())
}
