package policy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
)

// TestTrackerWithoutCallers checks what becomes of invocations whose caller or request a platform does not tell.
func TestTrackerWithoutCallers(t *testing.T) {
	o := Options{Functions: []prewarm.Function{{Name: "A"}, {Name: "B"}, {Name: "C"}}, Knowledge: branches(70, 20, 8)}
	for name, v := range map[string]struct {
		event prewarm.Event
		node  int // −1: it belongs to no request
	}{
		"its caller is told":                        {prewarm.Event{Function: 1, Trace: 7, Parent: 1}, 1},
		"only its caller is":                        {prewarm.Event{Function: 1, Parent: 1}, 1},
		"only its request is, and it is expected":   {prewarm.Event{Function: 2, Trace: 7}, 2},
		"only its request is, and it is not":        {prewarm.Event{Function: 0, Trace: 7}, -1},
		"its caller is unknown":                     {prewarm.Event{Function: 1, Trace: 7, Parent: 99}, -1},
		"nothing is told: it begins a request":      {prewarm.Event{Function: 1}, 0},
		"another request: it is the root of that":   {prewarm.Event{Function: 1, Trace: 8}, 0},
		"something that was never called before is": {prewarm.Event{Function: 0, Trace: 7, Parent: 1}, 3},
	} {
		tracker := newTracker(o, true, false)
		root, _ := tracker.see(&prewarm.Event{Kind: prewarm.Arrived, Trace: 7, Invocation: 1})
		v.event.Kind, v.event.Invocation = prewarm.Arrived, 2
		f, node := tracker.see(&v.event)
		switch v.node {
		case -1:
			require.Nil(t, f, name)
		case 0:
			require.NotSame(t, root, f, name)
		default:
			require.Same(t, root, f, name)
			require.Equal(t, v.node, node, name)
			require.NotNil(t, f.of(node), name)
		}
	}
}

// TestTrackerForgets checks that a request ends a while after its last run, and that one of which nothing is heard is forgotten.
func TestTrackerForgets(t *testing.T) {
	o := Options{Platform: prewarm.Platform{Arrivals: true}, Functions: []prewarm.Function{{Name: "A"}}}
	tracker := newTracker(o, true, false)
	tracker.see(&prewarm.Event{Kind: prewarm.Arrived, Trace: 1, Invocation: 1})
	tracker.see(&prewarm.Event{Kind: prewarm.Started, At: 2 * time.Second, Invocation: 1, Container: 1})
	f, _ := tracker.see(&prewarm.Event{Kind: prewarm.Ended, At: 3 * time.Second, Invocation: 1, Container: 1})
	require.Nil(t, tracker.complete(3900*time.Millisecond))
	require.Same(t, f, tracker.complete(4*time.Second))
	tracker.finish(f)
	require.Equal(t, 1, tracker.compositions[0].nodes[0].n, "it was learned")
	require.Equal(t, time.Second, tracker.compositions[0].nodes[0].run.quantile(0.5))

	for i := range 200 { // one that never ends, and others
		at := time.Duration(i) * time.Minute
		for f := tracker.complete(at); f != nil; f = tracker.complete(at) {
			tracker.finish(f)
		}
		id := prewarm.ID(10 + i)
		tracker.see(&prewarm.Event{Kind: prewarm.Arrived, At: at, Trace: id, Invocation: id})
		if i > 0 {
			tracker.see(&prewarm.Event{Kind: prewarm.Ended, At: at, Invocation: id})
		}
	}
	require.LessOrEqual(t, len(tracker.invocations), 1)
	require.LessOrEqual(t, len(tracker.traces), 1)
	require.LessOrEqual(t, len(tracker.flights), 3, "they are used again")
}
