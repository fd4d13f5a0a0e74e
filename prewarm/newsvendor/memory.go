package newsvendor

import (
	"math"

	"github.com/tppfaas/tppfaas/prewarm"
)

// room reports whether there is room for one more container of a function, which is needed at a time. Where memory is full it makes some for what
// a request in flight demands: it gives back the idle container whose next use is farthest, if that is later.
func (p *Policy) room(d *decider, needed float64) bool {
	limit := p.platform.MemoryMB
	size := p.fleet.Functions[d.function].MemoryMB
	if limit <= 0 || p.fleet.UsedMB+p.reserved+size <= limit {
		p.reserved += size
		return true
	}
	if p.overload || !p.platform.GiveBack || len(d.entries) == 0 {
		return false
	}
	free := limit - p.fleet.UsedMB - p.reserved
	for free < size {
		victim, at := p.farthest(d)
		if victim == nil || at <= needed+d.mean {
			return false
		}
		p.out.GiveBack(victim, prewarm.Why{Rule: "memory is full, and its next use is farthest", Demand: moment(at)})
		p.box(victim.ID).gone = true
		p.reserved -= p.fleet.Functions[victim.Function].MemoryMB
		free += p.fleet.Functions[victim.Function].MemoryMB
	}
	p.reserved += size
	return true
}

// farthest returns the idle container, of another function, whose next use is farthest, and when that is.
func (p *Policy) farthest(than *decider) (victim *prewarm.Container, at float64) {
	at = math.Inf(-1)
	now := seconds(p.fleet.Now)
	for _, f := range p.deciders {
		if f == than {
			continue
		}
		idle := p.fleet.Containers(f.function, prewarm.StateIdle)
		waiting := p.fleet.Loads[f.function].Waiting
		for i := 0; i < len(idle)-waiting; i++ {
			c := idle[i]
			if p.box(c.ID).gone {
				continue
			}
			next := never
			if f.known {
				f.waiting = waiting
				next = f.nextUse(now, f.inUse(p.fleet)+len(idle)-1-i)
			}
			if next > at {
				victim, at = c, next
			}
			break // those behind it are used sooner
		}
	}
	return victim, at
}

// nextUse returns when one container more than k is used next: the median.
func (d *decider) nextUse(now float64, k int) float64 {
	u := d.next(now, k, math.Inf(1), false, nil)
	if u.total < 0.5 {
		return never
	}
	sum := 0.0
	for i := range u.list {
		if sum += u.list[i].mass; sum >= 0.5 {
			return u.list[i].at
		}
	}
	return never
}

// rank stamps an idle container with when it is used next, so that the platform too evicts that whose next use is farthest: by its own rule one
// that was warmed and not yet used would come first.
func (p *Policy) rank(d *decider, c *prewarm.Container, now float64) {
	if p.platform.MemoryMB <= 0 {
		return
	}
	rank := -min(d.nextUse(now, d.inUse(p.fleet)), leastRank)
	if b := p.box(c.ID); b.rank != rank {
		b.rank = rank
		p.out.Rank(c, rank)
	}
}
