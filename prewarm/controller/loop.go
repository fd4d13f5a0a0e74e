package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
)

// Run runs the controller until the context is done, and then for the time that what is under way takes, at most that of the options. It is called once.
// An error says what could not be ended well.
func (c *Controller) Run(ctx context.Context) error {
	started := time.Now()
	first := started.Sub(c.epoch)
	if c.o.Saved != nil && c.o.Saved.Last > first {
		first = c.o.Saved.Last
	}
	now := func() prewarm.Time { return first + time.Since(started) }
	c.now = now
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
			if n := c.refusals(); n != c.refused {
				c.refused = n
				c.core.Disturbed()
			}
			if c.o.Journal != nil {
				c.core.Remember()
			}
			c.sayWhatSourcesSay()
		}
		c.flush(now)
		c.notify()
	}
}

// keep has written down what the policy has learned, unless that is still being done.
func (c *Controller) keep(keeps *sync.WaitGroup) {
	if c.o.Keep == nil || !c.keeping.CompareAndSwap(false, true) {
		return
	}
	failed := func(err error) {
		if err != nil {
			c.core.Log().Warn("what was learned cannot be written", "error", err)
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
		it.from.looked.Add(1)
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
		c.core.Log().Warn("what a source has told is of no use", "source", s.name, "error", text, "times", n)
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
	if c.o.Journal == nil {
		return c.save.compact(nil, written)
	}
	return c.save.compact(c.core.Saved(), written)
}

func heldResults(command *actuator.Command, why error) []actuator.Result {
	results := make([]actuator.Result, command.Results())
	for i := range results {
		results[i] = actuator.Result{Outcome: actuator.Held, Err: why}
	}
	return results
}

// drop says of commands that were decided on at the end that they are not carried out.
func (c *Controller) drop(now func() prewarm.Time) {
	for commands := slices.Clone(c.core.Commands()); len(commands) > 0; commands = slices.Clone(c.core.Commands()) {
		for i := range commands {
			c.core.Acted(now(), commands[i].ID, heldResults(&commands[i], errClosed))
		}
	}
	c.core.Releases()
	c.core.Records()
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
		c.drop(now)
	}
	c.others(now)
	c.drop(now)
	if err != nil {
		err = fmt.Errorf("ending the actuator: %w", err)
	}
	saved := c.save.close(ctx, c.core.Saved())
	if err != nil && saved != nil {
		return fmt.Errorf("%w; and %w", err, saved)
	}
	return errors.Join(err, saved)
}
