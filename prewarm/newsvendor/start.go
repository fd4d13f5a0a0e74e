package newsvendor

import (
	"math"

	"github.com/tppfaas/tppfaas/prewarm"
)

// maxStarts is how many containers of a function are started at one event at most.
const maxStarts = 64

// answer is for how many seconds a start that was asked for counts although the platform has not said that it has begun. It may have no room.
const answer = 0.5

// asked returns how many containers were asked for of which the platform has not said that their creation has begun.
func (d *decider) asked(now float64) int {
	n := 0
	for n < len(d.asks) && now-d.asks[n] > answer {
		n++
	}
	d.asks = append(d.asks[:0], d.asks[n:]...)
	return len(d.asks)
}

// start starts a container if there is a demand that none covers, and reports whether it did. If not, wake is when it wants to be asked again. Asking is
// how many containers of all functions have been started at this event.
func (d *decider) start(now float64, asking int, fleet *prewarm.Fleet, room func(*decider, float64) bool, out *prewarm.Decisions) (wake float64, did bool) {
	if !d.platform.Warm {
		return never, false
	}
	// Those that have arrived and find no idle container will have one created each.
	asked := d.asked(now)
	k := max(fleet.Count(d.function), d.inUse(fleet)+fleet.Loads[d.function].Waiting) + asked
	d.waiting = fleet.Loads[d.function].Waiting
	d.starved = false
	d.sample(fleet.Creating() + asking)
	if at := d.earliest() - d.atoms[len(d.atoms)-1]; at > now+0.01 && asked == 0 {
		return at, false
	}
	again := never
	if asked > 0 { // if the platform does not say by then that it has begun, it had no room
		again = d.asks[0] + answer + 0.001
	}
	if d.ringed {
		if len(d.entries)+len(d.runs.list)+asked == 0 && d.platform.Late == prewarm.TakesStarting {
			if at := d.firstDue(now); at > now+lookAhead {
				return at, false
			}
		}
		again = min(again, now+lookAhead)
	}
	u := d.next(now, k, d.mean, false, nil)
	if len(u.list) == 0 {
		return again, false
	}
	slack := d.slack()
	covered, due := d.due(now, slack, u)
	if !due {
		return min(d.later(now, slack, u), again), false
	}
	gain := d.gain(now, slack, u, d.usedOnes(fleet) > 0)
	if gain <= 0 {
		return d.soon(now), false
	}
	first := &u.list[0]
	why := prewarm.Why{Rule: "ready by the quantile of the next demand that no container covers", Probability: covered, Demand: moment(d.median(u)), Gain: gain}
	if first.demand >= 0 {
		why.Trace = d.work.demands[first.demand].Trace
	}
	if !room(d, first.at) { // which may weigh other functions, in the memory of u
		d.starved = true
		return d.soon(now), false
	}
	out.Start(d.function, 1, why)
	if d.asks == nil {
		d.asks = make([]float64, 0, maxStarts) // at once, so that nothing is allocated later
	}
	d.asks = append(d.asks, now)
	return now + 0.1, true
}

// soon returns when it is looked again at a start that did not pay, or for which there was no room: the longer nothing is heard, the more rarely.
func (d *decider) soon(now float64) float64 { return now + max(0.25, 0.2*(now-d.heard)) }

// earliest returns before when nothing comes that containers are started for; of many demands it does not look.
func (d *decider) earliest() float64 {
	if d.ringed {
		return math.Inf(-1)
	}
	first := never
	for i := range d.entries {
		t := &d.entries[i].Times
		first = min(first, t[0]-(t[1]-t[0])/2)
	}
	for i := range d.foreseen {
		if v := &d.foreseen[i]; v.Notice < d.mean {
			first = min(first, v.Times[0]-(v.Times[1]-v.Times[0])/2)
		}
	}
	return first
}

// firstDue returns when a container should be asked for if there were none, for requests that are not in flight: not later than with some.
func (d *decider) firstDue(now float64) float64 {
	w := d.work
	w.demands = w.demands[:0]
	for i := range d.foreseen {
		if d.foreseen[i].Notice < d.mean {
			w.demands = append(w.demands, &d.foreseen[i])
		}
	}
	w.uses.compute(now, never, 0, w.demands, nil, nil)
	return w.uses.when(now, d.alpha, d.atoms[:])
}

// inUse returns the number of containers that have an invocation.
func (d *decider) inUse(fleet *prewarm.Fleet) int {
	return len(fleet.Containers(d.function, prewarm.StateBusy)) + len(fleet.Containers(d.function, prewarm.StateReturning))
}

// median returns when the next use is as likely to have come as not, given that it comes.
func (d *decider) median(u *uses) float64 {
	sum := 0.0
	for i := range u.list {
		if sum += u.list[i].mass; sum >= u.total/2 {
			return u.list[i].at
		}
	}
	return never
}

// due reports whether a container should be asked for now, and the probability that it is needed by the time at which it is ready.
func (d *decider) due(now, slack float64, u *uses) (covered float64, due bool) {
	covered = u.covered(now, d.atoms[:])
	switch {
	case d.platform.Late != prewarm.TakesStarting:
		return covered, d.ownTime(now, slack, u) <= now
	case slack > 0:
		return covered, d.balance(now, slack, u) >= -1e-6*d.memory
	}
	return covered, covered >= d.alpha*(1-1e-6)
}

// later returns when a container should be asked for if nothing is heard until then.
func (d *decider) later(now, slack float64, u *uses) float64 {
	if d.platform.Late == prewarm.TakesStarting {
		if slack > 0 {
			return d.laterBy(now, slack, u)
		}
		return u.when(now, d.alpha, d.atoms[:])
	}
	if at := d.ownTime(now, slack, u); at > now {
		return at
	}
	return now + 0.1
}

// usedOnes returns the number of containers that have been given an invocation, up to 1.
func (d *decider) usedOnes(fleet *prewarm.Fleet) int {
	if d.inUse(fleet) > 0 {
		return 1
	}
	for _, c := range fleet.Containers(d.function, prewarm.StateIdle) {
		if c.Uses > 0 {
			return 1
		}
	}
	return 0
}

// kept returns for how long after its start an unused container is there: as long as it is wanted, or where the platform removes it by itself until then.
func (d *decider) kept() float64 {
	if d.platform.GiveBack || d.platform.Hold || d.platform.IdleTimeout <= 0 {
		return never
	}
	return seconds(d.platform.IdleTimeout)
}

// gain returns the expected gain in MB·s of a container that is asked for now, over none, if it is given back when that is best. Where there are
// used containers, which would serve if no more are needed, the fresh one takes their place, as the one that became idle last, and its first
// call is slow.
func (d *decider) gain(now, slack float64, u *uses, used bool) float64 {
	unused := 0.0 // for how long it costs in any case where it is not used
	if kept := d.kept(); kept < never {
		unused = kept
	}
	instead := 0.0
	if used {
		instead = d.price * d.first
	}
	best := math.Inf(-1)
	sum, passed, ready := 0.0, 0.0, now+d.mean
	for i := range u.list {
		p := &u.list[i]
		wait := min(d.mean, p.at-now)
		early := max(p.at-ready, 0)
		if unused > 0 && early > unused { // the platform has removed it by then
			wait, early = 0, d.mean+unused
		} else if d.platform.Late == prewarm.OwnContainer {
			if wait = d.mean; p.at < ready {
				wait, early = 0, d.mean+unused
			}
		}
		// Without a container the wait would be that of a start: what of it is within the slack delays nobody.
		saved := max(d.mean-slack, 0) - max(d.mean-wait-slack, 0)
		sum += p.mass * (d.price*saved - d.memory*early)
		passed += p.mass
		kept := max(p.at-ready, afterEnd, unused)
		best = max(best, sum-(1-passed)*(d.memory*(d.mean+kept)+d.creation+instead))
	}
	return best
}
