package newsvendor

import "math"

const (
	binWidth = 0.1 // seconds
	bins     = 128
)

// ring counts, on bins of absolute time, how many containers many demands need. Adding and removing one costs as many steps as it has bins, however
// many others there are.
type ring struct {
	first    int64 // the number of the first bin, that of now
	arriving [bins]float64
	needed   [bins]cumulants
}

func binOf(t float64) int64 { return int64(math.Floor(t / binWidth)) }

// advance forgets the bins before now.
func (r *ring) advance(now float64) {
	to := binOf(now)
	if to-r.first >= bins {
		r.arriving, r.needed = [bins]float64{}, [bins]cumulants{}
		r.first = to
		return
	}
	for ; r.first < to; r.first++ {
		i := r.first % bins
		r.arriving[i], r.needed[i] = 0, cumulants{}
	}
}

// walker follows a distribution function along growing times, at a few steps' cost for each.
type walker struct {
	t *Times
	i int // the first value that is above the last time
}

func (w *walker) within(x float64) float64 {
	for w.i < Quantiles && w.t[w.i] <= x {
		w.i++
	}
	switch w.i {
	case 0, Quantiles:
		return w.t.Within(x)
	}
	return (float64(w.i) - 0.5 + (x-w.t[w.i-1])/(w.t[w.i]-w.t[w.i-1])) / Quantiles
}

// end returns the number of the bin behind the last, by which what is added now is bounded.
func (r *ring) end() int64 { return r.first + bins }

// add adds a demand, or removes it where sign is −1. What lies before the first bin, or from bin end on, is left out: what is removed must be given
// the end of when it was added.
func (r *ring) add(probability float64, times *Times, busy float64, end int64, sign float64) {
	low := times[0] - (times[1]-times[0])/2
	high := times[Quantiles-1] + (times[Quantiles-1]-times[Quantiles-2])/2
	from := max(binOf(low), r.first)
	to := min(binOf(high+busy)+1, end)
	if from >= to {
		return
	}
	arrived, ended := walker{t: times}, walker{t: times}
	before := 0.0
	if at := float64(from) * binWidth; at > low {
		before = arrived.within(at)
	}
	for b := from; b < to; b++ {
		at := float64(b+1) * binWidth
		now := arrived.within(at)
		i := b % bins
		r.arriving[i] += sign * probability * (now - before)
		r.needed[i].add(probability*max(min(now-ended.within(at-busy), 1), 0), sign)
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
		r.needed[b%bins].add(p, sign)
	}
}
