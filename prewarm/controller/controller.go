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
	core  *Core
	o     RunOptions
	epoch time.Time
	wall  func() time.Time // the machine's clock, which may be set
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
func New(core *Core, o RunOptions) (*Controller, error) {
	orElse(&o.MostQueued, 65536)
	orElse(&o.MostQueuedBytes, 64<<20)
	orElse(&o.SaveEvery, 10*time.Second)
	orElse(&o.KeepEvery, 5*time.Minute)
	orElse(&o.Shutdown, 10*time.Second)
	c := &Controller{
		core: core, o: o, epoch: core.o.Epoch, wall: time.Now, queue: &queue{most: o.MostQueued, mostBytes: o.MostQueuedBytes, wake: make(chan struct{}, 1)},
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

// Run runs the controller until the context is done, and then for the time that what is under way takes, at most that of the options. It is called once.
// An error says what could not be ended well.
func (c *Controller) Run(ctx context.Context) error {
	started := time.Now()
	first := started.Sub(c.epoch)
	if c.o.Saved != nil && c.o.Saved.Last > first {
		first = c.o.Saved.Last
	}
	now := func() prewarm.Time { return first + time.Since(started) }
	c.save = newSaver(c.o.Journal, c.guard, c.done)
	defer close(c.ended)

	// What was is written as it was, before anything new.
	saved := c.o.Saved
	if saved == nil {
		saved = c.core.Saved()
	}
	c.save.compact(saved, nil)
	c.core.Begin(now(), c.o.Saved)
	c.flush(now)
	close(c.begun)
	timer := time.NewTimer(0)
	defer timer.Stop()
	saving := time.NewTicker(c.o.SaveEvery)
	defer saving.Stop()
	beat := time.NewTicker(time.Second)
	defer beat.Stop()
	keeping := time.NewTicker(c.o.KeepEvery)
	defer keeping.Stop()
	var keeps sync.WaitGroup
	defer keeps.Wait()
	var items []item
	for {
		c.beat.Store(time.Now().UnixNano())
		at := now()
		next := c.core.Next()
		if next <= at {
			c.pass(at)
			c.flush(now)
			next = c.core.Next()
		}
		if next == prewarm.Never {
			timer.Stop()
		} else {
			timer.Reset(max(next-now(), 0))
		}
		select {
		case <-ctx.Done():
			return c.end(now)
		case <-c.queue.wake:
			items = c.queue.take(items)
			c.look(ctx, items, now)
		case r := <-c.results:
			c.core.Acted(now(), r.command, r.results)
		case f := <-c.calls:
			f()
		case <-timer.C:
		case <-saving.C:
			if c.compact(now, nil) && c.behind {
				c.behind = false
				c.core.Block("")
			}
		case <-keeping.C:
			c.keep(&keeps)
		case reason := <-c.save.blocked:
			c.core.Block(reason)
		case <-beat.C:
			c.followClock(now())
			c.sayWhatSourcesSay()
		}
		c.flush(now)
		c.notify()
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

// clockStep is by how much the machine's clock may differ from the time that has passed before it counts as set.
const clockStep = time.Second

// followClock has times shown, and ends of commands told, by the machine's clock, also after it was set or the machine was asleep. Otherwise commands would
// be over before they begin, or last too long. How much time passes between events is not changed.
func (c *Controller) followClock(now prewarm.Time) {
	if off := c.wall().Round(0).Sub(c.core.moment(now)); off.Abs() > clockStep {
		c.core.o.Log.Info("the machine's clock was set, or it was asleep: times are counted by its clock as it is now", "by", off.Round(time.Millisecond))
		c.core.o.Epoch = c.core.o.Epoch.Add(off)
	}
}

// sayWhatSourcesSay logs when a source has begun to fail, and when it works again.
func (c *Controller) sayWhatSourcesSay() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sinks {
		if s.counts == nil {
			continue
		}
		switch failure := s.counts().Error; {
		case (failure == "") == (s.said == ""):
		case failure == "":
			c.core.o.Log.Info("a source works again", "source", s.name)
			s.said = ""
		default:
			c.core.o.Log.Warn("a source fails", "source", s.name, "error", failure)
			s.said = failure
		}
	}
}

// keep has written down what the policy has learned, unless that is still being done.
func (c *Controller) keep(keeps *sync.WaitGroup) {
	if c.o.Keep == nil || !c.keeping.CompareAndSwap(false, true) {
		return
	}
	failed := func(err error) {
		if err != nil {
			c.core.o.Log.Warn("what was learned cannot be written", "error", err)
		}
	}
	write, err := c.o.Keep()
	if err != nil {
		failed(err)
		c.keeping.Store(false)
		return
	}
	keeps.Go(func() {
		defer c.keeping.Store(false)
		failed(write())
	})
}

// pass tells the core that time has passed.
func (c *Controller) pass(now prewarm.Time) {
	if due := c.core.Next(); due < now {
		c.late.Observe((now - due).Seconds())
	}
	c.core.Pass(now)
}

// look takes up what the sources have told.
func (c *Controller) look(ctx context.Context, items []item, now func() prewarm.Time) {
	for i := range items {
		if ctx.Err() != nil {
			return
		}
		at := now()
		if c.core.Next() <= at {
			c.pass(at)
		}
		it := &items[i]
		var err error
		if it.load != nil {
			err = c.core.ObserveLoad(at, it.load)
		} else {
			err = c.core.Observe(at, &it.observation)
		}
		if err != nil {
			c.useless(it.from, err)
		}
		c.flush(now)
		c.late.Observe(time.Since(it.received).Seconds())
		if i%64 == 63 {
			c.beat.Store(time.Now().UnixNano())
			c.others(now)
		}
	}
}

// useless counts an observation of a source that was of no use, and says why: in the state, and now and then in the log.
func (c *Controller) useless(s *sink, err error) {
	n := s.invalid.Add(1)
	text := err.Error()
	s.useless.Store(&text)
	if n&(n-1) == 0 {
		c.core.o.Log.Warn("what a source has told is of no use", "source", s.name, "error", text, "times", n)
	}
}

// others takes what else there is, without waiting.
func (c *Controller) others(now func() prewarm.Time) {
	for {
		select {
		case r := <-c.results:
			c.core.Acted(now(), r.command, r.results)
		case f := <-c.calls:
			f()
		default:
			return
		}
		c.flush(now)
	}
}

// flush hands over what the core has decided.
func (c *Controller) flush(now func() prewarm.Time) {
	for {
		records, commands, releases := c.core.Records(), c.core.Commands(), c.core.Releases()
		if len(records)+len(commands)+len(releases) == 0 {
			return
		}
		if c.guard != nil {
			for _, r := range releases {
				c.guard.Release(r.Command, r.N)
			}
		}
		if len(records)+len(commands) == 0 {
			return
		}
		if c.save.add(records, commands) {
			return
		}
		// There is no room: nothing of it is done, and the state is written as a whole once there is room.
		c.behind = true
		c.core.Block(errBehind.Error())
		for _, command := range append([]actuator.Command(nil), commands...) {
			c.core.Acted(now(), command.ID, heldResults(&command, errBehind))
		}
	}
}

// compact has the whole state written, after the records of what it has already.
func (c *Controller) compact(now func() prewarm.Time, written chan<- error) bool {
	c.flush(now)
	return c.save.compact(c.core.Saved(), written)
}

func heldResults(command *actuator.Command, why error) []actuator.Result {
	results := make([]actuator.Result, command.Results())
	for i := range results {
		results[i] = actuator.Result{Outcome: actuator.Held, Err: why}
	}
	return results
}

// end ends what is under way.
func (c *Controller) end(now func() prewarm.Time) error {
	c.queue.close()
	ctx, cancel := context.WithTimeout(context.Background(), c.o.Shutdown)
	defer cancel()
	_ = c.save.drain(ctx) // commands that were decided on reach the guard, or are held
	closed := make(chan error, 1)
	go func() {
		if c.guard == nil {
			closed <- nil
			return
		}
		closed <- c.guard.Close(ctx)
	}()
	var err error
	for waiting := true; waiting; {
		select {
		case err = <-closed:
			waiting = false
		case r := <-c.results:
			c.core.Acted(now(), r.command, r.results)
		case f := <-c.calls:
			f()
		}
		c.core.Commands()
		c.core.Releases()
		c.core.Records()
	}
	c.others(now)
	if err != nil {
		err = fmt.Errorf("ending the actuator: %w", err)
	}
	saved := c.save.close(ctx, c.core.Saved())
	if err != nil && saved != nil {
		return fmt.Errorf("%w; and %w", err, saved)
	}
	return errors.Join(err, saved)
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
		now := c.core.now
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
