package newsvendor

import (
	"cmp"
	"math"
	"slices"
)

// use is a moment at which a container may be used next, with the probability that it is then, and what it then saves beyond a restart
// that is foreseen, in MB·s.
type use struct {
	at, mass, saving float64
	demand           int32 // the index of the demand that it is for, −1 where many are added up
}

// uses are when one container more than some number would be used next, as a distribution over moments in ascending order. What is left to 1 is that
// it is not used by any of the demands that are known.
type uses struct {
	list  []use
	total float64
	now   float64

	middles    []float64 // the probability of the moments before each, and of half of it
	hazards    []use     // before they are put in order
	gone       []float64 // by demand: the probability that it has used the container by the time under way
	needed     []float64
	memory     []float64
	conditions []condition
}

// condition is a demand, given that it has not come by now.
type condition struct {
	probability float64
	passed      float64 // the share of its times that have passed
	first       int     // of its times that are still to come
}

// overdue is in how many seconds a demand is expected whose times have all passed.
const overdue = 0.005

// exactly is how many demands of a function are weighed one by one.
const exactly = 8

// compute sets u to the next uses of one container more than k, of those which serve the demands, as seen at now. Savings are by demand; they may be
// nil. Running are the runs that hold containers: the probability that one does still at some time.
func (u *uses) compute(now float64, k int, demands []*Demand, running []run, saving func(d *Demand, at float64) float64) {
	u.list, u.hazards, u.total, u.now = u.list[:0], u.hazards[:0], 0, now
	u.gone, u.conditions = u.gone[:0], u.conditions[:0]
	if len(demands)+len(running) <= k {
		return
	}
	u.memory = slices.Grow(u.memory[:0], max(k, 1))[:max(k, 1)]
	for _, d := range demands {
		u.gone = append(u.gone, 0)
		c := condition{probability: d.Probability, passed: d.Times.Within(now)}
		if c.passed > 0 {
			if left := d.Probability * (1 - c.passed); left > 0 {
				c.probability = left / (left + 1 - d.Probability)
			} else if d.Probability < 1 {
				c.probability = 0
			}
		}
		for c.first < Quantiles && d.Times[c.first] <= now {
			c.first++
		}
		u.conditions = append(u.conditions, c)
	}
	for j, d := range demands {
		c := &u.conditions[j]
		if c.probability <= 0 {
			continue
		}
		if c.passed >= 1-1e-9 {
			u.hazard(now+overdue, c.probability, k, j, demands, running, saving)
			continue
		}
		share := c.probability / (1 - c.passed)
		for i := max(c.first-1, 0); i < Quantiles; i++ {
			// Each value stands for an equal share around it, of which a part may have passed.
			left := min(float64(i+1)/Quantiles-c.passed, 1.0/Quantiles)
			if left <= 0 {
				continue
			}
			at := d.Times[i]
			if i < c.first {
				at = now + overdue
				if i+1 < Quantiles {
					at = (now + max((d.Times[i]+d.Times[i+1])/2, now)) / 2
				}
			}
			u.hazard(at, share*left, k, j, demands, running, saving)
		}
	}
	if len(demands) > 1 {
		slices.SortFunc(u.hazards, func(a, b use) int { return cmp.Compare(a.at, b.at) })
	}
	left := 1.0
	for _, h := range u.hazards {
		rest := 1 - u.gone[h.demand]
		if rest <= 1e-12 || left <= 1e-12 {
			continue
		}
		share := min(h.mass/rest, 1)
		u.gone[h.demand] += h.mass
		h.mass = left * share
		left -= h.mass
		u.list = append(u.list, h)
	}
	u.accumulate(now)
}

// hazard adds that demand j comes at a time with a probability, and finds k containers in use.
func (u *uses) hazard(at, mass float64, k, j int, demands []*Demand, running []run, saving func(*Demand, float64) float64) {
	if k > 0 {
		u.needed = u.needed[:0]
		for i, d := range demands {
			if i == j {
				continue
			}
			if p := u.conditions[i].needed(d, at); p > 0 {
				u.needed = append(u.needed, p)
			}
		}
		for i := range running {
			if p := running[i].lasts(at); p > 0 {
				u.needed = append(u.needed, p)
			}
		}
		mass *= atLeast(k, u.needed, u.memory)
	}
	if mass <= 1e-9 {
		return
	}
	h := use{at: at, mass: mass, demand: int32(j)}
	if saving != nil {
		h.saving = saving(demands[j], at)
	}
	u.hazards = append(u.hazards, h)
}

// needed returns the probability that the demand has come by the time and still keeps its container.
func (c *condition) needed(d *Demand, at float64) float64 {
	n := Quantiles - c.first
	if n == 0 {
		return c.probability
	}
	times := d.Times[c.first:]
	come, _ := slices.BinarySearch(times, math.Nextafter(at, math.Inf(1)))
	done, _ := slices.BinarySearch(times, at-d.Busy)
	return c.probability * float64(come-done) / float64(n)
}

// run is a run that holds a container: it began at a time, and takes as long as busy says.
type run struct {
	began float64
	left  float64 // the probability that it has lasted until now
	busy  *Times
}

// lasts returns the probability that the run still holds its container at a time, given that it does now.
func (r *run) lasts(at float64) float64 {
	if r.left <= 1e-6 {
		return 0 // it has lasted longer than any did: it must end
	}
	return min((1-r.busy.Within(at-r.began))/r.left, 1)
}

// computeMany is compute for many demands, by their counts. Waiting are how many containers more are in use until a time.
func (u *uses) computeMany(now float64, k, waiting int, until float64, r *ring, saving func(d *Demand, at float64) float64) {
	u.list, u.total = u.list[:0], 0
	left := 1.0
	for b := r.first; b < r.first+bins && left > 1e-3; b++ {
		arriving := r.arriving[b%bins]
		if arriving <= 1e-9 {
			continue
		}
		free := k
		if float64(b)*binWidth < until {
			free -= waiting
		}
		mass := left * (1 - math.Exp(-arriving*r.needed[b%bins].atLeast(free)))
		if mass <= 1e-9 {
			continue
		}
		left -= mass
		h := use{at: max((float64(b)+0.5)*binWidth, now), mass: mass, demand: -1}
		if saving != nil {
			h.saving = saving(nil, h.at)
		}
		u.list = append(u.list, h)
	}
	u.accumulate(now)
}

// accumulate prepares within.
func (u *uses) accumulate(now float64) {
	u.middles = u.middles[:0]
	sum := 0.0
	for i := range u.list {
		u.middles = append(u.middles, sum+u.list[i].mass/2)
		sum += u.list[i].mass
	}
	u.total, u.now = sum, now
}

// within returns the probability that the next use is before x. It is linear between the moments, and 0 now.
func (u *uses) within(x float64) float64 {
	n := len(u.list)
	lo, hi := 0, n // the first moment that is after x
	for lo < hi {
		if mid := (lo + hi) / 2; u.list[mid].at > x {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	switch {
	case lo == n && n > 1:
		last := u.list[n-1].at
		if width := last - u.list[n-2].at; width > 0 {
			return min(u.middles[n-1]+(u.total-u.middles[n-1])*2*(x-last)/width, u.total)
		}
		return u.total
	case lo == n:
		return u.total
	case lo > 0:
		a, b := &u.list[lo-1], &u.list[lo]
		return u.middles[lo-1] + (u.middles[lo]-u.middles[lo-1])*(x-a.at)/(b.at-a.at)
	case n == 1:
		return 0
	}
	// As dense as between the first two, but not before now.
	first := u.list[0].at
	from := max(first-(u.list[1].at-first)/2, u.now)
	if x <= from || first <= from {
		return 0
	}
	return u.middles[0] * (x - from) / (first - from)
}

// covered returns the probability that the next use is before a container is ready that is asked for at a time, given that it is not before that
// time; starts are equally likely start times.
func (u *uses) covered(at float64, starts []float64) float64 {
	sum := 0.0
	for _, c := range starts {
		sum += u.within(at + c)
	}
	before := u.within(at)
	if before >= 1-1e-9 {
		return 1
	}
	return (sum/float64(len(starts)) - before) / (1 - before)
}

// when returns the first time from now on at which covered reaches p, +Inf if it never does. Starts are in ascending order.
func (u *uses) when(now, p float64, starts []float64) float64 {
	if u.total < p || len(u.list) == 0 {
		return never
	}
	longest := starts[len(starts)-1]
	lo := now
	for i := -1; i < len(u.list); i++ {
		hi := u.list[0].at - longest
		if i >= 0 {
			hi = u.list[i].at
		}
		if hi <= lo {
			continue
		}
		if u.within(hi+longest) >= p && u.covered(hi, starts) >= p {
			for hi-lo > 0.002 {
				if mid := (lo + hi) / 2; u.covered(mid, starts) >= p {
					hi = mid
				} else {
					lo = mid
				}
			}
			return hi
		}
		lo = hi
	}
	return never
}
