package circuit

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestCircuit checks that failures in a row open a circuit, that trials follow after longer and longer pauses, and that one success
// closes it.
func TestCircuit(t *testing.T) {
	c := Circuit{config: Config{Failures: 3, Pause: time.Second, MaximumPause: 3 * time.Second}}
	now := time.Unix(1_000_000, 0)
	after := func(d time.Duration) time.Time { now = now.Add(d); return now }

	require.Zero(t, c.Wait(now))
	require.True(t, c.Allow(now))
	require.False(t, c.Failure(now, 0, ""))
	require.False(t, c.Failure(now, 0, ""))
	require.False(t, c.Success(now), "the circuit was not open")
	require.False(t, c.Failure(now, 0, ""), "a success resets the number of failures")
	require.False(t, c.Failure(now, 0, ""))
	require.True(t, c.Failure(now, 0, ""), "the third in a row")
	require.False(t, c.Allow(after(999*time.Millisecond)))
	require.Equal(t, time.Millisecond, c.Wait(now))
	require.False(t, c.Failure(now, 0, ""), "a request that began before the pause does not extend it")
	require.Zero(t, c.Wait(now.Add(time.Millisecond)))
	require.Zero(t, c.Wait(now.Add(time.Hour)))
	require.True(t, c.Allow(after(time.Millisecond)))
	require.False(t, c.Allow(now), "one trial at a time")
	require.Equal(t, time.Hour, c.Wait(now))
	require.False(t, c.Failure(now, 0, ""), "the circuit was open already")
	require.False(t, c.Allow(after(2*time.Second-1)))
	require.True(t, c.Allow(after(1)))
	c.Failure(now, 0, "")
	require.Equal(t, 3*time.Second, c.Wait(now), "the longest pause")
	require.True(t, c.Allow(after(3*time.Second)))
	c.Failure(now, time.Minute, "")
	require.Equal(t, time.Minute, c.Wait(now), "the server asked for a longer one")
	require.True(t, c.Allow(after(time.Minute)))
	require.Equal(t, 66*time.Second, c.Downtime(now))
	require.True(t, c.Success(now))
	require.True(t, c.Allow(after(time.Hour)))
	require.Equal(t, 66*time.Second, c.Downtime(now))

	c.Rest(now, time.Second)
	require.False(t, c.Allow(now))
	require.True(t, c.Allow(after(time.Second)), "a rest needs no trial")
	require.True(t, c.Allow(now))
	require.Equal(t, 67*time.Second, c.Downtime(now), "the rest suspended requests for a second")
}

// TestRest checks that a rest ends a trial without a result, shortens no pause, counts when another follows it, and that one of no length is
// none.
func TestRest(t *testing.T) {
	c := Circuit{config: Config{Failures: 1, Pause: 2 * time.Second, MaximumPause: time.Minute}}
	now := time.Unix(1_000_000, 0)
	c.Rest(now, 0)
	require.True(t, c.Allow(now))
	require.Zero(t, c.Downtime(now.Add(time.Hour)))
	require.True(t, c.Failure(now, 0, ""))
	c.Rest(now, time.Second)
	require.Equal(t, 2*time.Second, c.Wait(now), "the pause is longer")
	now = now.Add(2 * time.Second)
	require.True(t, c.Allow(now))
	c.Rest(now, 0)
	require.True(t, c.Allow(now), "the trial had no result, another may follow")
	c.Rest(now, time.Second)
	require.Equal(t, time.Second, c.Wait(now))
	now = now.Add(time.Second)
	require.True(t, c.Allow(now))
	require.True(t, c.Success(now))
	require.Equal(t, 3*time.Second, c.Downtime(now))

	c.Rest(now, time.Second)
	c.Rest(now.Add(10*time.Second), time.Second)
	require.Equal(t, 5*time.Second, c.Downtime(now.Add(20*time.Second)), "time between two rests does not count")
}

// TestBoundsIDs checks that a circuit remembers no more ids than it needs to open.
func TestBoundsIDs(t *testing.T) {
	c := Circuit{config: Config{Failures: 3, Pause: time.Second, MaximumPause: time.Second}}
	now := time.Unix(1_000_000, 0)
	for i := range 20 {
		c.Failure(now, 0, fmt.Sprint(i))
	}
	require.Len(t, c.failed, 3)
}

// TestCountsIDs checks that requests which fail perhaps only for their id open the circuit once as many ids failed as there may be failures, and not before.
func TestCountsIDs(t *testing.T) {
	c := Circuit{config: Config{Failures: 3, Pause: time.Second, MaximumPause: 3 * time.Second}}
	now := time.Unix(1_000_000, 0)
	for range 100 {
		require.False(t, c.Failure(now, 0, "a"))
		require.False(t, c.Failure(now, 0, "b"))
	}
	c.Success(now)
	require.False(t, c.Failure(now, 0, "c"))
	require.False(t, c.Failure(now, 0, "a"), "a success forgets the ids")
	require.True(t, c.Failure(now, 0, "b"))
	require.False(t, c.Allow(now))

	c = Circuit{config: c.config}
	require.False(t, c.Failure(now, 0, "a"))
	require.False(t, c.Failure(now, 0, ""))
	require.False(t, c.Failure(now, 0, "a"))
	require.True(t, c.Failure(now, 0, ""), "failures of the server as a whole count each")
}

// TestDowntime checks that each moment in which requests are suspended counts once, whatever suspends them.
func TestDowntime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Circuit{config: Config{Failures: 2, Pause: 2 * time.Second, MaximumPause: 5 * time.Second}}
		begin := time.Unix(1_000_000, 0)
		now, want := begin, time.Duration(0)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "event") {
			case 0:
				c.Allow(now)
			case 1:
				c.Success(now)
			case 2:
				c.Failure(now, time.Duration(rapid.IntRange(0, 3).Draw(t, "at least"))*time.Second, rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "id"))
			case 3:
				c.Rest(now, time.Duration(rapid.IntRange(0, 3).Draw(t, "rest"))*time.Second)
			}
			if c.open || now.Before(c.until) {
				want += time.Second // suspended until the next step
			}
			now = now.Add(time.Second)
			require.Equal(t, want, c.Downtime(now))
		}
	})
}
