package newsvendor

import (
	"math"

	"github.com/tppfaas/tppfaas/prewarm"
)

// On a platform that never gives an invocation a container which is still being started for nobody, a container that comes too late is lost: its
// invocation waits for a whole start, whether it is late by a moment or by seconds. Then the time to ask for it is not a quantile. It is that at which
// the expected cost is least, which is looked for: where an invocation may come at one of two times, of which the first cannot be met any more, it may
// pay to wait for the second.

// coarse is by how many start times those are thinned out of which the cost is computed.
const coarse = 4

// ownCost returns the expected cost, in MB·s, of asking for a container at a time unless the invocation has come by then, beside what no choice of
// the time changes.
func (d *decider) ownCost(at, slack float64, u *uses) float64 {
	last := u.list[len(u.list)-1].at
	wait := d.price * max(d.mean-slack, 0)
	come := u.within(at)
	kept := d.kept()
	lost := d.memory*d.mean + d.creation // of a container that is late
	if kept < never {
		lost += d.memory * kept
	}
	sum, n := 0.0, 0.0
	for j := coarse / 2; j < len(d.atoms); j += coarse {
		ready := at + d.atoms[j]
		late := max(u.within(ready)-come, 0)
		sum += late * (wait + lost)
		idle := (1 - u.total) * max(last-ready, 0) // as long as it may still come
		if kept < never {
			idle = (1 - u.total) * kept
		}
		for i := len(u.list) - 1; i >= 0 && u.list[i].at > ready; i-- {
			p := &u.list[i]
			if p.at-ready > kept { // the platform has removed it by then
				sum += p.mass * (wait + d.memory*d.mean)
			}
			idle += p.mass * min(p.at-ready, kept)
		}
		sum += d.memory*idle + (1-u.total)*d.creation
		n++
	}
	return come*wait + sum/n
}

// ownTime returns when a container should be asked for, from now on: now if nothing is gained by asking later, and the last time at which the
// invocation may come if it pays to ask for none.
func (d *decider) ownTime(now, slack float64, u *uses) float64 {
	best, least := now, d.ownCost(now, slack, u)*(1+1e-9)+1e-9
	for _, j := range [2]int{len(d.atoms) / 2, len(d.atoms) - 1} { // the usual and the longest start time
		for i := range u.list {
			// A little before: of moments that are as good as certain, one in time.
			at := u.list[i].at - d.atoms[j] - 0.01
			if i == 0 && len(u.list) > 1 {
				at -= (u.list[1].at - u.list[0].at) / 2
			}
			if at <= now {
				continue
			}
			if cost := d.ownCost(at, slack, u); cost < least {
				best, least = at, cost
			}
		}
	}
	if last := u.list[len(u.list)-1].at + 0.01; last > now && d.ownCost(last, slack, u) < least {
		return last
	}
	return best
}

// defers reports whether it is better to decide on a demand once something has come which it depends on. A container that is asked for before may come to
// nothing; one that is asked for then may be late.
func (d *decider) defers(v *Demand) bool {
	if d.platform.Late == prewarm.TakesStarting || v.Conditions[0].Probability == 0 {
		return false
	}
	unused := d.memory*d.mean + d.creation
	if kept := d.kept(); kept < never {
		unused += d.memory * kept
	}
	missed := unused + d.price*max(d.mean-v.Slack, 0)
	for i := range v.Conditions {
		c := &v.Conditions[i]
		if c.Probability == 0 {
			break
		}
		late := normal((d.mean - c.Lead) / max(math.Hypot(d.sd, c.Spread), 1e-3))
		if (1-c.Probability)*unused > v.Probability*late*missed {
			return true
		}
	}
	return false
}

// normal is the distribution function of the normal distribution.
func normal(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
