package mirror

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// Options are what a mirror knows from the beginning.
type Options struct {
	// Epoch is the moment from which times are counted.
	Epoch time.Time
	// Platform is what is known of the platform. Where its IdleTimeout is 0, 10 minutes are assumed.
	Platform prewarm.Platform
	// Replicas says that the number of containers is not decided by invocations, but told by ObserveLoad. A function whose Concurrency is 0 then runs as
	// many invocations in a container as were seen there at once.
	Replicas bool
	// Functions are those that are known from the beginning; others are added when they are first heard of.
	Functions []prewarm.Function
	// Describe returns what is known of a function that is not among Functions; nil, or one without memory, stands for a function with DefaultMemoryMB.
	Describe func(name string) prewarm.Function
	// DefaultMemoryMB is the memory of functions of which it is not known; 0 stands for 256.
	DefaultMemoryMB int
	// StartTime is the start time of containers as long as none was measured; 0 stands for 1 s.
	StartTime time.Duration
	// Limits bound what is kept; those that are 0 have usual values.
	Limits Limits
}

// Limits bound what a mirror keeps.
type Limits struct {
	// Functions, Traces, Invocations and Containers are how many there are at most, InvocationsPerTrace how many of one trace, Clocks how many
	// clocks are told apart.
	Functions, Traces, Invocations, InvocationsPerTrace, Containers, Clocks int
	// Length is the length of a name or id at most, in bytes.
	Length int
	// Silence is how long an announced invocation is waited for of which nothing else comes.
	Silence time.Duration
	// Run is how long the end of a run is waited for at least, as long as it is not known how long the function takes. Then it is ten times the longest of the
	// last 64 runs, and a minute at least.
	Run time.Duration
	// Memory is how long a trace is remembered after the last that was heard of it; what comes later of it is ignored.
	Memory time.Duration
}

// Counts count what a mirror was told, and what it has left out.
type Counts struct {
	// Observations were taken.
	Observations uint64
	// Repeated said nothing new. Invalid had no function, no id, or a name that is too long. Stale came so late that their trace is forgotten.
	Repeated, Invalid, Stale uint64
	// Full were left out because a limit was reached.
	Full uint64
	// Guessed is the number of guesses of where an invocation is run, Corrected the part of them that was wrong.
	Guessed, Corrected uint64
	// Silent are invocations of which nothing came after their announcement, Lost runs whose end was not heard of.
	Silent, Lost uint64
	// Found are containers that nothing was known of before a warm start, Gone those that were believed idle when a start was cold.
	Found, Gone uint64
}

// StartTime is a start time that was measured, and that the fleet cannot know from events because they begin with the run.
type StartTime struct {
	Function int
	Took     time.Duration
}

// Invocation says by which names an invocation is known.
type Invocation struct {
	Function                int
	Trace, Call, Activation string
}

// Container says what is known of a container beyond what the fleet knows.
type Container struct {
	Function int
	// Instance is its id on the platform, "" if it is not known.
	Instance string
	// Warmed says that the controller has asked for it, Used that an invocation has used it.
	Warmed, Used bool
	// Until is when the platform is expected to remove it if nothing uses it, Never if it is not idle.
	Until prewarm.Time
}

// Mirror is a model of a platform.
type Mirror struct {
	options     Options
	limits      Limits
	idleTimeout time.Duration
	epoch       time.Time
	now, last   prewarm.Time // of the present call, of the last event
	restoredAt  prewarm.Time // what has ended before is known, or forgotten
	begunAt     prewarm.Time // when it was restored

	functions []prewarm.Function
	byIndex   []*function
	byName    map[string]*function
	starts    sample // start times of all functions

	containers    map[prewarm.ID]*container
	instances     map[string]*container
	lastContainer prewarm.ID
	readyMB       int // memory of all containers that are initialised

	traces         map[string]*trace
	tracesByID     map[prewarm.ID]*trace
	invocations    map[prewarm.ID]*invocation
	byActivation   map[string]*invocation
	lastTrace      prewarm.ID
	lastInvocation prewarm.ID
	traceCount     int
	inFlight       int
	done           traceList // with nothing in flight

	clocks clocks
	timers timers
	counts Counts

	out        []prewarm.Event
	redeployed []int
	measured   []StartTime

	unusedContainers  []*container
	unusedInvocations []*invocation
	unusedTraces      []*trace
}

// Errors of Observe.
var (
	// ErrInvalid says that an observation has no function, no id, or a name that is too long.
	ErrInvalid = errors.New("mirror: an observation without a function or an id, or with one that is too long")
	// ErrFull says that a limit was reached.
	ErrFull = errors.New("mirror: there is no room for another function, trace or invocation")
	// ErrStale says that an observation came when its trace was forgotten.
	ErrStale = errors.New("mirror: an observation of so long ago that its trace is forgotten, or of a clock that is behind")
)

// New returns a mirror of a platform of whose containers nothing is known. An error is as of prewarm.NewFleet.
func New(o Options) (*Mirror, error) {
	if _, err := prewarm.NewFleet(o.Platform, o.Functions); err != nil {
		return nil, fmt.Errorf("mirror: %w", err)
	}
	o.DefaultMemoryMB = cmp.Or(o.DefaultMemoryMB, 256)
	o.StartTime = cmp.Or(o.StartTime, time.Second)
	l := o.Limits
	m := &Mirror{
		options: o, epoch: o.Epoch, idleTimeout: cmp.Or(o.Platform.IdleTimeout, 10*time.Minute), restoredAt: -furthest,
		limits: Limits{
			Functions: cmp.Or(l.Functions, 10_000), Traces: cmp.Or(l.Traces, 200_000), Invocations: cmp.Or(l.Invocations, 500_000),
			InvocationsPerTrace: cmp.Or(l.InvocationsPerTrace, 10_000), Containers: cmp.Or(l.Containers, 50_000), Clocks: cmp.Or(l.Clocks, 10_000),
			Length: cmp.Or(l.Length, 256), Silence: cmp.Or(l.Silence, 2*time.Minute), Run: cmp.Or(l.Run, 5*time.Minute), Memory: cmp.Or(l.Memory, time.Minute),
		},
		byName: map[string]*function{}, containers: map[prewarm.ID]*container{}, instances: map[string]*container{},
		traces: map[string]*trace{}, tracesByID: map[prewarm.ID]*trace{}, invocations: map[prewarm.ID]*invocation{},
		byActivation: map[string]*invocation{},
		clocks:       clocks{others: map[string]*clock{}},
	}
	m.clocks.limit = m.limits.Clocks
	for _, f := range o.Functions {
		m.addFunction(f)
	}
	return m, nil
}

func (m *Mirror) addFunction(f prewarm.Function) *function {
	k := &function{index: len(m.functions), slots: max(f.Concurrency, 1), learns: m.options.Replicas && f.Concurrency == 0}
	m.functions = append(m.functions, f)
	m.byIndex = append(m.byIndex, k)
	m.byName[f.Name] = k
	return k
}

// function returns the function with a name, nil if there are too many.
func (m *Mirror) function(name string) *function {
	if f := m.byName[name]; f != nil {
		return f
	}
	if len(m.functions) >= m.limits.Functions {
		return nil
	}
	var f prewarm.Function
	if m.options.Describe != nil {
		f = m.options.Describe(name)
	}
	f.Name = clone(name)
	if f.MemoryMB <= 0 {
		f.MemoryMB = m.options.DefaultMemoryMB
	}
	return m.addFunction(f)
}

// enterCall begins a call.
func (m *Mirror) enterCall(now prewarm.Time, events []prewarm.Event) {
	m.now = max(m.now, now)
	m.out = events
	m.redeployed, m.measured = m.redeployed[:0], m.measured[:0]
	m.advance()
}

// leaveCall ends it, and returns the events with those that were told.
func (m *Mirror) leaveCall() []prewarm.Event {
	m.advance()
	events := m.out
	m.out = nil
	return events
}

// event returns an event of an invocation, in its container if it has one.
func (m *Mirror) event(k prewarm.Kind, v *invocation) prewarm.Event {
	e := prewarm.Event{Kind: k, Function: v.f.index, Trace: v.trace.id, Invocation: v.id, Parent: v.parent}
	if v.c != nil {
		e.Container = v.c.id
	}
	return e
}

// tell adds an event that has happened at a time, or as near to it as the order allows.
func (m *Mirror) tell(e prewarm.Event, at prewarm.Time) {
	m.last = max(m.last, min(at, m.now))
	e.At = m.last
	e.Late = max(e.At-at, 0)
	m.out = append(m.out, e)
}

// Observe takes an observation that came at now, and appends what it means to events. An error says that the observation was of no use, and why;
// what it has counted stands in Counts.
func (m *Mirror) Observe(now prewarm.Time, o *source.Observation, events []prewarm.Event) ([]prewarm.Event, error) {
	m.enterCall(now, events)
	err := m.observe(o)
	return m.leaveCall(), err
}

func (m *Mirror) observe(o *source.Observation) error {
	if !m.valid(o) {
		m.counts.Invalid++
		return ErrInvalid
	}
	m.counts.Observations++
	f := m.function(o.Function)
	if f == nil {
		m.counts.Full++
		return ErrFull
	}
	offset := time.Duration(0)
	if k := m.clocks.get(m.now, o.Clock); k != nil {
		if !o.Time.IsZero() {
			k.observe(m.now, since(m.epoch, o.Time))
		}
		offset = k.offset
	}
	t := min(max(stampOf(o.Time, offset, m.epoch, m.now), m.now-longest), m.now)
	began := min(max(stampOf(o.Begin, offset, m.epoch, t), m.now-longest), t)
	older := m.noteVersion(f, o, began)
	v, err := m.match(o, f, t)
	if v == nil {
		return err
	}
	m.relate(v)
	m.take(o, v, t, began, older)
	m.relate(v)
	return nil
}

// take takes what an observation says of v.
func (m *Mirror) take(o *source.Observation, v *invocation, t, began prewarm.Time, older bool) {
	if !v.note(o) {
		m.counts.Repeated++
		return
	}
	if v.refused { // after all
		v.refused, v.ended, v.told = false, false, false
		m.begun(v)
	}
	r := run{instance: o.Instance, temperature: o.Temperature, began: t, wait: o.Wait, init: o.Init}
	switch o.Kind {
	case source.Invoked:
		m.arrive(v, t)
	case source.Started:
		if !v.started {
			m.begin(v, r)
		} else {
			if v.c != nil {
				m.bind(v.c, r.instance)
			}
			if r.temperature == source.Warm {
				m.wasWarm(v)
			}
		}
	case source.Ended:
		if v.ended {
			return
		}
		if !v.started {
			r.began = began
			if m.begin(v, r); v.ended {
				return
			}
		}
		if older && !m.options.Replicas {
			v.c.retired = true
		}
		m.end(v, o, t, began)
	}
}

// valid reports whether an observation can be of an invocation.
func (m *Mirror) valid(o *source.Observation) bool {
	if o.Function == "" || o.Kind > source.Ended || o.Trace == "" && o.Activation == "" {
		return false
	}
	for _, s := range [...]string{o.Function, o.Version, o.Trace, o.Call, o.ParentCall, o.Span, o.ParentSpan, o.Activation, o.Instance, o.Clock} {
		if len(s) > m.limits.Length {
			return false
		}
	}
	return true
}

// arrive takes the announcement of v.
func (m *Mirror) arrive(v *invocation, t prewarm.Time) {
	if v.ended || v.started || v.told {
		return
	}
	v.arrived, v.arrivalKnown = t, true
	m.lookAtInvocation(v, m.now+m.limits.Silence)
	if !m.options.Platform.Arrivals {
		return
	}
	v.told = true
	v.wait()
	m.tell(m.event(prewarm.Arrived, v), t)
	m.guess(v)
}

// end takes the end of the run of v, which has started.
func (m *Mirror) end(v *invocation, o *source.Observation, t, began prewarm.Time) {
	f, c := v.f, v.c
	if !o.Begin.IsZero() || v.seen[source.Started] {
		if o.Begin.IsZero() {
			began = v.began
		}
		f.measureRun(t - began)
	}
	z := m.instances[o.Instance]
	switch {
	case o.Instance == "" || z == c:
		m.finish(v, t, t, o.Failed)
	case z == nil && c.instance == "":
		m.bind(c, o.Instance)
		m.finish(v, t, t, o.Failed)
	case z != nil && z.f == f:
		// It was run in z, which is idle since then.
		unknown := c.instance == "" && !c.warmed && len(c.runs) == 1
		m.finish(v, t, t, o.Failed)
		if unknown && m.containers[c.id] == c && c.state == prewarm.StateIdle {
			m.remove(c, t, prewarm.ByPlatform)
		}
		if z.state == prewarm.StateIdle {
			z.idleSince = max(z.idleSince, t)
			m.enter(z, prewarm.StateIdle)
			m.expect(z)
		}
	default:
		m.finish(v, t, t, o.Failed)
	}
}

// Pass appends to events what the passing of time means: idle timeouts, announced invocations of which nothing came, runs whose end was lost.
func (m *Mirror) Pass(now prewarm.Time, events []prewarm.Event) []prewarm.Event {
	m.enterCall(now, events)
	return m.leaveCall()
}

// Next returns when Pass should be called next, Never if there is no need.
func (m *Mirror) Next() prewarm.Time {
	next := m.settle()
	if t := m.done.front; t != nil {
		next = min(next, t.last+m.limits.Memory+time.Second)
	}
	return next
}

// Functions returns the functions, to which others are added while they are heard of. The caller does not change them.
func (m *Mirror) Functions() []prewarm.Function { return m.functions }

// Function returns the index of the function with a name, −1 if it is not known.
func (m *Mirror) Function(name string) int {
	if f := m.byName[name]; f != nil {
		return f.index
	}
	return -1
}

// Version returns the version of a function that was observed last, "" if none was.
func (m *Mirror) Version(function int) string { return m.byIndex[function].version }

// Redeployed returns the functions of which the last call has noticed that they have new code. The slice is valid until the next call.
func (m *Mirror) Redeployed() []int { return m.redeployed }

// Measured returns the start times that the last call has measured and the fleet cannot know, and after Restore those that were measured before. The
// slice is valid until the next call.
func (m *Mirror) Measured() []StartTime { return m.measured }

// InFlight returns how many invocations have arrived or started, and not ended.
func (m *Mirror) InFlight() int { return m.inFlight }

// TraceID returns the id of a trace, "" if it is not remembered.
func (m *Mirror) TraceID(id prewarm.ID) string {
	if t := m.tracesByID[id]; t != nil {
		return t.key
	}
	return ""
}

// Invocation returns what is known of an invocation, and false if it is not remembered.
func (m *Mirror) Invocation(id prewarm.ID) (Invocation, bool) {
	v := m.invocations[id]
	if v == nil {
		return Invocation{}, false
	}
	return Invocation{Function: v.f.index, Trace: v.trace.key, Call: v.call, Activation: v.activation}, true
}

// Container returns what is known of a container, and false if there is none with the number.
func (m *Mirror) Container(id prewarm.ID) (Container, bool) {
	c := m.containers[id]
	if c == nil {
		return Container{}, false
	}
	k := Container{Function: c.f.index, Instance: c.instance, Warmed: c.warmed, Used: c.uses > 0, Until: prewarm.Never}
	if c.state == prewarm.StateIdle {
		k.Until = c.due.at
	}
	return k, true
}

// Counts returns what was counted.
func (m *Mirror) Counts() Counts { return m.counts }
