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

	hazards    []use     // before they are put in order
	gone       []float64 // by demand: the probability that it has used the container by the time under way
	needed     []float64
	memory     []float64
	conditions []condition
}

// condition is a demand, given that it has not come by now.
type condition struct {
	probability, saving float64
	first               int // of its times that are still to come
}

// exactly is how many demands of a function are weighed one by one.
const exactly = 8

// compute sets u to the next uses of one container more than k, of those which serve the demands, as seen at now. Savings are by demand; they may be
// nil. Running are the runs that hold containers: the probability that one does still at some time.
func (u *uses) compute(now float64, k int, demands []*Demand, running []run, saving func(d *Demand, at float64) float64) {
	u.list, u.hazards, u.total = u.list[:0], u.hazards[:0], 0
	u.gone, u.conditions = u.gone[:0], u.conditions[:0]
	if len(demands)+len(running) <= k {
		return
	}
	u.memory = slices.Grow(u.memory[:0], max(k, 1))[:max(k, 1)]
	for _, d := range demands {
		u.gone = append(u.gone, 0)
		passed := d.Times.Within(now)
		c := condition{probability: d.Probability}
		if passed > 0 {
			if left := d.Probability * (1 - passed); left > 0 {
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
		n := Quantiles - c.first
		if c.probability <= 0 {
			continue
		}
		if n == 0 {
			u.hazard(now+0.005, c.probability, k, j, demands, running, saving)
			continue
		}
		for _, at := range d.Times[c.first:] {
			u.hazard(at, c.probability/float64(n), k, j, demands, running, saving)
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
	u.total = 1 - left
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

// computeMany is compute for many demands, by their counts.
func (u *uses) computeMany(now float64, k int, r *ring, saving func(d *Demand, at float64) float64) {
	u.list, u.total = u.list[:0], 0
	left := 1.0
	for b := r.first; b < r.first+bins && left > 1e-3; b++ {
		arriving := r.arriving[b%bins]
		if arriving <= 1e-9 {
			continue
		}
		mass := left * (1 - math.Exp(-arriving*r.needed[b%bins].atLeast(k)))
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
	u.total = 1 - left
}

// within returns the probability that the next use is before x. It is linear between the moments.
func (u *uses) within(x float64) float64 {
	before, sum := 0.0, 0.0
	at := math.Inf(-1)
	for i := range u.list {
		p := &u.list[i]
		middle := sum + p.mass/2
		if x < p.at {
			if i == 0 {
				if len(u.list) == 1 || u.list[1].at <= p.at {
					return 0
				}
				// As dense as between the first two.
				return max(middle*(1-2*(p.at-x)/(u.list[1].at-p.at)), 0)
			}
			return before + (middle-before)*(x-at)/(p.at-at)
		}
		before, at = middle, p.at
		sum += p.mass
	}
	if n := len(u.list); n > 1 && u.list[n-1].at > u.list[n-2].at {
		width := u.list[n-1].at - u.list[n-2].at
		return min(before+(sum-before)*2*(x-at)/width, sum)
	}
	return sum
}

// covered returns the probability that the next use is before a container is ready that is asked for at a time; starts are equally likely
// start times.
func (u *uses) covered(at float64, starts []float64) float64 {
	sum := 0.0
	for _, c := range starts {
		sum += u.within(at + c)
	}
	return sum / float64(len(starts))
}

// when returns the time from now on at which covered reaches p, +Inf if it never does.
func (u *uses) when(now, p float64, starts []float64) float64 {
	if u.total < p || len(u.list) == 0 {
		return never
	}
	lo, hi := now, max(u.list[len(u.list)-1].at, now)
	if last := u.covered(hi, starts); last < p {
		return never
	}
	for hi-lo > 0.002 {
		// Of the moments in the list none is far from its neighbours, so halving takes few steps.
		mid := (lo + hi) / 2
		if u.covered(mid, starts) >= p {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi
}
