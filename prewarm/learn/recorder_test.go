package learn

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
)

// TestRestOfRequest: a call whose caller is not known, since its start was heard of before its announcement, breaks its request, and what comes of that
// afterwards is no request of its own.
func TestRestOfRequest(t *testing.T) {
	platform := prewarm.Platform{Warm: true, Arrivals: true}
	fleet, err := prewarm.NewFleet(platform, []prewarm.Function{{Name: "a", MemoryMB: 128}, {Name: "b", MemoryMB: 128}})
	require.NoError(t, err)
	r := newRecorder(platform)
	over, begun := 0, 0
	r.over = func(*flight) { over++ }
	call := func(at time.Duration, trace, id, parent prewarm.ID, function int) {
		e := prewarm.Event{Kind: prewarm.Arrived, At: at, Trace: trace, Invocation: id, Parent: parent, Function: function}
		if r.observe(&e, fleet) != nil {
			begun++
		}
		for _, e.Kind = range []prewarm.Kind{prewarm.Started, prewarm.Ended} {
			r.observe(&e, fleet)
		}
	}
	call(0, 1, 1, 0, 0)
	call(time.Second, 1, 2, 0, 1)     // by nobody
	call(4*time.Second, 1, 3, 0, 1)   // again, when the request is quiet
	call(8*time.Second, 1, 4, 3, 1)   // by that
	call(12*time.Second, 2, 5, 0, 0)  // another request
	call(60*time.Second, 3, 6, 0, 0)  // and one more, by when it is over
	call(63*time.Second, 2, 7, 0, 1)  // what comes late of it is none
	call(120*time.Second, 4, 8, 0, 0) // by when the third is over
	require.Equal(t, 2, over)
	require.Equal(t, 4, begun)
	require.Len(t, r.arrivals[0].gaps, 3)
	require.Len(t, r.arrivals, 1, "no request begins with b")
	for i := range prewarm.ID(3 * mostInFlight) { // what is remembered is bounded
		call(200*time.Second+time.Duration(i)*3*time.Second, 100+i, 1000+i, 0, 0)
	}
	require.LessOrEqual(t, len(r.done), mostInFlight)
	require.Len(t, r.dropped, mostInFlight)
}

// TestCallerIsKnownLater checks that a request is kept of which the start of a run was heard of before its call, with the time and the caller that the call tells, and
// that one is not whose callers stay unknown.
func TestCallerIsKnownLater(t *testing.T) {
	platform := prewarm.Platform{Arrivals: true}
	fleet, err := prewarm.NewFleet(platform, []prewarm.Function{{Name: "a", MemoryMB: 128}, {Name: "b", MemoryMB: 128}})
	require.NoError(t, err)
	r := newRecorder(platform)
	var over []prewarm.Trace
	r.over = func(f *flight) { over = append(over, f.trace(nil)) }
	for trace, known := range []bool{true, false} {
		at := time.Duration(trace) * time.Minute
		observe := func(k prewarm.Kind, after, late time.Duration, invocation, parent prewarm.ID) {
			e := prewarm.Event{Kind: k, At: at + after, Late: late, Trace: prewarm.ID(trace + 1), Invocation: invocation, Parent: parent, Function: int(invocation - 1)}
			r.observe(&e, fleet)
		}
		observe(prewarm.Arrived, 0, 0, 1, 0)
		observe(prewarm.Started, time.Second, 0, 1, 0)
		observe(prewarm.Arrived, 2*time.Second, 0, 2, 0)
		observe(prewarm.Started, 2*time.Second, 0, 2, 0)
		if known {
			observe(prewarm.Called, 2*time.Second, 500*time.Millisecond, 2, 1)
		}
		observe(prewarm.Ended, 3*time.Second, 0, 1, 0)
		observe(prewarm.Ended, 4*time.Second, 0, 2, 0)
	}
	r.observe(&prewarm.Event{Kind: prewarm.Woken, At: time.Hour}, fleet)
	require.Equal(t, []prewarm.Trace{{
		{Function: 0, Parent: -1, Arrival: 0, Start: 1, End: 3},
		{Function: 1, Parent: 0, Arrival: 1.5, Start: 2, End: 4},
	}}, over)
}

// TestLateIsNotOver checks that where events are told late a request is not taken to be over before what it leads to is told.
func TestLateIsNotOver(t *testing.T) {
	platform := prewarm.Platform{Arrivals: true}
	fleet, err := prewarm.NewFleet(platform, []prewarm.Function{{Name: "a", MemoryMB: 256}, {Name: "b", MemoryMB: 256}})
	require.NoError(t, err)
	r := newRecorder(platform)
	var lengths []int
	r.over = func(f *flight) { lengths = append(lengths, len(f.calls)) }
	id, at := prewarm.ID(0), time.Duration(0)
	for range 5 {
		id += 10
		call := func(invocation, parent prewarm.ID, function int, late time.Duration) {
			for _, k := range []prewarm.Kind{prewarm.Arrived, prewarm.Started, prewarm.Ended} {
				r.observe(&prewarm.Event{Kind: k, At: at + late, Late: late, Trace: id, Invocation: invocation, Parent: parent, Function: function}, fleet)
			}
		}
		call(id, 0, 0, 0)
		r.observe(&prewarm.Event{Kind: prewarm.Woken, At: at + 4*time.Second}, fleet) // something else is waited for
		call(id+1, id, 1, 5*time.Second)
		at += time.Minute
	}
	r.observe(&prewarm.Event{Kind: prewarm.Woken, At: at}, fleet)
	require.Equal(t, []int{1, 2, 2, 2, 2}, lengths, "after the first it is known how late events are told")
}
