package localwhisk

import (
	"fmt"
	"time"
)

// arrive lets the controller receive a.
func (p *Platform) arrive(a *activation) {
	a.arrival = p.clock.Now()
	p.queue = append(p.queue, a)
	p.schedule()
}

// schedule uses what memory and containers there are: for the queue first, then for stem cells.
func (p *Platform) schedule() {
	p.serve()
	if len(p.queue) == 0 {
		p.fillStems(false)
	}
}

// serve gives containers to the queue, from its head until one has to wait.
func (p *Platform) serve() {
	for len(p.queue) > 0 && p.place(p.queue[0]) {
		p.queue[0] = nil
		p.queue = p.queue[1:]
	}
}

// place gives a the container it is due; false if it has to wait for one.
func (p *Platform) place(a *activation) bool {
	if c := p.idle.newestOf(a.function); c != nil {
		p.take(c)
		p.assign(c, a)
		p.after(p.dispatchDelay(), func() { p.wake(c) })
		return true
	}
	if len(p.stems) > 0 && a.function.MemoryMB == p.config.FunctionMemoryMB {
		c := p.stems[0]
		p.stems = p.stems[1:]
		p.assign(c, a)
		p.after(p.dispatchDelay()+p.config.StemCell.draw(p.stemCell, p.load()), func() { p.init(c) })
		p.fillStems(true)
		return true
	}
	if !p.makeRoom(a.function.MemoryMB, true) {
		return false
	}
	c := p.newContainer(a.function.MemoryMB)
	p.assign(c, a)
	p.after(p.dispatchDelay(), func() { p.create(c) })
	return true
}

// makeRoom removes what has been idle longest until memoryMB are free, and if need be unused stem cells; it removes
// nothing and returns false if that is not enough.
func (p *Platform) makeRoom(memoryMB int, stems bool) bool {
	room := p.config.MemoryMB - p.memoryMB
	most := room + p.idle.memoryMB
	if stems {
		most += len(p.stems) * p.config.FunctionMemoryMB
	}
	if most < memoryMB {
		return false
	}
	for p.config.MemoryMB-p.memoryMB < memoryMB {
		c := p.idle.oldest
		if c != nil {
			p.take(c)
		} else {
			c = p.stems[0]
			p.stems = p.stems[1:]
		}
		p.remove(c)
	}
	return true
}

// fillStems creates the stem cells that are missing, as far as memory allows; in the place of idle containers only if
// evict is set.
func (p *Platform) fillStems(evict bool) {
	need := p.config.FunctionMemoryMB
	for len(p.stems)+p.stemsToBe < p.config.StemCells {
		if p.config.MemoryMB-p.memoryMB < need && !(evict && p.makeRoom(need, false)) {
			return
		}
		c := p.newContainer(need)
		p.stemsToBe++
		p.create(c)
	}
}

func (p *Platform) newContainer(memoryMB int) *Container {
	p.containers++
	p.memoryMB += memoryMB
	return &Container{id: p.containers, memoryMB: memoryMB}
}

func (p *Platform) remove(c *Container) {
	p.memoryMB -= c.memoryMB
	p.backend.Remove(c)
}

// take makes an idle container no longer idle.
func (p *Platform) take(c *Container) {
	c.idleTimer.stop()
	c.idleTimer = nil
	p.idle.remove(c)
}

func (p *Platform) assign(c *Container, a *activation) {
	c.function = a.function
	c.activation = a
	a.container = c
	a.record.Container = c.id
}

func (p *Platform) dispatchDelay() time.Duration {
	return p.config.Dispatch.draw(p.dispatch, p.load())
}

// load returns the number of containers that are being created beyond what goes without slowing anything down.
func (p *Platform) load() int { return max(p.creating-p.config.ParallelCreations, 0) }

// after plans a step of the engine.
func (p *Platform) after(d time.Duration, step func()) (stop func() bool) {
	return p.clock.AfterFunc(d, func() { p.enter(step) })
}

// create creates c, for its activation or as a stem cell.
func (p *Platform) create(c *Container) {
	load := p.load()
	asked := c.activation != nil
	if asked {
		p.creating++
	}
	p.backend.Create(c, load, func(err error) {
		p.enter(func() {
			if asked {
				p.creating--
			}
			switch {
			case c.activation != nil && err != nil:
				p.start(c.activation)
				p.broken(c, fmt.Errorf("localwhisk: creating a container for %s: %w", c.function.Name, err))
			case c.activation != nil:
				p.init(c)
			case err != nil:
				// The next invocation tries again; trying at once would spin on a backend that is down.
				p.stemsToBe--
				p.remove(c)
				p.serve()
			default:
				p.stemsToBe--
				p.stems = append(p.stems, c)
				p.schedule()
			}
		})
	})
}

// start notes that the work on a's container begins.
func (p *Platform) start(a *activation) {
	a.record.Start = p.clock.Now().Truncate(time.Millisecond)
	a.record.WaitTime = a.record.Start.Sub(a.arrival.Truncate(time.Millisecond))
}

// init initialises the cold container c for its activation.
func (p *Platform) init(c *Container) {
	a := c.activation
	p.start(a)
	p.backend.Init(c, p.load(), func(err error) {
		p.enter(func() {
			// A real /init can be over within the same millisecond; a cold start must still show.
			c.initTime = max(p.clock.Now().Truncate(time.Millisecond).Sub(a.record.Start), time.Millisecond)
			a.record.InitTime = c.initTime
			if err != nil {
				p.broken(c, fmt.Errorf("localwhisk: initialising %s: %w", c.function.Name, err))
				return
			}
			p.run(c)
		})
	})
}

// wake starts a's run in the warm container c, which may be paused.
func (p *Platform) wake(c *Container) {
	if !c.paused {
		p.start(c.activation)
		p.run(c)
		return
	}
	p.backend.Unpause(c, func(err error) {
		p.enter(func() {
			c.paused = false
			p.start(c.activation)
			if err != nil {
				p.broken(c, fmt.Errorf("localwhisk: unpausing a container of %s: %w", c.function.Name, err))
				return
			}
			p.run(c)
		})
	})
}

func (p *Platform) run(c *Container) {
	p.backend.Run(c, &Run{platform: p, activation: c.activation})
}

// ended completes the record of a, whose run has ended; its container is busy until the logs are in.
func (p *Platform) ended(a *activation, err error) {
	c := a.container
	p.record(a, err)
	p.backend.CollectLogs(c, a.record.ID, p.load(), func() { p.enter(func() { p.rest(c) }) })
}

// broken ends the activation of c, which cannot run it, and removes c.
func (p *Platform) broken(c *Container, err error) {
	p.record(c.activation, err)
	c.activation = nil
	p.remove(c)
	p.schedule()
}

func (p *Platform) record(a *activation, err error) {
	r := &a.record
	// Not before the start of the run: that was at most a fraction of a millisecond ago.
	r.End = p.clock.Now().Truncate(time.Millisecond)
	if runStart := r.Start.Add(r.InitTime); r.End.Before(runStart) {
		r.End = runStart
	}
	r.Duration = r.End.Sub(r.Start)
	r.Err = err
	delete(p.inFlight, r.ID)
	ended := *r
	for _, observe := range p.observers {
		p.calls = append(p.calls, func() { observe(ended) })
	}
	if a.done != nil {
		p.calls = append(p.calls, func() { a.done(ended) })
	}
}

// rest makes c idle: it is paused after a while, and removed after a longer one.
func (p *Platform) rest(c *Container) {
	c.activation = nil
	if c.spoilt || c.function.undeployed {
		p.remove(c)
		if c.function.undeployed {
			delete(p.idle.warm, c.function)
		}
		p.schedule()
		return
	}
	p.idle.push(c)
	if grace := p.config.PauseGrace; grace < p.config.IdleTimeout {
		p.whenIdle(c, grace, func() {
			c.paused = true
			p.backend.Pause(c)
			p.whenIdle(c, p.config.IdleTimeout-grace, func() { p.expire(c) })
		})
	} else {
		p.whenIdle(c, p.config.IdleTimeout, func() { p.expire(c) })
	}
	p.schedule()
}

// whenIdle plans a step for the time d from now, should c be idle until then.
func (p *Platform) whenIdle(c *Container, d time.Duration, step func()) {
	t := &idleTimer{}
	c.idleTimer = t
	t.stop = p.after(d, func() {
		// In real time the timer may have fired, and waited for the lock, while the container was taken.
		if c.idleTimer == t {
			step()
		}
	})
}

func (p *Platform) expire(c *Container) {
	c.idleTimer = nil
	p.idle.remove(c)
	p.remove(c)
	p.schedule()
}
