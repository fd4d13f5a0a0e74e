package prewarm_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/prewarm"
)

// TestFleetLists compares the lists of containers with plain ones, over random events, of which some are followed by a look at the lists.
func TestFleetLists(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, err := prewarm.NewFleet(prewarm.Platform{Arrivals: true}, []prewarm.Function{{Name: "main", MemoryMB: 256}})
		if err != nil {
			t.Fatal(err)
		}
		var lists [4][]prewarm.ID // by state
		move := func(id prewarm.ID, from, to prewarm.State) {
			i := slices.Index(lists[from], id)
			lists[from] = slices.Delete(lists[from], i, i+1)
			lists[to] = append(lists[to], id)
		}
		n := prewarm.ID(0)
		for range rapid.IntRange(1, 200).Draw(t, "events") {
			s := prewarm.State(rapid.IntRange(0, 3).Draw(t, "state"))
			e := prewarm.Event{Kind: prewarm.Starting}
			if len(lists[s]) == 0 || s == prewarm.StateStarting && rapid.Bool().Draw(t, "new") {
				n++
				e.Container = n
				lists[prewarm.StateStarting] = append(lists[prewarm.StateStarting], n)
			} else {
				e.Container = rapid.SampledFrom(lists[s]).Draw(t, "container")
				switch s {
				case prewarm.StateStarting, prewarm.StateReturning:
					e.Kind = prewarm.Idle
					move(e.Container, s, prewarm.StateIdle)
				case prewarm.StateIdle:
					if rapid.Bool().Draw(t, "removed") {
						e.Kind = prewarm.Removed
						i := slices.Index(lists[s], e.Container)
						lists[s] = slices.Delete(lists[s], i, i+1)
					} else {
						e.Kind = prewarm.Placed
						move(e.Container, s, prewarm.StateBusy)
					}
				case prewarm.StateBusy:
					e.Kind = prewarm.Ended
					move(e.Container, s, prewarm.StateReturning)
				}
			}
			if err := f.Apply(&e); err != nil {
				t.Fatal(err)
			}
			count := 0
			for s, want := range lists {
				count += len(want)
				if !rapid.Bool().Draw(t, "look") {
					continue
				}
				var got []prewarm.ID
				for _, c := range f.Containers(0, prewarm.State(s)) {
					got = append(got, c.ID)
				}
				if !slices.Equal(got, want) {
					t.Fatalf("%v are %v, want %v", prewarm.State(s), got, want)
				}
			}
			if got := f.Count(0); got != count || f.StartingForNobody(0) != len(lists[prewarm.StateStarting]) {
				t.Fatalf("there are %d containers and %d starting, want %d and %d", got, f.StartingForNobody(0), count, len(lists[prewarm.StateStarting]))
			}
		}
	})
}
