package localwhisk

import (
	"container/heap"
	"context"
	"time"
)

// Clock tells the time and runs functions later.
type Clock interface {
	// Now returns the present time.
	Now() time.Time
	// AfterFunc calls f once, when d has passed; at the earliest opportunity if d is not positive, but never before
	// AfterFunc has returned. The function it returns prevents the call, and reports whether it came in time to do so.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// VirtualClock is a Clock whose time passes only from one planned call to the next: [VirtualClock.Run] makes the calls
// one after the other, in order of their times; those of one time in the order in which they were planned.
// It belongs to one goroutine.
type VirtualClock struct {
	now     time.Time
	planned uint64
	events  eventHeap
}

// NewVirtualClock returns a clock that stands at start.
func NewVirtualClock(start time.Time) *VirtualClock {
	return &VirtualClock{now: start}
}

// Now returns the time of the call that is being made, or of the last one.
func (c *VirtualClock) Now() time.Time { return c.now }

// AfterFunc plans a call of f for the time d from now.
func (c *VirtualClock) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	e := &event{at: c.now.Add(max(d, 0)), order: c.planned, call: f}
	c.planned++
	heap.Push(&c.events, e)
	return func() bool {
		if e.call == nil {
			return false
		}
		// Taken out at once, so that idle timers, which are stopped far more often than they fire, do not pile up.
		heap.Remove(&c.events, e.index)
		e.call = nil
		return true
	}
}

// Run makes the planned calls, and those they plan, until none is left; time then stands at the last one. It returns
// the context's error if that is done before; Run may then be called again to go on.
func (c *VirtualClock) Run(ctx context.Context) error {
	for len(c.events) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		e := heap.Pop(&c.events).(*event)
		call := e.call
		e.call = nil
		c.now = e.at
		call()
	}
	return nil
}

// event is a planned call; call is nil once it was made or stopped.
type event struct {
	at    time.Time
	order uint64
	call  func()
	index int
}

// eventHeap orders events by time, then by order of planning.
type eventHeap []*event

func (h eventHeap) Len() int { return len(h) }

func (h eventHeap) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].order < h[j].order
	}
	return h[i].at.Before(h[j].at)
}

func (h eventHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *eventHeap) Push(x any) {
	e := x.(*event)
	e.index = len(*h)
	*h = append(*h, e)
}

func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}
