package mirror

import (
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// Where an invocation is run is guessed by the platform's rule when it is announced: in the idle container that was used last, in one that is
// being started if the platform does so, or in a new one. When its run has started, or has ended, more is known, and what was believed wrongly is
// mended:
//
//   - A container id says where it is. Whoever was guessed to be there is elsewhere, and a run that was there has ended.
//   - A cold start says that no container of the function was idle when the invocation arrived: those that were believed to be are gone.
//   - A warm start says that one was idle: one that another invocation was guessed to have taken, one that was being started, one whose
//     run is long over, or one that nothing was known of. The last may be one that was believed to be busy, because the end of its run is heard of
//     later than the warm start; when it is, the two are taken to be the same.

const (
	// tolerance is by how much times may be wrong, and how long the platform takes to choose a container.
	tolerance = 20 * time.Millisecond
	// together is by how much arrivals differ at most for which it is not known which of them was first.
	together = 100 * time.Millisecond
	// longest is longer than any run, and any observation is on its way.
	longest = 24 * time.Hour
	// longestStart is longer than containers take to start: such a wait had another reason.
	longestStart = 10 * time.Minute
)

// run is what is known of a run that has started.
type run struct {
	instance    string
	temperature source.Temperature
	began       prewarm.Time
	wait, init  time.Duration // 0 if they are not known
}

// available reports whether c, which is idle, was idle already at a time.
func (c *container) available(at prewarm.Time) bool { return c.idleSince <= at+tolerance }

// guess places v, which has arrived, in the container that the platform's rule leads to.
func (m *Mirror) guess(v *invocation) {
	f := v.f
	m.counts.Guessed++
	if c := m.free(f, v.arrived, ""); c != nil {
		m.place(v, c, prewarm.Warm)
		return
	}
	if m.options.Replicas {
		return // it waits for a replica, or is refused
	}
	if m.options.Platform.Late == prewarm.TakesStarting && len(f.starting) > 0 {
		m.place(v, f.starting[0], prewarm.Late)
		return
	}
	if c := m.newContainer(f, v.arrived); c != nil {
		c.created = true
		m.place(v, c, prewarm.Cold)
	}
}

// free returns the container that takes an invocation which arrives at a time, nil if it is not one that is known. If instance is not "", it is one
// whose id is not known.
func (m *Mirror) free(f *function, at prewarm.Time, instance string) *container {
	may := func(c *container) bool {
		return c.available(at) && !c.retired && !c.leaving && (instance == "" || c.instance == "")
	}
	if m.options.Replicas {
		for _, c := range f.idle {
			if may(c) {
				return c
			}
		}
	} else {
		for i := len(f.idle) - 1; i >= 0; i-- {
			if c := f.idle[i]; may(c) {
				return c
			}
		}
	}
	if f.slots == 1 {
		return nil
	}
	return f.leastBusy(func(c *container) bool {
		return len(c.runs) < f.slots && !c.retired && !c.leaving && (instance == "" || c.instance == "")
	})
}

// leastBusy returns the container that runs the fewest invocations, of those that are ready and may be it.
func (f *function) leastBusy(may func(c *container) bool) *container {
	var best *container
	for _, c := range f.busy {
		if c.ready && (best == nil || len(c.runs) < len(best.runs)) && may(c) {
			best = c
		}
	}
	return best
}

// place gives v to c. Of a platform without arrivals, Started says so.
func (m *Mirror) place(v *invocation, c *container, start prewarm.Start) {
	v.c, v.start = c, start
	if c.takenAt = noTime; c.state == prewarm.StateIdle {
		c.takenAt, c.before = v.arrived, c.idleSince
	}
	c.runs = append(c.runs, v)
	c.uses++
	if c.state != prewarm.StateBusy {
		m.enter(c, prewarm.StateBusy)
		c.due.at = prewarm.Never
	}
	if m.options.Platform.Arrivals {
		e := m.event(prewarm.Placed, v)
		e.Start = start
		m.tell(e, v.arrived)
	}
}

// displace takes v, whose run has not started, out of the container in which it was guessed to be. That is what it was before.
func (m *Mirror) displace(v *invocation) {
	c := v.c
	m.counts.Corrected++
	e := m.event(prewarm.Displaced, v)
	e.Start = v.start
	m.tell(e, m.now)
	v.c = nil
	c.takenAt = noTime
	c.runs = without(c.runs, v)
	c.uses--
	if len(c.runs) > 0 {
		return
	}
	if c.ready {
		m.enter(c, prewarm.StateIdle)
		m.expect(c)
	} else {
		m.enter(c, prewarm.StateStarting)
		m.awaitStart(c)
	}
}

// release removes c, from which an invocation was displaced, if it was believed to be created for it, or takes no other.
func (m *Mirror) release(c *container) {
	if c.unneeded() || c.state == prewarm.StateIdle && (c.retired || c.leaving) {
		m.remove(c, m.now, prewarm.ByPlatform)
	}
}

// unneeded reports whether c is one that was believed to be created for an invocation which is not in it.
func (c *container) unneeded() bool {
	return c.state == prewarm.StateStarting && c.created
}

// again guesses anew where v is, which was displaced because another is there.
func (m *Mirror) again(v *invocation) {
	if v != nil && v.c == nil && !v.ended && !v.started && v.told {
		m.guess(v)
	}
}

// begin tells that the run of v has started, in the container where it must be.
func (m *Mirror) begin(v *invocation, r run) {
	f := v.f
	if r.wait > 0 && !v.arrivalKnown {
		v.arrived, v.arrivalKnown = r.began-r.wait, true
	}
	if !v.arrivalKnown {
		v.arrived = r.began
	}
	if r.temperature == source.Unknown && r.init > 0 {
		r.temperature = source.Cold
	}
	if m.options.Platform.Arrivals && !v.told {
		v.told = true
		m.tell(m.event(prewarm.Arrived, v), v.arrived)
	}
	guessed := v.c
	c, start := m.locate(v, r)
	if c != nil && c == guessed {
		m.bind(c, r.instance)
		m.started(v, r)
		return
	}
	var spare *container
	if guessed != nil {
		m.displace(v)
		if guessed.unneeded() {
			spare = guessed
		} else if guessed != c {
			m.release(guessed)
		}
	}
	var other *invocation
	if c != nil {
		other = m.vacate(c, r)
	}
	if start == prewarm.Cold {
		if u := m.takenFor(v, guessed, r); u != nil {
			c, other = u.c, u
			m.displace(u)
		} else {
			arrived := v.arrived
			if !v.arrivalKnown {
				arrived -= m.longStart(f)
			}
			m.noneIdle(f, arrived)
			if c = spare; c == nil {
				if c = m.newContainer(f, v.arrived); c != nil {
					c.created = true
				}
			}
			spare = nil
		}
		if c == nil { // too many, all of them busy
			m.counts.Full++
			if other != nil {
				m.again(other)
			}
			m.refuse(v)
			return
		}
	}
	m.place(v, c, start)
	m.bind(c, r.instance)
	m.started(v, r)
	if other != nil && spare != nil && spare.unneeded() {
		m.counts.Guessed++
		m.place(other, spare, prewarm.Cold)
		spare = nil
	}
	m.again(other)
	if spare != nil {
		m.release(spare)
	}
}

// started tells that the run of v has started in its container.
func (m *Mirror) started(v *invocation, r run) {
	c, f := v.c, v.f
	cold := !c.ready && v.start == prewarm.Cold
	e := m.event(prewarm.Started, v)
	e.Wait = r.wait
	if e.Wait <= 0 && v.arrivalKnown {
		e.Wait = max(r.began-v.arrived, 0)
	}
	if cold {
		if e.Init = min(r.init, e.Wait); r.init <= 0 {
			e.Init = e.Wait // at most
		}
		if v.arrivalKnown && e.Wait > 0 && e.Wait < longestStart {
			m.measureStart(f, e.Wait)
			if !m.options.Platform.Arrivals {
				m.measured = append(m.measured, StartTime{Function: f.index, Took: e.Wait})
			}
		}
	}
	v.waitNoMore()
	v.started, v.began = true, r.began
	v.assumed = r.temperature == source.Unknown
	c.lastRun = max(c.lastRun, r.began)
	m.tell(e, r.began)
	m.becomeReady(c)
	if cold {
		m.evict()
	}
	m.lookAtInvocation(v, v.began+m.longestRun(f))
}

// becomeReady notes that c is initialised.
func (m *Mirror) becomeReady(c *container) {
	if !c.ready {
		c.ready = true
		m.readyMB += m.functions[c.f.index].MemoryMB
	}
}

// locate returns the container that v is run in, and how it came to it: Cold with a nil container stands for a new one.
func (m *Mirror) locate(v *invocation, r run) (*container, prewarm.Start) {
	f, guessed := v.f, v.c
	how := func(c *container) (*container, prewarm.Start) {
		if c.ready {
			return c, prewarm.Warm
		}
		return c, prewarm.Late
	}
	if c := m.instances[r.instance]; r.instance != "" && c != nil && c.f == f {
		return how(c)
	}
	mayBe := func(c *container) bool { return c != nil && (r.instance == "" || c.instance == "") }
	if m.options.Replicas {
		if mayBe(guessed) {
			return how(guessed)
		}
		if c := m.free(f, r.began, r.instance); c != nil {
			return c, prewarm.Warm
		}
		if c := f.leastBusy(mayBe); c != nil && f.learns {
			return c, prewarm.Warm
		}
		return m.appear(v, r)
	}
	switch r.temperature {
	case source.Cold:
		if mayBe(guessed) && v.start == prewarm.Cold {
			return guessed, prewarm.Cold
		}
		return nil, prewarm.Cold
	case source.Warm:
		if mayBe(guessed) && v.start != prewarm.Cold {
			return guessed, v.start
		}
		return m.appear(v, r)
	}
	if mayBe(guessed) {
		return guessed, v.start
	}
	if c := m.free(f, v.arrived, r.instance); c != nil {
		return c, prewarm.Warm
	}
	if m.options.Platform.Late == prewarm.TakesStarting {
		for _, c := range f.starting {
			if mayBe(c) {
				return c, prewarm.Late
			}
		}
	}
	return nil, prewarm.Cold
}

// appear returns the container in which v was warm although none was believed to be idle for it.
func (m *Mirror) appear(v *invocation, r run) (*container, prewarm.Start) {
	f := v.f
	if c := m.free(f, r.began, r.instance); c != nil {
		return c, prewarm.Warm
	}
	mayBe := func(c *container) bool { return r.instance == "" || c.instance == "" }
	for i, u := range f.pending { // another that was guessed to have taken it
		if i == lookedThrough {
			break
		}
		if u != v && u.c != nil && u.start == prewarm.Warm && mayBe(u.c) && u.c.available(r.began) {
			return u.c, prewarm.Warm
		}
	}
	for _, c := range f.starting {
		if c.unneeded() || !mayBe(c) {
			continue
		}
		if m.options.Platform.Late == prewarm.TakesStarting {
			return c, prewarm.Late
		}
		if c.asked+m.usualStart(f)/2 <= r.began {
			m.idle(c, r.began)
			return c, prewarm.Warm
		}
	}
	if c := m.overdue(f, r); c != nil {
		return c, prewarm.Warm
	}
	c := m.newContainer(f, r.began)
	if c == nil {
		return nil, prewarm.Cold
	}
	m.counts.Found++
	m.appeared(c, r.began)
	if !m.options.Replicas {
		c.foundAt = r.began
		f.found = append(f.found, c)
	}
	return c, prewarm.Warm
}

// appeared tells that c, which nothing was known of, is idle.
func (m *Mirror) appeared(c *container, at prewarm.Time) {
	e := prewarm.Event{Kind: prewarm.Starting, Function: c.f.index, Container: c.id, By: prewarm.ByPlatform}
	m.tell(e, at)
	m.idle(c, at)
}

// overdue returns a container of an unknown id whose run has lasted for longer than any before, so that its end was likely lost. It is then idle.
func (m *Mirror) overdue(f *function, r run) *container {
	if f.runs.n < 8 {
		return nil
	}
	for i, c := range f.busy {
		if i == lookedThrough {
			break
		}
		if len(c.runs) != 1 || !c.runs[0].started || c.instance != "" {
			continue
		}
		if u := c.runs[0]; u.began+f.longest+tolerance < r.began {
			m.counts.Lost++
			m.finish(u, u.began+f.runs.quantile(0.5, 0), m.now, false)
			return m.free(f, r.began, r.instance)
		}
	}
	return nil
}

// mostSlots is the most invocations that a container is taken to run at once if it is not known.
const mostSlots = 1000

// vacate makes room in c for a run that is there. It returns the invocation that was guessed to be there instead, if there is one.
func (m *Mirror) vacate(c *container, r run) *invocation {
	if len(c.runs) < c.f.slots {
		return nil
	}
	if c.f.learns && len(c.runs) < mostSlots {
		c.f.slots = len(c.runs) + 1
		return nil
	}
	first := c.runs[0]
	for _, u := range c.runs {
		if !u.started {
			m.displace(u) // c stays, whatever was believed of it
			return u
		}
		if u.began < first.began {
			first = u
		}
	}
	if m.endRun(first, r.began, false); len(c.runs) == 0 {
		m.idle(c, r.began)
	}
	return nil
}

// takenFor returns an invocation for which a container was believed to be created, although it has taken the idle one in which v, which has a container
// of its own, was guessed to be: both have arrived at about the same time.
func (m *Mirror) takenFor(v *invocation, guessed *container, r run) *invocation {
	if guessed == nil || guessed.state != prewarm.StateIdle || !guessed.available(v.arrived) {
		return nil
	}
	for i, u := range v.f.pending {
		if i == lookedThrough {
			break
		}
		if u != v && u.c != nil && u.start == prewarm.Cold && len(u.c.runs) == 1 && (r.instance == "" || u.c.instance == "") && max(u.arrived-v.arrived, v.arrived-u.arrived) <= together {
			return u
		}
	}
	return nil
}

// noneIdle removes the containers that were believed to be idle when an invocation arrived that had to have one created.
func (m *Mirror) noneIdle(f *function, arrived prewarm.Time) {
	for i := len(f.idle) - 1; i >= 0; i-- {
		if c := f.idle[i]; c.idleSince+tolerance < arrived {
			m.counts.Gone++
			m.remove(c, m.now, prewarm.ByPlatform)
		}
	}
}
