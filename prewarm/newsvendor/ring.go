package newsvendor

import "math"

const (
	binWidth = 0.1 // seconds
	bins     = 128
)

// ring counts, on bins of absolute time, how many containers many demands need. Adding and removing one costs as many steps as it has bins, however
// many others there are.
type ring struct {
	first int64 // the number of the first bin, that of now
	counts
	// What is only foreseen is counted apart, and anew when it has changed and is asked for: what will be known early enough once its request is in
	// flight, with at least so many seconds of notice, and what will not.
	late, early counts
	foreseenEnd int64 // the end of the ring when it was counted
	notice      float64
	foreseen    bool // it is counted as it is

	tails [2][bins]tail // without what will be known early enough, and of all
}

// counts are, by bin, how many demands arrive, and how many containers they need at its end.
type counts struct {
	arriving [bins]float64
	needed   [bins]cumulants
}

// foresee counts what is foreseen, unless it has been.
func (r *ring) foresee(list []Demand, notice float64) {
	if r.foreseen && r.notice == notice {
		return
	}
	r.foreseen, r.notice, r.foreseenEnd = true, notice, r.end()
	r.late, r.early = counts{}, counts{}
	for i := range list {
		v := &list[i]
		part := &r.late
		if v.Notice >= notice {
			part = &r.early
		}
		part.add(r.first, v.Probability, &v.Times, v.Busy, r.foreseenEnd, 1)
	}
}

// arrivingAt returns how many arrive in a bin, of all or without what will be known early enough.
func (r *ring) arrivingAt(b int64, all bool) float64 {
	i := place(b)
	arriving := r.arriving[i]
	if b < r.foreseenEnd {
		arriving += r.late.arriving[i]
		if all {
			arriving += r.early.arriving[i]
		}
	}
	return arriving
}

// tailAt answers for the containers that are needed at the end of a bin, with what is foreseen until another.
func (r *ring) tailAt(until, b int64, all bool) *tail {
	i := place(b)
	t := &r.tails[0][i]
	if all {
		t = &r.tails[1][i]
	}
	needed := r.needed[i]
	if until < r.foreseenEnd {
		needed.sum(&r.late.needed[i])
		if all {
			needed.sum(&r.early.needed[i])
		}
	}
	t.set(needed)
	return t
}

// tailBefore answers for what is needed at the end of the bin before, so that those that arrive in the bin do not find themselves.
func (r *ring) tailBefore(b int64, all bool) *tail { return r.tailAt(b, max(b-1, r.first), all) }

// place returns where a bin is.
func place(b int64) int { return int(uint64(b) % bins) }

func binOf(t float64) int64 { return int64(math.Floor(t / binWidth)) }

// advance forgets the bins before now.
func (r *ring) advance(now float64) {
	to := binOf(now)
	if to-r.first >= bins {
		r.counts, r.first = counts{}, to
		return
	}
	for ; r.first < to; r.first++ {
		i := place(r.first)
		r.arriving[i], r.needed[i] = 0, cumulants{}
	}
}

// walker follows a distribution function along growing times, at a few steps' cost for each.
type walker struct {
	t *Times
	i int // the first value that is above the last time
}

func (w *walker) within(x float64) float64 {
	i := w.i
	for i < Quantiles && w.t[i] <= x {
		i++
	}
	w.i = i
	if i == 0 || i == Quantiles {
		return w.t.Within(x)
	}
	return (float64(i) - 0.5 + (x-w.t[i-1])/(w.t[i]-w.t[i-1])) / Quantiles
}

// end returns the number of the bin behind the last, by which what is added now is bounded.
func (r *ring) end() int64 { return r.first + bins }

// add adds a demand, or removes it where sign is −1. What lies before the first bin, or from bin end on, is left out: what is removed must be given
// the end of when it was added.
func (r *ring) add(probability float64, times *Times, busy float64, end int64, sign float64) {
	r.counts.add(r.first, probability, times, busy, end, sign)
}

func (c *counts) add(begin int64, probability float64, times *Times, busy float64, end int64, sign float64) {
	low := times[0] - (times[1]-times[0])/2
	high := times[Quantiles-1] + (times[Quantiles-1]-times[Quantiles-2])/2
	from := max(binOf(low), begin)
	to := min(binOf(high+busy)+1, end)
	if from >= to {
		return
	}
	arrived, ended := walker{t: times}, walker{t: times}
	first, before := times[0]-(times[1]-times[0]), 0.0 // before first it is 0
	if at := float64(from) * binWidth; at > low {
		before = arrived.within(at)
	}
	for b := from; b < to; b++ {
		at := float64(b+1) * binWidth
		now := 1.0
		if before < 1 {
			now = arrived.within(at)
		}
		gone := 0.0
		if at-busy >= first {
			gone = ended.within(at - busy)
		}
		i := place(b)
		c.arriving[i] += sign * probability * (now - before)
		c.needed[i].add(probability*max(min(now-gone, 1), 0), sign)
		before = now
	}
}

// run adds a run that began at a time and takes as long as busy says, or removes it where sign is −1. End is as for add.
func (r *ring) run(began float64, busy *Times, end int64, sign float64) {
	ended := walker{t: busy}
	for b := r.first; b < end; b++ {
		p := 1 - ended.within(float64(b+1)*binWidth-began)
		if p <= 0 {
			return
		}
		r.needed[place(b)].add(p, sign)
	}
}
