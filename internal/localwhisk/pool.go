package localwhisk

import "time"

// Container is a place where the runs of one function happen, one at a time.
type Container struct {
	id       int
	memoryMB int
	function *Function // nil in a stem cell

	activation *activation // what it works for; nil while it is idle
	paused     bool
	spoilt     bool          // not to be used again
	called     bool          // whether a function in it has invoked another
	initTime   time.Duration // of its /init
	begun      time.Time     // when its last run was due to begin
	logsIn     func()        // what CollectLogs reports by

	// While it is idle: since when, its neighbours in the order of becoming idle, among all and among those of its function, and its
	// place in idlePool.heap.
	idleSince    time.Time
	older, newer *Container
	olderSame    *Container
	newerSame    *Container
	place        int
	idle         bool
}

// ID returns the container's number; a platform counts its containers from 1.
func (c *Container) ID() int { return c.id }

// MemoryMB returns the container's memory in MiB.
func (c *Container) MemoryMB() int { return c.memoryMB }

// Function returns the function that the container belongs to; false for a stem cell, which belongs to none yet.
func (c *Container) Function() (Function, bool) {
	if c.function == nil {
		return Function{}, false
	}
	return *c.function, true
}

// Params returns what the invocation that c works for was sent with, nil if it works for none. A Backend may call it from its
// methods, not later.
func (c *Container) Params() any {
	if c.activation == nil {
		return nil
	}
	return c.activation.record.Params
}

// ActivationID returns the id of the activation that c works for, "" if it works for none; see Params.
func (c *Container) ActivationID() string {
	if c.activation == nil {
		return ""
	}
	return c.activation.record.ID
}

// idlePool holds the idle containers. Each step costs at most a logarithm of their number.
type idlePool struct {
	oldest, newest *Container // in the order of becoming idle
	unpaused       *Container // the oldest that is not paused; the older ones are
	memoryMB       int
	heap           []*Container // the one whose last run began longest ago on top
}

// push adds c, which becomes idle now.
func (l *idlePool) push(c *Container, now time.Time) {
	c.idle, c.idleSince = true, now
	c.older = l.newest
	if l.newest != nil {
		l.newest.newer = c
	} else {
		l.oldest = c
	}
	l.newest = c
	if l.unpaused == nil {
		l.unpaused = c
	}
	c.olderSame = c.function.newest
	if c.olderSame != nil {
		c.olderSame.newerSame = c
	}
	c.function.newest = c
	l.memoryMB += c.memoryMB
	l.heap = append(l.heap, c)
	l.up(c, len(l.heap)-1)
}

// remove takes c out.
func (l *idlePool) remove(c *Container) {
	if l.unpaused == c {
		l.unpaused = c.newer
	}
	if c.older != nil {
		c.older.newer = c.newer
	} else {
		l.oldest = c.newer
	}
	if c.newer != nil {
		c.newer.older = c.older
	} else {
		l.newest = c.older
	}
	if c.newerSame != nil {
		c.newerSame.olderSame = c.olderSame
	} else {
		c.function.newest = c.olderSame
	}
	if c.olderSame != nil {
		c.olderSame.newerSame = c.newerSame
	}
	c.older, c.newer, c.olderSame, c.newerSame = nil, nil, nil, nil
	c.idle = false
	l.memoryMB -= c.memoryMB

	last := len(l.heap) - 1
	moved := l.heap[last]
	l.heap[last] = nil
	l.heap = l.heap[:last]
	if moved != c {
		l.up(moved, c.place)
		l.down(moved, moved.place)
	}
}

// leastUsed returns the container whose last run began longest ago, nil if there is none.
func (l *idlePool) leastUsed() *Container {
	if len(l.heap) == 0 {
		return nil
	}
	return l.heap[0]
}

// before orders the heap; what began together goes in the order of the containers' creation.
func (c *Container) before(d *Container) bool {
	return c.begun.Before(d.begun) || c.begun.Equal(d.begun) && c.id < d.id
}

// up puts c at place i or above.
func (l *idlePool) up(c *Container, i int) {
	for i > 0 {
		above := (i - 1) / 2
		if !c.before(l.heap[above]) {
			break
		}
		l.put(l.heap[above], i)
		i = above
	}
	l.put(c, i)
}

// down puts c at place i or below.
func (l *idlePool) down(c *Container, i int) {
	for {
		k := 2*i + 1
		if k >= len(l.heap) {
			break
		}
		if k+1 < len(l.heap) && l.heap[k+1].before(l.heap[k]) {
			k++
		}
		if !l.heap[k].before(c) {
			break
		}
		l.put(l.heap[k], i)
		i = k
	}
	l.put(c, i)
}

func (l *idlePool) put(c *Container, i int) {
	l.heap[i] = c
	c.place = i
}
