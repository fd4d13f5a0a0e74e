package localwhisk

import (
	"errors"
	"fmt"
	"math"
	"time"
)

var (
	// ErrMemory is the error of a start for which there is no memory.
	ErrMemory = errors.New("localwhisk: not enough memory for a container")
	// ErrNotIdle is the error of a call that needs an idle container, if the container is gone or not idle.
	ErrNotIdle = errors.New("is not idle")
)

// Warmer is a [Backend] that can initialise containers for nobody: Init is called for a container that may have no activation.
type Warmer interface {
	// CanWarm returns the reason why containers of the function cannot be started for nobody, nil if they can.
	CanWarm(Function) error
}

// StartContainer starts a container of a function for nobody, and returns its number: it is created and initialised as for an invocation, from a
// stem cell if there is one, makes its first call if [Config.WarmFirstCall] is set, and is then idle. A stem cell of a stock is only created. It returns ErrMemory if not enough
// memory is free, or if invocations wait for memory.
func (p *Platform) StartContainer(function string) (container int, err error) {
	return p.startForNobody(function, false)
}

// StartContainerEvicting is like [Platform.StartContainer], but evicts idle containers, and then stem cells, if it needs their memory.
func (p *Platform) StartContainerEvicting(function string) (container int, err error) {
	return p.startForNobody(function, true)
}

func (p *Platform) startForNobody(function string, evict bool) (container int, err error) {
	p.withLock(func() {
		f, ok := p.functions[function]
		if !ok {
			err = fmt.Errorf("localwhisk: function %s is not deployed", function)
			return
		}
		w, ok := p.backend.(Warmer)
		if !ok {
			err = fmt.Errorf("localwhisk: starting a container of %s: this platform starts containers for invocations only", function)
			return
		}
		if err = w.CanWarm(*f); err != nil {
			err = fmt.Errorf("localwhisk: starting a container of %s: %w", function, err)
			return
		}
		c := p.takeStemCell(f)
		fresh := c == nil
		if fresh {
			room := p.config.MemoryMB-p.memoryMB >= f.MemoryMB
			if len(p.queue) > 0 || !room && !(evict && p.makeRoom(f.MemoryMB, true)) {
				err = fmt.Errorf("localwhisk: starting a container of %s: %w", function, ErrMemory)
				return
			}
			c = p.newContainer(f.MemoryMB)
		}
		container = c.id
		p.belongTo(c, f)
		c.forNobody, c.warming = true, true
		f.starting.push(c)
		p.emit(Event{Kind: Starting, By: ByPolicy}, c, nil)
		if fresh {
			p.createContainer(c)
			return
		}
		p.initStemCell(c)
		p.replenishStemCells(evict)
	})
	return container, err
}

// warmed makes the first call of c, which was started for nobody and has been initialised, if Config.WarmFirstCall is set. Then c is ready.
func (p *Platform) warmed(c *PoolContainer) {
	if p.config.WarmFirstCall {
		c.hasInvoked = true
		if d := p.firstCall(c, p.random.warmFirstCall); d > 0 {
			p.stepAfter(d, func() { p.warmedReady(c) })
			return
		}
	}
	p.warmedReady(c)
}

// warmedReady ends the start of c for nobody: it runs the invocation that has been waiting for it, or is idle.
func (p *Platform) warmedReady(c *PoolContainer) {
	c.warming = false
	if a := c.activation; a != nil {
		p.enter(c, usageBusy)
		p.recordStart(a)
		p.startRun(c)
		return
	}
	c.function.starting.remove(c)
	// Without a stamp it would be the first to be evicted.
	c.lastRunAt = p.clock.Now()
	p.releaseContainer(c)
}

// failWarming removes c, whose start for nobody has failed, and fails the invocation that has been waiting for it.
func (p *Platform) failWarming(c *PoolContainer, err error) {
	c.warming = false
	if c.activation != nil {
		p.recordStart(c.activation)
		p.failContainer(c, err)
		return
	}
	c.function.starting.remove(c)
	p.removeContainer(c, ByPlatform)
	p.schedule()
}

// idleContainer returns the idle container with the number, or an error that says what it is instead.
func (p *Platform) idleContainer(container int) (*PoolContainer, error) {
	c := p.live[container]
	switch {
	case c == nil:
		return nil, fmt.Errorf("localwhisk: container %d %w: there is no such container", container, ErrNotIdle)
	case c.idle:
		return c, nil
	case c.function == nil:
		return nil, fmt.Errorf("localwhisk: container %d %w: it is a stem cell", container, ErrNotIdle)
	case c.warming:
		return nil, fmt.Errorf("localwhisk: container %d of %s %w: it is being started", container, c.function.Name, ErrNotIdle)
	}
	return nil, fmt.Errorf("localwhisk: container %d of %s %w: it is busy", container, c.function.Name, ErrNotIdle)
}

// GiveBack removes an idle container. If there is none with that number, it returns an error that wraps ErrNotIdle.
func (p *Platform) GiveBack(container int) (err error) {
	p.withLock(func() {
		var c *PoolContainer
		if c, err = p.idleContainer(container); err != nil {
			return
		}
		p.idle.remove(c)
		p.removeContainer(c, ByPolicy)
		p.schedule()
	})
	return err
}

// Hold keeps an idle container until a time, at which it is removed unless it was used before; at once if that time has come. It replaces the idle
// timeout, and earlier holds, of this idle period only. If there is no idle container with that number, it returns an error that wraps
// ErrNotIdle. Holds for longer than a century never end.
func (p *Platform) Hold(container int, until time.Time) (err error) {
	p.withLock(func() {
		var c *PoolContainer
		if c, err = p.idleContainer(container); err != nil {
			return
		}
		now := p.clock.Now()
		if !until.After(now) {
			p.idle.remove(c)
			p.removeContainer(c, ByPolicy)
			p.schedule()
			return
		}
		if until.Sub(now) >= century {
			until = endless
		}
		p.idle.hold(c, until)
		p.setHoldTimer()
	})
	return err
}

const century = 100 * 365 * 24 * time.Hour

// endless is the end of holds for longer than a century, which does not come.
var endless = time.Unix(1<<50, 0)

// setHoldTimer sets a timer for the hold that ends first, unless one is set for that time or before. Timers are not stopped: one that fires
// too early does no harm. Each is set for an earlier time than all that were set before and have not fired, so that there are few.
func (p *Platform) setHoldTimer() {
	c := p.idle.held.top()
	if c == nil {
		return
	}
	if n := len(p.holdTimers); n > 0 && !c.heldUntil.Before(p.holdTimers[n-1]) {
		return
	}
	if c.heldUntil.Equal(endless) {
		return
	}
	p.holdTimers = append(p.holdTimers, c.heldUntil)
	p.callAfter(c.heldUntil.Sub(p.clock.Now()), onHoldTimer, p)
}

// onHoldTimer removes the containers whose holds have ended.
func onHoldTimer(arg any) {
	p := arg.(*Platform)
	p.mu.Lock()
	now := p.clock.Now()
	for n := len(p.holdTimers); n > 0 && !p.holdTimers[n-1].After(now); n-- {
		p.holdTimers = p.holdTimers[:n-1]
	}
	removed := false
	for c := p.idle.held.top(); c != nil && !c.heldUntil.After(now); c = p.idle.held.top() {
		p.idle.remove(c)
		p.removeContainer(c, ByPolicy)
		removed = true
	}
	p.setHoldTimer()
	if removed {
		p.schedule()
	}
	p.unlockAndReport()
}

// Rank sets the rank of a container, which is 0 otherwise, for the rest of its life. Where memory is needed, the idle containers with the lowest
// rank are evicted first, and of those with the same rank the ones whose last runs began longest ago. An unknown container, a stem cell and
// a rank that is not a number are errors.
func (p *Platform) Rank(container int, rank float64) (err error) {
	p.withLock(func() {
		c := p.live[container]
		switch {
		case c == nil || c.function == nil:
			err = fmt.Errorf("localwhisk: there is no container %d of a function", container)
		case math.IsNaN(rank):
			err = fmt.Errorf("localwhisk: the rank of container %d is not a number", container)
		default:
			c.rank = rank
			if c.idle && !c.function.StemCell {
				p.idle.evictable.reorder(c)
			}
		}
	})
	return err
}

// failStart ends the start of c, which cannot be created, with an error.
func (p *Platform) failStart(c *PoolContainer, err error) {
	if c.warming {
		p.failWarming(c, err)
		return
	}
	p.recordStart(c.activation)
	p.failContainer(c, err)
}
