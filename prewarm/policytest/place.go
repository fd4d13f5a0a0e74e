package policytest

import (
	"cmp"
	"slices"

	"github.com/tppfaas/tppfaas/prewarm"
)

// arrive lets an invocation arrive.
func (p *platform) arrive(c *call, parent *invocation) *invocation {
	p.lastID++
	i := &invocation{id: p.lastID, call: c, arrived: p.now}
	if parent != nil {
		i.parent, i.trace, i.request = parent.id, parent.trace, parent.request
	} else {
		p.lastID++
		i.trace, i.request = p.lastID, &request{arrived: p.now}
	}
	i.request.left++
	p.happened("arrive", c.function, 1)
	p.emit(prewarm.Event{Kind: prewarm.Arrived, Function: c.function, Trace: i.trace, Invocation: i.id, Parent: i.parent})
	p.at(p.now+p.test.dispatch, ofPlatform, func() { p.dispatch(i) })
	return i
}

// dispatch gives an invocation that has reached the pool its container, or lets it wait.
func (p *platform) dispatch(i *invocation) {
	s := &p.functions[i.call.function]
	f := &p.test.functions[i.call.function]
	switch {
	case i.dropped:
	case f.replicas >= 0:
		if p.toReplica(i) {
			return
		}
		if f.refuse {
			p.happened("refused", i.call.function, 1)
			p.emit(prewarm.Event{Kind: prewarm.Refused, Function: i.call.function, Trace: i.trace, Invocation: i.id, Parent: i.parent})
			p.leave(i.request)
			return
		}
		s.queue = append(s.queue, i)
	case len(p.queue) > 0 || !p.place(i):
		p.queue = append(p.queue, i)
		p.pressure()
	}
}

func (p *platform) pressure() {
	p.emit(prewarm.Event{Kind: prewarm.Pressure, Queue: len(p.queue)})
}

// place gives an invocation a container: the idle one that was used last, one that is starting, or a new one, for which others are evicted.
func (p *platform) place(i *invocation) bool {
	f := i.call.function
	var best *container
	for _, c := range p.containers {
		if c.function == f && c.ready && (c.idle || len(c.running) > 0 && len(c.running) < p.slots(f)) && (best == nil || c.since >= best.since) {
			best = c
		}
	}
	if best != nil {
		p.assign(i, best, prewarm.Warm)
		return true
	}
	if p.fleet.Platform.Late == prewarm.TakesStarting {
		for _, c := range p.containers {
			if c.function == f && !c.ready && c.waiting == nil {
				p.assign(i, c, prewarm.Late)
				return true
			}
		}
	}
	start := p.functions[f].start
	if stem := p.stock(f); stem != nil {
		p.remove(stem, prewarm.ByPlatform)
		start = p.test.functions[f].init
	} else if !p.fits(f) && !p.evict(f) {
		return false
	}
	c := p.newContainer(f)
	p.assign(i, c, prewarm.Cold)
	p.at(p.now+start, ofPlatform, func() { p.ready(c) })
	return true
}

// stock returns the container without a function that one of f can be made of, nil if there is none: the one that was created first.
func (p *platform) stock(f int) *container {
	for _, c := range p.containers {
		s := &p.test.functions[c.function]
		if s.stock && c.idle && s.Kind == p.test.functions[f].Kind && s.MemoryMB == p.test.functions[f].MemoryMB {
			return c
		}
	}
	return nil
}

// evict makes room for a container of f: of the idle containers those with the lowest rank are removed first, of these those whose last run
// began first. It removes none if all of them are not enough.
func (p *platform) evict(f int) bool {
	var idle []*container
	room := p.fleet.Platform.MemoryMB - p.usedMB()
	for _, c := range p.containers {
		if c.idle && !p.test.functions[c.function].stock {
			idle = append(idle, c)
			room += p.test.functions[c.function].MemoryMB
		}
	}
	if room < p.test.functions[f].MemoryMB {
		return false
	}
	slices.SortStableFunc(idle, func(a, b *container) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.lastRun, b.lastRun))
	})
	for _, c := range idle {
		if p.fits(f) {
			break
		}
		p.remove(c, prewarm.ByEviction)
	}
	return true
}

func (p *platform) usedMB() int {
	mb := 0
	for _, c := range p.containers {
		mb += p.test.functions[c.function].MemoryMB
	}
	return mb
}

// fits reports whether there is room for one more container of a function.
func (p *platform) fits(f int) bool {
	limit := p.fleet.Platform.MemoryMB
	return limit == 0 || p.usedMB()+p.test.functions[f].MemoryMB <= limit
}

// slots is the number of invocations that a container runs at once.
func (p *platform) slots(f int) int { return max(p.test.functions[f].Concurrency, 1) }

// serveQueue places what waits for memory, in its order.
func (p *platform) serveQueue() {
	n := len(p.queue)
	for len(p.queue) > 0 && p.place(p.queue[0]) {
		p.queue = p.queue[1:]
	}
	if len(p.queue) != n {
		p.pressure()
	}
}

// assign gives an invocation to a container.
func (p *platform) assign(i *invocation, c *container, start prewarm.Start) {
	i.container = c
	if c.idle {
		p.functions[c.function].idleFor += p.now - c.since
	}
	c.idle, c.lastRun = false, p.now
	c.timer++
	p.happened(start.String(), c.function, 1)
	p.emit(prewarm.Event{
		Kind: prewarm.Placed, Function: c.function, Container: c.id, Start: start,
		Trace: i.trace, Invocation: i.id, Parent: i.parent,
	})
	if start == prewarm.Warm {
		p.begin(i, 0)
		return
	}
	c.waiting = i
}

// begin is the start of a run, for which its container was initialised for a time.
func (p *platform) begin(i *invocation, init prewarm.Time) {
	c := i.container
	c.running = append(c.running, i)
	c.since = p.now
	e := prewarm.Event{
		Kind: prewarm.Started, Function: c.function, Container: c.id, Wait: p.now - i.arrived, Init: min(init, p.now-i.arrived),
		Trace: i.trace, Invocation: i.id, Parent: i.parent,
	}
	p.happened("run", c.function, e.Wait.Seconds())
	p.emit(e)
	i.request.left += len(i.call.children)
	for _, child := range i.call.children {
		if child.at >= 0 {
			p.at(p.now+child.at, ofScript, func() { p.send(child, i) })
		}
	}
	if i.call.run >= 0 {
		p.at(p.now+i.call.run, ofPlatform, func() { p.end(i) })
	}
}

// send lets an invocation that was counted as left before arrive.
func (p *platform) send(child *call, parent *invocation) {
	p.arrive(child, parent)
	parent.request.left--
}

// end is the end of a run.
func (p *platform) end(i *invocation) {
	c := i.container
	c.running = slices.DeleteFunc(c.running, func(j *invocation) bool { return j == i })
	p.happened("end", c.function, 1)
	p.emit(prewarm.Event{Kind: prewarm.Ended, Function: c.function, Container: c.id, Trace: i.trace, Invocation: i.id, Parent: i.parent})
	for _, child := range i.call.children {
		if child.at < 0 {
			p.at(p.now, ofScript, func() { p.send(child, i) })
		}
	}
	p.leave(i.request)
	if len(c.running) == 0 {
		c.since = p.now
		p.at(p.now+p.test.returning, ofPlatform, func() { p.becomeIdle(c) })
	}
	p.serveReplicas(c.function)
}

// leave counts an invocation of a request that is over.
func (p *platform) leave(r *request) {
	if r.left--; r.left == 0 {
		p.happened("done", -1, (p.now - r.arrived).Seconds())
	}
}
