package mirror

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// function is what is known of a function of the platform.
type function struct {
	index     int
	slots     int  // invocations that a container runs at once
	learns    bool // slots is not known, and is the most that were seen
	version   string
	versionAt prewarm.Time
	// versionOfSpans says that it is from a span, not from a record of the platform.
	versionOfSpans bool
	versions       [4]string // that version has replaced, the latest first

	idle     []*container  // in the order in which they became idle
	starting []*container  // for nobody, in the order in which they were asked for
	busy     []*container  // in no order
	found    []*container  // that a warm start has shown, and that may be one of those that are taken to be busy
	pending  []*invocation // that have arrived and whose run has not started, in no order

	runs    sample        // durations of runs
	longest time.Duration // of runs
	starts  sample        // start times
}

// containers returns how many containers there are.
func (f *function) containers() int { return len(f.idle) + len(f.starting) + len(f.busy) }

// container is a container as far as it is known. Its ID, ready, uses and runs are those that the fleet has been told of.
type container struct {
	id       prewarm.ID
	f        *function
	instance string
	state    prewarm.State // starting, idle or busy
	place    int           // in function.busy, if it is busy
	// ready: it is initialised. created: it was for an invocation that it was created. leaving: it takes nothing more. retired: its code is old.
	// warmed: the controller has asked for it. usual: it is idle after the usual start time, because nobody will say when.
	ready, created, leaving, retired, warmed, usual bool
	// phantom: it was believed to be created for an invocation that was warm elsewhere.
	phantom   bool
	by        prewarm.By
	uses      int
	asked     prewarm.Time
	idleSince prewarm.Time // when it became idle last, if it was
	lastRun   prewarm.Time // when its last run began
	foundAt   prewarm.Time // when the warm start was that has shown it; noTime if it was not found so
	// takenAt is when the invocation arrived that took it last when it was idle, and before since when it was idle then; takenAt is noTime if there
	// was none.
	takenAt, before prewarm.Time
	runs            []*invocation
	due             due
}

// noTime is a time that is not known.
const noTime prewarm.Time = math.MinInt64

// invocation is an invocation of which something was heard.
type invocation struct {
	id     prewarm.ID
	trace  *trace
	f      *function
	parent prewarm.ID

	call, span, activation, parentCall, parentSpan string
	seen                                           [3]bool // by source.Kind
	stamps                                         [3]time.Time

	// arrived and began are its times, and arrivalKnown says whether the first is known.
	arrived, began prewarm.Time
	arrivalKnown   bool
	// told: its arrival was told. started and ended: its run has, or it was refused.
	told, started, ended, refused bool
	assumed                       bool // it is not known how it came to its container
	restored                      bool
	identified                    bool         // an id of it became known, and what that says of others was not told yet
	was                           prewarm.ID   // where its run has ended
	endedAt                       prewarm.Time // when it has, if it has
	c                             *container   // where it is taken to be
	start                         prewarm.Start
	pendingPlace                  int // in function.pending; −1 if it is not there
	due                           due
}

// trace is a request.
type trace struct {
	id          prewarm.ID
	key         string
	invocations []*invocation
	ids         ids
	inFlight    int          // invocations that have not ended
	last        prewarm.Time // when it was heard of last
	prev, next  *trace       // in the list of those with nothing in flight
}

// traceList is a list of traces in the order in which they were heard of last.
type traceList struct{ front, back *trace }

func (l *traceList) push(t *trace) {
	if t.prev = l.back; l.back != nil {
		l.back.next = t
	} else {
		l.front = t
	}
	l.back = t
}

func (l *traceList) remove(t *trace) {
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		l.front = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	} else {
		l.back = t.prev
	}
	t.prev, t.next = nil, nil
}

// sample has the last durations that were measured.
type sample struct {
	d    [64]time.Duration
	n    int
	next int
}

func (s *sample) add(d time.Duration) {
	s.d[s.next] = max(d, 0)
	s.next = (s.next + 1) % len(s.d)
	s.n = min(s.n+1, len(s.d))
}

// quantile returns the q-quantile, or otherwise if nothing was measured.
func (s *sample) quantile(q float64, otherwise time.Duration) time.Duration {
	if s.n == 0 {
		return otherwise
	}
	sorted := s.d
	slices.Sort(sorted[:s.n])
	return sorted[min(int(q*float64(s.n)), s.n-1)]
}

// values returns the durations, the oldest first.
func (s *sample) values() []time.Duration {
	v := make([]time.Duration, 0, s.n)
	for i := range s.n {
		v = append(v, s.d[(s.next-s.n+i+len(s.d))%len(s.d)])
	}
	return v
}

// usualStart returns the start time to reckon with.
func (m *Mirror) usualStart(f *function) time.Duration {
	if f.starts.n == 0 {
		return m.starts.quantile(0.5, m.options.StartTime)
	}
	return f.starts.quantile(0.5, 0)
}

// longStart returns a start time that few exceed.
func (m *Mirror) longStart(f *function) time.Duration {
	if f.starts.n == 0 {
		return m.starts.quantile(1, 5*m.options.StartTime)
	}
	return f.starts.quantile(1, 0)
}

// measureRun notes the duration of a run.
func (f *function) measureRun(d time.Duration) {
	f.runs.add(d)
	f.longest = slices.Max(f.runs.d[:f.runs.n])
}

// measureStart notes a start time.
func (m *Mirror) measureStart(f *function, d time.Duration) {
	f.starts.add(d)
	m.starts.add(d)
}

// enter moves c to a state.
func (m *Mirror) enter(c *container, s prewarm.State) {
	m.leave(c)
	c.state = s
	f := c.f
	switch s {
	case prewarm.StateStarting:
		f.starting = append(f.starting, c)
	case prewarm.StateIdle:
		i := len(f.idle)
		for i > 0 && f.idle[i-1].idleSince > c.idleSince {
			i--
		}
		f.idle = slices.Insert(f.idle, i, c)
	case prewarm.StateBusy:
		c.place = len(f.busy)
		f.busy = append(f.busy, c)
	}
}

// leave takes c out of the list of its state.
func (m *Mirror) leave(c *container) {
	f := c.f
	switch c.state {
	case prewarm.StateStarting:
		f.starting = without(f.starting, c)
	case prewarm.StateIdle:
		f.idle = without(f.idle, c)
	case prewarm.StateBusy:
		last := len(f.busy) - 1
		f.busy[c.place] = f.busy[last]
		f.busy[c.place].place = c.place
		f.busy[last] = nil
		f.busy = f.busy[:last]
	}
	c.state = none
}

// none is the state of a container that is in no list.
const none prewarm.State = 255

// without removes an element, which it looks for from the end.
func without[T comparable](s []T, e T) []T {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == e {
			return slices.Delete(s, i, i+1)
		}
	}
	return s
}

// newContainer adds a container that is starting, nil if there are too many. To make room, the one is removed that has been idle longest.
func (m *Mirror) newContainer(f *function, asked prewarm.Time) *container {
	if len(m.containers) >= m.limits.Containers {
		oldest := m.leastRecentlyUsed()
		if oldest == nil {
			return nil
		}
		m.counts.Full++
		m.remove(oldest, m.now, prewarm.ByPlatform)
	}
	var c *container
	if n := len(m.unusedContainers); n > 0 {
		c = m.unusedContainers[n-1]
		m.unusedContainers = m.unusedContainers[:n-1]
	} else {
		c = new(container)
	}
	m.lastContainer++
	*c = container{
		id: m.lastContainer, f: f, state: none, by: prewarm.ByPlatform, asked: asked, lastRun: asked, foundAt: noTime, takenAt: noTime, due: never(), runs: c.runs[:0],
	}
	m.containers[c.id] = c
	m.enter(c, prewarm.StateStarting)
	return c
}

// drop forgets c, which has no runs.
func (m *Mirror) drop(c *container) {
	m.leave(c)
	if c.ready {
		m.readyMB -= m.functions[c.f.index].MemoryMB
	}
	delete(m.containers, c.id)
	if c.instance != "" {
		delete(m.instances, c.instance)
	}
	if c.foundAt != noTime {
		c.f.found = without(c.f.found, c)
	}
	c.instance = ""
	m.unusedContainers = append(m.unusedContainers, c)
}

// bind notes the id of c on the platform, if it has none and the id is not that of another.
func (m *Mirror) bind(c *container, instance string) {
	if instance == "" || c.instance != "" || m.instances[instance] != nil {
		return
	}
	c.instance = clone(instance)
	m.instances[c.instance] = c
}

// leastRecentlyUsed returns the idle container whose last run began longest ago, nil if none is idle.
func (m *Mirror) leastRecentlyUsed() *container {
	var oldest *container
	for _, f := range m.byIndex {
		for _, c := range f.idle {
			if oldest == nil || c.lastRun < oldest.lastRun {
				oldest = c
			}
		}
	}
	return oldest
}

// wait adds v to those that have arrived and whose run has not started.
func (v *invocation) wait() {
	if v.pendingPlace < 0 {
		v.pendingPlace = len(v.f.pending)
		v.f.pending = append(v.f.pending, v)
	}
}

// waitNoMore removes v from them.
func (v *invocation) waitNoMore() {
	if v.pendingPlace < 0 {
		return
	}
	p := v.f.pending
	last := len(p) - 1
	p[v.pendingPlace] = p[last]
	p[v.pendingPlace].pendingPlace = v.pendingPlace
	p[last] = nil
	v.f.pending = p[:last]
	v.pendingPlace = -1
}

// clone copies a string, which may be a part of a large one.
func clone(s string) string { return strings.Clone(s) }
