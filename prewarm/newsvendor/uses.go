package newsvendor

import (
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/prewarm"
)

// use is a moment at which a container may be used next, with the probability that it is then, and what it then saves beyond a restart
// that is foreseen, in MB·s.
type use struct {
	at, mass, saving float64
	over             float64 // the probability that all containers, and one more, are in use then
	demand           int32   // the index of the demand that it is for, −1 where many are added up
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
	bounds     []int     // where those of each demand end
	merged     []use
	memory     []float64
	conditions []condition
	spreads    []float64 // of when each demand comes after it is known, and of starts
	// Of the demand under way, by moment; over is the probability that k + 1 containers are in use.
	at, mass, over [Quantiles]float64
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

// compute sets u to the next uses of one container more than k, of those which serve the demands, as seen at now and up to a horizon. Savings are those of a
// decider, if they are asked for. Running are the runs that hold containers: the probability that one does still at some time.
func (u *uses) compute(now, horizon float64, k int, demands []*Demand, running []run, savings *decider) {
	u.list, u.hazards, u.total, u.now = u.list[:0], u.hazards[:0], 0, now
	u.gone, u.conditions = u.gone[:0], u.conditions[:0]
	if len(demands)+len(running) <= k {
		return
	}
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
	u.bounds = append(u.bounds[:0], 0)
	for j, d := range demands {
		c := &u.conditions[j]
		if c.probability <= 0 {
			continue
		}
		n := u.points(now, horizon, c, d)
		if n == 0 {
			continue
		}
		clear(u.over[:n])
		if k > 0 {
			u.find(k, n, j, demands, running)
		}
		for i, at := range u.at[:n] {
			if u.mass[i] > 1e-9 {
				u.hazards = append(u.hazards, use{at: at, mass: u.mass[i], over: u.over[i], demand: int32(j)})
			}
		}
		u.bounds = append(u.bounds, len(u.hazards))
	}
	u.merge()
	if savings != nil {
		u.save(now, demands, savings)
	}
	left := 1.0 // the probability that it is not used before
	n := len(running)
	for i := range u.conditions {
		if u.conditions[i].probability > 0 {
			n++
		}
	}
	for _, h := range u.hazards {
		if left <= 1e-12 {
			break
		}
		if k > 0 {
			// The moments are those at which one container more comes into use, which may happen more than once. Of all that are not in use now, so
			// many were not before.
			others := 0.0
			if n > k+1 {
				others = 1 - left - u.gone[h.demand]
			}
			h.mass = min(h.mass*min((1-others)/max(1-h.over, 1e-9), 1), left)
			u.gone[h.demand] += h.mass
		} else {
			rest := 1 - u.gone[h.demand]
			if rest <= 1e-12 {
				continue
			}
			share := min(h.mass/rest, 1)
			u.gone[h.demand] += h.mass
			h.mass = left * share
		}
		left -= h.mass
		u.list = append(u.list, h)
	}
	u.accumulate(now)
}

// save sets what each of the uses saves, of those of a decider.
func (u *uses) save(now float64, demands []*Demand, savings *decider) {
	u.spreads = u.spreads[:0]
	if savings.platform.Renews() && savings.platform.Late == prewarm.OwnContainer {
		for j, d := range demands {
			u.spreads = append(u.spreads, savings.without(now, d, u.conditions[j].probability))
		}
		for i := range u.hazards {
			u.hazards[i].saving = u.spreads[u.hazards[i].demand]
		}
		return
	}
	for _, d := range demands {
		u.spreads = append(u.spreads, savings.spreadOf(d))
	}
	for i := range u.hazards {
		h := &u.hazards[i]
		notice := h.at - now
		if d := demands[h.demand]; !d.known() {
			notice = d.Notice
		}
		h.saving = savings.restartIn(notice, u.spreads[h.demand])
	}
}

// points sets at and mass to the moments up to a horizon at which a demand may come, and returns their number.
func (u *uses) points(now, horizon float64, c *condition, d *Demand) int {
	if c.passed >= 1-1e-9 {
		u.at[0], u.mass[0] = now+overdue, c.probability
		return 1
	}
	n, share := 0, c.probability/(1-c.passed)
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
		if at > horizon {
			break
		}
		u.at[n], u.mass[n] = at, share*left
		n++
	}
	return n
}

// find multiplies the mass of each of the n moments of demand j with the probability that it finds k containers in use and no more: if it found more, one
// container more than k would have been in use before. Where more than k runs are known to be under way, that is at least k.
func (u *uses) find(k, n, j int, demands []*Demand, running []run) {
	// By moment: the probabilities that exactly 0 to k others are in use, and that k + 1 are at least.
	width := k + 2
	u.memory = slices.Grow(u.memory[:0], n*width)[:n*width]
	clear(u.memory)
	for i := range n {
		u.memory[i*width] = 1
	}
	any := len(running) // how many others there are then
	for i, d := range demands {
		c := &u.conditions[i]
		if i == j || c.probability <= 0 {
			continue
		}
		times := d.Times[c.first:]
		if len(times) == 0 { // it is overdue, and comes at once
			any++
			for m, at := range u.at[:n] {
				if at >= u.now+overdue && at < u.now+overdue+d.Busy {
					u.use(k, m, c.probability)
				}
			}
			continue
		}
		if times[0] > u.at[n-1] || times[len(times)-1]+d.Busy < u.at[0] {
			continue
		}
		any++
		come, done := 0, 0
		share := c.probability / float64(len(times))
		for m, at := range u.at[:n] {
			for come < len(times) && times[come] <= at {
				come++
			}
			for done < len(times) && times[done] < at-d.Busy {
				done++
			}
			if come > done {
				u.use(k, m, share*float64(come-done))
			}
		}
	}
	for i := range running {
		r := &running[i]
		if r.left <= 1e-6 {
			continue // it has lasted longer than any did: it must end
		}
		passed := walker{t: r.busy}
		for m, at := range u.at[:n] {
			p := min((1-passed.within(at-r.began))/r.left, 1) // that it still holds its container, given that it does now
			if p <= 0 {
				break
			}
			u.use(k, m, p)
		}
	}
	if any < k {
		clear(u.mass[:n])
		return
	}
	own, done := 0.0, 0 // the probability that the demand itself has come before, and is in use
	busy, mass := demands[j].Busy, u.mass
	for m := range n {
		for done < m && u.at[done] < u.at[m]-busy {
			own -= mass[done]
			done++
		}
		exactly, more := u.memory[m*width+k], u.memory[m*width+k+1]
		if len(running) > k {
			u.mass[m] *= min(exactly+more, 1)
		} else {
			u.mass[m] *= exactly
			u.over[m] = more
		}
		own += mass[m]
	}
}

// use adds that one more is in use at moment m with a probability.
func (u *uses) use(k, m int, p float64) {
	exactly := u.memory[m*(k+2):][:k+2]
	if k == 1 {
		exactly[2] += exactly[1] * p
		exactly[1] = exactly[1]*(1-p) + exactly[0]*p
		exactly[0] *= 1 - p
		return
	}
	exactly[k+1] += exactly[k] * p
	for i := k; i > 0; i-- {
		exactly[i] = exactly[i]*(1-p) + exactly[i-1]*p
	}
	exactly[0] *= 1 - p
}

// merge puts the hazards in order, of which those of each demand are.
func (u *uses) merge() {
	for len(u.bounds) > 2 {
		// The last two parts become one.
		n := len(u.bounds)
		from, middle, to := u.bounds[n-3], u.bounds[n-2], u.bounds[n-1]
		u.merged = append(u.merged[:0], u.hazards[from:middle]...)
		a, b, out := 0, middle, from
		for a < len(u.merged) && b < to {
			if u.hazards[b].at < u.merged[a].at {
				u.hazards[out] = u.hazards[b]
				b++
			} else {
				u.hazards[out] = u.merged[a]
				a++
			}
			out++
		}
		copy(u.hazards[out:], u.merged[a:])
		u.bounds[n-2] = to
		u.bounds = u.bounds[:n-1]
	}
}

// run is a run that holds a container: it began at a time, and takes as long as busy says.
type run struct {
	began float64
	left  float64 // the probability that it has lasted until now
	busy  *Times
}

// computeMany is compute for many demands, by their counts, up to a horizon; all says that what will be known early enough counts too. Waiting are how
// many containers more are in use until a time. Where a stopping is given, it is told of them instead of the list, and as far as they matter to it.
func (u *uses) computeMany(now float64, k, waiting int, until, horizon float64, r *ring, all bool, savings *decider, s *stopping) {
	u.list, u.total = u.list[:0], 0
	left := 1.0
	end := min(r.first+bins, binOf(horizon))
	var with *tail // of the bin before, if it was looked at
	for b := r.first; b < end && left > 1e-3; b++ {
		before := with
		with = nil
		arriving := r.arrivingAt(b, all)
		if arriving <= 1e-6 { // 1e-4 in all bins together
			continue
		}
		at := max((float64(b)+0.5)*binWidth, now)
		saved := 0.0
		if savings != nil {
			saved = savings.restartIn(at-now, savings.sd)
		}
		if s != nil && s.over(at, saved) {
			break
		}
		free := k
		if float64(b)*binWidth < until {
			free -= waiting
		}
		if before == nil || b == r.foreseenEnd { // from there on it is without what is foreseen
			before = r.tailBefore(b, all)
		}
		found := before.atLeast(free)
		if found < 1 {
			// What arrives at this moment needs a container each, and one of them finds the others.
			with = r.tailAt(b, b, all)
			found = max(found, with.atLeast(free+1))
		}
		if left*arriving*found <= 0.999e-9 {
			continue // and the mass is not more
		}
		mass := left * -math.Expm1(-arriving*found)
		if mass <= 1e-9 {
			continue
		}
		left -= mass
		h := use{at: at, mass: mass, saving: saved, demand: -1}
		if s != nil {
			s.add(&h)
		} else {
			u.list = append(u.list, h)
		}
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
func (u *uses) within(x float64) float64 { return u.withinAt(u.after(x), x) }

// after returns the first moment that is after x.
func (u *uses) after(x float64) int {
	lo, hi := 0, len(u.list)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); u.list[mid].at > x {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

// withinAt is within, where i is the first moment that is after x.
func (u *uses) withinAt(i int, x float64) float64 {
	n := len(u.list)
	switch {
	case i == n && n > 1:
		last := u.list[n-1].at
		if width := last - u.list[n-2].at; width > 0 {
			return min(u.middles[n-1]+(u.total-u.middles[n-1])*2*(x-last)/width, u.total)
		}
		return u.total
	case i == n:
		return u.total
	case i > 0:
		a, b := &u.list[i-1], &u.list[i]
		return u.middles[i-1] + (u.middles[i]-u.middles[i-1])*(x-a.at)/(b.at-a.at)
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
// time; starts are equally likely start times in ascending order.
func (u *uses) covered(at float64, starts []float64) float64 {
	i := u.after(at)
	before := u.withinAt(i, at)
	if before >= 1-1e-9 {
		return 1
	}
	sum := 0.0
	for _, c := range starts {
		for i < len(u.list) && u.list[i].at <= at+c {
			i++
		}
		sum += u.withinAt(i, at+c)
	}
	return (sum/float64(len(starts)) - before) / (1 - before)
}

// when returns the first time from now on at which covered reaches p, +Inf if it never does. Starts are in ascending order.
func (u *uses) when(now, p float64, starts []float64) float64 {
	n := len(u.list)
	if u.total < p || n == 0 {
		return never
	}
	longest := starts[len(starts)-1]
	lo, ready := now, 0 // ready is the first moment after that at which the container is ready at the latest
	for i := -1; i < n; i++ {
		hi, before := u.list[0].at-longest, 0.0
		if i >= 0 {
			if i+1 < n && u.list[i+1].at == u.list[i].at {
				continue
			}
			hi = u.list[i].at
			before = u.withinAt(i+1, hi)
		}
		if hi <= lo {
			continue
		}
		for ready < n && u.list[ready].at <= hi+longest {
			ready++
		}
		// No start takes longer than the longest.
		if u.withinAt(ready, hi+longest)-before >= p*(1-before) {
			if at := u.covered(hi, starts); at >= p {
				return u.reach(lo, hi, at, p, starts)
			}
		}
		lo = hi
	}
	return never
}

// reach returns when between lo and hi covered reaches p, to two thousandths of a second or a hundredth of p; at hi it is above. It halves the bracket and
// uses the rule of false position in turn.
func (u *uses) reach(lo, hi, above, p float64, starts []float64) float64 {
	below := u.covered(lo, starts)
	if below >= p {
		return lo
	}
	for n := 0; hi-lo > 0.002 && above > 1.01*p; n++ {
		m := lo + (hi-lo)/2
		if n%2 == 0 {
			m = lo + (hi-lo)*min(max((1.005*p-below)/(above-below), 0.02), 0.98)
		}
		if at := u.covered(m, starts); at >= p {
			hi, above = m, at
		} else {
			lo, below = m, at
		}
	}
	return hi
}
