package report

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// nan is what is not known.
var nan = math.NaN()

// TestCriticalPaths checks what cold starts cost end to end, on traces that can be followed by hand.
func TestCriticalPaths(t *testing.T) {
	for _, c := range []struct {
		name         string
		trace        []invocation
		end, warmEnd float64
		reach        []float64
		depth        []int
	}{
		{"in a row all of it counts", []invocation{
			{arrival: 0, wait: 1, init: 0.5, duration: nan, parent: -1, cold: true},
			{arrival: 2, wait: 0.25, init: 0, duration: nan, parent: 0},
			{arrival: 3, wait: 2, init: 0.5, duration: nan, parent: 1, cold: true},
		}, 5.5, 1.5, []float64{1.5, 0, 2.5}, []int{0, 1, 2}},
		{"the shorter of two side by side is hidden", []invocation{
			{arrival: 0, duration: nan, parent: -1},
			{arrival: 1, wait: 3, duration: nan, parent: 0, cold: true},
			{arrival: 1, wait: 2, duration: nan, parent: 0, cold: true},
		}, 4, 1, []float64{0, 3, 0}, []int{0, 1, 1}},
		{"what another call takes anyway is hidden", []invocation{
			{arrival: 0, duration: nan, parent: -1},
			{arrival: 1, wait: 3, duration: nan, parent: 0, cold: true},
			{arrival: 3.5, duration: nan, parent: 0},
		}, 4, 3.5, []float64{0, 0.5, 0}, []int{0, 1, 1}},
		{"what is lost is shared out by how long each took", []invocation{
			{arrival: 0, wait: 1, duration: nan, parent: -1, cold: true},
			{arrival: 2, wait: 3, duration: nan, parent: 0, cold: true},
			{arrival: 4, duration: nan, parent: 0},
		}, 5, 3, []float64{0.5, 1.5, 0}, []int{0, 1, 1}},
		{"runs end", []invocation{
			{arrival: 0, wait: 1, duration: 2, parent: -1, cold: true},
			{arrival: 2, wait: 0, duration: 5, parent: 0},
		}, 7, 6, []float64{1, 0}, []int{0, 1}},
		{"a caller that waits ends so long after its call", []invocation{
			{arrival: 0, duration: 10, parent: -1},
			{arrival: 1, wait: 2, duration: 8, parent: 0, cold: true},
			{arrival: 4, wait: 1, duration: 4, parent: 1, cold: true},
		}, 10, 7, []float64{0, 2, 1}, []int{0, 1, 2}},
		{"a child that the clocks put before its parent", []invocation{
			{arrival: 0, wait: 1, duration: nan, parent: 1, cold: true},
			{arrival: 0.5, duration: nan, parent: -1},
		}, 1, 0.5, []float64{0.5, 0}, []int{1, 0}},
		{"two roots", []invocation{
			{arrival: 0, wait: 1, duration: nan, parent: -1, cold: true},
			{arrival: 3, wait: 1, duration: nan, parent: -1, cold: true},
		}, 4, 3, []float64{0, 1}, []int{0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p paths
			p.follow([]invocation{{parent: -1, cold: true, wait: 7}, {parent: 0}, {parent: 1}, {parent: 1}}) // what is left of another trace does no harm
			p.follow(c.trace)
			require.InDelta(t, c.end, p.end, 1e-12)
			require.InDelta(t, c.warmEnd, p.warmEnd, 1e-12)
			require.InDeltaSlice(t, c.reach, p.reach, 1e-12)
			require.Equal(t, c.depth, p.depth)
		})
	}
}

// TestCircles checks that parents which go round in circles are found.
func TestCircles(t *testing.T) {
	var p paths
	require.True(t, p.walk([]invocation{{parent: -1}, {parent: 0}}))
	require.False(t, p.walk([]invocation{{parent: 1}, {parent: 0}}))
	require.False(t, p.walk([]invocation{{parent: -1}, {parent: 2}, {parent: 1}}))
}

// TestActivity checks that long stretches without arrivals are cut, and that order stays.
func TestActivity(t *testing.T) {
	v := newActivity([]float64{100, 110, 120, 5000, 5010, 90000})
	require.Equal(t, 600.0, v.longest)
	for at, want := range map[float64]float64{
		99: 0, 100: 0, 110: 10, 120: 20, 150: 50, 180: 80, 181: 80, 4000: 80, 5000: 80, 5010: 90, 5060: 140, 5090: 150, 90000: 150, 90001: 151,
	} {
		require.Equal(t, want, v.at(at), "at %v", at)
	}
	last := 0.0
	for at := 100.0; at < 90100; at += 7 {
		require.GreaterOrEqual(t, v.at(at), last)
		last = v.at(at)
	}
	rare := newActivity([]float64{0, 1000, 2200, 3300})
	require.Empty(t, rare.since, "a gap that is usual is none")
}
