package localwhisk

import (
	"context"
	"time"
)

// Clock tells the time and runs functions later.
type Clock interface {
	// Now returns the present time.
	Now() time.Time
	// AfterFunc calls f once, when d has passed; as soon as possible if d is not positive, but never before AfterFunc has returned. The
	// function stop prevents the call, and reports whether it was in time to do so.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// VirtualClock is a Clock of simulated time, which advances from one event, a call of a function, to the next. [VirtualClock.Run] makes the calls
// in order of their times; calls at the same time are made in the order in which they were scheduled. A VirtualClock must be used by one
// goroutine only.
type VirtualClock struct {
	start     time.Time
	now       time.Duration // since start
	scheduled uint64        // number of events ever scheduled
	events    eventHeap
	stopped   int // number of events that were stopped and are not removed yet
}

// NewVirtualClock returns a clock whose time is start.
func NewVirtualClock(start time.Time) *VirtualClock {
	return &VirtualClock{start: start}
}

// Now returns the time of the current call, or of the last one.
func (c *VirtualClock) Now() time.Time { return c.start.Add(c.now) }

// AfterFunc schedules a call of f at the time d from now.
func (c *VirtualClock) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	t := &timer{f}
	c.callAfter(d, fire, t)
	return func() bool {
		if t.f == nil {
			return false
		}
		t.f = nil
		c.stopped++
		c.dropStopped()
		return true
	}
}

// timer is the argument of an event that AfterFunc has scheduled; f is nil once it was called or stopped.
type timer struct{ f func() }

// fire calls the function of a timer.
func fire(t any) {
	f := t.(*timer).f
	t.(*timer).f = nil
	f()
}

// callAfter schedules a call of f with arg at the time d from now, which cannot be stopped. Unlike AfterFunc it allocates no memory: a simulation
// of millions of events spends most of its time here and in Run.
func (c *VirtualClock) callAfter(d time.Duration, f func(any), arg any) {
	c.events.push(event{at: c.now + max(d, 0), order: c.scheduled, call: f, arg: arg})
	c.scheduled++
}

// Run is where time advances: it makes the scheduled calls, and those that they schedule, until none is left. If ctx is done before, it returns
// the context's error; Run may then be called again to continue.
func (c *VirtualClock) Run(ctx context.Context) error {
	done := ctx.Done()
	for len(c.events) > 0 {
		select {
		case <-done:
			return ctx.Err()
		default:
		}
		e := c.events.pop()
		if e.stopped() {
			c.stopped--
			continue
		}
		c.now = e.at
		e.call(e.arg)
	}
	return nil
}

// dropStopped removes the stopped events once they are the majority, so that timers that are set and stopped again and again do not accumulate.
func (c *VirtualClock) dropStopped() {
	if c.stopped < 64 || 2*c.stopped < len(c.events) {
		return
	}
	kept := c.events[:0]
	for _, e := range c.events {
		if !e.stopped() {
			kept = append(kept, e)
		}
	}
	clear(c.events[len(kept):])
	c.events, c.stopped = kept, 0
	for i := len(kept)/arity + 1; i >= 0; i-- {
		if i < len(kept) {
			kept.siftDown(i, kept[i])
		}
	}
}

// event is a scheduled call.
type event struct {
	at    time.Duration // since the clock's start
	order uint64        // breaks ties of at
	call  func(arg any)
	arg   any
}

func (e *event) stopped() bool {
	t, ok := e.arg.(*timer)
	return ok && t.f == nil
}

func (e *event) before(f *event) bool {
	return e.at < f.at || e.at == f.at && e.order < f.order
}

// eventHeap is a heap of events, by time and then by the order in which they were scheduled. Its nodes have four children, so that it is half as
// deep as a binary heap.
type eventHeap []event

const arity = 4

func (h *eventHeap) push(e event) {
	*h = append(*h, e)
	s, i := *h, len(*h)-1
	for i > 0 {
		up := (i - 1) / arity
		if !e.before(&s[up]) {
			break
		}
		s[i] = s[up]
		i = up
	}
	s[i] = e
}

func (h *eventHeap) pop() event {
	s := *h
	top, last := s[0], s[len(s)-1]
	s[len(s)-1] = event{}
	*h = s[:len(s)-1]
	if len(*h) > 0 {
		h.siftDown(0, last)
	}
	return top
}

// siftDown sets e at index i or below.
func (h eventHeap) siftDown(i int, e event) {
	for {
		first := arity*i + 1
		if first >= len(h) {
			break
		}
		least := first
		for k := first + 1; k < min(first+arity, len(h)); k++ {
			if h[k].before(&h[least]) {
				least = k
			}
		}
		if !h[least].before(&e) {
			break
		}
		h[i] = h[least]
		i = least
	}
	h[i] = e
}
