package localwhisk

import "time"

// PoolContainer is a container as the scheduler sees it: an entry of its container pool. In real time the Backend has a process for it, see
// package container.
//
//	created as a stem cell ──▶ stem cell ──────────┐
//	                                               │ assign
//	created for an activation ─────────────────────┴──▶ busy ◀──────────────┐
//	                                                     │                  │ assign
//	              removed ◀── unusable, undeployed ──────┤ logs collected   │
//	                 ▲                                   ▼                  │
//	                 └──── evicted, IdleTimeout ─────── idle ───────────────┤
//	                 │                                   │ PauseGrace       │
//	                 │                                   ▼                  │
//	                 └──── evicted, IdleTimeout ──── idle, paused ──────────┘
//	                                                           unpaused first
//
// A busy container has an activation. A container that cannot be created, initialised or unpaused is removed.
type PoolContainer struct {
	id       int
	memoryMB int
	function *Function // nil in a stem cell

	activation    *activation // nil while it is idle or a stem cell
	paused        bool
	unusable      bool          // must be removed after the run
	hasInvoked    bool          // a run in it has invoked a function
	initTime      time.Duration // of its /init
	lastRunAt     time.Time     // when it was last assigned to an activation
	logsCollected func()        // the callback of CollectLogs

	// Only while it is idle: since when, its neighbours in the order of becoming idle, among all and among those of its function, and its
	// index in idlePool.heap.
	idleSince       time.Time
	older, newer    *PoolContainer
	olderOfFunction *PoolContainer
	newerOfFunction *PoolContainer
	heapIndex       int
	idle            bool
}

// ID returns the container's number; a platform numbers its containers from 1.
func (c *PoolContainer) ID() int { return c.id }

// MemoryMB returns the container's memory in MiB.
func (c *PoolContainer) MemoryMB() int { return c.memoryMB }

// Function returns the function that the container belongs to, and false if it is a stem cell, which belongs to none yet.
func (c *PoolContainer) Function() (Function, bool) {
	if c.function == nil {
		return Function{}, false
	}
	return *c.function, true
}

// Params returns the parameters of the container's activation, nil if it has none. A Backend may call it within its methods, not later.
func (c *PoolContainer) Params() any {
	if c.activation == nil {
		return nil
	}
	return c.activation.record.Params
}

// ActivationID returns the id of the container's activation, "" if it has none. A Backend may call it within its methods, not later.
func (c *PoolContainer) ActivationID() string {
	if c.activation == nil {
		return ""
	}
	return c.activation.record.ID
}

// idlePool holds the idle containers in two orders. Adding and removing one takes time logarithmic in their number.
type idlePool struct {
	oldest, newest *PoolContainer // a linked list in the order of becoming idle
	unpaused       *PoolContainer // the oldest that is not paused; all older ones are paused
	memoryMB       int
	heap           []*PoolContainer // the one whose last run began longest ago is on top
}

// push adds c, which is idle from now on.
func (l *idlePool) push(c *PoolContainer, now time.Time) {
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
	c.olderOfFunction = c.function.newestIdle
	if c.olderOfFunction != nil {
		c.olderOfFunction.newerOfFunction = c
	}
	c.function.newestIdle = c
	l.memoryMB += c.memoryMB
	l.heap = append(l.heap, c)
	l.siftUp(c, len(l.heap)-1)
}

// remove removes c.
func (l *idlePool) remove(c *PoolContainer) {
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
	if c.newerOfFunction != nil {
		c.newerOfFunction.olderOfFunction = c.olderOfFunction
	} else {
		c.function.newestIdle = c.olderOfFunction
	}
	if c.olderOfFunction != nil {
		c.olderOfFunction.newerOfFunction = c.newerOfFunction
	}
	c.older, c.newer, c.olderOfFunction, c.newerOfFunction = nil, nil, nil, nil
	c.idle = false
	l.memoryMB -= c.memoryMB

	last := len(l.heap) - 1
	moved := l.heap[last]
	l.heap[last] = nil
	l.heap = l.heap[:last]
	if moved != c {
		l.siftUp(moved, c.heapIndex)
		l.siftDown(moved, moved.heapIndex)
	}
}

// leastRecentlyUsed returns the container whose last run began longest ago, nil if there is none.
func (l *idlePool) leastRecentlyUsed() *PoolContainer {
	if len(l.heap) == 0 {
		return nil
	}
	return l.heap[0]
}

// before is the order of the heap: by the beginning of the last run, then by the number of the container.
func (c *PoolContainer) before(d *PoolContainer) bool {
	return c.lastRunAt.Before(d.lastRunAt) || c.lastRunAt.Equal(d.lastRunAt) && c.id < d.id
}

// siftUp sets c at index i or above.
func (l *idlePool) siftUp(c *PoolContainer, i int) {
	for i > 0 {
		above := (i - 1) / 2
		if !c.before(l.heap[above]) {
			break
		}
		l.setAt(l.heap[above], i)
		i = above
	}
	l.setAt(c, i)
}

// siftDown sets c at index i or below.
func (l *idlePool) siftDown(c *PoolContainer, i int) {
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
		l.setAt(l.heap[k], i)
		i = k
	}
	l.setAt(c, i)
}

func (l *idlePool) setAt(c *PoolContainer, i int) {
	l.heap[i] = c
	c.heapIndex = i
}
