package report

import (
	"cmp"
	"math"
	"slices"
)

// maxTimelines is how many runs are looked at over time.
const maxTimelines = 4

// Timeline is a run over time.
type Timeline struct {
	Labels
	// Seconds is how long an interval is.
	Seconds   float64    `json:"seconds"`
	Intervals []Interval `json:"intervals"`
	// Cuts are where stretches of over Longest seconds without an arrival of a request were shortened, as times like Interval.At.
	Cuts    []float64 `json:"cuts,omitempty"`
	Longest float64   `json:"longest_pause"`
	// Requests says that latencies are those of requests, from end to end; otherwise of invocations, until their runs start.
	Requests bool `json:"requests"`
	// With and Without are the latencies of what arrived in intervals in which containers started, and in the others.
	With    *Distribution `json:"with_starts,omitempty"`
	Without *Distribution `json:"without_starts,omitempty"`
}

// Interval is an interval of time.
type Interval struct {
	At     float64 `json:"at"` // since the first arrival, without what was cut
	Starts int     `json:"starts"`
	// N is the number of latencies, P50 and P95 their quantiles; −1 without.
	N   int     `json:"n"`
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
}

// widths are how long intervals can be, in seconds.
var widths = []float64{1, 5, 10, 30, 60, 300, 600, 1800, 3600, 4 * 3600, 86400, 7 * 86400, 30 * 86400}

// mostIntervals is how many intervals a timeline has at most.
const mostIntervals = 120

// overTime looks at the longest runs over time.
func (a *analysis) overTime() {
	if a.withCold == 0 || a.withWait == 0 {
		return
	}
	order := make([]int, 0, len(a.runs))
	first := make([]int, len(a.runs)) // the first of a.latency
	for i := range a.runs {
		if i > 0 {
			first[i] = first[i-1] + len(a.runs[i-1].traces)
		}
		if len(a.runs[i].traces) > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(i, k int) int { return -cmp.Compare(a.runs[i].invocations, a.runs[k].invocations) })
	for _, i := range order[:min(len(order), maxTimelines)] {
		r := &a.runs[i]
		if t := a.timeline(r, a.latency[first[i]:first[i]+len(r.traces)]); t.With != nil || t.Without != nil {
			a.report.OverTime = append(a.report.OverTime, t)
		}
	}
}

// activity is a time that passes over long stretches in which nothing arrives.
type activity struct {
	first   float64
	longest float64 // a stretch that is longer is cut to keep seconds
	keep    float64
	since   []float64 // the last arrival before each cut
	gone    []float64 // how much had been cut before it
	last    float64   // how much all cuts take away
}

// leastCut is the shortest stretch that is cut, in seconds, and cutFactor what it is in terms of the median time between arrivals at least.
const (
	leastCut  = 600
	cutFactor = 20
)

// newActivity returns the time of ascending arrivals, of which there is at least one.
func newActivity(arrivals []float64) *activity {
	gaps := make([]float64, 0, len(arrivals))
	for i := 1; i < len(arrivals); i++ {
		gaps = append(gaps, arrivals[i]-arrivals[i-1])
	}
	v := &activity{first: arrivals[0], longest: leastCut}
	if d := distributionOf(gaps); d != nil {
		v.longest = max(v.longest, cutFactor*d.P50)
	}
	v.keep = v.longest / 10
	for i := 1; i < len(arrivals); i++ {
		if gap := arrivals[i] - arrivals[i-1]; gap > v.longest {
			v.since, v.gone = append(v.since, arrivals[i-1]), append(v.gone, v.last)
			v.last += gap - v.keep
		}
	}
	return v
}

// at returns how much time had passed. What lies in a stretch that was cut lies in what is left of it.
func (v *activity) at(t float64) float64 {
	n, _ := slices.BinarySearch(v.since, t)
	if n == 0 {
		return max(t-v.first, 0)
	}
	gone := v.last
	if n < len(v.gone) {
		gone = v.gone[n]
	}
	cut := v.since[n-1] - v.first - v.gone[n-1] // where this one is
	return max(t-v.first-gone, min(cut+v.keep, cut+t-v.since[n-1]))
}

// timeline looks at a run over time. A minute is an interval where that gives enough of them, and not too many.
func (a *analysis) timeline(r *run, requests []float64) Timeline {
	arrivals := make([]float64, len(r.traces))
	for i, t := range r.traces {
		arrivals[i] = a.all[t.first].arrival
	}
	slices.Sort(arrivals)
	time := newActivity(arrivals)
	to := time.at(arrivals[len(arrivals)-1])
	k := slices.Index(widths, 60)
	for k > 0 && to/widths[k] < 20 {
		k--
	}
	for k < len(widths)-1 && to/widths[k] >= mostIntervals {
		k++
	}
	out := Timeline{Labels: r.labels, Seconds: widths[k], Longest: time.longest}
	for to/out.Seconds >= mostIntervals {
		out.Seconds *= 2
	}
	for i, since := range time.since {
		out.Cuts = append(out.Cuts, since-time.first-time.gone[i]+time.keep/2)
	}
	n := int(to/out.Seconds) + 1
	out.Intervals = make([]Interval, n)
	values := make([][]float64, n)
	out.Requests = slices.ContainsFunc(requests, func(l float64) bool { return !math.IsNaN(l) })
	in := func(t float64) int { return min(int(time.at(t)/out.Seconds), n-1) }
	for i, t := range r.traces {
		for _, v := range a.of(t) {
			if v.cold {
				out.Intervals[in(v.arrival)].Starts++
			}
			if l := v.latency(); !out.Requests && !math.IsNaN(l) {
				values[in(v.arrival)] = append(values[in(v.arrival)], l)
			}
		}
		if out.Requests && !math.IsNaN(requests[i]) {
			at := in(a.all[t.first].arrival)
			values[at] = append(values[at], requests[i])
		}
	}
	var with, without []float64
	for i := range out.Intervals {
		v := &out.Intervals[i]
		v.At, v.N, v.P50, v.P95 = float64(i)*out.Seconds, len(values[i]), -1, -1
		if d := distributionOf(values[i]); d != nil {
			v.P50, v.P95 = d.P50, d.P95
		}
		if v.Starts > 0 {
			with = append(with, values[i]...)
		} else {
			without = append(without, values[i]...)
		}
	}
	out.With, out.Without = distributionOf(with), distributionOf(without)
	return out
}
