package mirror

import (
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// Warm notes that n containers of a function were asked for. Their numbers are ids; fewer than n if there are too many containers.
func (m *Mirror) Warm(now prewarm.Time, function, n int, events []prewarm.Event) (ids []prewarm.ID, _ []prewarm.Event) {
	m.enterCall(now, events)
	if function >= 0 && function < len(m.byIndex) {
		for range n {
			c := m.startFor(m.byIndex[function], prewarm.ByPolicy)
			if c == nil {
				break
			}
			c.warmed = true
			ids = append(ids, c.id)
		}
	}
	return ids, m.leaveCall()
}

// startFor adds a container that is started for nobody, nil if there are too many.
func (m *Mirror) startFor(f *function, by prewarm.By) *container {
	c := m.newContainer(f, m.now)
	if c == nil {
		return nil
	}
	c.by = by
	m.tell(prewarm.Event{Kind: prewarm.Starting, Function: f.index, Container: c.id, By: by}, m.now)
	m.awaitStart(c)
	return c
}

// Warmed notes what has become of a container that was asked for.
func (m *Mirror) Warmed(now prewarm.Time, id prewarm.ID, r actuator.Result, events []prewarm.Event) []prewarm.Event {
	m.enterCall(now, events)
	if c := m.containers[id]; c != nil && c.warmed {
		m.warmed(c, r)
	}
	return m.leaveCall()
}

func (m *Mirror) warmed(c *container, r actuator.Result) {
	if len(r.Instance) > m.limits.Length {
		r.Instance = ""
	}
	f := c.f
	ready := m.now
	if !r.Ready.IsZero() {
		ready = min(max(since(m.epoch, r.Ready), c.asked), m.now)
	}
	switch r.Outcome {
	case actuator.Created:
		if took := r.Ready.Sub(r.Asked); !r.Asked.IsZero() && took > 0 && took < longestStart {
			m.measureStart(f, took)
		}
		if z := m.instances[r.Instance]; r.Instance != "" && z != nil && z != c && z.f == f {
			z.warmed = true // it has taken an invocation before the result came
			m.unmake(c)
			return
		}
		m.bind(c, r.Instance)
		if c.state == prewarm.StateStarting {
			m.idle(c, ready)
			m.evict()
		}
	case actuator.Unknown:
		m.bind(c, r.Instance)
		c.usual = !c.ready
		if c.state == prewarm.StateStarting {
			m.awaitStart(c)
		}
	case actuator.Collapsed:
		m.unmake(c)
		m.refreshed(f, r.Instance, ready, ready)
	default:
		m.unmake(c)
	}
}

// unmake removes c, which was not made. If an invocation is guessed to be in it, that is elsewhere; if one has run there it was made after all.
func (m *Mirror) unmake(c *container) {
	if c.state == prewarm.StateBusy {
		for _, v := range c.runs {
			if v.started {
				return
			}
		}
		for _, v := range slices.Clone(c.runs) {
			m.displace(v)
			defer m.again(v)
		}
	}
	if c.uses == 0 {
		m.remove(c, m.now, prewarm.ByPlatform)
	}
}

// refreshed notes that a container of a function was idle at a time, and has been used from then on for an instant, until it is idle again.
func (m *Mirror) refreshed(f *function, instance string, asked, at prewarm.Time) {
	c := m.instances[instance]
	if instance != "" && c != nil && c.f != f {
		return
	}
	if instance != "" && c == nil || instance == "" {
		c = m.free(f, at, instance)
	}
	switch {
	case c == nil && instance == "" && f.containers() > 0:
		return // one of those that are believed to be busy
	case c == nil:
		if c = m.newContainer(f, at); c == nil {
			return
		}
		m.counts.Found++
		m.appeared(c, at)
	case c.state == prewarm.StateStarting:
		m.idle(c, at)
	case c.state == prewarm.StateBusy && len(c.runs) == c.f.slots:
		for _, v := range slices.Clone(c.runs) {
			if v.started && v.began < asked {
				m.finish(v, at, at, false) // its end is yet to be heard of
			}
		}
	}
	if m.containers[c.id] != c {
		return
	}
	m.bind(c, instance)
	c.lastRun = max(c.lastRun, at)
	m.idleAnew(c, at)
}

// idleAnew notes that the idle time of c has begun anew at a time, if it is idle.
func (m *Mirror) idleAnew(c *container, at prewarm.Time) {
	if c.state != prewarm.StateIdle {
		return
	}
	if at > c.idleSince {
		c.idleSince = at
		m.enter(c, prewarm.StateIdle)
		m.tell(prewarm.Event{Kind: prewarm.Renewed, Function: c.f.index, Container: c.id}, at)
	}
	m.expect(c)
}

// Renewing notes that the idle time of containers is being renewed: they are taken to be there until Renewed says what has become of that, but not for longer
// than a renewal takes.
func (m *Mirror) Renewing(now prewarm.Time, ids []prewarm.ID, events []prewarm.Event) []prewarm.Event {
	m.enterCall(now, events)
	for _, id := range ids {
		if c := m.containers[id]; c != nil && c.state == prewarm.StateIdle && !m.options.Replicas {
			m.lookAt(c, max(c.due.at, m.now+longestRenewal))
		}
	}
	return m.leaveCall()
}

// longestRenewal is how long the answer to a renewal is waited for before a container is taken to be gone.
const longestRenewal = 2 * time.Second

// Renewed notes what has become of the renewal of containers of a function: results in any order. A container that was made instead of one that was idle is a new one.
func (m *Mirror) Renewed(now prewarm.Time, function int, ids []prewarm.ID, results []actuator.Result, events []prewarm.Event) []prewarm.Event {
	m.enterCall(now, events)
	if function >= 0 && function < len(m.byIndex) {
		m.renewed(m.byIndex[function], ids, results)
	}
	return m.leaveCall()
}

func (m *Mirror) renewed(f *function, ids []prewarm.ID, results []actuator.Result) {
	left := make([]*container, 0, len(ids)) // of which nothing was said
	for _, id := range ids {
		if c := m.containers[id]; c != nil && c.f == f {
			left = append(left, c)
		}
	}
	moment := func(t time.Time) prewarm.Time {
		if t.IsZero() {
			return m.now
		}
		return min(since(m.epoch, t), m.now)
	}
	known := func(r *actuator.Result) *container {
		if c := m.instances[r.Instance]; r.Instance != "" && len(r.Instance) <= m.limits.Length && c != nil && c.f == f {
			return c
		}
		return nil
	}
	none := false // was idle
	var unknown []*actuator.Result
	for i := range results {
		r := &results[i]
		switch c := known(r); {
		case r.Outcome == actuator.Created:
			none = true
			if c := m.startFor(f, prewarm.ByPolicy); c != nil {
				c.warmed = true
				m.warmed(c, *r)
			}
		case r.Outcome != actuator.Collapsed:
		case c != nil:
			left = without(left, c)
			m.refreshed(f, r.Instance, moment(r.Asked), moment(r.Ready))
		default:
			unknown = append(unknown, r)
		}
	}
	for _, r := range unknown {
		i := slices.IndexFunc(left, func(c *container) bool {
			return c.state == prewarm.StateIdle && (c.instance == "" || r.Instance == "" || len(r.Instance) > m.limits.Length)
		})
		if i < 0 {
			if r.Instance != "" && len(r.Instance) <= m.limits.Length { // it was taken to be gone
				m.refreshed(f, r.Instance, moment(r.Asked), moment(r.Ready))
			}
			continue
		}
		c := left[i]
		left = slices.Delete(left, i, i+1)
		if len(r.Instance) <= m.limits.Length {
			m.bind(c, r.Instance)
		}
		m.idleAnew(c, moment(r.Ready))
	}
	for _, c := range left {
		switch {
		case c.state != prewarm.StateIdle:
		case none:
			m.counts.Gone++
			m.remove(c, m.now, prewarm.ByPlatform)
		default: // it goes as it would have gone
			m.expect(c)
		}
	}
}

// Scaled notes that a number of replicas was asked for: those that are missing are starting. Those that are too many stay until ObserveLoad says
// that they are gone.
func (m *Mirror) Scaled(now prewarm.Time, function, replicas int, events []prewarm.Event) []prewarm.Event {
	m.enterCall(now, events)
	if function >= 0 && function < len(m.byIndex) {
		f := m.byIndex[function]
		for f.staying() < replicas && m.startFor(f, prewarm.ByPolicy) != nil {
		}
	}
	return m.leaveCall()
}

// staying returns how many containers there are that are not leaving.
func (f *function) staying() int {
	n := f.containers()
	for _, c := range f.busy {
		if c.leaving {
			n--
		}
	}
	return n
}

// ObserveLoad takes the number of replicas of a function, and appends what it means to events. It does so only if Options.Replicas is set.
func (m *Mirror) ObserveLoad(now prewarm.Time, l *source.Load, events []prewarm.Event) ([]prewarm.Event, error) {
	m.enterCall(now, events)
	err := m.observeLoad(l)
	return m.leaveCall(), err
}

func (m *Mirror) observeLoad(l *source.Load) error {
	if l.Function == "" || len(l.Function) > m.limits.Length {
		m.counts.Invalid++
		return ErrInvalid
	}
	m.counts.Observations++
	f := m.function(l.Function)
	if f == nil {
		m.counts.Full++
		return ErrFull
	}
	if !m.options.Replicas {
		return nil
	}
	replicas, ready := l.Replicas, l.Ready
	if !(replicas >= 0) {
		replicas = ready
	}
	if !(replicas >= 0) {
		return nil
	}
	n := int(min(replicas, float64(m.limits.Containers)))
	for f.staying() < n && m.startFor(f, prewarm.ByPlatform) != nil {
	}
	if ready >= 0 {
		k := int(min(ready, float64(n)))
		for len(f.starting) > 0 && f.staying()-len(f.starting) < k {
			m.idle(f.starting[0], m.now)
		}
	}
	for excess := f.staying() - n; excess > 0; excess-- {
		m.shrink(f)
	}
	return nil
}

// shrink removes a replica: one that is starting, the idle one that was used longest ago, or a busy one, which leaves when its runs have ended.
func (m *Mirror) shrink(f *function) {
	if k := len(f.starting); k > 0 {
		m.remove(f.starting[k-1], m.now, prewarm.ByPlatform)
		return
	}
	var c *container
	for _, k := range f.idle {
		if c == nil || k.lastRun < c.lastRun {
			c = k
		}
	}
	if c != nil {
		m.remove(c, m.now, prewarm.ByPlatform)
		return
	}
	for _, k := range f.busy {
		if !k.leaving && (c == nil || len(k.runs) < len(c.runs)) {
			c = k
		}
	}
	c.leaving = true
	m.tell(prewarm.Event{Kind: prewarm.Leaving, Function: f.index, Container: c.id}, m.now)
}
