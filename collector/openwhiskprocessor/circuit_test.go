package openwhiskprocessor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestCircuit checks that failures in a row open a circuit, that trials follow after longer and longer pauses, and that one success
// closes it.
func TestCircuit(t *testing.T) {
	c := circuit{config: CircuitConfig{Failures: 3, Pause: time.Second, MaximumPause: 3 * time.Second}}
	now := time.Unix(1_000_000, 0)
	after := func(d time.Duration) time.Time { now = now.Add(d); return now }

	require.Zero(t, c.wait(now))
	require.True(t, c.allow(now))
	require.False(t, c.failure(now, 0, ""))
	require.False(t, c.failure(now, 0, ""))
	require.False(t, c.success(now), "the circuit was not open")
	require.False(t, c.failure(now, 0, ""), "a success resets the number of failures")
	require.False(t, c.failure(now, 0, ""))
	require.True(t, c.failure(now, 0, ""), "the third in a row")
	require.False(t, c.allow(after(999*time.Millisecond)))
	require.Equal(t, time.Millisecond, c.wait(now))
	require.False(t, c.failure(now, 0, ""), "a lookup that began before the pause does not extend it")
	require.Zero(t, c.wait(now.Add(time.Millisecond)))
	require.Zero(t, c.wait(now.Add(time.Hour)))
	require.True(t, c.allow(after(time.Millisecond)))
	require.False(t, c.allow(now), "one trial at a time")
	require.Equal(t, time.Hour, c.wait(now))
	require.False(t, c.failure(now, 0, ""), "the circuit was open already")
	require.False(t, c.allow(after(2*time.Second-1)))
	require.True(t, c.allow(after(1)))
	c.failure(now, 0, "")
	require.Equal(t, 3*time.Second, c.wait(now), "the longest pause")
	require.True(t, c.allow(after(3*time.Second)))
	c.failure(now, time.Minute, "")
	require.Equal(t, time.Minute, c.wait(now), "OpenWhisk asked for a longer one")
	require.True(t, c.allow(after(time.Minute)))
	require.Equal(t, 66*time.Second, c.downtime(now))
	require.True(t, c.success(now))
	require.True(t, c.allow(after(time.Hour)))
	require.Equal(t, 66*time.Second, c.downtime(now))

	c.rest(now, time.Second)
	require.False(t, c.allow(now))
	require.True(t, c.allow(after(time.Second)), "a rest needs no trial")
	require.True(t, c.allow(now))
	require.Equal(t, 67*time.Second, c.downtime(now), "the rest suspended lookups for a second")
}

// TestRest checks that a rest ends a trial without a result, shortens no pause, counts when another follows it, and that one of no length is
// none.
func TestRest(t *testing.T) {
	c := circuit{config: CircuitConfig{Failures: 1, Pause: 2 * time.Second, MaximumPause: time.Minute}}
	now := time.Unix(1_000_000, 0)
	c.rest(now, 0)
	require.True(t, c.allow(now))
	require.Zero(t, c.downtime(now.Add(time.Hour)))
	require.True(t, c.failure(now, 0, ""))
	c.rest(now, time.Second)
	require.Equal(t, 2*time.Second, c.wait(now), "the pause is longer")
	now = now.Add(2 * time.Second)
	require.True(t, c.allow(now))
	c.rest(now, 0)
	require.True(t, c.allow(now), "the trial had no result, another may follow")
	c.rest(now, time.Second)
	require.Equal(t, time.Second, c.wait(now))
	now = now.Add(time.Second)
	require.True(t, c.allow(now))
	require.True(t, c.success(now))
	require.Equal(t, 3*time.Second, c.downtime(now))

	c.rest(now, time.Second)
	c.rest(now.Add(10*time.Second), time.Second)
	require.Equal(t, 5*time.Second, c.downtime(now.Add(20*time.Second)), "time between two rests does not count")
}

// TestCircuitBoundsActivations checks that a circuit remembers no more activations than it needs to open.
func TestCircuitBoundsActivations(t *testing.T) {
	c := circuit{config: CircuitConfig{Failures: 3, Pause: time.Second, MaximumPause: time.Second}}
	now := time.Unix(1_000_000, 0)
	for _, id := range activationIDs(20) {
		c.failure(now, 0, id)
	}
	require.Len(t, c.failed, 3)
}

// TestCircuitCountsActivations checks that lookups which fail perhaps only for their activation open the circuit once as many activations
// failed as there may be failures, and not before.
func TestCircuitCountsActivations(t *testing.T) {
	c := circuit{config: CircuitConfig{Failures: 3, Pause: time.Second, MaximumPause: 3 * time.Second}}
	now := time.Unix(1_000_000, 0)
	for range 100 {
		require.False(t, c.failure(now, 0, "a"))
		require.False(t, c.failure(now, 0, "b"))
	}
	c.success(now)
	require.False(t, c.failure(now, 0, "c"))
	require.False(t, c.failure(now, 0, "a"), "a success forgets the activations")
	require.True(t, c.failure(now, 0, "b"))
	require.False(t, c.allow(now))

	c = circuit{config: c.config}
	require.False(t, c.failure(now, 0, "a"))
	require.False(t, c.failure(now, 0, ""))
	require.False(t, c.failure(now, 0, "a"))
	require.True(t, c.failure(now, 0, ""), "failures of OpenWhisk as a whole count each")
}

// TestDowntime checks that each moment in which lookups are suspended counts once, whatever suspends them.
func TestDowntime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := circuit{config: CircuitConfig{Failures: 2, Pause: 2 * time.Second, MaximumPause: 5 * time.Second}}
		begin := time.Unix(1_000_000, 0)
		now, want := begin, time.Duration(0)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "event") {
			case 0:
				c.allow(now)
			case 1:
				c.success(now)
			case 2:
				c.failure(now, time.Duration(rapid.IntRange(0, 3).Draw(t, "at least"))*time.Second, rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "activation"))
			case 3:
				c.rest(now, time.Duration(rapid.IntRange(0, 3).Draw(t, "rest"))*time.Second)
			}
			if c.open || now.Before(c.until) {
				want += time.Second // suspended until the next step
			}
			now = now.Add(time.Second)
			require.Equal(t, want, c.downtime(now))
		}
	})
}
