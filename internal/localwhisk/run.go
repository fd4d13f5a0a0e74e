package localwhisk

import (
	"errors"
	"fmt"
	"time"
)

// Run is what a handler is given: the run of its function for one invocation. The handler returns at once; what the
// function does goes on in the functions handed to [Run.Sleep], until [Run.Finish].
type Run struct {
	platform   *Platform
	activation *activation
	ended      bool
	slept      bool
	stalled    time.Time // the process stands still until then
}

// ActivationID returns the id of the activation.
func (r *Run) ActivationID() string { return r.activation.record.ID }

// Name returns the name of the function.
func (r *Run) Name() string { return r.activation.record.Name }

// Params returns what the invocation was sent with.
func (r *Run) Params() any { return r.activation.record.Params }

// Now returns the clock's time.
func (r *Run) Now() time.Time { return r.platform.clock.Now() }

// Sleep calls then when d has passed, and [Config.Oversleep] after that, and the process does not stand still (see
// [Config.FirstCall]). After the end of the run it does nothing but note a fault, see [Platform.Err].
func (r *Run) Sleep(d time.Duration, then func()) {
	p := r.platform
	p.enter(func() {
		if r.ended {
			p.fault(fmt.Errorf("localwhisk: %v slept after its end", r.activation))
			return
		}
		if d > 0 {
			r.slept = true
			d += p.config.Oversleep.draw(p.oversleep, p.load())
		}
		p.plan(max(d, r.stalled.Sub(p.clock.Now())), callFunc, then)
	})
}

func callFunc(f any) { f.(func())() }

// Invoke sends an invocation of the named function; it arrives at the controller after [Config.Call], with
// [Config.CallAfterSleep] if the run has slept, and after [Config.FirstCall] before that, if it is the first that a container
// sends. It returns the id of the activation to come. An unknown function is an error, and so is sending after the end of the
// run.
func (r *Run) Invoke(name string, params any) (activationID string, err error) {
	p := r.platform
	p.enter(func() {
		if r.ended {
			err = fmt.Errorf("localwhisk: %v invoked %s after its end", r.activation, name)
			p.fault(err)
			return
		}
		var a *activation
		if a, err = p.newActivation(name, params, nil); err != nil {
			return
		}
		activationID = a.record.ID
		a.record.Cause = r.activation.record.ID

		now := p.clock.Now()
		if c := r.activation.container; !c.called {
			c.called = true
			stall := p.config.FirstCall.draw(p.firstCall, p.load()) + time.Duration(p.config.FirstCallPerInit*float64(c.initTime))
			r.stalled = now.Add(stall)
		}
		delay := max(r.stalled.Sub(now), 0) + p.config.Call.draw(p.call, p.load())
		if r.slept {
			delay += p.config.CallAfterSleep.draw(p.afterSleep, p.load())
		}
		p.plan(delay, arrive, a)
	})
	return activationID, err
}

func arrive(arg any) {
	a := arg.(*activation)
	p := a.run.platform
	p.mu.Lock()
	p.arrive(a)
	p.leave()
}

// Spoil has the container removed after the run: what happened in it makes it unfit for another.
func (r *Run) Spoil() {
	r.platform.enter(func() { r.activation.container.spoilt = true })
}

// Finish ends the run, as soon as the process does not stand still. A second end of a run is ignored, and noted as a
// fault, see [Platform.Err].
func (r *Run) Finish() { r.end(nil) }

// Fail ends the run like Finish; its activation failed with err.
func (r *Run) Fail(err error) {
	if err == nil {
		err = errors.New("localwhisk: the function failed without a reason")
	}
	r.end(err)
}

func (r *Run) end(err error) {
	p := r.platform
	p.enter(func() {
		if r.ended {
			p.fault(fmt.Errorf("localwhisk: %v finished after its end", r.activation))
			return
		}
		r.ended = true
		if rest := r.stalled.Sub(p.clock.Now()); rest > 0 {
			p.clock.AfterFunc(rest, func() { p.enter(func() { p.ended(r.activation, err) }) })
			return
		}
		p.ended(r.activation, err)
	})
}
