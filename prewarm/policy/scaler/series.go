package scaler

import (
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// series are the samples of a metric that a Prometheus server has scraped, as far back as its queries look.
type series struct {
	samples []point
	keep    time.Duration
}

type point struct {
	at    prewarm.Time
	value float64
}

// scrape adds a sample. Those that are older than keep are dropped.
func (s *series) scrape(at prewarm.Time, value float64) {
	old := 0
	for old < len(s.samples) && s.samples[old].at < at-s.keep {
		old++
	}
	s.samples = slices.Delete(s.samples, 0, old)
	s.samples = append(s.samples, point{at, value})
}

// scrapeCounter is scrape for a counter that exists only once it has counted something, as those with labels do.
func (s *series) scrapeCounter(at prewarm.Time, value uint64) {
	if value > 0 || len(s.samples) > 0 {
		s.scrape(at, float64(value))
	}
}

// within returns the samples after from, up to and including to.
func (s *series) within(from, to prewarm.Time) []point {
	last := len(s.samples)
	for last > 0 && s.samples[last-1].at > to {
		last--
	}
	first := last
	for first > 0 && s.samples[first-1].at > from {
		first--
	}
	return s.samples[first:last]
}

// rate is Prometheus' function rate(metric[window]) at a time: the increase per second between the first and the last sample in the window,
// extrapolated to the ends of the window where these are about a sample's distance away. It is 0 with fewer than two samples, which in
// Prometheus is no value; no rule here tells the two apart.
func (s *series) rate(at prewarm.Time, window time.Duration) float64 {
	in := s.within(at-window, at)
	if len(in) < 2 {
		return 0
	}
	first, last := in[0], in[len(in)-1]
	increase := last.value - first.value
	sampled := (last.at - first.at).Seconds()
	distance := sampled / float64(len(in)-1)
	threshold := 1.1 * distance
	before, after := (first.at - (at - window)).Seconds(), (at - last.at).Seconds()
	if before >= threshold {
		before = distance / 2
	}
	if increase > 0 && first.value >= 0 {
		// A counter is not extrapolated to below zero.
		before = min(before, sampled*first.value/increase)
	}
	if after >= threshold {
		after = distance / 2
	}
	return increase * (sampled + before + after) / sampled / window.Seconds()
}

// irate is Prometheus' function irate(metric[window]) at a time: the increase per second between the last two samples in the window.
func (s *series) irate(at prewarm.Time, window time.Duration) float64 {
	in := s.within(at-window, at)
	if len(in) < 2 {
		return 0
	}
	a, b := in[len(in)-2], in[len(in)-1]
	return (b.value - a.value) / (b.at - a.at).Seconds()
}

// maxOver is Prometheus' function max_over_time(metric[window]) at a time.
func (s *series) maxOver(at prewarm.Time, window time.Duration) float64 {
	highest := 0.0
	for _, p := range s.within(at-window, at) {
		highest = max(highest, p.value)
	}
	return highest
}
