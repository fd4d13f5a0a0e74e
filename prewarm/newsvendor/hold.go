package newsvendor

import (
	"math"

	"github.com/tppfaas/tppfaas/prewarm"
)

// keep returns until when one container more than k is worth keeping idle, by optimal stopping: as long as the expected saving of its next
// use exceeds the memory-time until then. It is now if it is not worth keeping.
func (d *decider) keep(now float64, k int) (until, gain float64) {
	s := stopping{memory: d.memory, left: 1, before: now, until: now}
	if u := d.next(now, k, math.Inf(1), true, &s); !d.ringed {
		for i := range u.list {
			s.add(&u.list[i])
		}
	}
	if s.until > now {
		// The last moments stand for a stretch around them.
		s.until += min(0.1*(s.until-now), 1) + 0.05
	}
	return s.until, s.gain
}

// stopping weighs until when a container is kept: the expected saving of its next use up to a time, less its memory until then, is at most gain, at until.
type stopping struct {
	memory float64
	value  float64 // up to before
	left   float64 // the probability that it has not been used by then
	before float64

	until, gain float64
}

// add goes on to a next use.
func (s *stopping) add(p *use) {
	s.value += p.mass*p.saving - s.memory*s.left*(p.at-s.before)
	s.left -= p.mass
	s.before = p.at
	if s.value > s.gain {
		s.until, s.gain = p.at, s.value
	}
}

// over reports whether nothing that comes from a time on can make it worth more, even if the next use came then for certain: what that saves is given,
// and is not more later.
func (s *stopping) over(at, saving float64) bool {
	const margin = 1.001 // savings are computed by a table
	return s.value-s.memory*s.left*(at-s.before)+margin*s.left*saving < s.gain
}

// pending returns the probability that a request in flight still needs a container of the function.
func (d *decider) pending(now float64) float64 {
	if d.ringed {
		return 1
	}
	none := 1.0
	for i := range d.entries {
		e := &d.entries[i]
		p := e.Probability
		if passed := e.Times.Within(now); passed > 0 && p < 1 {
			p *= (1 - passed) / (1 - p*passed)
		}
		none *= 1 - p
	}
	return 1 - none
}

// leastPending is how likely a demand must be for which an unused container is kept in any case.
const leastPending = 0.02

// During an overload each container is held for so many seconds, and looked at every so many.
const overloadHold, overloadLook = 2, 1

// hold decides how long the idle containers are kept. Box returns what is known of a container beside the fleet.
func (d *decider) hold(now float64, fleet *prewarm.Fleet, overload bool, box func(prewarm.ID) *box, out *prewarm.Decisions) (wake float64) {
	wake, d.postponed = never, false
	if d.platform.Renews() {
		return d.renew(now, fleet, out)
	}
	idle := fleet.Containers(d.function, prewarm.StateIdle)
	if len(idle) == 0 || !d.platform.GiveBack && !d.platform.Hold {
		return wake
	}
	d.sample(fleet.Creating())
	// The container that became idle last is used first, and those that have arrived take the first ones. Of the others those are kept rather that
	// have made their first call, whatever their turn: without a fresh one in front of them they serve faster.
	waiting := fleet.Loads[d.function].Waiting
	d.waiting = waiting
	others := d.inUse(fleet)
	over := false
	left := max(len(idle)-waiting, 0)
	position := others + len(idle) - left
	for i := 2*left - 1; i >= 0; i-- {
		c := idle[i%left]
		b := box(c.ID)
		if fresh := c.Uses == 0 && d.first > 0; fresh == (i >= left) || b.gone {
			continue // the other time; or it is being removed
		}
		until, gain := now, 0.0
		if !over {
			until, gain = d.keep(now, position)
			over = until <= now
			position++
		}
		why := prewarm.Why{Rule: "its next use saves more than keeping it costs", Gain: gain}
		if c.Uses == 0 && c.By == prewarm.ByPolicy && d.pending(now) > leastPending {
			if least := seconds(c.Since) + d.mean; until < least {
				until = least
				why.Rule = "started for a request in flight that may still need it"
			}
		}
		switch {
		case until <= now+0.001:
			if overload {
				d.postponed = true
				// Nothing is removed: not by a hold either that was set before.
				if d.platform.Hold && b.until < now+overloadLook+0.1 {
					until = now + overloadHold
					out.Hold(c, moment(until), prewarm.Why{Rule: "nothing is removed during an overload"})
					b.until = until
				}
				wake = min(wake, now+overloadLook)
				continue
			}
			if d.platform.GiveBack {
				out.GiveBack(c, prewarm.Why{Rule: "its next use saves less than keeping it costs"})
				b.gone = true
			} else if b.until != now {
				out.Hold(c, moment(now), prewarm.Why{Rule: "its next use saves less than keeping it costs"})
				b.until = now
			}
		case !d.platform.Hold:
			wake = min(wake, until)
		case overload:
			// The platform must not remove it meanwhile.
			until = max(until, now+overloadHold)
			fallthrough
		default:
			if math.Abs(until-b.until) > 0.01+0.05*(until-now) {
				out.Hold(c, moment(until), why)
				b.until = until
			}
			// Before the time has passed it is looked at again: what is foreseen may have moved.
			wake = min(wake, max(b.until-0.05, now+0.05))
		}
	}
	return wake
}
