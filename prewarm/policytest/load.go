package policytest

import (
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/prewarm"
)

// toReplica gives an invocation to the ready replica of its function that runs the fewest, and returns false if all have as many as they run
// at once.
func (p *platform) toReplica(i *invocation) bool {
	f := i.call.function
	var best *container
	for _, c := range p.containers {
		if c.function == f && c.ready && !c.draining && len(c.running) < p.slots(f) && (best == nil || len(c.running) < len(best.running)) {
			best = c
		}
	}
	if best == nil {
		return false
	}
	p.assign(i, best, prewarm.Warm)
	return true
}

// serveReplicas gives what waits in front of a function's replicas to those that have room.
func (p *platform) serveReplicas(f int) {
	s := &p.functions[f]
	for len(s.queue) > 0 && (s.queue[0].dropped || p.toReplica(s.queue[0])) {
		s.queue = s.queue[1:]
	}
}

// scale sets the number of a function's replicas: what is being started goes first, then what is idle, the newest first; what is busy goes once
// it is done.
func (p *platform) scale(f, n int) {
	s := &p.functions[f]
	if p.test.functions[f].replicas < 0 {
		return
	}
	s.replicas = n
	var stay []*container
	for _, c := range p.containers {
		if c.function == f && !c.draining {
			stay = append(stay, c)
		}
	}
	for range n - len(stay) {
		if !p.fits(f) {
			p.happened("no room", f, 1)
			continue
		}
		p.startForNobody(f, s.start)
	}
	for _, goes := range []func(c *container) bool{
		func(c *container) bool { return !c.ready },
		func(c *container) bool { return c.ready && len(c.running) == 0 },
		func(*container) bool { return true },
	} {
		for _, c := range slices.Backward(slices.Clone(stay)) {
			if len(stay) <= n {
				return
			}
			if !goes(c) {
				continue
			}
			stay = slices.DeleteFunc(stay, func(d *container) bool { return c == d })
			if c.draining = true; !c.ready || c.idle {
				p.remove(c, prewarm.ByPolicy)
			}
		}
	}
}

// setRate lets invocations of a function arrive at even distances from now on, the first of them now; none if rate is 0.
func (p *platform) setRate(c *call, rate float64) {
	s := &p.functions[c.function]
	s.rate++
	if rate == 0 {
		return
	}
	change, begin := s.rate, p.now
	n := 0
	var next func()
	next = func() {
		if s.rate != change {
			return
		}
		p.arrive(c, nil)
		n++
		p.at(begin+prewarm.Time(math.Round(float64(n)*1e9/rate)), ofScript, next)
	}
	next()
}

// setInFlight keeps n invocations of a function in flight: those that are missing arrive, those that are too many end.
func (p *platform) setInFlight(f, n int) {
	s := &p.functions[f]
	for len(s.inFlight) < n {
		s.inFlight = append(s.inFlight, p.arrive(&call{function: f, run: -1, at: -1}, nil))
	}
	for len(s.inFlight) > n {
		last := len(s.inFlight) - 1
		i := s.inFlight[last]
		s.inFlight = s.inFlight[:last]
		switch c := i.container; {
		case c == nil: // it waits, and the platform forgets it
			i.dropped = true
			p.happened("refused", f, 1)
			p.emit(prewarm.Event{Kind: prewarm.Refused, Function: f, Trace: i.trace, Invocation: i.id})
		case c.waiting == i:
			i.call.run = 0
		default:
			p.end(i)
		}
	}
}
