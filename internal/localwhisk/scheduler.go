package localwhisk

import (
	"fmt"
	"time"
)

// arrive is where every invocation enters the engine: the controller has received it, and dispatches it to the container pool.
func (p *Platform) arrive(a *activation) {
	a.arrival = p.clock.Now()
	if d := p.config.Dispatch.draw(p.random.dispatch, p.load()); d > 0 {
		p.callAfter(d, onDispatched, a)
		return
	}
	p.enqueue(a)
}

// onDispatched is enqueue as a timer's callback.
func onDispatched(arg any) {
	a := arg.(*activation)
	p := a.run.platform
	p.mu.Lock()
	p.enqueue(a)
	p.unlockAndReport()
}

// enqueue puts an invocation at the end of the queue for containers.
func (p *Platform) enqueue(a *activation) {
	p.queue = append(p.queue, a)
	p.schedule()
}

// schedule uses free containers and memory, for the queue first and then for stem cells. It is called whenever there may be more of either.
func (p *Platform) schedule() {
	p.placeQueued()
	if len(p.queue) == 0 {
		p.replenishStemCells(false)
	}
}

// placeQueued places the invocations in the queue, from its head until one has to wait.
func (p *Platform) placeQueued() {
	for len(p.queue) > 0 && p.place(p.queue[0]) {
		p.queue[0] = nil
		p.queue = p.queue[1:]
	}
}

// place is where a container is chosen: a warm one, a stem cell, or a new one. It returns false if a has to wait.
func (p *Platform) place(a *activation) bool {
	if c := a.function.newestIdle; c != nil {
		p.idle.remove(c)
		p.assign(c, a)
		p.startWarm(c)
		return true
	}
	if len(p.stemCells) > 0 && a.function.MemoryMB == p.config.FunctionMemoryMB {
		c := p.stemCells[0]
		p.stemCells = p.stemCells[1:]
		p.assign(c, a)
		if d := p.config.StemCell.draw(p.random.stemCell, p.load()); d > 0 {
			p.stepAfter(d, func() { p.initContainer(c) })
		} else {
			p.initContainer(c)
		}
		p.replenishStemCells(true)
		return true
	}
	if !p.makeRoom(a.function.MemoryMB, true) {
		return false
	}
	c := p.newContainer(a.function.MemoryMB)
	p.assign(c, a)
	p.createContainer(c)
	return true
}

// makeRoom is where containers are evicted: it removes idle containers, those first whose last runs began longest ago, and then stem cells if
// evictStemCells is set, until memoryMB are free. If that is not possible it removes nothing and returns false.
func (p *Platform) makeRoom(memoryMB int, evictStemCells bool) bool {
	free := p.config.MemoryMB - p.memoryMB
	available := free + p.idle.memoryMB
	if evictStemCells {
		available += len(p.stemCells) * p.config.FunctionMemoryMB
	}
	if available < memoryMB {
		return false
	}
	for p.config.MemoryMB-p.memoryMB < memoryMB {
		c := p.idle.leastRecentlyUsed()
		if c != nil {
			p.idle.remove(c)
		} else {
			c = p.stemCells[0]
			p.stemCells = p.stemCells[1:]
		}
		p.removeContainer(c)
	}
	return true
}

// replenishStemCells creates the missing stem cells, as far as memory allows. It evicts idle containers for them only if evict is set.
func (p *Platform) replenishStemCells(evict bool) {
	need := p.config.FunctionMemoryMB
	for len(p.stemCells)+p.creatingStemCells < p.config.StemCells {
		if p.config.MemoryMB-p.memoryMB < need && !(evict && p.makeRoom(need, false)) {
			return
		}
		c := p.newContainer(need)
		p.creatingStemCells++
		p.createContainer(c)
	}
}

// newContainer adds a container to the pool; its memory is in use from now on.
func (p *Platform) newContainer(memoryMB int) *PoolContainer {
	p.containers++
	p.memoryMB += memoryMB
	c := &PoolContainer{id: p.containers, memoryMB: memoryMB}
	c.logsCollected = func() {
		p.mu.Lock()
		p.releaseContainer(c)
		p.unlockAndReport()
	}
	return c
}

// removeContainer removes a container, which must not be idle any more; its memory is free from now on.
func (p *Platform) removeContainer(c *PoolContainer) {
	p.memoryMB -= c.memoryMB
	p.backend.Remove(c)
}

// assign gives a container to an activation.
func (p *Platform) assign(c *PoolContainer, a *activation) {
	c.function = a.function
	c.activation = a
	c.lastRunAt = p.clock.Now()
	a.container = c
	a.record.Container = c.id
}

// load returns the number of containers that are being created beyond ParallelCreations; the delays grow with it.
func (p *Platform) load() int { return max(p.creating-p.config.ParallelCreations, 0) }

// stepAfter runs a step of the engine when d has passed.
func (p *Platform) stepAfter(d time.Duration, step func()) (stop func() bool) {
	return p.clock.AfterFunc(d, func() { p.withLock(step) })
}

// createContainer makes the backend create c, for its activation or as a stem cell.
func (p *Platform) createContainer(c *PoolContainer) {
	load := p.load()
	forActivation := c.activation != nil
	if forActivation {
		p.creating++
	}
	p.backend.Create(c, load, func(err error) {
		p.withLock(func() {
			if forActivation {
				p.creating--
			}
			switch {
			case c.activation != nil && err != nil:
				p.recordStart(c.activation)
				p.failContainer(c, fmt.Errorf("localwhisk: creating a container for %s: %w", c.function.Name, err))
			case c.activation != nil:
				p.initContainer(c)
			case err != nil:
				// The next invocation tries again. Trying again at once would loop if the backend is down.
				p.creatingStemCells--
				p.removeContainer(c)
				p.placeQueued()
			default:
				p.creatingStemCells--
				p.stemCells = append(p.stemCells, c)
				p.schedule()
			}
		})
	})
}

// recordStart records that the container begins to work for a, with /init or /run, and so the end of its wait.
func (p *Platform) recordStart(a *activation) {
	a.record.Start = p.clock.Now().Truncate(time.Millisecond)
	a.record.WaitTime = a.record.Start.Sub(a.arrival.Truncate(time.Millisecond))
}

// initContainer makes the backend initialise the cold container c for its activation, and then starts the run.
func (p *Platform) initContainer(c *PoolContainer) {
	a := c.activation
	p.recordStart(a)
	p.backend.Init(c, p.load(), func(err error) {
		p.withLock(func() {
			// A real /init can take less than a millisecond, but an InitTime of 0 would mean a warm start.
			c.initTime = max(p.clock.Now().Truncate(time.Millisecond).Sub(a.record.Start), time.Millisecond)
			a.record.InitTime = c.initTime
			if err != nil {
				p.failContainer(c, fmt.Errorf("localwhisk: initialising %s: %w", c.function.Name, err))
				return
			}
			p.startRun(c)
		})
	})
}

// startWarm starts the run in the warm container c, which it unpauses first if necessary.
func (p *Platform) startWarm(c *PoolContainer) {
	if !c.paused {
		p.recordStart(c.activation)
		p.startRun(c)
		return
	}
	p.backend.Unpause(c, func(err error) {
		p.withLock(func() {
			c.paused = false
			p.recordStart(c.activation)
			if err != nil {
				p.failContainer(c, fmt.Errorf("localwhisk: unpausing a container of %s: %w", c.function.Name, err))
				return
			}
			p.startRun(c)
		})
	})
}

// startRun makes the backend run the activation of c.
func (p *Platform) startRun(c *PoolContainer) {
	p.backend.Run(c, &c.activation.run)
}

// finishRun completes the record of a, whose run has ended. The container is busy until its logs are collected.
func (p *Platform) finishRun(a *activation, err error) {
	c := a.container
	p.completeRecord(a, err)
	p.backend.CollectLogs(c, a.record.ID, p.load(), c.logsCollected)
}

// failContainer ends the activation of c, which cannot run it, with an error, and removes c.
func (p *Platform) failContainer(c *PoolContainer, err error) {
	p.completeRecord(c.activation, err)
	c.activation = nil
	p.removeContainer(c)
	p.schedule()
}

// completeRecord sets the end of the activation's record and retires the activation.
func (p *Platform) completeRecord(a *activation, err error) {
	r := &a.record
	// Rounded down, the end can lie a fraction of a millisecond before the start of the run.
	r.End = p.clock.Now().Truncate(time.Millisecond)
	if runStart := r.Start.Add(r.InitTime); r.End.Before(runStart) {
		r.End = runStart
	}
	r.Duration = r.End.Sub(r.Start)
	r.Err = err
	p.retire(a)
}

// releaseContainer returns c to the pool after its logs have been collected, or removes it if it must not be used again.
func (p *Platform) releaseContainer(c *PoolContainer) {
	c.activation = nil
	if c.unusable || c.function.undeployed {
		p.removeContainer(c)
	} else {
		p.idle.push(c, p.clock.Now())
		p.setIdleTimers()
	}
	p.schedule()
}

// setIdleTimers sets the timers for the next container to be paused and the next to be removed, unless they are set. There is one timer each
// for all containers, because a container is used again far more often than it is paused.
func (p *Platform) setIdleTimers() {
	if c := p.idle.unpaused; c != nil && !p.pauseTimerSet && p.config.PauseGrace < p.config.IdleTimeout {
		p.pauseTimerSet = true
		p.callAfter(c.idleSince.Add(p.config.PauseGrace).Sub(p.clock.Now()), onPauseTimer, p)
	}
	if c := p.idle.oldest; c != nil && !p.expiryTimerSet {
		p.expiryTimerSet = true
		p.callAfter(c.idleSince.Add(p.config.IdleTimeout).Sub(p.clock.Now()), onExpiryTimer, p)
	}
}

// idleFor reports whether c is a container that has been idle for d.
func (p *Platform) idleFor(c *PoolContainer, d time.Duration) bool {
	return c != nil && p.clock.Now().Sub(c.idleSince) >= d
}

// onPauseTimer pauses the containers that have been idle for PauseGrace.
func onPauseTimer(arg any) {
	p := arg.(*Platform)
	p.mu.Lock()
	p.pauseTimerSet = false
	for c := p.idle.unpaused; p.idleFor(c, p.config.PauseGrace); c = p.idle.unpaused {
		c.paused = true
		p.idle.unpaused = c.newer
		p.backend.Pause(c)
	}
	p.setIdleTimers()
	p.unlockAndReport()
}

// onExpiryTimer removes the containers that have been idle for IdleTimeout.
func onExpiryTimer(arg any) {
	p := arg.(*Platform)
	p.mu.Lock()
	p.expiryTimerSet = false
	removed := false
	for c := p.idle.oldest; p.idleFor(c, p.config.IdleTimeout); c = p.idle.oldest {
		p.idle.remove(c)
		p.removeContainer(c)
		removed = true
	}
	p.setIdleTimers()
	if removed {
		p.schedule()
	}
	p.unlockAndReport()
}
