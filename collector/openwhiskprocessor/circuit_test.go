package openwhiskprocessor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCircuit goes through the life of a circuit: a row of failures opens it, trials come after longer and longer pauses,
// one success closes it.
func TestCircuit(t *testing.T) {
	c := circuit{config: CircuitConfig{Failures: 3, Pause: time.Second, MaximumPause: 3 * time.Second}}
	now := time.Unix(1_000_000, 0)
	after := func(d time.Duration) time.Time { now = now.Add(d); return now }

	require.True(t, c.may(now))
	require.False(t, c.failure(now, 0))
	require.False(t, c.failure(now, 0))
	require.False(t, c.success(now), "it was not open")
	require.False(t, c.failure(now, 0), "a success has begun the row anew")
	require.False(t, c.failure(now, 0))
	require.True(t, c.failure(now, 0), "the third in a row")
	require.False(t, c.may(after(999*time.Millisecond)))
	require.Equal(t, time.Millisecond, c.wait(now))
	require.False(t, c.failure(now, 0), "a lookup from before the pause makes it no longer")
	require.True(t, c.may(after(time.Millisecond)))
	require.False(t, c.may(now), "one trial at a time")
	require.Equal(t, time.Hour, c.wait(now))
	require.False(t, c.failure(now, 0), "it was open already")
	require.False(t, c.may(after(2*time.Second-1)))
	require.True(t, c.may(after(1)))
	c.failure(now, 0)
	require.Equal(t, 3*time.Second, c.wait(now), "the longest pause")
	require.True(t, c.may(after(3*time.Second)))
	c.failure(now, time.Minute)
	require.Equal(t, time.Minute, c.wait(now), "OpenWhisk named a longer one")
	require.True(t, c.may(after(time.Minute)))
	require.Equal(t, 66*time.Second, c.downtime(now))
	require.True(t, c.success(now))
	require.True(t, c.may(after(time.Hour)))
	require.Equal(t, 66*time.Second, c.downtime(now))

	c.rest(now, time.Second)
	require.False(t, c.may(now))
	require.True(t, c.may(after(time.Second)), "a rest needs no trial")
	require.True(t, c.may(now))
	require.Equal(t, 66*time.Second, c.downtime(now))
}
