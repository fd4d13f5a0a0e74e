package localwhisk

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Run is the run of a function for one invocation, which its handler is given. The handler returns at once; the run goes on in the callbacks of
// [Run.Sleep], until [Run.Finish] or [Run.Fail].
type Run struct {
	platform     *Platform
	activation   *activation
	ended        bool
	slept        bool
	stalledUntil time.Time // the process does nothing until then, see Config.FirstCall
}

// ActivationID returns the id of the activation.
func (r *Run) ActivationID() string { return r.activation.record.ID }

// Name returns the name of the function.
func (r *Run) Name() string { return r.activation.record.Name }

// Params returns the parameters of the invocation.
func (r *Run) Params() any { return r.activation.record.Params }

// Now returns the time of the platform's clock.
func (r *Run) Now() time.Time { return r.platform.clock.Now() }

// Sleep calls then when d and [Config.Oversleep] have passed, but not while the process is stalled by its first call, see [Config.FirstCall].
// After the end of the run it only records a fault, see [Platform.Err].
func (r *Run) Sleep(d time.Duration, then func()) {
	p := r.platform
	p.withLock(func() {
		if r.ended {
			p.addFault(fmt.Errorf("localwhisk: %v slept after its end", r.activation))
			return
		}
		if d > 0 {
			r.slept = true
			d += p.config.Oversleep.draw(p.random.oversleep, p.load())
		}
		p.callAfter(max(d, r.stalledUntil.Sub(p.clock.Now())), callFunc, then)
	})
}

// callFunc calls a function without arguments, as a timer's callback.
func callFunc(f any) { f.(func())() }

// Invoke sends an invocation of the named function, and returns its activation id at once. The invocation arrives at the controller after
// [Config.Call], plus [Config.CallAfterSleep] if the run has slept, plus [Config.FirstCall] if it is the first that the container sends. An
// unknown function is an error, and so is an invocation after the end of the run.
func (r *Run) Invoke(name string, params any) (activationID string, err error) {
	p := r.platform
	p.withLock(func() {
		if r.ended {
			err = fmt.Errorf("localwhisk: %v invoked %s after its end", r.activation, name)
			p.addFault(err)
			return
		}
		var a *activation
		if a, err = p.newActivation(name, params, nil); err != nil {
			return
		}
		activationID = a.record.ID
		a.record.Cause = r.activation.record.ID

		now := p.clock.Now()
		if c := r.activation.container; !c.hasInvoked {
			c.hasInvoked = true
			r.stalledUntil = now.Add(p.firstCall(c, p.random.firstCall))
		}
		delay := max(r.stalledUntil.Sub(now), 0) + p.config.Call.draw(p.random.call, p.load())
		if r.slept {
			delay += p.config.CallAfterSleep.draw(p.random.afterSleep, p.load())
		}
		p.callAfter(delay, onArrival, a)
	})
	return activationID, err
}

// firstCall draws how long the first call of c stalls it.
func (p *Platform) firstCall(c *PoolContainer, rng *rand.Rand) time.Duration {
	return p.config.FirstCall.draw(rng, p.load()) + time.Duration(p.config.FirstCallPerInit*float64(c.initTime))
}

// onArrival is arrive as a timer's callback.
func onArrival(arg any) {
	a := arg.(*activation)
	p := a.run.platform
	p.mu.Lock()
	p.arrive(a)
	p.unlockAndReport()
}

// DiscardContainer makes the platform remove the container after the run, instead of using it again.
func (r *Run) DiscardContainer() {
	r.platform.withLock(func() { r.activation.container.unusable = true })
}

// Finish ends the run, once the process is not stalled. A second end of a run only records a fault, see [Platform.Err].
func (r *Run) Finish() { r.end(nil) }

// Fail ends the run like Finish, and its activation with the error err.
func (r *Run) Fail(err error) {
	if err == nil {
		err = errors.New("localwhisk: the function failed without a reason")
	}
	r.end(err)
}

func (r *Run) end(err error) {
	p := r.platform
	p.withLock(func() {
		if r.ended {
			p.addFault(fmt.Errorf("localwhisk: %v finished after its end", r.activation))
			return
		}
		r.ended = true
		if rest := r.stalledUntil.Sub(p.clock.Now()); rest > 0 {
			p.clock.AfterFunc(rest, func() { p.withLock(func() { p.finishRun(r.activation, err) }) })
			return
		}
		p.finishRun(r.activation, err)
	})
}
