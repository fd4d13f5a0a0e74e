package localwhisk

import (
	"fmt"
	"time"
)

// arrive is where every invocation enters the engine: the controller has received it, and dispatches it to the container pool.
func (p *Platform) arrive(a *activation) {
	a.arrival = p.clock.Now()
	p.emit(Event{Kind: Arrived}, nil, a)
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
	if len(p.queue) != p.toldQueue {
		p.toldQueue = len(p.queue)
		p.emit(Event{Kind: Pressure, Queue: len(p.queue)}, nil, nil)
	}
}

// place is where a container is chosen: a warm one, one that is being started for nobody, a stem cell, or a new one. It returns false if a has to
// wait.
func (p *Platform) place(a *activation) bool {
	if c := a.function.newestIdle(); c != nil {
		p.idle.remove(c)
		p.enter(c, usageBusy)
		p.assign(c, a, Warm)
		p.startWarm(c)
		return true
	}
	if c := a.function.starting.oldest; c != nil && p.config.TakesStarting {
		a.function.starting.remove(c)
		p.assign(c, a, Late)
		return true
	}
	if c := p.takeStemCell(a.function); c != nil {
		p.belongTo(c, a.function)
		p.assign(c, a, Cold)
		p.initStemCell(c)
		p.replenishStemCells(true)
		return true
	}
	if !p.makeRoom(a.function.MemoryMB, true) {
		return false
	}
	c := p.newContainer(a.function.MemoryMB)
	p.belongTo(c, a.function)
	p.assign(c, a, Cold)
	p.createContainer(c)
	return true
}

// takeStemCell removes a stem cell for a function from the ready ones and returns it, nil if there is none. Of a stock it is the one that has
// been idle longest.
func (p *Platform) takeStemCell(f *Function) *PoolContainer {
	if len(p.stemCells) > 0 && f.MemoryMB == p.config.FunctionMemoryMB {
		c := p.stemCells[0]
		p.stemCells = p.stemCells[1:]
		return c
	}
	for _, s := range p.stocks {
		c := s.idle.oldest
		if c == nil || f.StemCell || s.MemoryMB != f.MemoryMB || s.Kind != f.Kind {
			continue
		}
		p.idle.remove(c)
		p.emit(Event{Kind: Removed, By: ByPlatform}, c, nil)
		// As a container of f it has a number of its own, because there is no event that moves a container to another function.
		delete(p.live, c.id)
		p.containers++
		c.id = p.containers
		p.live[c.id] = c
		c.forNobody, c.rank = false, 0
		return c
	}
	return nil
}

// initStemCell initialises a stem cell that was taken.
func (p *Platform) initStemCell(c *PoolContainer) {
	if d := p.config.StemCell.draw(p.random.stemCell, p.load()); d > 0 {
		p.stepAfter(d, func() { p.initContainer(c) })
	} else {
		p.initContainer(c)
	}
}

// makeRoom is where containers are evicted: it removes idle containers, those of the lowest rank first, and of these those whose last runs began
// longest ago, and then stem cells if evictStemCells is set, until memoryMB are free. If that is not possible it removes nothing and returns false.
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
		c := p.idle.evictable.top()
		if c != nil {
			p.idle.remove(c)
		} else {
			c = p.stemCells[0]
			p.stemCells = p.stemCells[1:]
		}
		p.removeContainer(c, ByEviction)
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
		c := p.newStemCell(need)
		p.creatingStemCells++
		p.createContainer(c)
	}
}

// newStemCell adds a stem cell to the pool, which is still to be created.
func (p *Platform) newStemCell(memoryMB int) *PoolContainer {
	p.stemCellUsage.created++
	return p.newContainer(memoryMB)
}

// newContainer adds a container to the pool; its memory is in use from now on.
func (p *Platform) newContainer(memoryMB int) *PoolContainer {
	p.containers++
	p.memoryMB += memoryMB
	c := &PoolContainer{id: p.containers, memoryMB: memoryMB, usage: &p.stemCellUsage, usageSince: p.clock.Now()}
	p.live[c.id] = c
	c.logsCollected = func() {
		p.mu.Lock()
		p.releaseContainer(c)
		p.unlockAndReport()
	}
	return c
}

// removeContainer removes a container, which must not be idle any more; its memory is free from now on.
func (p *Platform) removeContainer(c *PoolContainer, by By) {
	p.memoryMB -= c.memoryMB
	p.enter(c, c.usageState)
	if c.forNobody && !c.used {
		c.usage.wasted++
	}
	delete(p.live, c.id)
	p.backend.Remove(c)
	p.emit(Event{Kind: Removed, By: by}, c, nil)
}

// assign gives a container to an activation.
func (p *Platform) assign(c *PoolContainer, a *activation, start StartKind) {
	c.activation = a
	c.used = true
	c.lastRunAt = p.clock.Now()
	a.container = c
	a.record.Container = c.id
	switch start {
	case Cold:
		c.usage.cold++
	case Late:
		c.usage.late++
	}
	p.emit(Event{Kind: Placed, Start: start}, c, a)
}

// load returns the number of containers that are being created beyond ParallelCreations; the delays grow with it.
func (p *Platform) load() int { return max(p.creating-p.config.ParallelCreations, 0) }

// stepAfter runs a step of the engine when d has passed.
func (p *Platform) stepAfter(d time.Duration, step func()) (stop func() bool) {
	return p.clock.AfterFunc(d, func() { p.withLock(step) })
}

// createContainer makes the backend create c, for its activation, for nobody, or as a stem cell.
func (p *Platform) createContainer(c *PoolContainer) {
	load := p.load()
	ofFunction := c.function != nil
	counts := ofFunction && !c.function.StemCell
	if counts {
		p.creating++
	}
	p.backend.Create(c, load, func(err error) {
		p.withLock(func() {
			if counts {
				p.creating--
			}
			switch {
			case ofFunction && err != nil:
				p.failStart(c, fmt.Errorf("localwhisk: creating a container for %s: %w", c.function.Name, err))
			case counts:
				p.initContainer(c)
			case ofFunction:
				p.warmedReady(c)
			case err != nil:
				// The next invocation tries again. Trying again at once would loop if the backend is down.
				p.creatingStemCells--
				p.removeContainer(c, ByPlatform)
				p.placeQueued()
			default:
				p.creatingStemCells--
				p.enter(c, usageIdle)
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

// initContainer makes the backend initialise the container c. Then it starts the run of the activation for which it was created; one that was
// started for nobody is warmed.
func (p *Platform) initContainer(c *PoolContainer) {
	begun := p.clock.Now().Truncate(time.Millisecond)
	if !c.warming {
		p.recordStart(c.activation)
	}
	p.backend.Init(c, p.load(), func(err error) {
		p.withLock(func() {
			// A real /init can take less than a millisecond, but an InitTime of 0 would mean a warm start.
			c.initTime = max(p.clock.Now().Truncate(time.Millisecond).Sub(begun), time.Millisecond)
			if !c.warming {
				c.activation.record.InitTime = c.initTime
			}
			switch {
			case err != nil && c.warming:
				p.failWarming(c, fmt.Errorf("localwhisk: initialising %s: %w", c.function.Name, err))
			case err != nil:
				p.failContainer(c, fmt.Errorf("localwhisk: initialising %s: %w", c.function.Name, err))
			case c.warming:
				p.warmed(c)
			default:
				p.enter(c, usageBusy)
				p.startRun(c)
			}
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
	a := c.activation
	p.emit(Event{Kind: Started, Wait: p.clock.Now().Sub(a.arrival), Init: a.record.InitTime}, c, a)
	p.backend.Run(c, &a.run)
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
	p.removeContainer(c, ByPlatform)
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
	p.emit(Event{Kind: Ended, Err: err}, a.container, a)
	p.retire(a)
}

// releaseContainer returns c to the pool after its logs have been collected or its start for nobody has ended, or removes it if it must not be
// used again.
func (p *Platform) releaseContainer(c *PoolContainer) {
	c.activation = nil
	if c.unusable || c.function.undeployed {
		p.removeContainer(c, ByPlatform)
	} else {
		p.enter(c, usageIdle)
		p.idle.push(c, p.clock.Now())
		p.emit(Event{Kind: Idle}, c, nil)
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
	if c := p.idle.soonest; c != nil && !p.expiryTimerSet {
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
		p.idle.unpaused = c.newer
		if !c.function.StemCell {
			c.paused = true
			p.backend.Pause(c)
		}
	}
	p.setIdleTimers()
	p.unlockAndReport()
}

// onExpiryTimer removes the containers that have been idle for IdleTimeout and are not held.
func onExpiryTimer(arg any) {
	p := arg.(*Platform)
	p.mu.Lock()
	p.expiryTimerSet = false
	removed := false
	for c := p.idle.soonest; p.idleFor(c, p.config.IdleTimeout); c = p.idle.soonest {
		p.idle.remove(c)
		p.removeContainer(c, ByPlatform)
		removed = true
	}
	p.setIdleTimers()
	if removed {
		p.schedule()
	}
	p.unlockAndReport()
}
