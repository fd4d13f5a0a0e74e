package controller

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/tppfaas/tppfaas/prewarm/source"
)

// errClosed is what a sink answers when the controller has ended.
var errClosed = errors.New("the controller has ended")

// queue has what the sources have told and the controller has not yet looked at. It is bounded by count and by bytes.
type queue struct {
	most      int
	mostBytes int
	wake      chan struct{} // has a value when there is something

	mu     sync.Mutex
	items  []item
	bytes  int
	closed bool
}

// item is an observation, or a load, with when it was received and from whom.
type item struct {
	observation source.Observation
	load        *source.Load
	received    time.Time
	from        *sink
}

// sink is what a source gets: it counts what comes.
type sink struct {
	queue *queue
	name  string

	observations, refused, invalid atomic.Uint64
	looked                         atomic.Uint64          // how many of the observations the controller has looked at
	last                           atomic.Int64           // Unix time in ns
	failure                        atomic.Pointer[string] // why the source cannot go on, nil if it can
	useless                        atomic.Pointer[string] // why the last observation was that was of no use, nil if all were
	counts                         func() source.Counts   // of the source itself, nil if it has none
	said                           string                 // why the source fails, as was logged
}

// Observe implements source.Sink.
func (s *sink) Observe(_ context.Context, observations []source.Observation) error {
	bytes := 0
	for i := range observations {
		bytes += sizeOf(&observations[i])
	}
	now := time.Now()
	return s.add(now, len(observations), bytes, func(items []item) []item {
		for i := range observations {
			items = append(items, item{observation: observations[i], received: now, from: s})
		}
		return items
	})
}

// Progress implements source.Follower.
func (s *sink) Progress() (taken, looked uint64) {
	looked = s.looked.Load() // first, so that it is never the larger one
	return s.observations.Load(), looked
}

// ObserveLoad implements source.Sink.
func (s *sink) ObserveLoad(_ context.Context, loads []source.Load) error {
	now := time.Now()
	return s.add(now, len(loads), len(loads)*int(unsafe.Sizeof(item{})+unsafe.Sizeof(source.Load{})), func(items []item) []item {
		for i := range loads {
			l := loads[i]
			items = append(items, item{load: &l, received: now, from: s})
		}
		return items
	})
}

// add adds n items, unless there is no room.
func (s *sink) add(now time.Time, n, bytes int, fill func([]item) []item) error {
	if n == 0 {
		return nil
	}
	q := s.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return errClosed
	}
	// What comes to an empty queue is taken however much it is: sources bound what they take at once.
	if len(q.items) > 0 && (len(q.items)+n > q.most || q.bytes+bytes > q.mostBytes) {
		s.refused.Add(uint64(n))
		return source.ErrBusy
	}
	q.items = fill(q.items)
	q.bytes += bytes
	s.observations.Add(uint64(n))
	s.last.Store(now.UnixNano())
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return nil
}

// take returns what there is, and takes back the slice of the last call.
func (q *queue) take(last []item) []item {
	clear(last)
	q.mu.Lock()
	defer q.mu.Unlock()
	items := q.items
	q.items, q.bytes = last[:0], 0
	return items
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

// full reports whether there is no room for one more.
func (q *queue) full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items) >= q.most || q.bytes >= q.mostBytes
}

// sizeOf returns about how many bytes an observation holds.
func sizeOf(o *source.Observation) int {
	return int(unsafe.Sizeof(item{})) + len(o.Function) + len(o.Version) + len(o.Trace) + len(o.Call) + len(o.ParentCall) + len(o.Span) + len(o.ParentSpan) +
		len(o.Activation) + len(o.Instance) + len(o.Clock)
}

// state returns what came from the source.
func (s *sink) state() SourceState {
	state := SourceState{Name: s.name, Observations: s.observations.Load(), Refused: s.refused.Load(), Invalid: s.invalid.Load()}
	if last := s.last.Load(); last != 0 {
		at := time.Unix(0, last)
		state.Last = &at
	}
	if s.counts != nil {
		counts := s.counts()
		state.Observations = max(state.Observations, counts.Observations) // of one that shares its work the sink gets none
		if state.Last == nil {
			state.Last = counts.Last
		}
		state.Invalid += counts.Invalid
		state.Refused = max(state.Refused, counts.Refused)
		state.Error = counts.Error
	}
	if useless := s.useless.Load(); useless != nil && state.Error == "" {
		state.Error = *useless
	}
	if failure := s.failure.Load(); failure != nil {
		state.Error = *failure
	}
	return state
}

// refusals returns how many observations there was no room for.
func (c *Controller) refusals() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := uint64(0)
	for _, s := range c.sinks {
		n += s.refused.Load()
	}
	return n
}
