package mirror

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// snapshotFormat is the number of the form that snapshots have. Restore takes those of a smaller one too.
const snapshotFormat = 1

// mostOfSnapshot is how many invocations a snapshot has at most.
const mostOfSnapshot = 20_000

// remembered is how long after the last that was heard of it a trace of which nothing is in flight is in a snapshot: what it leads to may still be on its way.
const remembered = 2 * time.Second

// Snapshot is what a mirror knows, in a form that can be written as JSON. Times are in nanoseconds since its Epoch. Traces are there as far as
// something of them is in flight, or was a moment ago: the latest ones if they are too many.
type Snapshot struct {
	// Format is the number of the form.
	Format int `json:"format"`
	// Epoch is that of the mirror.
	Epoch time.Time `json:"epoch"`
	// Last is the time of the last call.
	Last prewarm.Time `json:"last"`
	// LastContainer, LastInvocation and LastTrace are the last numbers that were given.
	LastContainer  prewarm.ID `json:"last_container"`
	LastInvocation prewarm.ID `json:"last_invocation"`
	LastTrace      prewarm.ID `json:"last_trace"`

	Functions   []FunctionSnapshot   `json:"functions"`
	Containers  []ContainerSnapshot  `json:"containers"`
	Traces      []TraceSnapshot      `json:"traces"`
	Invocations []InvocationSnapshot `json:"invocations"`
	Counts      Counts               `json:"counts"`
}

// FunctionSnapshot is a function with what was learned of it.
type FunctionSnapshot struct {
	prewarm.Function
	Version   string          `json:"version,omitempty"`
	VersionAt prewarm.Time    `json:"version_at,omitempty"`
	OfSpans   bool            `json:"version_of_spans,omitempty"`
	Versions  []string        `json:"versions,omitempty"` // that Version has replaced, the latest first
	Slots     int             `json:"slots,omitempty"`    // invocations that a container runs at once, if that was learned
	Runs      []time.Duration `json:"runs,omitempty"`
	Starts    []time.Duration `json:"starts,omitempty"`
}

// ContainerSnapshot is a container. Function is an index into Snapshot.Functions.
type ContainerSnapshot struct {
	ID       prewarm.ID `json:"id"`
	Function int        `json:"function"`
	Instance string     `json:"instance,omitempty"`
	// Ready says that it is initialised, Created that this was for an invocation, Warmed that the controller has asked for it, Leaving and Retired
	// that it takes nothing more, Usual that it is ready after the usual start time.
	Ready     bool         `json:"ready,omitempty"`
	Created   bool         `json:"created,omitempty"`
	Warmed    bool         `json:"warmed,omitempty"`
	Leaving   bool         `json:"leaving,omitempty"`
	Retired   bool         `json:"retired,omitempty"`
	Usual     bool         `json:"usual,omitempty"`
	By        prewarm.By   `json:"by,omitempty"`
	Uses      int          `json:"uses,omitempty"`
	Asked     prewarm.Time `json:"asked"`
	IdleSince prewarm.Time `json:"idle_since"`
	LastRun   prewarm.Time `json:"last_run"`
	// Until is when it is looked at: an idle one is then removed.
	Until prewarm.Time `json:"until"`
}

// TraceSnapshot is a trace.
type TraceSnapshot struct {
	ID  prewarm.ID `json:"id"`
	Key string     `json:"key,omitempty"`
}

// InvocationSnapshot is an invocation of a trace. Container is 0 if it is in none.
type InvocationSnapshot struct {
	ID           prewarm.ID    `json:"id"`
	Trace        prewarm.ID    `json:"trace"`
	Function     int           `json:"function"`
	Parent       prewarm.ID    `json:"parent,omitempty"`
	Call         string        `json:"call,omitempty"`
	Span         string        `json:"span,omitempty"`
	Activation   string        `json:"activation,omitempty"`
	ParentCall   string        `json:"parent_call,omitempty"`
	ParentSpan   string        `json:"parent_span,omitempty"`
	Seen         [3]bool       `json:"seen"`
	Arrived      prewarm.Time  `json:"arrived"`
	Began        prewarm.Time  `json:"began,omitempty"`
	ArrivalKnown bool          `json:"arrival_known,omitempty"`
	Told         bool          `json:"told,omitempty"`
	Started      bool          `json:"started,omitempty"`
	Ended        bool          `json:"ended,omitempty"`
	EndedAt      prewarm.Time  `json:"ended_at,omitempty"`
	Container    prewarm.ID    `json:"container,omitempty"`
	Start        prewarm.Start `json:"start,omitempty"`
	// Until is until when more is waited for.
	Until prewarm.Time `json:"until"`
}

// Snapshot returns what the mirror knows: functions, containers and what is in flight.
func (m *Mirror) Snapshot() *Snapshot {
	s := &Snapshot{
		Format: snapshotFormat, Epoch: m.epoch, Last: m.now, LastContainer: m.lastContainer, LastInvocation: m.lastInvocation, LastTrace: m.lastTrace,
		Counts: m.counts,
	}
	for i, f := range m.byIndex {
		k := FunctionSnapshot{Function: m.functions[i], Version: f.version, VersionAt: f.versionAt, OfSpans: f.versionOfSpans, Runs: f.runs.values(), Starts: f.starts.values()}
		if f.learns {
			k.Slots = f.slots
		}
		for _, v := range f.versions {
			if v != "" {
				k.Versions = append(k.Versions, v)
			}
		}
		s.Functions = append(s.Functions, k)
	}
	for _, c := range m.containers {
		s.Containers = append(s.Containers, ContainerSnapshot{
			ID: c.id, Function: c.f.index, Instance: c.instance, Ready: c.ready, Created: c.created, Warmed: c.warmed, Leaving: c.leaving,
			Retired: c.retired, Usual: c.usual, By: c.by, Uses: c.uses, Asked: c.asked, IdleSince: c.idleSince, LastRun: c.lastRun, Until: c.due.at,
		})
	}
	slices.SortFunc(s.Containers, func(a, b ContainerSnapshot) int { return cmp.Compare(a.ID, b.ID) })
	var traces []*trace
	for _, t := range m.tracesByID {
		if t.inFlight > 0 || m.now-t.last <= remembered {
			traces = append(traces, t)
		}
	}
	// Those in flight first, and of these the latest.
	slices.SortFunc(traces, func(a, b *trace) int {
		return cmp.Or(cmp.Compare(min(b.inFlight, 1), min(a.inFlight, 1)), cmp.Compare(b.id, a.id))
	})
	for _, t := range traces {
		if len(s.Invocations)+len(t.invocations) > mostOfSnapshot {
			break
		}
		s.Traces = append(s.Traces, TraceSnapshot{ID: t.id, Key: t.key})
		for _, v := range t.invocations {
			if !v.refused {
				s.Invocations = append(s.Invocations, v.snapshot())
			}
		}
	}
	slices.SortFunc(s.Traces, func(a, b TraceSnapshot) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(s.Invocations, func(a, b InvocationSnapshot) int { return cmp.Compare(a.ID, b.ID) })
	return s
}

func (v *invocation) snapshot() InvocationSnapshot {
	k := InvocationSnapshot{
		ID: v.id, Trace: v.trace.id, Function: v.f.index, Parent: v.parent, Call: v.call, Span: v.span, Activation: v.activation,
		ParentCall: v.parentCall, ParentSpan: v.parentSpan, Seen: v.seen, Arrived: v.arrived, Began: v.began, ArrivalKnown: v.arrivalKnown,
		Told: v.told, Started: v.started, Ended: v.ended, Start: v.start, Until: v.due.at,
	}
	if v.ended {
		k.EndedAt = v.endedAt
	}
	if v.c != nil {
		k.Container = v.c.id
	}
	return k
}

// Restored is what Restore says of a mirror.
type Restored struct {
	// Events bring a new fleet of the mirror's Functions to the state of the snapshot, with what has passed until now. A container that was used is told
	// as one of the platform, because a new fleet does not know its uses.
	Events []prewarm.Event
	// Requests are the events of all invocations of the requests that are known, in the order of time: of those that have ended, which a new fleet knows
	// nothing of, and of those in flight. Their containers are 0 unless Events has them.
	Requests []prewarm.Event
}

// Restore returns a mirror that knows what a snapshot has. The start times that were known are in Mirror.Measured. Options.Functions may have more functions
// than the snapshot; the functions of the snapshot that it has not are added.
//
// A run of which nobody says that it has ended, perhaps because that was told between the snapshot and now, is waited for no longer than such
// runs last. An error says what is wrong with the snapshot.
func Restore(o Options, s *Snapshot, now prewarm.Time) (*Mirror, *Restored, error) {
	m, err := New(o)
	if err != nil {
		return nil, nil, err
	}
	if s.Format > snapshotFormat {
		return nil, nil, fmt.Errorf("mirror: snapshot: it is of a later version (its format is %d, this program has %d)", s.Format, snapshotFormat)
	}
	r := &restoring{m: m, s: s, shift: since(o.Epoch, s.Epoch), traces: map[prewarm.ID]*trace{}}
	if ahead := r.time(s.Last) - now; ahead > 0 {
		r.shift -= ahead // the clock was set back
	}
	m.now = now
	m.restoredAt, m.begunAt = r.time(s.Last), now
	m.lastContainer, m.lastInvocation, m.lastTrace, m.counts = s.LastContainer, s.LastInvocation, s.LastTrace, s.Counts
	for _, step := range []func() error{r.functions, r.containers, r.invocations} {
		if err := step(); err != nil {
			return nil, nil, fmt.Errorf("mirror: snapshot: %w", err)
		}
	}
	r.tell()
	requests := r.requests()
	return m, &Restored{Events: m.leaveCall(), Requests: requests}, nil
}

// restoring is a Restore under way.
type restoring struct {
	m     *Mirror
	s     *Snapshot
	shift time.Duration // from the epoch of the mirror to that of the snapshot

	byIndex  []*function // of the snapshot
	traces   map[prewarm.ID]*trace
	ordered  []*container
	unplaced []*invocation
}

// time translates a time of the snapshot.
func (r *restoring) time(t prewarm.Time) prewarm.Time {
	return min(max(t, -furthest), furthest) + r.shift
}

// past translates a time of the snapshot that has been.
func (r *restoring) past(t prewarm.Time) prewarm.Time { return min(r.time(t), r.m.now) }

func (r *restoring) functions() error {
	m := r.m
	for _, k := range r.s.Functions {
		if k.Name == "" || k.MemoryMB <= 0 {
			return fmt.Errorf("function %q has no name or no memory", k.Name)
		}
		f := m.byName[k.Name]
		if f == nil {
			f = m.addFunction(k.Function)
		}
		if slices.Contains(r.byIndex, f) {
			return fmt.Errorf("there are two functions %s", k.Name)
		}
		r.byIndex = append(r.byIndex, f)
		f.version, f.versionAt, f.versionOfSpans = k.Version, r.past(k.VersionAt), k.OfSpans
		copy(f.versions[:], k.Versions)
		if f.learns {
			f.slots = min(max(k.Slots, 1), mostSlots)
		}
		for _, d := range k.Runs {
			f.measureRun(min(d, longest))
		}
		for _, d := range k.Starts {
			d = min(d, longestStart)
			m.measureStart(f, d)
			m.measured = append(m.measured, StartTime{Function: f.index, Took: d})
		}
	}
	return nil
}

func (r *restoring) function(i int) (*function, error) {
	if i < 0 || i >= len(r.byIndex) {
		return nil, fmt.Errorf("there is no function %d", i)
	}
	return r.byIndex[i], nil
}

func (r *restoring) containers() error {
	m := r.m
	for _, k := range r.s.Containers {
		f, err := r.function(k.Function)
		switch {
		case err != nil:
			return fmt.Errorf("container %d: %w", k.ID, err)
		case k.ID == 0 || k.ID > r.s.LastContainer || m.containers[k.ID] != nil:
			return fmt.Errorf("container %d has a number that was not given, or is that of another", k.ID)
		case k.By > prewarm.ByEviction || k.Uses < 0:
			return fmt.Errorf("container %d: by %d, %d uses", k.ID, k.By, k.Uses)
		}
		c := &container{
			id: k.ID, f: f, state: none, ready: k.Ready, created: k.Created, warmed: k.Warmed, leaving: k.Leaving, retired: k.Retired, usual: k.Usual,
			by: k.By, uses: k.Uses, asked: r.past(k.Asked), idleSince: r.past(k.IdleSince), lastRun: r.past(k.LastRun), foundAt: noTime, takenAt: noTime, due: never(),
		}
		m.containers[c.id] = c
		m.bind(c, k.Instance)
		if c.ready {
			m.readyMB += m.functions[f.index].MemoryMB
			m.enter(c, prewarm.StateIdle)
		} else {
			c.uses = 0
			m.enter(c, prewarm.StateStarting)
		}
		if k.Until != prewarm.Never {
			m.lookAt(c, min(r.time(k.Until), m.now+max(m.idleTimeout, longest)))
		}
		r.ordered = append(r.ordered, c)
	}
	return nil
}

func (r *restoring) invocations() error {
	m := r.m
	for _, k := range r.s.Traces {
		if k.ID == 0 || k.ID > r.s.LastTrace || r.traces[k.ID] != nil || k.Key != "" && m.traces[k.Key] != nil {
			return fmt.Errorf("trace %d has a number that was not given, or the number or the id of another", k.ID)
		}
		t := &trace{id: k.ID, key: clone(k.Key), last: m.now}
		r.traces[t.id] = t
		m.tracesByID[t.id] = t
		if t.key != "" {
			m.traces[t.key] = t
		}
		m.traceCount++
		m.done.push(t)
	}
	for _, k := range r.s.Invocations {
		if err := r.invocation(&k); err != nil {
			return fmt.Errorf("invocation %d: %w", k.ID, err)
		}
	}
	if err := r.callers(); err != nil {
		return err
	}
	r.ordered = slices.DeleteFunc(r.ordered, func(c *container) bool {
		if !c.unneeded() {
			return false
		}
		m.drop(c)
		return true
	})
	return nil
}

// callers checks that no invocation has called itself, over others or not.
func (r *restoring) callers() error {
	ends := make(map[prewarm.ID]bool, len(r.m.invocations)) // those from which on all callers end; false while they are looked at
	for id := range r.m.invocations {
		var path []prewarm.ID
		for v := r.m.invocations[id]; v != nil; v = r.m.invocations[v.parent] {
			if v.parent > r.s.LastInvocation {
				return fmt.Errorf("invocation %d was called by number %d, which was not given", v.id, v.parent)
			}
			end, seen := ends[v.id]
			if seen && !end {
				return fmt.Errorf("invocation %d has called itself", v.id)
			}
			if end {
				break
			}
			ends[v.id] = false
			path = append(path, v.id)
		}
		for _, id := range path {
			ends[id] = true
		}
	}
	return nil
}

func (r *restoring) invocation(k *InvocationSnapshot) error {
	m := r.m
	if k.Told = m.options.Platform.Arrivals && (k.Told || k.Started); !k.Told && !k.Started || k.Ended {
		k.Container = 0 // the platform was one with arrivals, or it is where no run is any more
	}
	f, err := r.function(k.Function)
	t := r.traces[k.Trace]
	c := m.containers[k.Container]
	switch {
	case err != nil:
		return err
	case t == nil:
		return fmt.Errorf("there is no trace %d", k.Trace)
	case k.ID == 0 || k.ID > r.s.LastInvocation || m.invocations[k.ID] != nil:
		return errors.New("its number was not given, or is that of another")
	case k.Start > prewarm.Cold:
		return fmt.Errorf("start is %d", k.Start)
	case k.Container != 0 && (c == nil || c.f != f || len(c.runs) >= f.slots):
		return fmt.Errorf("container %d is not there, of another function, or full", k.Container)
	case k.Started && !k.Ended && (c == nil || !c.ready):
		return errors.New("it runs in no container, or in one that is not ready")
	case k.Container != 0 && !k.Started && !k.Told:
		return fmt.Errorf("it is in container %d, and has not arrived", k.Container)
	}
	v := &invocation{
		id: k.ID, trace: t, f: f, parent: k.Parent, parentCall: k.ParentCall, parentSpan: k.ParentSpan, seen: k.Seen, arrived: r.past(k.Arrived),
		began: r.past(k.Began), arrivalKnown: k.ArrivalKnown, told: k.Told, started: k.Started, ended: k.Ended, start: k.Start, pendingPlace: -1,
		due: never(), restored: true, identified: true,
	}
	m.invocations[v.id] = v
	t.invocations = append(t.invocations, v)
	if v.ended {
		v.endedAt = r.past(k.EndedAt)
	} else {
		m.begun(v)
	}
	if k.Call != "" && t.ids.find(ofCall, k.Call) == nil {
		v.call = k.Call
		t.ids.add(ofCall, v)
	}
	if k.Span != "" && t.ids.find(ofSpan, k.Span) == nil {
		v.span = k.Span
		t.ids.add(ofSpan, v)
	}
	if k.Activation != "" && m.byActivation[k.Activation] == nil {
		v.activation = k.Activation
		m.byActivation[v.activation] = v
	}
	if v.ended {
		return nil
	}
	if c != nil {
		v.c = c
		c.runs = append(c.runs, v)
		if c.state != prewarm.StateBusy {
			m.enter(c, prewarm.StateBusy)
			c.due.at = prewarm.Never
		}
		if !c.ready {
			c.uses++
		}
	}
	until := min(r.time(k.Until), m.now+longest)
	if v.started {
		until = min(until, m.lastUntil(v))
	}
	m.lookAtInvocation(v, until)
	if v.told && !v.started {
		v.wait()
		if c == nil {
			r.unplaced = append(r.unplaced, v)
		}
	}
	return nil
}

// tell tells of all containers and of what is in flight, in the order of time.
func (r *restoring) tell() {
	m := r.m
	var events []prewarm.Event
	add := func(e prewarm.Event, at prewarm.Time) {
		e.At = at
		events = append(events, e)
	}
	arrived := func(v *invocation, at prewarm.Time) {
		if v.told {
			e := m.event(prewarm.Arrived, v)
			e.Container = 0
			add(e, at)
		}
	}
	placed := func(v *invocation, start prewarm.Start, at prewarm.Time) {
		if v.start = start; m.options.Platform.Arrivals {
			e := m.event(prewarm.Placed, v)
			e.Start = start
			add(e, at)
		}
	}
	for _, v := range r.unplaced {
		arrived(v, v.arrived)
	}
	for _, c := range r.ordered {
		e := prewarm.Event{Kind: prewarm.Starting, Function: c.f.index, Container: c.id, By: c.by}
		if c.uses > 0 && c.ready {
			e.By = prewarm.ByPlatform
		}
		begun := c.asked
		if c.ready { // at one time, so that it is no start time that was measured
			begun = c.idleSince
			if len(c.runs) > 0 {
				begun = slices.MinFunc(c.runs, func(a, b *invocation) int { return cmp.Compare(a.arrived, b.arrived) }).arrived
			}
		}
		cold := len(c.runs) > 0 && !c.ready && c.created
		if cold {
			begun = c.runs[0].arrived
		}
		if !cold {
			add(e, begun)
		}
		if e.Kind = prewarm.Idle; c.ready {
			e.By = 0
			add(e, begun)
		}
		for i, v := range c.runs {
			begun = max(begun, v.arrived)
			arrived(v, begun)
			switch {
			case c.ready:
				placed(v, prewarm.Warm, begun)
			case cold && i == 0:
				placed(v, prewarm.Cold, begun)
			default:
				placed(v, prewarm.Late, begun)
			}
			if v.started {
				add(m.event(prewarm.Started, v), max(v.began, begun))
			}
		}
		switch {
		case c.due.at != prewarm.Never:
		case c.state == prewarm.StateIdle:
			m.expect(c)
		case c.state == prewarm.StateStarting:
			m.awaitStart(c)
		}
		if c.leaving {
			add(prewarm.Event{Kind: prewarm.Leaving, Function: c.f.index, Container: c.id}, m.now)
		}
	}
	slices.SortStableFunc(events, func(a, b prewarm.Event) int { return cmp.Compare(a.At, b.At) })
	for _, e := range events {
		m.tell(e, e.At)
	}
}

// requests returns the events of all requests that are known, see Restored.
func (r *restoring) requests() []prewarm.Event {
	var events []prewarm.Event
	for _, k := range r.s.Invocations {
		v := r.m.invocations[k.ID]
		add := func(kind prewarm.Kind, at prewarm.Time) {
			e := r.m.event(kind, v)
			if e.At = min(at, r.m.now); kind == prewarm.Arrived {
				e.Container = 0
			}
			events = append(events, e)
		}
		if v.told || v.started && !r.m.options.Platform.Arrivals {
			add(prewarm.Arrived, v.arrived)
		}
		if v.told && v.c != nil {
			add(prewarm.Placed, v.arrived)
			events[len(events)-1].Start = v.start
		}
		if v.started {
			add(prewarm.Started, max(v.began, v.arrived))
		}
		if v.ended && v.started {
			add(prewarm.Ended, max(v.endedAt, v.began, v.arrived))
		}
	}
	slices.SortStableFunc(events, func(a, b prewarm.Event) int { return cmp.Compare(a.At, b.At) })
	return events
}
