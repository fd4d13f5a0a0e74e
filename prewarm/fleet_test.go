package prewarm_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
)

func newFleet(t *testing.T, p prewarm.Platform) *prewarm.Fleet {
	t.Helper()
	f, err := prewarm.NewFleet(p, []prewarm.Function{{Name: "main", MemoryMB: 256}, {Name: "next", MemoryMB: 128}})
	require.NoError(t, err)
	return f
}

// TestFleetFollowsEvents follows a cold invocation, a late one and a warm one.
func TestFleetFollowsEvents(t *testing.T) {
	f := newFleet(t, prewarm.Platform{Arrivals: true})
	count := func(function int) [4]int {
		var n [4]int
		for s := range n {
			n[s] = len(f.Containers(function, prewarm.State(s)))
		}
		return n
	}
	for _, step := range []struct {
		name     string
		event    prewarm.Event
		main     [4]int // starting, idle, busy, returning
		next     [4]int
		creating int
		usedMB   int
	}{
		{"a request arrives", prewarm.Event{Kind: prewarm.Arrived, At: 1 * time.Second, Invocation: 1, Trace: 1}, [4]int{}, [4]int{}, 0, 0},
		{"and has a container created", prewarm.Event{Kind: prewarm.Placed, At: 1 * time.Second, Invocation: 1, Trace: 1, Container: 1, Start: prewarm.Cold}, [4]int{0, 0, 1, 0}, [4]int{}, 1, 256},
		{"the policy starts one of next", prewarm.Event{Kind: prewarm.Starting, At: 2 * time.Second, Function: 1, Container: 2}, [4]int{0, 0, 1, 0}, [4]int{1, 0, 0, 0}, 2, 384},
		{"main runs", prewarm.Event{Kind: prewarm.Started, At: 3 * time.Second, Invocation: 1, Container: 1, Init: time.Second}, [4]int{0, 0, 1, 0}, [4]int{1, 0, 0, 0}, 1, 384},
		{"and invokes next", prewarm.Event{Kind: prewarm.Arrived, At: 3 * time.Second, Function: 1, Invocation: 2, Parent: 1, Trace: 1}, [4]int{0, 0, 1, 0}, [4]int{1, 0, 0, 0}, 1, 384},
		{"which waits for the one on the way", prewarm.Event{Kind: prewarm.Placed, At: 3 * time.Second, Function: 1, Invocation: 2, Container: 2, Start: prewarm.Late}, [4]int{0, 0, 1, 0}, [4]int{0, 0, 1, 0}, 1, 384},
		{"main ends", prewarm.Event{Kind: prewarm.Ended, At: 4 * time.Second, Invocation: 1, Container: 1}, [4]int{0, 0, 0, 1}, [4]int{0, 0, 1, 0}, 1, 384},
		{"its container is idle", prewarm.Event{Kind: prewarm.Idle, At: 5 * time.Second, Container: 1}, [4]int{0, 1, 0, 0}, [4]int{0, 0, 1, 0}, 1, 384},
		{"next runs", prewarm.Event{Kind: prewarm.Started, At: 5 * time.Second, Function: 1, Invocation: 2, Container: 2, Init: time.Second}, [4]int{0, 1, 0, 0}, [4]int{0, 0, 1, 0}, 0, 384},
		{"another request", prewarm.Event{Kind: prewarm.Arrived, At: 6 * time.Second, Invocation: 3, Trace: 2}, [4]int{0, 1, 0, 0}, [4]int{0, 0, 1, 0}, 0, 384},
		{"is warm", prewarm.Event{Kind: prewarm.Placed, At: 6 * time.Second, Invocation: 3, Container: 1}, [4]int{0, 0, 1, 0}, [4]int{0, 0, 1, 0}, 0, 384},
		{"next's container takes no more", prewarm.Event{Kind: prewarm.Leaving, At: 8 * time.Second, Function: 1, Container: 2}, [4]int{0, 0, 1, 0}, [4]int{0, 0, 1, 0}, 0, 384},
		{"next's container is gone", prewarm.Event{Kind: prewarm.Removed, At: 9 * time.Second, Function: 1, Container: 2}, [4]int{0, 0, 1, 0}, [4]int{}, 0, 256},
	} {
		require.NoError(t, f.Apply(&step.event), step.name)
		require.Equal(t, step.main, count(0), step.name)
		require.Equal(t, step.next, count(1), step.name)
		require.Equal(t, step.creating, f.Creating(), step.name)
		require.Equal(t, step.usedMB, f.UsedMB, step.name)
		require.Equal(t, step.event.At, f.Now, step.name)
	}
	require.Equal(t, []time.Duration{2 * time.Second}, f.Starts.Sorted(0, 0))
	require.Equal(t, 3*time.Second, f.Starts.Mean(1, 0, 0))
	require.Equal(t, uint64(1), f.Loads[1].LateStarts)
	require.Equal(t, 1, f.Loads[0].InFlight())
}

// TestFleetOfStartsOnly checks that a policy which hears of starts only sees the same containers from then on.
func TestFleetOfStartsOnly(t *testing.T) {
	f := newFleet(t, prewarm.Platform{})
	require.NoError(t, f.Apply(&prewarm.Event{Kind: prewarm.Started, At: time.Second, Invocation: 1, Container: 7, Init: time.Second}))
	require.Equal(t, prewarm.StateBusy, f.Container(7).State)
	require.Zero(t, f.Creating())
	require.NoError(t, f.Apply(&prewarm.Event{Kind: prewarm.Ended, At: 2 * time.Second, Invocation: 1, Container: 7}))
	require.NoError(t, f.Apply(&prewarm.Event{Kind: prewarm.Idle, At: 2 * time.Second, Container: 7}))
	require.NoError(t, f.Apply(&prewarm.Event{Kind: prewarm.Started, At: 3 * time.Second, Invocation: 2, Container: 7}))
	require.Equal(t, 2, f.Container(7).Uses)
	require.Zero(t, f.Loads[0].Waiting)
	require.Empty(t, f.Starts.Sorted(0, 0), "how long the start took was not seen")
}

// TestFleetOfFailures checks that an invocation whose container fails to start does not count as one that has run, nor do those whose container is
// gone.
func TestFleetOfFailures(t *testing.T) {
	f := newFleet(t, prewarm.Platform{Arrivals: true})
	for _, e := range []prewarm.Event{
		{Kind: prewarm.Arrived, Invocation: 1}, {Kind: prewarm.Placed, Invocation: 1, Container: 1, Start: prewarm.Cold}, {Kind: prewarm.Started, Invocation: 1, Container: 1},
		{Kind: prewarm.Arrived, Invocation: 2}, {Kind: prewarm.Placed, Invocation: 2, Container: 2, Start: prewarm.Cold},
		{Kind: prewarm.Ended, Invocation: 2, Container: 2, Failed: true}, {Kind: prewarm.Removed, Container: 2, By: prewarm.ByPlatform},
	} {
		require.NoError(t, f.Apply(&e))
	}
	require.Equal(t, 1, f.Loads[0].Running)
	require.Equal(t, uint64(1), f.Loads[0].Failed)
	require.Zero(t, f.Creating())
	require.NoError(t, f.Apply(&prewarm.Event{Kind: prewarm.Removed, Container: 1}))
	require.Zero(t, f.Loads[0].Running)
}

// TestFleetContradictions checks that impossible events are errors and change nothing.
func TestFleetContradictions(t *testing.T) {
	for name, event := range map[string]prewarm.Event{
		"end without a container":   {Kind: prewarm.Ended, Container: 1},
		"no such function":          {Kind: prewarm.Arrived, Function: 2},
		"warm in nothing":           {Kind: prewarm.Placed, Container: 1},
		"started without placement": {Kind: prewarm.Started, Container: 1},
		"a container without id":    {Kind: prewarm.Starting},
		"removal of nothing":        {Kind: prewarm.Removed, Container: 3},
		"leave of nothing":          {Kind: prewarm.Leaving, Container: 3},
	} {
		f := newFleet(t, prewarm.Platform{Arrivals: true})
		require.Error(t, f.Apply(&event), name)
		require.Zero(t, f.Count(0)+f.Count(1)+f.Creating()+f.UsedMB, name)
	}
}

// TestDisplaced checks that an invocation whose placement was a wrong guess waits again, and that its container is what it was before.
func TestDisplaced(t *testing.T) {
	fleet, err := prewarm.NewFleet(prewarm.Platform{Arrivals: true}, []prewarm.Function{{Name: "a", MemoryMB: 256}})
	if err != nil {
		t.Fatal(err)
	}
	apply := func(e prewarm.Event) {
		t.Helper()
		if err := fleet.Apply(&e); err != nil {
			t.Fatal(err)
		}
	}
	apply(prewarm.Event{Kind: prewarm.Starting, Container: 1})
	apply(prewarm.Event{Kind: prewarm.Idle, At: 2, Container: 1})
	apply(prewarm.Event{Kind: prewarm.Arrived, At: 3, Invocation: 1, Trace: 1})
	apply(prewarm.Event{Kind: prewarm.Placed, At: 3, Invocation: 1, Trace: 1, Container: 1, Start: prewarm.Warm})
	apply(prewarm.Event{Kind: prewarm.Displaced, At: 4, Invocation: 1, Trace: 1, Container: 1})
	if c := fleet.Container(1); c.State != prewarm.StateIdle || c.Uses != 0 || fleet.Loads[0].Waiting != 1 {
		t.Errorf("container is %v with %d uses, %d wait; want idle, 0, 1", c.State, c.Uses, fleet.Loads[0].Waiting)
	}
	apply(prewarm.Event{Kind: prewarm.Placed, At: 4, Invocation: 1, Trace: 1, Container: 2, Start: prewarm.Cold})
	apply(prewarm.Event{Kind: prewarm.Started, At: 5, Invocation: 1, Trace: 1, Container: 2})
	if err := fleet.Apply(&prewarm.Event{Kind: prewarm.Displaced, At: 6, Invocation: 1, Container: 2}); err == nil {
		t.Error("an invocation that runs was displaced")
	}
}

// TestAddFunction checks that a fleet takes functions that were not known when it was made, and refuses what NewFleet refuses.
func TestAddFunction(t *testing.T) {
	fleet, err := prewarm.NewFleet(prewarm.Platform{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if i, err := fleet.AddFunction(prewarm.Function{Name: "a", MemoryMB: 256}); i != 0 || err != nil {
		t.Fatalf("index %d, error %v", i, err)
	}
	if _, err := fleet.AddFunction(prewarm.Function{Name: "a", MemoryMB: 256}); err == nil {
		t.Error("a second function of the name was taken")
	}
	for _, e := range []prewarm.Event{{Kind: prewarm.Starting, Container: 1}, {Kind: prewarm.Idle, At: 2, Container: 1}} {
		if err := fleet.Apply(&e); err != nil {
			t.Fatal(err)
		}
	}
	if got := fleet.Starts.Mean(0, 0, 0); got != 2 {
		t.Errorf("start time %v, want 2 ns", got)
	}
}

// TestDisplacedCold checks that a container which was taken to be created for one invocation can be that of another, whose start is measured from
// its beginning, and that cold starts are counted once.
func TestDisplacedCold(t *testing.T) {
	fleet, err := prewarm.NewFleet(prewarm.Platform{Arrivals: true}, []prewarm.Function{{Name: "a", MemoryMB: 256}})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []prewarm.Event{
		{Kind: prewarm.Arrived, At: 1, Invocation: 1},
		{Kind: prewarm.Placed, At: 2, Late: 1, Invocation: 1, Container: 1, Start: prewarm.Cold},
		{Kind: prewarm.Arrived, At: 2, Invocation: 2},
		{Kind: prewarm.Displaced, At: 3, Invocation: 1, Container: 1, Start: prewarm.Cold},
		{Kind: prewarm.Placed, At: 3, Invocation: 2, Container: 1, Start: prewarm.Cold},
		{Kind: prewarm.Started, At: 8, Late: 3, Invocation: 2, Container: 1},
	} {
		if err := fleet.Apply(&e); err != nil {
			t.Fatal(err)
		}
	}
	if got := fleet.Starts.Mean(0, 0, 0); got != 4 {
		t.Errorf("start time %v, want 4 ns", got)
	}
	if l := fleet.Loads[0]; l.ColdStarts != 1 || l.Waiting != 1 || l.Running != 1 {
		t.Errorf("%+v: want 1 cold start, 1 waiting, 1 running", l)
	}
	fleet.Forget(0)
	if fleet.Starts.Add(0, 0, 10); fleet.Starts.Mean(0, 0, 0) != 10 {
		t.Errorf("start time %v after the function was forgotten, want 10 ns", fleet.Starts.Mean(0, 0, 0))
	}
	if err := fleet.Apply(&prewarm.Event{Kind: prewarm.Starting, At: 6, Container: 2, By: prewarm.ByPolicy}); err != nil {
		t.Fatal(err)
	}
	if err := fleet.Apply(&prewarm.Event{Kind: prewarm.Placed, At: 6, Invocation: 1, Container: 2, Start: prewarm.Cold}); err == nil {
		t.Error("a container that was started for nobody was taken to be created for an invocation")
	}
}
