package localwhisk

import (
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
	start   time.Time
	now     time.Duration // after start
	planned uint64
	events  eventHeap
	stopped int // of the events
}

// NewVirtualClock returns a clock that stands at start.
func NewVirtualClock(start time.Time) *VirtualClock {
	return &VirtualClock{start: start}
}

// Now returns the time of the call that is being made, or of the last one.
func (c *VirtualClock) Now() time.Time { return c.start.Add(c.now) }

// AfterFunc plans a call of f for the time d from now.
func (c *VirtualClock) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	t := &timer{f}
	c.plan(d, fire, t)
	return func() bool {
		if t.f == nil {
			return false
		}
		t.f = nil
		c.stopped++
		c.tidy()
		return true
	}
}

// timer is what AfterFunc plans; f is nil once it was called or stopped.
type timer struct{ f func() }

func fire(t any) {
	f := t.(*timer).f
	t.(*timer).f = nil
	f()
}

// plan plans a call of f with arg for the time d from now, which nothing prevents: it takes no memory of its own. A clock that
// runs for millions of events spends most of its time here and in Run.
func (c *VirtualClock) plan(d time.Duration, f func(any), arg any) {
	c.events.push(event{at: c.now + max(d, 0), order: c.planned, call: f, arg: arg})
	c.planned++
}

// Run makes the planned calls, and those they plan, until none is left; time then stands at the last one. It returns
// the context's error if that is done before; Run may then be called again to go on.
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

// tidy throws the stopped events out before they are the greater part: timers that are set and stopped over and over do not
// pile up until their times.
func (c *VirtualClock) tidy() {
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
			kept.down(i, kept[i])
		}
	}
}

// event is a planned call.
type event struct {
	at    time.Duration // after the clock's start
	order uint64
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

// eventHeap orders events by time, then by order of planning. With four children each instead of two it is half as deep.
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
		h.down(0, last)
	}
	return top
}

// down puts e at i or below, where it belongs.
func (h eventHeap) down(i int, e event) {
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
