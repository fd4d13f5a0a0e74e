package scaler

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
)

// TestSeries checks the functions of Prometheus on samples 5 s apart, by hand.
func TestSeries(t *testing.T) {
	s := func(values ...float64) *series {
		s := &series{keep: time.Minute}
		for i, v := range values {
			s.scrape(time.Duration(i)*5*time.Second, v)
		}
		return s
	}
	at := 20 * time.Second
	require.InDelta(t, 6, s(0, 30, 60, 90, 120).rate(at, 10*time.Second), 1e-9, "an even rate")
	require.InDelta(t, 6, s(0, 30, 60, 90, 120).rate(at+2*time.Second, 10*time.Second), 1e-9, "between two samples")
	require.InDelta(t, 3, s(90, 90, 90, 90, 105).rate(at, 10*time.Second), 1e-9, "15 in the last 5 of 10 s, as if it went on before")
	require.InDelta(t, 1.5, s(0, 0, 0, 0, 15).rate(at, 10*time.Second), 1e-9, "not below zero: no more than 15 in 10 s")
	require.Zero(t, s(0, 30, 60, 90, 120).rate(time.Minute, 10*time.Second), "no samples")
	require.Zero(t, s(7).rate(0, 10*time.Second), "one sample")
	require.InDelta(t, 6, s(0, 1, 2, 3, 33).irate(at, time.Minute), 1e-9)
	require.Zero(t, s(0).irate(0, time.Minute))
	require.Equal(t, 9.0, s(50, 9, 8, 7, 6).maxOver(at, 20*time.Second), "the sample exactly a window ago does not count")
	require.Equal(t, 50.0, s(50, 9, 8, 7, 6).maxOver(at, 21*time.Second))

	var c series
	c.scrapeCounter(0, 0)
	require.Empty(t, c.samples, "a counter begins with its first count")
	c.scrapeCounter(1, 3)
	c.scrapeCounter(1, 3)
	require.Len(t, c.samples, 2)
	long := series{keep: 10 * time.Second}
	for i := range 1000 {
		long.scrape(time.Duration(i)*time.Second, 1)
	}
	require.Len(t, long.samples, 11)
}

// TestGroupOfAlerts checks that all functions share a group: one that begins to fire 10 s after another makes the gateway step both.
func TestGroupOfAlerts(t *testing.T) {
	o := CEOptions{}.withDefaults()
	second := func(n int) prewarm.Time { return prewarm.Time(n) * time.Second }
	g := alertGroup{next: prewarm.Never}
	var steps []string
	run := func(until prewarm.Time) {
		for g.next <= until {
			at := g.next
			if !g.flush(at, &o) {
				continue
			}
			for _, a := range g.alerts {
				name := at.String() + " " + string(rune('a'+a.function))
				if !a.firing {
					name += " resolved"
				}
				steps = append(steps, name)
			}
			g.told(at)
		}
	}
	g.insert(second(0), 0, true, &o)
	run(second(9))
	g.insert(second(10), 1, true, &o)
	run(second(70))
	require.Equal(t, []string{"5s a", "15s a", "15s b", "55s a", "55s b"}, steps)

	steps = nil
	g.insert(second(71), 0, false, &o)
	run(second(80))
	g.insert(second(81), 1, false, &o)
	run(second(1000))
	require.Equal(t, []string{"1m15s a resolved", "1m15s b", "1m25s b resolved"}, steps)
	require.Equal(t, prewarm.Never, g.next)
}
