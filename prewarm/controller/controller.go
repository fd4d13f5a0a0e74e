package controller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/actuator/guard"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// RunOptions are what a controller has besides its core.
type RunOptions struct {
	// NewGuard makes the guard, which is to call done for each command that it has taken; nil if nothing is to be acted on.
	NewGuard func(done func(actuator.Command, []actuator.Result)) (*guard.Guard, error)
	// Journal keeps the state; nil if it is lost at the end. Saved is what it had.
	Journal *Journal
	Saved   *Saved
	// MostQueued and MostQueuedBytes bound what waits to be looked at (65,536 and 64 MiB).
	MostQueued, MostQueuedBytes int
	// SaveEvery is how often the whole state is written (10 s).
	SaveEvery time.Duration
	// Keep is called by the loop every KeepEvery (5 min), and returns what writes down what the policy has learned; that is run beside the loop. Nil
	// for nothing.
	Keep      func() (write func() error, err error)
	KeepEvery time.Duration
	// Shutdown is how long what is under way is waited for at the end (10 s).
	Shutdown time.Duration
}

// Controller runs a core in real time: it is the sink of the sources, keeps the clock, and has the guard carry commands out. Its methods are safe
// for concurrent use.
type Controller struct {
	core  Engine
	o     RunOptions
	epoch time.Time
	wall  func() time.Time    // the machine's clock, which may be set
	now   func() prewarm.Time // of the loop
	queue *queue
	guard *guard.Guard
	save  *saver

	results chan acted
	calls   chan func()
	begun   chan struct{} // closed when the loop runs
	ended   chan struct{} // closed when it does not any more
	keeping atomic.Bool   // what was learned is being written
	beat    atomic.Int64  // when the loop was last seen, Unix time in ns

	shown       atomic.Pointer[State]
	late        Histogram // by how much decisions were late; of the loop
	behind      bool      // records were left out
	refused     uint64    // observations, by all sinks, as far as the core knows
	mu          sync.Mutex
	sinks       []*sink
	subscribers map[chan struct{}]bool
}

// acted is what has become of a command.
type acted struct {
	command uint64
	results []actuator.Result
}

// New returns a controller that runs a core. The core belongs to it from then on.
func New(core Engine, o RunOptions) (*Controller, error) {
	orElse(&o.MostQueued, 65536)
	orElse(&o.MostQueuedBytes, 64<<20)
	orElse(&o.SaveEvery, 10*time.Second)
	orElse(&o.KeepEvery, 5*time.Minute)
	orElse(&o.Shutdown, 10*time.Second)
	c := &Controller{
		core: core, o: o, epoch: core.Epoch(), wall: time.Now, queue: &queue{most: o.MostQueued, mostBytes: o.MostQueuedBytes, wake: make(chan struct{}, 1)},
		results: make(chan acted, 1024), calls: make(chan func()), begun: make(chan struct{}), ended: make(chan struct{}),
		late: NewHistogram(LatenessBounds), subscribers: map[chan struct{}]bool{},
	}
	if o.NewGuard != nil {
		var err error
		if c.guard, err = o.NewGuard(c.done); err != nil {
			return nil, err
		}
	}
	c.show()
	c.shown.Load().Time = time.Time{} // the next one is not taken for a moment ago
	return c, nil
}

// done is told by the guard what has become of a command.
func (c *Controller) done(command actuator.Command, results []actuator.Result) {
	select {
	case c.results <- acted{command.ID, results}:
	case <-c.ended:
	}
}

// Sink returns the sink of a source. The name is shown to people.
func (c *Controller) Sink(name string) source.Sink {
	s := &sink{queue: c.queue, name: name}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sinks = append(c.sinks, s)
	return s
}

// Count has what a source counts itself shown with what its sink, which Sink has returned, has counted.
func (c *Controller) Count(of source.Sink, counts func() source.Counts) {
	if s, ok := of.(*sink); ok {
		c.mu.Lock()
		defer c.mu.Unlock()
		s.counts = counts
	}
}

// Fail notes why a source that Sink was called for cannot go on, or that it can again, with nil. It is shown.
func (c *Controller) Fail(s source.Sink, err error) {
	if s, ok := s.(*sink); ok {
		if err == nil {
			s.failure.Store(nil)
			return
		}
		text := err.Error()
		s.failure.Store(&text)
	}
}

// Close ends a controller of which Run was not called.
func (c *Controller) Close(ctx context.Context) error {
	c.queue.close()
	close(c.ended)
	if c.guard == nil {
		return nil
	}
	return c.guard.Close(ctx)
}

// call runs f in the loop.
func (c *Controller) call(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case c.calls <- func() { f(); close(done) }:
	case <-c.ended:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	<-done
	return nil
}

// showEvery is how old a state may be that is shown again.
const showEvery = 100 * time.Millisecond

// Snapshot returns the state as of now, or of a moment ago. It must not be changed, as others get it too.
func (c *Controller) Snapshot() *State {
	if s := c.shown.Load(); time.Since(s.Time) < showEvery {
		return s
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.call(ctx, c.show) // what was shown last is shown again
	return c.shown.Load()
}

// show takes up the state. It is called by the loop.
func (c *Controller) show() {
	s := c.core.State()
	s.Time = time.Now()
	s.Lateness = c.late.Clone()
	c.mu.Lock()
	for _, sink := range c.sinks {
		s.Sources = append(s.Sources, sink.state())
	}
	c.mu.Unlock()
	s.Actuator.Circuit = "closed"
	if c.guard != nil {
		g := c.guard.State()
		s.Actuator = ActuatorState{InFlight: g.InFlight, Circuit: g.Circuit}
		if g.Err != nil {
			s.Actuator.Error = g.Err.Error()
		}
	}
	c.shown.Store(s)
}

// Subscribe returns a channel that holds a value once something has changed since the last one was taken, and what ends that.
func (c *Controller) Subscribe() (changes <-chan struct{}, cancel func()) {
	channel := make(chan struct{}, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subscribers[channel] = true
	return channel, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.subscribers, channel)
	}
}

func (c *Controller) notify() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for changes := range c.subscribers {
		select {
		case changes <- struct{}{}:
		default:
		}
	}
}

// Pause has the controller start nothing until Resume, also after a restart. The error says that this could not be written down, or that the controller
// does not run; unless it does not run, it pauses all the same.
func (c *Controller) Pause(ctx context.Context) error { return c.setPaused(ctx, true) }

// Resume ends a pause. The error is as of Pause.
func (c *Controller) Resume(ctx context.Context) error { return c.setPaused(ctx, false) }

func (c *Controller) setPaused(ctx context.Context, paused bool) error {
	written := make(chan error, 1)
	err := c.call(ctx, func() {
		now := c.core.Now()
		if paused {
			c.core.Pause(now)
		} else {
			c.core.Resume(now)
		}
		if c.guard != nil && paused {
			c.guard.Pause("paused")
		} else if c.guard != nil {
			c.guard.Resume()
		}
		c.compact(func() prewarm.Time { return now }, written)
		c.show()
	})
	if err != nil {
		return err
	}
	select {
	case err = <-written:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hung is for how long the loop must not be seen before the controller is not ready.
const hung = 10 * time.Second

// Ready returns why the controller does not take observations or decide, nil if it does.
func (c *Controller) Ready() error {
	select {
	case <-c.begun:
	default:
		return errors.New("the controller has not begun")
	}
	select {
	case <-c.ended:
		return errClosed
	default:
	}
	if silent := time.Since(time.Unix(0, c.beat.Load())); silent > hung {
		return fmt.Errorf("the controller has been busy for %v", silent.Round(time.Second))
	}
	if c.queue.full() {
		return source.ErrBusy
	}
	return nil
}
