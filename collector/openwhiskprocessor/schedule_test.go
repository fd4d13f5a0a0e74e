package openwhiskprocessor

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestSchedule checks that activations come out in the order of their times, none before it is due, and each at the very moment when it is.
func TestSchedule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		begin := time.Unix(1_000_000, 0)
		var s schedule
		var times []time.Duration
		for range rapid.IntRange(0, 30).Draw(t, "activations") {
			d := time.Duration(rapid.IntRange(0, 20).Draw(t, "due"))
			times = append(times, d)
			s.add(&activation{due: begin.Add(d)})
		}
		slices.Sort(times)
		for now := time.Duration(0); now <= 20; now++ {
			for len(times) > 0 && times[0] == now {
				a := s.take(begin.Add(now))
				require.NotNil(t, a)
				require.Equal(t, begin.Add(now), a.due)
				times = times[1:]
			}
			require.Nil(t, s.take(begin.Add(now)))
		}
		require.Empty(t, s)
	})
}

// TestIntervals checks the intervals between the lookups of an activation, and when its record counts as missing.
func TestIntervals(t *testing.T) {
	config := testConfig()
	config.Retry.BackOff.InitialInterval, config.Retry.BackOff.Multiplier, config.Retry.BackOff.MaxInterval = time.Second, 2, 5*time.Second
	back := config.Retry.backOff()
	for _, want := range []time.Duration{1, 2, 4, 5, 5} {
		require.Equal(t, want*time.Second, back.NextBackOff())
	}
	require.False(t, config.Retry.exhausted(config.Retry.BackOff.MaxElapsedTime-1))
	require.True(t, config.Retry.exhausted(config.Retry.BackOff.MaxElapsedTime))
	config.Retry.BackOff.MaxElapsedTime = 0
	require.False(t, config.Retry.exhausted(1<<62), "0 waits for ever")
}
