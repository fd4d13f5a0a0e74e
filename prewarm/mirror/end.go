package mirror

import (
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// evict removes idle containers for which there is no memory any more, because others were created.
func (m *Mirror) evict() {
	for limit := m.options.Platform.MemoryMB; limit > 0 && m.readyMB > limit; {
		c := m.leastRecentlyUsed()
		if c == nil {
			return
		}
		m.remove(c, m.now, prewarm.ByEviction)
	}
}

// finish tells that the run of v has ended at a time, and what becomes of its container. The events are those of a later time, if the end is only
// thought to have been.
func (m *Mirror) finish(v *invocation, at, told prewarm.Time, failed bool) {
	c := v.c
	m.endRun(v, told, failed)
	switch {
	case len(c.runs) > 0:
	case c.retired || c.leaving || c.phantom || m.isFound(c, at):
		m.remove(c, at, prewarm.ByPlatform)
	default:
		m.idle(c, m.reorder(c, at))
	}
}

// reorder returns since when c is idle, whose run has ended at a time. Where an invocation that arrived later was guessed to have taken one that had been
// idle for longer, because the end was not heard of yet, it has taken c, and the other is still idle: of two whose ids are not known, that makes
// no difference but to how long they have been idle.
func (m *Mirror) reorder(c *container, end prewarm.Time) prewarm.Time {
	if c.instance != "" || m.options.Replicas {
		return end
	}
	for {
		var taken *container
		look := func(containers []*container) {
			for i := len(containers) - 1; i >= 0 && i >= len(containers)-lookedThrough; i-- {
				k := containers[i]
				if k != c && k.instance == "" && k.takenAt >= end && k.before < end && (taken == nil || k.takenAt < taken.takenAt) {
					taken = k
				}
			}
		}
		look(c.f.idle)
		look(c.f.busy)
		if taken == nil {
			return end
		}
		c.takenAt = noTime
		taken.before, end = end, taken.before
	}
}

// endRun tells that the run of v has ended.
func (m *Mirror) endRun(v *invocation, at prewarm.Time, failed bool) {
	e := m.event(prewarm.Ended, v)
	e.Failed = failed
	m.tell(e, at)
	v.endedAt = at
	m.over(v)
	v.c.runs = without(v.c.runs, v)
	v.was, v.c = v.c.id, nil
}

// isFound reports whether c, whose run has ended at a time, is one that a later warm start has shown, so that the two are the same.
func (m *Mirror) isFound(c *container, end prewarm.Time) bool {
	for _, k := range c.f.found {
		if k == c || k.foundAt+tolerance < end || k.instance != "" && c.instance != "" {
			continue
		}
		if c.instance != "" {
			instance := c.instance
			delete(m.instances, instance)
			c.instance = ""
			m.bind(k, instance)
		}
		k.warmed = k.warmed || c.warmed
		k.foundAt = noTime
		c.f.found = without(c.f.found, k)
		return true
	}
	return false
}

// idle tells that c is idle, since a time.
func (m *Mirror) idle(c *container, at prewarm.Time) {
	m.becomeReady(c)
	c.idleSince, c.usual = at, false
	m.enter(c, prewarm.StateIdle)
	m.tell(prewarm.Event{Kind: prewarm.Idle, Function: c.f.index, Container: c.id}, at)
	m.expect(c)
}

// expect sets when the platform removes c, which is idle.
func (m *Mirror) expect(c *container) {
	if m.options.Replicas {
		m.lookAt(c, prewarm.Never)
		return
	}
	m.lookAt(c, c.idleSince+m.idleTimeout)
}

// remove tells that c, in which nothing runs, is gone.
func (m *Mirror) remove(c *container, at prewarm.Time, by prewarm.By) {
	m.tell(prewarm.Event{Kind: prewarm.Removed, Function: c.f.index, Container: c.id, By: by}, at)
	m.drop(c)
}

// refuse tells that v was not run.
func (m *Mirror) refuse(v *invocation) {
	if c := v.c; c != nil {
		m.displace(v)
		m.release(c)
	}
	if v.told {
		m.tell(m.event(prewarm.Refused, v), m.now)
	}
	v.refused = true
	m.over(v)
}

// waitedEnough ends v, of which nothing was heard for long.
func (m *Mirror) waitedEnough(v *invocation) {
	f := v.f
	switch {
	case v.ended:
	case !v.started:
		m.counts.Silent++
		m.refuse(v)
	default:
		if end := m.lastUntil(v); end > m.now {
			m.lookAtInvocation(v, end)
			return
		}
		m.counts.Lost++
		m.finish(v, min(v.began+f.runs.quantile(0.5, 0), m.now), m.now, false)
	}
}

// timeOut does what is due for c.
func (m *Mirror) timeOut(c *container, at prewarm.Time) {
	switch {
	case c.state == prewarm.StateIdle:
		m.remove(c, at, prewarm.ByPlatform)
	case c.state == prewarm.StateStarting && c.usual:
		m.idle(c, at)
	case c.state == prewarm.StateStarting && m.options.Replicas:
		// ObserveLoad says what becomes of it.
	case c.state == prewarm.StateStarting:
		m.remove(c, at, prewarm.ByPlatform)
	}
}

// awaitStart sets until when c may be starting for nobody.
func (m *Mirror) awaitStart(c *container) {
	if c.usual {
		m.lookAt(c, max(c.asked+m.usualStart(c.f), m.now))
		return
	}
	m.lookAt(c, m.now+max(10*m.usualStart(c.f), m.limits.Silence))
}

// enoughRuns is the number of runs from which on it is known how long they last.
const enoughRuns = 16

// longestRun returns for how long the end of a run of f is waited for.
func (m *Mirror) longestRun(f *function) time.Duration {
	d := 10 * f.longest
	if f.runs.n < enoughRuns {
		d = max(d, m.limits.Run)
	}
	return min(max(d, time.Minute), longest)
}

// late is for how long after a restart what was sent before it may still come.
const late = 10 * time.Second

// lastUntil returns until when the end of the run of v is waited for. Of one that was running before a restart it may have been told to nobody.
func (m *Mirror) lastUntil(v *invocation) prewarm.Time {
	end := v.began + m.longestRun(v.f)
	if v.restored && v.f.runs.n >= enoughRuns {
		end = min(end, max(v.began+2*v.f.longest, m.begunAt+late))
	}
	return end
}

// wasWarm takes it that v, which is believed to have had a container created for it, was warm: there is no such container.
func (m *Mirror) wasWarm(v *invocation) {
	if v.start != prewarm.Cold || !v.assumed {
		return
	}
	v.assumed = false
	if c := v.c; c != nil {
		c.phantom = c.instance == ""
		return
	}
	if c := m.containers[v.was]; c != nil && c.f == v.f && c.state == prewarm.StateIdle && c.uses == 1 && c.instance == "" {
		m.remove(c, m.now, prewarm.ByPlatform)
	}
}
