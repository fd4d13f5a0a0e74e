package newsvendor

import (
	"math"

	"github.com/tppfaas/tppfaas/prewarm"
)

// On a platform on which a container cannot be kept, but where its idle time can be begun anew (see prewarm.Platform.Renew), it is kept for a whole idle time or not at
// all: it cannot be given back before. That is decided a moment before it is removed. Of the containers of a function any may be the one that an
// invocation finds, so all that are idle are renewed, or the first one goes; what is weighed is the use of one container more than the others.

// renewalBusy is for how many seconds a renewal keeps its container from others, and renewalsBusy those that have to overlap.
const renewalBusy, renewalsBusy = 0.1, 0.15

// looksAhead is how many times the usual lead ahead of it a renewal is looked at first: where an invocation may come just then, it is better done before.
const looksAhead = 3

// renew decides whether the idle time of the idle containers is renewed, and returns when it wants to be asked again.
func (d *decider) renew(now float64, fleet *prewarm.Fleet, out *prewarm.Decisions) (wake float64) {
	idle := fleet.Containers(d.function, prewarm.StateIdle)
	if len(idle) == 0 {
		return never
	}
	timeout, lead := seconds(d.platform.IdleTimeout), seconds(d.platform.RenewLead())
	ends := never
	for _, c := range idle {
		ends = min(ends, seconds(c.Since)+timeout)
	}
	last := ends - lead
	switch first := ends - looksAhead*lead; {
	case now < first-0.001:
		return first
	case now > ends-lead/2 || now < d.renewed: // it is too late, or was decided
		return never
	}
	d.sample(fleet.Creating())
	d.waiting = fleet.Loads[d.function].Waiting
	if d.waiting >= len(idle) { // they are taken
		return never
	}
	others := d.inUse(fleet)
	u := d.next(now, others+len(idle)-1, math.Inf(1), true, nil)
	gain, used := d.worthRenewing(u, ends, last, timeout)
	if gain <= 0 {
		if now < last-0.001 {
			return last
		}
		return never
	}
	why := prewarm.Why{Rule: "its next use saves more than keeping it costs: its idle time is renewed", Probability: used, Demand: moment(d.median(u)), Gain: gain}
	busy := renewalBusy
	if len(idle) > 1 {
		busy = renewalsBusy
		u = d.next(now, others, math.Inf(1), false, nil)
	}
	// Who comes meanwhile has a container created.
	missed := d.price * d.mean
	risk := missed * u.within(now+busy)
	if now < last-0.001 {
		if later := missed * max(u.within(last+busy)-u.within(last), 0); risk >= later-1 {
			return last
		}
	}
	if risk >= gain {
		return never
	}
	for _, c := range idle {
		out.Hold(c, moment(now+timeout), why)
	}
	d.renewed = ends
	return never
}

// worthRenewing returns what it saves, in MB·s, to renew the idle time of a container now that is removed at a time otherwise, and as often again as is best, and how
// likely it is used in the first of these times after that.
func (d *decider) worthRenewing(u *uses, ends, last, timeout float64) (gain, used float64) {
	step := timeout - seconds(d.platform.RenewLead())
	value, left, before, end := 0.0, 1.0, ends, last+timeout
	gain = math.Inf(-1)
	for i := 0; ; {
		if i < len(u.list) && u.list[i].at <= end {
			p := &u.list[i]
			i++
			if p.at > ends { // until then it is there in any case
				value += p.mass*p.saving - d.memory*left*(p.at-before)
				before = p.at
				if end == last+timeout {
					used += p.mass
				}
			}
			left -= p.mass
			continue
		}
		value -= d.memory * left * (end - before)
		before = end
		gain = max(gain, value)
		if i >= len(u.list) {
			return gain, used
		}
		// Between two uses only memory is spent: the ends until the next one are passed over, of which there are very many where idle times are very short.
		end += max(math.Ceil((u.list[i].at-end)/step), 1) * step
		if !(end >= u.list[i].at) { // rounded
			end = u.list[i].at
		}
	}
}

// longestRenewed returns for how many seconds at most what is to come is looked at: a container is not kept for three times as long as its use can be worth.
func (d *decider) longestRenewed() float64 {
	return 3*((d.memory+d.price)*(d.mean+d.first)+d.creation)/d.memory + 2*seconds(d.platform.IdleTimeout)
}

// without returns what it costs to have no container for an invocation, for each time that it comes, on a platform that gives it one of its own if none is idle: it waits
// for that, or one is started ahead, which may come to nothing, or too late. It comes with a probability.
func (d *decider) without(now float64, v *Demand, probability float64) float64 {
	if probability <= 0 {
		return 0
	}
	w := d.work
	wait := d.price * max(d.mean-v.Slack, 0)
	unused := d.memory*(d.mean+min(d.kept(), 1e9)) + d.creation
	least := probability * wait
	w.single.compute(now, never, 0, []*Demand{v}, nil, nil)
	if n := len(w.single.list); n > 0 {
		at := d.ownTime(now, v.Slack, &w.single)
		cost := d.ownCost(at, v.Slack, &w.single)
		if at < w.single.list[n-1].at {
			cost += (1 - probability) * d.memory * d.mean
		}
		least = min(least, cost)
	}
	ask := func(chance, lead, spread float64) {
		late := normal((d.mean - lead) / max(math.Hypot(d.sd, spread), 1e-3))
		least = min(least, max(chance-probability, 0)*unused+probability*(late*(unused+wait)+d.memory*max(lead-d.mean, 0)))
	}
	if !v.known() {
		ask(1, v.Notice, v.Spread)
	}
	for i := range v.Conditions {
		if c := &v.Conditions[i]; c.Probability > 0 {
			ask(c.Probability, c.Lead, c.Spread)
		}
	}
	return least/probability + d.memory*d.mean + d.creation + d.price*d.first
}
