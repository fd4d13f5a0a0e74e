package openwhiskprocessor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCircuit checks that failures in a row open a circuit, that trials follow after longer and longer pauses, and that one success
// closes it.
func TestCircuit(t *testing.T) {
	c := circuit{config: CircuitConfig{Failures: 3, Pause: time.Second, MaximumPause: 3 * time.Second}}
	now := time.Unix(1_000_000, 0)
	after := func(d time.Duration) time.Time { now = now.Add(d); return now }

	require.True(t, c.allow(now))
	require.False(t, c.failure(now, 0))
	require.False(t, c.failure(now, 0))
	require.False(t, c.success(now), "the circuit was not open")
	require.False(t, c.failure(now, 0), "a success resets the number of failures")
	require.False(t, c.failure(now, 0))
	require.True(t, c.failure(now, 0), "the third in a row")
	require.False(t, c.allow(after(999*time.Millisecond)))
	require.Equal(t, time.Millisecond, c.wait(now))
	require.False(t, c.failure(now, 0), "a lookup that began before the pause does not extend it")
	require.True(t, c.allow(after(time.Millisecond)))
	require.False(t, c.allow(now), "one trial at a time")
	require.Equal(t, time.Hour, c.wait(now))
	require.False(t, c.failure(now, 0), "the circuit was open already")
	require.False(t, c.allow(after(2*time.Second-1)))
	require.True(t, c.allow(after(1)))
	c.failure(now, 0)
	require.Equal(t, 3*time.Second, c.wait(now), "the longest pause")
	require.True(t, c.allow(after(3*time.Second)))
	c.failure(now, time.Minute)
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
	require.Equal(t, 66*time.Second, c.downtime(now))
}
