package controller

import (
	"fmt"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// account counts what an event means, once the fleet has it. Of a run that has started without having been placed before, start says how it has come to
// its container.
func (c *Core) account(e *prewarm.Event, start prewarm.Start) {
	switch e.Kind {
	case prewarm.Arrived:
		c.arrived(e)
	case prewarm.Called:
		c.requests.called(e)
	case prewarm.Placed:
		if v := c.requests.invocations[e.Invocation]; v != nil {
			v.placed, v.start, v.container = true, e.Start, e.Container
		}
	case prewarm.Displaced:
		if v := c.requests.invocations[e.Invocation]; v != nil {
			v.placed, v.container = false, 0
		}
	case prewarm.Started:
		if !c.fleet.Platform.Arrivals && c.requests.invocations[e.Invocation] == nil {
			c.arrived(e)
		}
		if v := c.requests.invocations[e.Invocation]; v != nil && !v.hasStarted {
			if !v.placed {
				v.start = start
			}
			c.started(e, v)
		}
	case prewarm.Ended, prewarm.Refused:
		v := c.requests.invocations[e.Invocation]
		if v == nil {
			break
		}
		if e.Kind == prewarm.Refused {
			c.alone.lost(e.Function)
			if q := c.requests.owner[v.id]; q != nil {
				q.doubtful = true // nothing came of it, or nobody has said so
			}
		} else {
			c.alone.ended(e.Function, e.At)
		}
		if c.requests.ended(v, e.At) {
			c.closeLater()
		}
	}
	if e.Container != 0 {
		c.track(e)
	}
}

// arrived counts an invocation that has arrived.
func (c *Core) arrived(e *prewarm.Event) {
	f := c.functions[e.Function]
	f.Invocations++
	c.totals.Invocations++
	v, _, begun := c.requests.arrived(e, func() string { return c.mirror.TraceID(e.Trace) })
	if begun && e.Parent == 0 {
		c.totals.Requests++
	}
	v.alone = c.alone.arrived(e.Function, e.At)
}

// started counts how an invocation has come to its container.
func (c *Core) started(e *prewarm.Event, v *invocation) {
	f := c.functions[e.Function]
	v.hasStarted, v.started, v.container = true, e.At, e.Container
	b := c.boxes[e.Container]
	if b != nil && b.dry {
		// It is the platform's own container that the run is in, whatever would have been.
		c.imagined(b, v)
		b.dry = false
		b.ready = e.At
		if v.start = prewarm.Warm; c.truth == source.Cold || c.truth == source.Unknown && v.alone {
			v.start = prewarm.Cold
			took := max(e.Wait, e.At-v.arrived)
			c.spent += b.memory * took.Seconds()
			if took > 0 {
				c.starts.Add(e.Function, 0, took)
			}
		}
	}
	var waited time.Duration
	switch v.start {
	case prewarm.Warm:
		f.Warm++
		c.totals.Warm++
	case prewarm.Late:
		f.Late++
		c.totals.Late++
		waited = max(e.Wait, e.At-v.arrived)
	case prewarm.Cold:
		f.Cold++
		c.totals.Cold++
		waited = max(e.Wait, e.At-v.arrived)
	}
	if v.alone {
		took := waited
		if v.start != prewarm.Cold {
			took = c.starts.Quantile(e.Function, c.fleet.Creating(), 0.5, c.o.StartTime)
		}
		c.alone.started(e.Function, took)
		c.totals.SavedSeconds += took.Seconds()
	}
	c.totals.SavedSeconds -= waited.Seconds()
	if b != nil && b.warmed && !b.used {
		if v.start == prewarm.Warm {
			f.Hits++
			c.totals.Hits++
			c.outcome(b, used, fmt.Sprintf(" after %s", short(e.At-b.ready)))
		} else {
			c.outcome(b, late, "")
		}
		c.notice.Observe((v.arrived - b.asked).Seconds())
		c.released(b, true)
	}
	if b != nil {
		b.used = true
		c.stand(b)
	}
}

// imagined notes what would have become of a container that was only imagined.
func (c *Core) imagined(b *box, v *invocation) {
	if b.ready > 0 && b.ready <= v.arrived {
		c.outcome(b, dryUsed, fmt.Sprintf(" after %s", short(v.arrived-b.ready)))
	} else {
		c.outcome(b, dryLate, "")
	}
	c.notice.Observe((v.arrived - b.asked).Seconds())
}

// track follows a container.
func (c *Core) track(e *prewarm.Event) {
	b := c.boxes[e.Container]
	is := c.fleet.Container(e.Container)
	if b == nil {
		if is == nil {
			return
		}
		b = &box{
			id: e.Container, function: e.Function, memory: float64(c.functions[e.Function].MemoryMB), asked: is.Asked, until: prewarm.Never, idleFrom: prewarm.Never,
			warmed: is.By == prewarm.ByPolicy, outcome: asked, // a replica that a number in all has asked for
		}
		if c.boxes[b.id] = b; b.warmed && !c.restoring {
			c.totals.Warmups++
		}
		c.stand(b)
	}
	spends := is != nil && !b.dry && (is.State == prewarm.StateStarting || is.State == prewarm.StateIdle || is.State == prewarm.StateBusy && !is.Ready)
	if b.spends && !spends {
		c.spent += b.memory * (e.At - b.since).Seconds()
	}
	if spends && !b.spends {
		b.since = e.At
	}
	b.spends = spends
	c.followIdle(b, is, e)
	if is == nil {
		c.gone(b, e)
		return
	}
	if is.Ready && b.ready == 0 {
		b.ready = max(e.At, 1)
		if is.Asked < e.At && !b.dry {
			c.starts.Add(b.function, is.Load, e.At-is.Asked)
		}
	}
	if is.State == prewarm.StateBusy && b.until != prewarm.Never {
		b.until = prewarm.Never
		c.agenda.set(entry{endHold, uint64(b.id)}, prewarm.Never)
	}
}

// gone forgets a container that was removed.
func (c *Core) gone(b *box, e *prewarm.Event) {
	delete(c.boxes, b.id)
	c.stand(b)
	c.agenda.set(entry{endHold, uint64(b.id)}, prewarm.Never)
	c.agenda.set(entry{readyDry, uint64(b.id)}, prewarm.Never)
	f := c.functions[b.function]
	delete(f.scale.given, b.id)
	if b.used {
		return
	}
	switch {
	case b.dry && b.outcome == dry:
		c.outcome(b, dryWasted, "")
	case b.warmed && b.ready > 0:
		f.Wasted++
		c.totals.Wasted++
		c.outcome(b, wasted, "")
		c.released(b, false)
	case b.warmed:
		c.released(b, false)
	}
}

// outcome notes what has become of a container that a decision has started.
func (c *Core) outcome(b *box, o outcome, detail string) {
	if d := c.log.get(b.decision); d != nil {
		d.change(b.outcome, o, detail)
	}
	b.outcome = o
}

// drop forgets a container that there is not.
func (c *Core) drop(id prewarm.ID) {
	c.tell(c.mirror.Warmed(c.now, id, actuator.Result{Outcome: actuator.Dry}, nil)...)
}

// short returns a duration for people.
func short(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
