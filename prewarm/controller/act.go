package controller

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/actuator/guard"
)

// Release says that some containers of a command have been used, or are gone: they do not count for limits any more.
type Release struct {
	Command uint64
	N       int
}

const (
	mostPerDecision = 64               // containers that one decision starts at most
	firstRetry      = time.Second      // after a start of a function that has failed
	lastRetry       = time.Minute      // the same after many
	relogAfter      = 10 * time.Second // decisions that are held back are shown as one if they are not further apart
)

// carryOut does what the policy has decided.
func (c *Core) carryOut(d *prewarm.Decision) {
	switch d.Action {
	case prewarm.WakePolicy:
		at := d.Until
		if at != prewarm.Never {
			at = max(at, c.now)
		}
		c.agenda.set(entry{wakePolicy, d.Key}, at)
	case prewarm.StartContainers:
		if d.Function >= 0 && d.Function < len(c.functions) && d.N > 0 {
			c.start(d, min(d.N, mostPerDecision))
		}
	case prewarm.HoldContainer:
		c.hold(d)
	case prewarm.GiveBackContainer:
		c.giveBack(d)
	case prewarm.ScaleFunction:
		if d.Function >= 0 && d.Function < len(c.functions) {
			c.scaleTo(d)
		}
	}
}

// held returns why nothing is started for a function, "" if there is no reason.
func (c *Core) held(f *function) string {
	switch {
	case c.paused:
		return "paused"
	case !f.Served:
		return f.Reason
	case !c.o.Platform.Warm:
		return "the platform cannot start containers without an invocation"
	case !c.o.Act:
		return ""
	case c.blocked != "":
		return c.blocked
	case f.retry > c.now:
		return "the last start has failed a moment ago"
	}
	return ""
}

// noteHeld writes down that a decision was not carried out. Policies ask again and again, which is shown as one.
func (c *Core) noteHeld(f *function, d *prewarm.Decision, why string) {
	if last := c.log.get(f.heldLog); last != nil && last.detail == ": "+why && c.now-last.last < relogAfter {
		last.last = c.now
		last.n = max(last.n, d.N)
		return
	}
	f.heldLog = c.note(d, d.N, held, ": "+why)
}

// note writes a decision down and returns its number.
func (c *Core) note(d *prewarm.Decision, n int, o outcome, detail string) uint64 {
	entry := decision{at: c.now, last: c.now, action: d.Action, function: d.Function, n: n, why: d.Why, detail: detail}
	if d.Why.Trace != 0 {
		entry.trace = c.mirror.TraceID(d.Why.Trace)
	}
	entry.outcomes[o] = max(n, 1)
	return c.log.add(entry)
}

// start has containers started.
func (c *Core) start(d *prewarm.Decision, n int) {
	if c.looksOn {
		return
	}
	f := c.functions[d.Function]
	if why := c.held(f); why != "" {
		c.noteHeld(f, d, why)
		return
	}
	if c.o.Intend != nil {
		c.o.Intend(d, n)
		return
	}
	c.grant(d, n, true)
}

// Grant does what the policy wanted, see Options.Intend: it starts n containers or, of a hold, renews the idle time of as many as are idle, and n at most. It returns the number of the
// command; with command false somebody else has asked the platform for that: it is only noted, and Acted tells what has become of it all the same. It returns 0, and says why in the
// state, if nothing is done.
func (c *Core) Grant(now prewarm.Time, d *prewarm.Decision, n int, command bool) uint64 {
	c.Pass(now)
	if d.Function < 0 || d.Function >= len(c.functions) {
		return 0
	}
	n = min(n, mostPerDecision)
	f := c.functions[d.Function]
	if why := c.held(f); why != "" && command {
		c.noteHeld(f, d, why)
		return 0
	}
	id := uint64(0)
	switch {
	case d.Action != prewarm.HoldContainer:
		id = c.grant(d, n, command)
	case c.o.Act:
		id = c.grantRenewal(d, n, command)
	}
	c.settle()
	return id
}

// grant has containers started, or notes that somebody else has. It returns the number of the command, 0 if there is none.
func (c *Core) grant(d *prewarm.Decision, n int, own bool) uint64 {
	f := c.functions[d.Function]
	if c.o.Loads && c.o.Act {
		c.note(d, n, asked, "")
		c.raise(f, c.replicas(f)+n)
		return 0
	}
	there, idle := c.replicas(f), len(c.fleet.Containers(d.Function, prewarm.StateIdle))
	ids, events := c.mirror.Warm(c.now, d.Function, n, nil)
	if len(ids) == 0 {
		c.noteHeld(f, d, "there are too many containers to follow")
		return 0
	}
	number := uint64(0)
	o := asked
	if !c.o.Act {
		o = dry
	}
	id := c.note(d, len(ids), o, "")
	for _, container := range ids {
		c.boxes[container] = &box{
			id: container, function: d.Function, memory: float64(f.MemoryMB), asked: c.now, warmed: c.o.Act, dry: !c.o.Act, until: prewarm.Never, idleFrom: prewarm.Never, decision: id, outcome: o,
		}
		c.stand(c.boxes[container])
	}
	switch {
	case !c.o.Act:
		f.imagined = true
		for _, container := range ids {
			c.agenda.set(entry{readyDry, uint64(container)}, c.now+c.drawStart(d.Function))
		}
	case c.o.Scales:
		f.scale.raised = true
		c.touch(f)
		f.scale.starting = append(f.scale.starting, ids...)
		c.totals.Warmups += uint64(len(ids))
	default:
		command := actuator.Command{
			ID: c.nextCommand, Kind: actuator.Warm, Function: f.Name, N: len(ids), MemoryMB: f.MemoryMB, Until: c.o.Epoch.Add(c.now + c.alone.timeout), Reason: c.reason(d),
			There: there, Idle: idle,
		}
		c.nextCommand++
		number = command.ID
		c.flight[command.ID] = flight{function: d.Function, containers: ids, at: c.now, noted: !own}
		if !own {
			break
		}
		for _, container := range ids {
			c.boxes[container].command = command.ID
		}
		c.totals.Warmups += uint64(len(ids))
		c.commands = append(c.commands, command)
		c.record(Record{Kind: recordAsked, Function: f.Name, Command: command.ID, Decision: id, At: c.now, N: len(ids), Containers: ids})
	}
	c.tell(events...)
	return number
}

// reason returns in words why something is decided.
func (c *Core) reason(d *prewarm.Decision) string {
	text := d.Why.Rule
	if d.Why.Probability > 0 {
		text += fmt.Sprintf(", probability %.2f", d.Why.Probability)
	}
	if d.Why.Demand > c.now && d.Why.Demand != prewarm.Never {
		text += fmt.Sprintf(", in %s", short(d.Why.Demand-c.now))
	}
	return text
}

// drawStart returns a start time for a container that is only imagined: the measured ones in turn, so that their distribution stays as it is.
func (c *Core) drawStart(function int) time.Duration {
	const golden = 0.6180339887498949
	c.draws++
	q := float64(c.draws) * golden
	return c.starts.Quantile(function, c.fleet.Creating(), q-float64(int(q)), c.o.StartTime)
}

// Acted tells the core what has become of a command: a result for each container that it had asked for, one for Scale.
func (c *Core) Acted(now prewarm.Time, command uint64, results []actuator.Result) {
	c.Pass(now)
	flight, ok := c.flight[command]
	if !ok {
		return
	}
	delete(c.flight, command)
	f := c.functions[flight.function]
	if flight.renewal {
		c.renewed(f, command, &flight, results)
	} else if f.scale.command == command {
		f.scale.command = 0
		r := resultOf(results, 0)
		if r.Outcome == actuator.Failed || r.Outcome == actuator.Held {
			c.failed(f, r)
			f.scale.sent = -1
			c.agenda.set(entry{renewScale, uint64(f.index)}, f.retry)
		} else {
			f.failures, f.retry = 0, 0
		}
		for _, id := range flight.containers {
			c.warmed(id, r)
		}
	} else {
		for i, id := range flight.containers {
			r := resultOf(results, i)
			if stands := r.Outcome == actuator.Created || r.Outcome == actuator.Unknown || r.Outcome == actuator.Dry; stands && slices.Contains(flight.gone, id) {
				c.releases = append(c.releases, Release{command, 1})
			}
			if flight.noted && r.Outcome == actuator.Held {
				c.notStarted(id, r)
			} else {
				c.warmed(id, r)
			}
		}
	}
	c.settle()
}

func resultOf(results []actuator.Result, i int) actuator.Result {
	if i < len(results) {
		return results[i]
	}
	return actuator.Result{Outcome: actuator.Unknown}
}

// warmed notes what has become of a container that was asked for.
func (c *Core) warmed(id prewarm.ID, r actuator.Result) {
	b := c.boxes[id]
	if b == nil {
		return
	}
	f := c.functions[b.function]
	detail := ""
	if r.Err != nil {
		detail = ": " + r.Err.Error()
	}
	switch {
	case b.dry:
	case b.used: // an invocation was faster
	case r.Outcome == actuator.Created:
		c.outcome(b, created, "")
		f.failures, f.retry = 0, 0
	case r.Outcome == actuator.Collapsed:
		c.totals.Collapsed++
		c.outcome(b, collapsed, "")
		f.retry = c.now + firstRetry
	case r.Outcome == actuator.Unknown:
		c.outcome(b, unknown, "")
	case r.Outcome == actuator.Dry:
		c.outcome(b, dry, "")
	case r.Outcome == actuator.Held:
		c.totals.Warmups--
		c.outcome(b, held, detail)
		c.failed(f, r)
	default:
		c.totals.Failed++
		c.outcome(b, failed, detail)
		c.failed(f, r)
	}
	if b.command != 0 {
		c.record(Record{Kind: recordResult, Command: b.command, Outcome: r.Outcome, Instance: r.Instance, At: c.now, Containers: []prewarm.ID{b.id}})
		if r.Outcome != actuator.Created && r.Outcome != actuator.Unknown && r.Outcome != actuator.Dry {
			b.command = 0 // limits do not count it any more, and another release would be one of the others of the command
		}
	}
	c.tell(c.mirror.Warmed(c.now, id, r, nil)...)
}

// notStarted notes that somebody else has not had a container started that it had asked for: it was not counted, and what held it back there holds nothing back here.
func (c *Core) notStarted(id prewarm.ID, r actuator.Result) {
	if b := c.boxes[id]; b != nil {
		if !b.used {
			c.outcome(b, held, "")
		}
		c.tell(c.mirror.Warmed(c.now, id, r, nil)...)
	}
}

// failed has nothing started for a function for a moment, which is longer the more often in a row it has failed.
func (c *Core) failed(f *function, r actuator.Result) {
	if f.retry > c.now {
		return // others of the same command
	}
	wait := lastRetry
	if f.failures < 6 {
		wait = firstRetry << f.failures
	}
	if r.Outcome == actuator.Held {
		wait = firstRetry
	} else {
		if f.failures++; f.failures&(f.failures-1) == 0 && r.Err != nil && !errors.Is(r.Err, guard.ErrClosed) { // without an error it is somebody else's, who has said so
			c.o.Log.Warn("a start has failed", "function", f.Name, "error", r.Err, "in_a_row", f.failures, "again_after", wait)
		}
	}
	f.retry = c.now + wait
}

// released notes that a container does not count for limits any more: it was used, or is gone. While its command is in flight it counts, see guard.Guard: its result says whether
// it is one of those that stand then.
func (c *Core) released(b *box, used bool) {
	if b.command != 0 {
		if f, flying := c.flight[b.command]; flying {
			f.gone = append(f.gone, b.id)
			c.flight[b.command] = f
		} else {
			c.releases = append(c.releases, Release{b.command, 1})
		}
		c.record(Record{Kind: recordReleased, Command: b.command, At: c.now, Containers: []prewarm.ID{b.id}, Used: used})
		b.command = 0
	}
}

// Pause has nothing started any more, until Resume.
func (c *Core) Pause(now prewarm.Time) {
	c.Pass(now)
	c.paused = true
	c.record(Record{Kind: recordPaused, Paused: true, At: c.now})
	c.dropDry()
	c.settle()
}

// dropDry forgets the containers that are only imagined.
func (c *Core) dropDry() {
	var ids []prewarm.ID
	for id, b := range c.boxes {
		if b.dry {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		c.drop(id)
	}
}

// Resume ends a pause.
func (c *Core) Resume(now prewarm.Time) {
	c.Pass(now)
	c.paused = false
	c.record(Record{Kind: recordPaused, At: c.now})
	c.settle()
}

// Block has nothing started while there is a reason, such as that the state cannot be written.
func (c *Core) Block(reason string) {
	switch {
	case (reason == "") == (c.blocked == ""):
	case reason == "":
		c.o.Log.Info("starts are possible again")
	default:
		c.o.Log.Error("nothing is started", "reason", reason)
	}
	c.blocked = reason
}

// hold keeps an idle container until a time, where the platform can.
func (c *Core) hold(d *prewarm.Decision) {
	b := c.boxes[d.Container]
	if b == nil {
		return
	}
	if c.o.Platform.Renews() {
		c.renewals.Hold(d.Container, d.Until)
		c.functions[d.Function].renewFor = *d
		c.lookAtRenewals(c.functions[d.Function])
		return
	}
	if !c.o.Platform.Hold {
		return
	}
	b.until = d.Until
	c.agenda.set(entry{endHold, uint64(b.id)}, d.Until)
}

// holdEnded gives back a container whose hold has ended.
func (c *Core) holdEnded(id prewarm.ID) {
	b, is := c.boxes[id], c.fleet.Container(id)
	if b == nil || is == nil || is.State != prewarm.StateIdle {
		return
	}
	b.until = prewarm.Never
	c.takeAway(b)
}

// giveBack gives back an idle container, where the platform can.
func (c *Core) giveBack(d *prewarm.Decision) {
	b, is := c.boxes[d.Container], c.fleet.Container(d.Container)
	c.renewals.End(d.Container)
	if b == nil || is == nil || is.State != prewarm.StateIdle || !c.o.Platform.GiveBack {
		return
	}
	if c.takeAway(b) && !b.dry {
		c.note(d, 1, done, "")
	}
}
