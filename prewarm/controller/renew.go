package controller

import (
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
)

// lookAtRenewals has the idle time of a function's containers renewed if they are to be held and would be removed otherwise.
func (c *Core) lookAtRenewals(f *function) {
	due, next := c.renewals.Due(f.index, c.fleet, c.now)
	if due && f.renewing > c.now { // it is under way, or was tried and has failed: they go
		due, next = false, f.renewing
	}
	if due {
		if c.renew(f); f.intended {
			next = f.renewing
		}
	}
	c.agenda.set(entry{renewIdle, uint64(f.index)}, next)
}

// intendedAgain is after how long somebody else is told again of a renewal that has not come to anything, see Options.Intend.
const intendedAgain = 500 * time.Millisecond

// renew has the idle time of all idle containers of a function renewed.
func (c *Core) renew(f *function) {
	d := f.renewFor
	if c.looksOn {
		f.renewing, f.intended = c.now+intendedAgain, true
		return
	}
	f.renewing = c.now + 2*c.o.Platform.RenewLead()
	if why := c.held(f); why != "" {
		c.noteHeld(f, &d, why)
		return
	}
	n := min(len(c.idleOf(f)), mostPerDecision)
	switch {
	case n == 0:
	case !c.o.Act:
		c.note(&d, n, dry, "")
	case c.o.Intend == nil:
		c.grantRenewal(&d, n, true)
	case c.isRenewing(f): // somebody is yet to say what has become of it
	default:
		f.renewing, f.intended = c.now+intendedAgain, true
		c.o.Intend(&d, n)
	}
}

// idleOf returns the idle containers of a function that there are in fact.
func (c *Core) idleOf(f *function) (ids []prewarm.ID) {
	for _, is := range c.fleet.Containers(f.index, prewarm.StateIdle) {
		if b := c.boxes[is.ID]; b != nil && !b.dry {
			ids = append(ids, is.ID)
		}
	}
	return ids
}

// isRenewing reports whether it is not known yet what has become of a renewal of a function.
func (c *Core) isRenewing(f *function) bool {
	for _, flight := range c.flight {
		if flight.renewal && flight.function == f.index {
			return true
		}
	}
	return false
}

// LookOn has the core only follow what happens, and want nothing started or renewed, as long as it is on: somebody else decides, or has decided.
func (c *Core) LookOn(on bool) { c.looksOn = on }

// notRenewing returns those of containers of a function that no renewal under way is to keep.
func (c *Core) notRenewing(f *function, ids []prewarm.ID) []prewarm.ID {
	return slices.DeleteFunc(slices.Clone(ids), func(id prewarm.ID) bool {
		for _, flight := range c.flight {
			if flight.renewal && flight.function == f.index && slices.Contains(flight.containers, id) {
				return true
			}
		}
		return false
	})
}

// RenewAgain looks anew at renewals that Options.Intend was told of, or that were due while the core looked on, and that came to nothing.
func (c *Core) RenewAgain(now prewarm.Time) {
	c.Pass(now)
	for _, f := range c.functions {
		if f.intended {
			f.renewing, f.intended = 0, false
			c.lookAtRenewals(f)
		}
	}
	c.settle()
}

// grantRenewal has the idle time of n idle containers renewed, or of fewer if fewer are idle, or notes that somebody else has. It returns the number of the command, 0 if there is
// none: if that is not due any more.
func (c *Core) grantRenewal(d *prewarm.Decision, n int, own bool) uint64 {
	f := c.functions[d.Function]
	if due, _ := c.renewals.Due(f.index, c.fleet, c.now); own && !due { // it was used meanwhile
		return 0
	}
	f.renewing, f.intended = c.now+2*c.o.Platform.RenewLead(), false
	ids := c.idleOf(f)
	ids = ids[:min(len(ids), n)]
	command := actuator.Command{
		ID: c.nextCommand, Kind: actuator.Renew, Function: f.Name, N: len(ids), MemoryMB: f.MemoryMB, Until: c.o.Epoch.Add(c.now + c.alone.timeout), Reason: c.reason(d),
		There: c.replicas(f), Idle: len(ids),
	}
	c.nextCommand++
	c.flight[command.ID] = flight{function: f.index, containers: ids, at: c.now, renewal: true, noted: !own, decision: c.note(d, n, asked, "")}
	for _, id := range ids {
		b := c.boxes[id]
		c.endRenewal(b)
		if own {
			b.renewal = command.ID
		}
		c.keep(b, true)
	}
	if own {
		c.commands = append(c.commands, command)
	}
	c.tell(c.mirror.Renewing(c.now, ids, nil)...)
	return command.ID
}

// renewed notes what has become of a renewal.
func (c *Core) renewed(f *function, command uint64, flight *flight, results []actuator.Result) {
	n := len(flight.containers)
	if flight.noted { // who has asked for it knows of how many
		n = max(n, min(len(results), mostPerDecision))
	}
	list := make([]actuator.Result, n)
	c.totals.Renewals += uint64(len(list))
	d := c.log.get(flight.decision)
	found, missed, vain, notTried := false, false, 0, 0
	stands := 0 // that limits count of the command, see guard.Guard
	for i := range list {
		list[i] = resultOf(results, i)
		r := &list[i]
		if r.Outcome != actuator.Failed && r.Outcome != actuator.Held {
			stands++
		}
		to, detail := renewed, ""
		switch r.Outcome {
		case actuator.Collapsed:
			found = true
		case actuator.Unknown:
			to = unknown
		case actuator.Created:
			to, missed = created, true
			vain++
		default:
			to = failed
			if r.Outcome == actuator.Held {
				to = held
				notTried++
			}
			if r.Err != nil {
				detail = ": " + r.Err.Error()
			}
			vain++
		}
		if d != nil {
			d.change(asked, to, detail)
		}
	}
	c.totals.RenewalsFailed += uint64(vain)
	switch {
	case missed: // though some were found
		c.missedRenewal(f)
	case found:
		f.renewMiss = 0
	}
	containers := flight.containers
	if !found && !missed {
		containers = c.notRenewing(f, containers)
	}
	events := c.mirror.Renewed(c.now, f.index, containers, list, nil)
	var ids []prewarm.ID
	for i := range events {
		if events[i].Kind == prewarm.Renewed {
			ids = append(ids, events[i].Container)
			if b := c.boxes[events[i].Container]; b != nil {
				b.renewals++
			}
		}
	}
	for _, id := range containers {
		b := c.boxes[id]
		if b != nil && b.kept && !slices.Contains(ids, id) {
			c.keep(b, false)
		}
		switch {
		case b == nil || b.renewal != command: // it was released
			stands--
		case slices.Contains(ids, id):
			stands--
		default:
			b.renewal = 0
		}
	}
	c.record(Record{Kind: recordRenewed, Function: f.Name, Command: command, At: c.now, N: len(list), Vain: vain, Containers: ids})
	c.tell(events...)
	for i := range events {
		if e := &events[i]; e.Kind == prewarm.Starting {
			if b := c.boxes[e.Container]; b != nil && b.idleFrom != prewarm.Never && b.command == 0 && !flight.noted {
				b.renewal = command
				stands--
			}
		}
	}
	if stands > 0 && !flight.noted {
		c.releases = append(c.releases, Release{command, stands})
	}
	if flight.noted && notTried == len(list) && len(list) > 0 { // whoever wanted it has not had it done
		f.renewing, f.intended = c.now, true
		c.lookAtRenewals(f)
	}
}

// missedRenewal notes that a renewal has found fewer containers idle than were taken to be. Where that is always so, the platform removes them sooner than was said, or has
// renewals run beside each other, and each makes containers that nobody needs: then they are renewed more and more rarely.
func (c *Core) missedRenewal(f *function) {
	const few, most = 2, 6
	f.renewMiss++
	if f.renewMiss <= few {
		return
	}
	wait := c.alone.timeout << min(f.renewMiss-few, most)
	f.renewing = c.now + wait
	if n := f.renewMiss - few; n&(n-1) == 0 {
		c.o.Log.Warn("renewals make containers, as fewer are idle than was thought: does the platform remove them sooner than it is said to?", "function", f.Name, "idle_timeout", c.alone.timeout, "in_a_row", f.renewMiss, "again_after", wait)
	}
}

// endRenewal notes that a container whose idle time was renewed does not count for limits any more.
func (c *Core) endRenewal(b *box) {
	if b.renewal != 0 {
		c.releases = append(c.releases, Release{b.renewal, 1})
		b.renewal = 0
	}
}

// followIdle follows for how long a container is idle, and whether it is to be held, once the fleet has an event; is is nil if it is gone.
func (c *Core) followIdle(b *box, is *prewarm.Container, e *prewarm.Event) {
	idle := is != nil && is.State == prewarm.StateIdle
	switch {
	case idle && b.idleFrom == prewarm.Never:
		b.idleFrom = e.At
	case !idle && b.idleFrom != prewarm.Never:
		c.kept += c.keptBy(b, e.At)
		b.idleFrom = prewarm.Never
		c.endRenewal(b)
		c.keep(b, false)
		if is == nil {
			c.renewals.Removed(b.id, b.function, c.fleet)
		} else {
			c.renewals.End(b.id)
		}
	}
	if f := c.functions[b.function]; c.o.Platform.Renews() && (f.renewFor.Container != 0) {
		c.lookAtRenewals(f)
	}
}

// keptBy returns the MB·s of a container until now that it has been idle for beyond the platform's idle timeout.
func (c *Core) keptBy(b *box, now prewarm.Time) float64 {
	if b.dry || b.idleFrom == prewarm.Never || !c.o.Platform.Renews() {
		return 0
	}
	return b.memory * max(now-b.idleFrom-c.o.Platform.IdleTimeout, 0).Seconds()
}
