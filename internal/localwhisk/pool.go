package localwhisk

import "time"

// PoolContainer is a container as the scheduler sees it: an entry of its container pool. In real time the Backend has a process for it, see
// package container.
//
//	created as a stem cell ──▶ stem cell ──────────┐
//	      StartContainer │                         │ assign
//	                     ▼                         │
//	created for nobody ─▶ warming ──┐ assign ──────┤
//	                                │              │
//	created for an activation ──────┼──────────────┴──▶ busy ◀──────────────┐
//	                          ready │                    │                  │ assign
//	              removed ◀── unusable, undeployed ──────┤ logs collected   │
//	                 ▲              └─────────────────┐  │                  │
//	                 │                                ▼  ▼                  │
//	                 ├──── evicted, timeout, GiveBack ── idle ──────────────┤
//	                 │                                   │ PauseGrace       │
//	                 │                                   ▼                  │
//	                 └──── evicted, timeout, GiveBack ─ idle, paused ───────┘
//	                                                           unpaused first
//
// A busy container has an activation. A container that cannot be created, initialised or unpaused is removed. The timeout is IdleTimeout, or the end
// of a hold.
type PoolContainer struct {
	id       int
	memoryMB int
	function *Function // nil in a stem cell

	activation    *activation // nil while it is idle, a stem cell, or started for nobody
	paused        bool
	unusable      bool          // must be removed after the run
	hasInvoked    bool          // a run in it has invoked a function
	initTime      time.Duration // of its /init
	lastRunAt     time.Time     // when it was last assigned to an activation, or its start for nobody ended
	rank          float64       // see Platform.Rank
	logsCollected func()        // the callback of CollectLogs

	forNobody bool // it was started for nobody
	warming   bool // that start has not ended; activation is the one that waits for it, nil if there is none
	used      bool // it was assigned to an activation

	usage      *usage // what its time is added to
	usageState usageState
	usageSince time.Time

	// Only while it is idle: since when, and the places in the orders of idlePool. Of a container that is started for nobody olderOfFunction and
	// newerOfFunction are its neighbours in the function's list of these.
	idleSince       time.Time
	older, newer    *PoolContainer // by becoming idle
	olderOfFunction *PoolContainer
	newerOfFunction *PoolContainer
	sooner, later   *PoolContainer // by becoming idle, of those that are not held
	heldUntil       time.Time      // zero if it is not held
	heapIndex       [heapOrders]int
	idle            bool
	idleList        *containerList // the one of its function in which it is
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

// containerList is a list of containers of a function, linked by olderOfFunction and newerOfFunction.
type containerList struct{ oldest, newest *PoolContainer }

func (l *containerList) push(c *PoolContainer) {
	if c.olderOfFunction = l.newest; l.newest != nil {
		l.newest.newerOfFunction = c
	} else {
		l.oldest = c
	}
	l.newest = c
}

func (l *containerList) remove(c *PoolContainer) {
	if c.newerOfFunction != nil {
		c.newerOfFunction.olderOfFunction = c.olderOfFunction
	} else {
		l.newest = c.olderOfFunction
	}
	if c.olderOfFunction != nil {
		c.olderOfFunction.newerOfFunction = c.newerOfFunction
	} else {
		l.oldest = c.newerOfFunction
	}
	c.olderOfFunction, c.newerOfFunction = nil, nil
}

// newestIdle returns the container that the next invocation of the function takes, nil if none is idle.
func (f *Function) newestIdle() *PoolContainer {
	if c := f.idle.newest; c != nil {
		return c
	}
	return f.idleUnconnected.newest
}

// idlePool holds the idle containers in several orders. Adding and removing one takes time logarithmic in their number.
type idlePool struct {
	oldest, newest *PoolContainer            // a linked list in the order of becoming idle
	unpaused       *PoolContainer            // the oldest that is not paused; all older ones are paused
	soonest, last  *PoolContainer            // a linked list of those that are not held, in the order of becoming idle
	memoryMB       int                       // of those that can be evicted
	evictable      containerHeap[byEviction] // the next to be evicted on top
	held           containerHeap[byHold]     // the one whose hold ends first on top
	warmedLast     bool                      // Config.WarmedLast
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
	if c.sooner = l.last; l.last != nil {
		l.last.later = c
	} else {
		l.soonest = c
	}
	l.last = c
	c.idleList = &c.function.idle
	if l.warmedLast && !c.hasInvoked && !c.function.StemCell {
		c.idleList = &c.function.idleUnconnected
	}
	c.idleList.push(c)
	if !c.function.StemCell {
		l.memoryMB += c.memoryMB
		l.evictable.push(c)
	}
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
	c.older, c.newer = nil, nil
	c.idleList.remove(c)
	if c.heldUntil.IsZero() {
		l.removeTimeout(c)
	} else {
		l.held.remove(c)
		c.heldUntil = time.Time{}
	}
	c.idle = false
	if !c.function.StemCell {
		l.memoryMB -= c.memoryMB
		l.evictable.remove(c)
	}
}

// removeTimeout removes c from those that are not held.
func (l *idlePool) removeTimeout(c *PoolContainer) {
	if c.sooner != nil {
		c.sooner.later = c.later
	} else {
		l.soonest = c.later
	}
	if c.later != nil {
		c.later.sooner = c.sooner
	} else {
		l.last = c.sooner
	}
	c.sooner, c.later = nil, nil
}

// hold keeps c until a time.
func (l *idlePool) hold(c *PoolContainer, until time.Time) {
	if c.heldUntil.IsZero() {
		l.removeTimeout(c)
		c.heldUntil = until
		l.held.push(c)
		return
	}
	c.heldUntil = until
	l.held.reorder(c)
}

// heapOrder is an order of a containerHeap, with the index of PoolContainer.heapIndex that is for it.
type heapOrder interface {
	before(c, d *PoolContainer) bool
	index() int
}

// byEviction is the order of eviction: by the rank, then by the beginning of the last run, then by the number of the container.
type byEviction struct{}

func (byEviction) index() int { return 0 }

func (byEviction) before(c, d *PoolContainer) bool {
	if c.rank != d.rank {
		return c.rank < d.rank
	}
	return c.lastRunAt.Before(d.lastRunAt) || c.lastRunAt.Equal(d.lastRunAt) && c.id < d.id
}

// byHold is the order of the ends of holds, then of the numbers of the containers.
type byHold struct{}

func (byHold) index() int { return 1 }

func (byHold) before(c, d *PoolContainer) bool {
	return c.heldUntil.Before(d.heldUntil) || c.heldUntil.Equal(d.heldUntil) && c.id < d.id
}

// heapOrders is the number of orders.
const heapOrders = 2

// containerHeap is a binary heap of containers that know their places in it.
type containerHeap[O heapOrder] []*PoolContainer

// top returns the first container in the order, nil if there is none.
func (h containerHeap[O]) top() *PoolContainer {
	if len(h) == 0 {
		return nil
	}
	return h[0]
}

func (h *containerHeap[O]) push(c *PoolContainer) {
	*h = append(*h, c)
	h.siftUp(c, len(*h)-1)
}

func (h *containerHeap[O]) remove(c *PoolContainer) {
	var order O
	s := *h
	last := len(s) - 1
	moved := s[last]
	s[last] = nil
	*h = s[:last]
	if moved != c {
		h.siftUp(moved, c.heapIndex[order.index()])
		h.siftDown(moved, moved.heapIndex[order.index()])
	}
}

// reorder moves c, whose place in the order has changed.
func (h containerHeap[O]) reorder(c *PoolContainer) {
	var order O
	h.siftUp(c, c.heapIndex[order.index()])
	h.siftDown(c, c.heapIndex[order.index()])
}

// siftUp sets c at index i or above.
func (h containerHeap[O]) siftUp(c *PoolContainer, i int) {
	var order O
	for i > 0 {
		above := (i - 1) / 2
		if !order.before(c, h[above]) {
			break
		}
		h.setAt(h[above], i)
		i = above
	}
	h.setAt(c, i)
}

// siftDown sets c at index i or below.
func (h containerHeap[O]) siftDown(c *PoolContainer, i int) {
	var order O
	for {
		k := 2*i + 1
		if k >= len(h) {
			break
		}
		if k+1 < len(h) && order.before(h[k+1], h[k]) {
			k++
		}
		if !order.before(h[k], c) {
			break
		}
		h.setAt(h[k], i)
		i = k
	}
	h.setAt(c, i)
}

func (h containerHeap[O]) setAt(c *PoolContainer, i int) {
	var order O
	h[i] = c
	c.heapIndex[order.index()] = i
}
