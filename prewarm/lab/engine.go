package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/internal/localwhisk/composition"
	"github.com/tppfaas/tppfaas/prewarm"
)

// epoch is when the virtual time of every run begins.
var epoch = time.Date(2021, time.June, 1, 0, 0, 0, 0, time.UTC)

// Request is a request of a plan.
type Request struct {
	// Application is the index of the application that it is for.
	Application int
	// At is when its root arrives.
	At prewarm.Time
	// Calls are its invocations, the root first and callers before those they call. Function is an index into the functions of the workload.
	Calls []apps.Call
	// Warm is how long the request takes from the arrival of the root to the last end on a platform on which everything is warm.
	Warm time.Duration
	// Scored says that it counts.
	Scored bool

	warm prewarm.Trace // what became of it there
}

// record is what became of an invocation.
type record struct {
	arrival, start, end prewarm.Time
	init                time.Duration
	kind                prewarm.Start
	container           int
	parent              int
}

// pending is a request under way.
type pending struct {
	request *Request
	number  int
	// first is the number of its first invocation; those of the others follow.
	first   prewarm.ID
	records []record // by call
	missing int      // calls that have not ended
}

// end returns when the last of its runs has ended.
func (p *pending) end() prewarm.Time {
	var last prewarm.Time
	for i := range p.records {
		last = max(last, p.records[i].end)
	}
	return last
}

// trace returns what is known of the request, as policies are told of recorded ones; functions are indices into those of the workload.
func (p *pending) trace() prewarm.Trace {
	root := p.records[0].arrival
	t := make(prewarm.Trace, len(p.records))
	for i := range p.records {
		r := &p.records[i]
		t[i] = prewarm.Invocation{
			Function: p.request.Calls[i].Function, Parent: r.parent,
			Arrival: (r.arrival - root).Seconds(), Start: (r.start - root).Seconds(), End: (r.end - root).Seconds(), Init: r.init.Seconds(),
		}
	}
	return t
}

// call is an invocation of a request under way.
type call = composition.Call[*pending]

// engine runs requests on a platform in virtual time.
type engine struct {
	clock    *localwhisk.VirtualClock
	platform *localwhisk.Platform
	names    []string // of the functions
	index    map[string]int
	sent     int
	next     prewarm.ID // number of the next invocation
	// watch is told of every event, with its function and, if it is one of an invocation, the call; it may be nil.
	watch func(e *localwhisk.Event, function int, c *call)
	told  localwhisk.Event // the one that watch is being told of
	// done is told of requests of which every run has ended; it may be nil.
	done func(p *pending)
	err  error
	stop context.CancelFunc
}

// newEngine returns an engine with functions.
func newEngine(config localwhisk.Config, functions []prewarm.Function, seed uint64) (*engine, error) {
	e := &engine{clock: localwhisk.NewVirtualClock(epoch), index: map[string]int{}, next: 1}
	var err error
	if e.platform, err = localwhisk.New(e.clock, config, seed); err != nil {
		return nil, err
	}
	for i, f := range functions {
		deployed := localwhisk.Function{Name: f.Name, MemoryMB: f.MemoryMB, Kind: f.Kind, StemCell: f.StemCell}
		if !f.StemCell {
			deployed.Handler = handle
		}
		if err := e.platform.Deploy(deployed); err != nil {
			return nil, err
		}
		e.names = append(e.names, f.Name)
		e.index[f.Name] = i
	}
	e.platform.Watch(e.event)
	return e, nil
}

// now returns the time since the epoch.
func (e *engine) now() prewarm.Time { return e.clock.Now().Sub(epoch) }

// after calls f when d has passed.
func (e *engine) after(d time.Duration, f func()) (stop func() bool) { return e.clock.AfterFunc(d, f) }

// fail ends the run with an error.
func (e *engine) fail(err error) {
	if e.err == nil {
		e.err = err
	}
	e.stop()
}

// send sends a request now.
func (e *engine) send(r *Request) {
	p := &pending{request: r, number: e.sent, first: e.next, records: make([]record, len(r.Calls)), missing: len(r.Calls)}
	for i := range r.Calls {
		for _, j := range r.Calls[i].Invokes {
			p.records[j].parent = i
		}
	}
	p.records[0].parent = -1
	e.sent++
	e.next += prewarm.ID(len(r.Calls))
	if err := composition.Invoke(e.platform, e.names, r.Calls, p); err != nil {
		e.fail(err)
	}
}

// event notes what has become of an invocation, and passes the event on.
func (e *engine) event(ev localwhisk.Event) {
	c, _ := ev.Params.(*call)
	function := 0
	if c != nil {
		function = c.Request.request.Calls[c.Index].Function
	} else {
		function = e.index[ev.Function]
	}
	var complete *pending
	if c != nil {
		at := ev.At.Sub(epoch)
		r := &c.Request.records[c.Index]
		switch ev.Kind {
		case localwhisk.Arrived:
			r.arrival = at
		case localwhisk.Placed:
			r.kind, r.container = startOf(ev.Start), ev.Container
		case localwhisk.Started:
			r.start, r.init = at, ev.Init
		case localwhisk.Ended:
			r.end = at
			if ev.Err != nil {
				e.fail(fmt.Errorf("%s has failed: %w", ev.Function, ev.Err))
			}
			if c.Request.missing--; c.Request.missing == 0 {
				complete = c.Request
			}
		}
	}
	if e.watch != nil {
		e.told = ev
		e.watch(&e.told, function, c)
	}
	if complete != nil && e.done != nil {
		e.done(complete)
	}
}

// startOf translates how an invocation came to its container.
func startOf(k localwhisk.StartKind) prewarm.Start {
	switch k {
	case localwhisk.Late:
		return prewarm.Late
	case localwhisk.Cold:
		return prewarm.Cold
	}
	return prewarm.Warm
}

// errStopped says that a run was stopped by halt.
var errStopped = errors.New("the run is over")

// run lets time pass until halt is called, or nothing is planned any more.
func (e *engine) run(ctx context.Context) error {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e.stop = func() { cancel(errStopped) }
	err := e.clock.Run(inner)
	switch {
	case e.err != nil:
		return e.err
	case err != nil && errors.Is(context.Cause(inner), errStopped):
		return e.platform.Err()
	case err != nil:
		return err
	}
	return e.platform.Err()
}

// halt ends the run after the present event.
func (e *engine) halt() { e.stop() }
