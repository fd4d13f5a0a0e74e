package controller

import (
	"math"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// scale is the number of replicas of a function, on platforms that take one. What is asked for is never less than what the platform would have by
// itself, and nothing is asked for as long as the policy has not started anything.
type scale struct {
	want     int // what the policy has set, −1 if it has not
	sent     int // what was asked for last and still holds, −1 if nothing was
	base     int // how many the platform had when nothing was asked for, as far as a source says
	known    bool
	raised   bool // the policy has started some since the last command
	dirty    bool // it wants to be looked at
	renew    bool // what was asked for wants to be asked for again
	command  uint64
	starting []prewarm.ID        // containers that the next command asks for
	given    map[prewarm.ID]bool // containers that are to go, and that a source has not said to be gone
	last     source.Load
}

// replicas returns how many containers of a function the policy counts on.
func (c *Core) replicas(f *function) int { return c.fleet.Count(f.index) - len(f.scale.given) }

// floor returns how many replicas the platform would have by itself, as far as that is known.
func (c *Core) floor(f *function) int {
	n := c.alone.containers(f.index, c.now)
	if f.scale.known {
		return max(n, f.scale.base)
	}
	return max(n, 1)
}

// touch has the number of replicas of a function looked at before the core is left.
func (c *Core) touch(f *function) {
	if !f.scale.dirty {
		f.scale.dirty = true
		c.dirty = append(c.dirty, f)
	}
}

// scaleTo sets the number of replicas that the policy wants.
func (c *Core) scaleTo(d *prewarm.Decision) {
	f := c.functions[d.Function]
	n := max(d.N, 0)
	if why := c.held(f); why != "" || !c.o.Act {
		if why == "" {
			why = outcomeTexts[dry]
		}
		if f.scale.want != n {
			c.noteHeld(f, d, why)
		}
		f.scale.want = n
		return
	}
	if f.scale.want == n {
		return
	}
	f.scale.want = n
	c.note(d, 1, done, "")
	if n > c.replicas(f) {
		c.raise(f, n)
		return
	}
	c.touch(f)
	if !c.o.Platform.GiveBack {
		return
	}
	for _, is := range c.fleet.Containers(f.index, prewarm.StateIdle) {
		if b := c.boxes[is.ID]; b == nil || c.replicas(f) <= n || !c.takeAway(b) {
			break
		}
	}
}

// raise notes that there are to be n replicas at least.
func (c *Core) raise(f *function, n int) {
	f.scale.raised = true
	c.touch(f)
	if c.o.Loads {
		c.tell(c.mirror.Scaled(c.now, f.index, n+len(f.scale.given), nil)...)
		return
	}
	missing := n - c.replicas(f)
	if missing <= 0 {
		return
	}
	ids, events := c.mirror.Warm(c.now, f.index, missing, nil)
	for _, id := range ids {
		c.boxes[id] = &box{id: id, function: f.index, memory: float64(f.MemoryMB), asked: c.now, warmed: true, until: prewarm.Never, outcome: asked}
		c.stand(c.boxes[id])
	}
	f.scale.starting = append(f.scale.starting, ids...)
	c.totals.Warmups += uint64(len(ids))
	c.tell(events...)
}

// takeAway has an idle container removed, unless the platform would have it by itself, and reports whether it does.
func (c *Core) takeAway(b *box) bool {
	f := c.functions[b.function]
	if b.dry {
		c.drop(b.id)
		return true
	}
	if !c.o.Scales || !c.o.Act || c.paused || c.blocked != "" || !f.Served || f.scale.given[b.id] || c.replicas(f) <= c.floor(f) {
		return false
	}
	c.touch(f)
	if !c.o.Loads {
		c.drop(b.id)
		return true
	}
	if f.scale.given == nil {
		f.scale.given = map[prewarm.ID]bool{}
	}
	f.scale.given[b.id] = true
	return true
}

// settle decides on the commands that set numbers of replicas.
func (c *Core) settle() {
	for _, f := range c.dirty {
		f.scale.dirty = false
		c.rescale(f)
	}
	c.dirty = c.dirty[:0]
}

// rescale asks for the number of replicas that a function should have.
func (c *Core) rescale(f *function) {
	s := &f.scale
	if !c.o.Scales || !c.o.Act || c.paused || c.blocked != "" || s.command != 0 || !s.raised && s.sent < 0 {
		return
	}
	if f.retry > c.now {
		c.agenda.set(entry{renewScale, uint64(f.index)}, f.retry)
		return
	}
	floor := c.floor(f)
	target := floor
	switch {
	case !f.Served:
	case s.want >= 0:
		target = max(target, s.want)
	default:
		target = max(target, c.replicas(f))
	}
	if target == s.sent && !s.renew {
		s.raised = false
		return
	}
	command := actuator.Command{
		ID: c.nextCommand, Kind: actuator.Scale, Function: f.Name, N: target, MemoryMB: f.MemoryMB, Until: c.o.Epoch.Add(c.now + c.o.Lease), Reason: "the policy's containers",
	}
	c.nextCommand++
	s.command, s.sent, s.raised, s.renew = command.ID, target, false, false
	next := c.now + c.o.Lease/2
	if target <= floor {
		// The platform has as many by itself, or will: it is left alone.
		command.Reason, s.sent, next = "as many as the platform has by itself", -1, prewarm.Never
	}
	c.agenda.set(entry{renewScale, uint64(f.index)}, next)
	c.flight[command.ID] = flight{function: f.index, containers: s.starting, at: c.now}
	s.starting = nil
	c.commands = append(c.commands, command)
	c.record(Record{Kind: recordScaled, Function: f.Name, Command: command.ID, N: s.sent, Base: s.base, Known: s.known, At: c.now})
}

// loaded takes up what is known of a function as a whole.
func (c *Core) loaded(l *source.Load) {
	i := c.mirror.Function(l.Function)
	if i < 0 || i >= len(c.functions) {
		return
	}
	f := c.functions[i]
	s, load := &f.scale, &c.fleet.Loads[i]
	if l.Replicas >= 0 && s.sent < 0 && s.command == 0 {
		s.base, s.known = int(math.Round(l.Replicas)), true
	}
	if l.CPU >= 0 {
		load.CPU = l.CPU
	}
	if l.Queued >= 0 {
		load.Queued = int(l.Queued)
	}
	if f.Invocations == 0 { // nobody tells of single invocations
		grow(&load.Arrived, s.last.Arrived, l.Arrived)
		grow(&load.Started, s.last.Arrived, l.Arrived)
		grow(&load.Ended, s.last.Ended, l.Ended)
		grow(&load.Failed, s.last.Failed, l.Failed)
		grow(&load.Refused, s.last.Refused, l.Refused)
		if l.InFlight >= 0 {
			load.Running = int(l.InFlight)
		}
	}
	s.last = *l
}

// grow adds to a counter by how much another has grown. One that is smaller than before has started anew.
func grow(counter *uint64, before, now float64) {
	switch {
	case !(now >= 0):
	case now >= before:
		*counter += uint64(now - before)
	default:
		*counter += uint64(now)
	}
}
