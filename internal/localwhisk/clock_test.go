package localwhisk

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestVirtualClock checks times, order and stopping of calls.
func TestVirtualClock(t *testing.T) {
	clock := NewVirtualClock(epoch)
	var calls []string
	at := func(d time.Duration, name string) func() bool {
		return clock.AfterFunc(d, func() { calls = append(calls, name+" "+clock.Now().Sub(epoch).String()) })
	}
	at(2*time.Second, "second")
	at(time.Second, "first")
	at(2*time.Second, "third")
	at(-time.Second, "at once")
	stop := at(time.Second, "never")
	if !stop() {
		t.Error("stop came in time, and says it did not")
	}
	if stop() {
		t.Error("a second stop says that it prevented the call")
	}
	late := at(time.Second, "early")
	clock.AfterFunc(time.Second, func() {
		if late() {
			t.Error("stop says that it prevented a call that was made")
		}
		at(500*time.Millisecond, "planned on the way")
		at(0, "planned for now")
	})
	if len(calls) > 0 {
		t.Errorf("calls before Run: %q", calls)
	}
	if err := clock.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	want := []string{"at once 0s", "first 1s", "early 1s", "planned for now 1s", "planned on the way 1.5s", "second 2s", "third 2s"}
	if !slices.Equal(calls, want) {
		t.Errorf("calls %q, want %q", calls, want)
	}
	if got := clock.Now().Sub(epoch); got != 2*time.Second {
		t.Errorf("the clock stands at %v, want 2s", got)
	}
}

// TestVirtualClockStopsWithContext checks that Run returns the error of a context that is done, and can be continued.
func TestVirtualClockStopsWithContext(t *testing.T) {
	clock := NewVirtualClock(epoch)
	ctx, cancel := context.WithCancel(context.Background())
	ticks := 0
	var tick func()
	tick = func() {
		if ticks++; ticks == 3 {
			cancel()
		}
		clock.AfterFunc(time.Second, tick)
	}
	tick()
	if err := clock.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v, want context.Canceled", err)
	}
	if ticks != 3 {
		t.Errorf("%d ticks, want 3", ticks)
	}
}

// TestVirtualClockOrder checks that calls are made in the order of a stable sort by time.
func TestVirtualClockOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		delays := rapid.SliceOf(rapid.IntRange(0, 20)).Draw(t, "delays")
		stopped := rapid.SliceOfN(rapid.Bool(), len(delays), len(delays)).Draw(t, "stopped")
		clock := NewVirtualClock(epoch)
		var got, want []int
		stops := make([]func() bool, len(delays))
		for i, d := range delays {
			stops[i] = clock.AfterFunc(time.Duration(d), func() { got = append(got, i) })
		}
		for i, stop := range stops {
			if stopped[i] {
				stop()
			} else {
				want = append(want, i)
			}
		}
		slices.SortStableFunc(want, func(a, b int) int { return cmp.Compare(delays[a], delays[b]) })
		if err := clock.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("called %v, want %v", got, want)
		}
	})
}
