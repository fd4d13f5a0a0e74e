package source

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Counts is what came from a source, and what of it could not be used.
type Counts struct {
	Name         string
	Observations uint64 // and loads
	Refused      uint64 // because there was no room
	Invalid      uint64
	// Last is when something came that was taken; nil if nothing has.
	Last *time.Time
	// Error is what went wrong last, in one line; empty if the source has worked since.
	Error string
}

// Counter passes on to a sink what a source observes, and counts it. It is a Sink itself, and safe for concurrent use.
type Counter struct {
	sink Sink

	mu     sync.Mutex
	counts Counts
}

// NewCounter returns a Counter in front of a sink for the source with the name.
func NewCounter(name string, sink Sink) *Counter {
	return &Counter{sink: sink, counts: Counts{Name: name}}
}

// Observe passes observations on.
func (c *Counter) Observe(ctx context.Context, observations []Observation) error {
	return c.passed(len(observations), c.sink.Observe(ctx, observations))
}

// chunk is how many observations a sink is told at once.
const chunk = 1000

// ObserveAll passes observations of a message on, in parts where they are many: if one of these is refused, the sender sends all of them again, and what was taken before comes twice.
// Where all were taken, and there were some, the source works again if it did not.
func (c *Counter) ObserveAll(ctx context.Context, observations []Observation) error {
	for part := range slices.Chunk(observations, chunk) {
		if err := c.Observe(ctx, part); err != nil {
			return err
		}
	}
	if len(observations) > 0 {
		c.Report(nil)
	}
	return nil
}

// ObserveLoad passes loads on.
func (c *Counter) ObserveLoad(ctx context.Context, loads []Load) error {
	return c.passed(len(loads), c.sink.ObserveLoad(ctx, loads))
}

// passed counts n things that the sink has taken or refused.
func (c *Counter) passed(n int, err error) error {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.counts.Observations += uint64(n)
		if n > 0 {
			c.counts.Last = &now
		}
	case errors.Is(err, ErrBusy):
		c.counts.Refused += uint64(n)
	default:
		c.counts.Error = err.Error()
	}
	return err
}

// Refuse counts n things, or messages of which nobody knows how many things they have, that were refused before anybody looked at them.
func (c *Counter) Refuse(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.Refused += uint64(n)
}

// Reject counts n things that cannot be used, for the reason in err.
func (c *Counter) Reject(n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.Invalid += uint64(n)
	c.counts.Error = err.Error()
}

// Report notes that the source does not work, for the reason in err, or works again, if err is nil.
func (c *Counter) Report(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.Error = ""
	if err != nil {
		c.counts.Error = err.Error()
	}
}

// Counts returns what has come so far.
func (c *Counter) Counts() Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts
}
