package localwhisk

import (
	"fmt"
	"time"
)

// arrive lets the controller receive a, which hands it on.
func (p *Platform) arrive(a *activation) {
	a.arrival = p.clock.Now()
	if d := p.config.Dispatch.draw(p.dispatch, p.load()); d > 0 {
		p.plan(d, enqueue, a)
		return
	}
	p.enqueue(a)
}

func enqueue(arg any) {
	a := arg.(*activation)
	p := a.run.platform
	p.mu.Lock()
	p.enqueue(a)
	p.leave()
}

func (p *Platform) enqueue(a *activation) {
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
	if c := a.function.newest; c != nil {
		p.idle.remove(c)
		p.assign(c, a)
		p.wake(c)
		return true
	}
	if len(p.stems) > 0 && a.function.MemoryMB == p.config.FunctionMemoryMB {
		c := p.stems[0]
		p.stems = p.stems[1:]
		p.assign(c, a)
		if d := p.config.StemCell.draw(p.stemCell, p.load()); d > 0 {
			p.after(d, func() { p.init(c) })
		} else {
			p.init(c)
		}
		p.fillStems(true)
		return true
	}
	if !p.makeRoom(a.function.MemoryMB, true) {
		return false
	}
	c := p.newContainer(a.function.MemoryMB)
	p.assign(c, a)
	p.create(c)
	return true
}

// makeRoom removes the idle containers whose last run began longest ago until memoryMB are free, and if need be unused stem cells; it removes
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
		c := p.idle.leastUsed()
		if c != nil {
			p.idle.remove(c)
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
	c := &Container{id: p.containers, memoryMB: memoryMB}
	c.logsIn = func() {
		p.mu.Lock()
		p.rest(c)
		p.leave()
	}
	return c
}

func (p *Platform) remove(c *Container) {
	p.memoryMB -= c.memoryMB
	p.backend.Remove(c)
}

func (p *Platform) assign(c *Container, a *activation) {
	c.function = a.function
	c.activation = a
	c.begun = p.clock.Now()
	a.container = c
	a.record.Container = c.id
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
	p.backend.Run(c, &c.activation.run)
}

// ended completes the record of a, whose run has ended; its container is busy until the logs are in.
func (p *Platform) ended(a *activation, err error) {
	c := a.container
	p.record(a, err)
	p.backend.CollectLogs(c, a.record.ID, p.load(), c.logsIn)
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
	p.land(a)
}

// rest makes c idle: it is paused after a while, and removed after a longer one.
func (p *Platform) rest(c *Container) {
	c.activation = nil
	if c.spoilt || c.function.undeployed {
		p.remove(c)
	} else {
		p.idle.push(c, p.clock.Now())
		p.watch()
	}
	p.schedule()
}

// watch plans to look at the idle containers when the first is due to be paused, and when the first is due to be removed. One
// timer each for all: a container is taken again far more often than it is paused.
func (p *Platform) watch() {
	if c := p.idle.unpaused; c != nil && !p.pausing && p.config.PauseGrace < p.config.IdleTimeout {
		p.pausing = true
		p.plan(c.idleSince.Add(p.config.PauseGrace).Sub(p.clock.Now()), pause, p)
	}
	if c := p.idle.oldest; c != nil && !p.expiring {
		p.expiring = true
		p.plan(c.idleSince.Add(p.config.IdleTimeout).Sub(p.clock.Now()), expire, p)
	}
}

// due reports whether c has been idle for d.
func (p *Platform) due(c *Container, d time.Duration) bool {
	return c != nil && p.clock.Now().Sub(c.idleSince) >= d
}

// pause pauses the idle containers that are due.
func pause(arg any) {
	p := arg.(*Platform)
	p.mu.Lock()
	p.pausing = false
	for c := p.idle.unpaused; p.due(c, p.config.PauseGrace); c = p.idle.unpaused {
		c.paused = true
		p.idle.unpaused = c.newer
		p.backend.Pause(c)
	}
	p.watch()
	p.leave()
}

// expire removes the idle containers that are due.
func expire(arg any) {
	p := arg.(*Platform)
	p.mu.Lock()
	p.expiring = false
	removed := false
	for c := p.idle.oldest; p.due(c, p.config.IdleTimeout); c = p.idle.oldest {
		p.idle.remove(c)
		p.remove(c)
		removed = true
	}
	p.watch()
	if removed {
		p.schedule()
	}
	p.leave()
}
