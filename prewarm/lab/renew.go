package lab

import (
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/internal/localwhisk/composition"
	"github.com/tppfaas/tppfaas/prewarm"
)

// marker is what an invocation carries by which the idle time of a container is renewed.
type marker struct {
	linger    time.Duration
	container prewarm.ID // that runs it; 0 if it is not placed yet
}

// markerLinger is for how long one of several markers keeps its container from the others.
const markerLinger = 50 * time.Millisecond

// handle is the handler of every function: an invocation of a request does what the request says, and a marker ends at once, or after a moment.
func handle(run *localwhisk.Run) {
	if m, ok := run.Params().(*marker); ok {
		run.Sleep(m.linger, run.Finish)
		return
	}
	composition.Handle[*pending](run)
}

// renewing is how a driver carries out holds by renewing idle times.
type renewing struct {
	prewarm.Renewals
	wanted []bool              // by function: something was to be held
	again  []prewarm.Time      // by function: no renewal before
	stops  []func() bool       // by function: cancels the next look
	busy   map[prewarm.ID]bool // containers that run a marker, and are idle for policies
	sent   float64             // markers while memory counts
}

func newRenewing(functions int) *renewing {
	return &renewing{
		wanted: make([]bool, functions), again: make([]prewarm.Time, functions), stops: make([]func() bool, functions), busy: map[prewarm.ID]bool{},
	}
}

// followRenewals is told of an event that the fleet has.
func (d *driver) followRenewals(e *prewarm.Event) {
	switch r := d.renewing; e.Kind {
	case prewarm.Placed, prewarm.Started:
		r.End(e.Container)
	case prewarm.Removed:
		r.Removed(e.Container, e.Function, d.fleet)
	case prewarm.Idle, prewarm.Renewed:
	default:
		return
	}
	if d.renewing.wanted[e.Function] {
		d.lookAtRenewals(e.Function)
	}
}

// lookAtRenewals renews the idle times of a function's containers when that is due.
func (d *driver) lookAtRenewals(function int) {
	r, now := d.renewing, d.engine.now()
	if stop := r.stops[function]; stop != nil {
		stop()
		r.stops[function] = nil
	}
	due, next := r.Due(function, d.fleet, now)
	if due && r.again[function] > now {
		due, next = false, r.again[function]
	}
	if due {
		r.again[function] = now + 2*d.fleet.Platform.RenewLead()
		n := len(d.fleet.Containers(function, prewarm.StateIdle))
		for range n {
			m := &marker{}
			if n > 1 {
				m.linger = markerLinger
			}
			if _, err := d.engine.platform.Invoke(d.engine.names[function], m, nil); err != nil {
				d.engine.fail(err)
				return
			}
		}
		if d.meter.begun && !d.meter.ended {
			r.sent += float64(n)
		}
	}
	if next != prewarm.Never {
		r.stops[function] = d.engine.after(max(next-now, 0), func() {
			r.stops[function] = nil
			d.lookAtRenewals(function)
		})
	}
}

// watchMarker translates an event of a marker: for policies its container is idle all the time, unless one was created for it, which is then one for nobody.
func (d *driver) watchMarker(ev *localwhisk.Event, function int, m *marker) {
	if ev.Kind != localwhisk.Placed {
		return
	}
	m.container = prewarm.ID(ev.Container)
	if ev.Start == localwhisk.Warm {
		d.renewing.busy[m.container] = true
		return
	}
	e := prewarm.Event{Kind: prewarm.Starting, At: ev.At.Sub(epoch), Function: function, Container: m.container, By: prewarm.ByPolicy}
	if ev.Start == localwhisk.Late { // it has taken one that was started for nobody
		return
	}
	d.meter.note(&e)
	d.tell(e)
}
