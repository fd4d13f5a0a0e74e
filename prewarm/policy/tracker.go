package policy

import (
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// flight is a request that is not complete yet, or has not been for long.
type flight struct {
	index       int // in tracker.flights
	trace       prewarm.ID
	composition *composition
	invocations []flown
	slots       []slot // by node
	open        int    // invocations that have not ended
	last        prewarm.Time
	wake        prewarm.Time // when it is to be planned again, as the policy has asked
	active      bool
}

// flown is an invocation of a flight. Times are −1 while they are not known.
type flown struct {
	id, container           prewarm.ID
	node                    int
	arrived, started, ended prewarm.Time
}

// slot is what a flight knows of a node.
type slot struct {
	invocation int  // its number in flight.invocations and 1, 0 if it has not come
	reserved   bool // a container is idle or on its way for it
	tired      bool // one was held in vain, and nothing has happened since
	latest     int  // the node of its last child that has come, 0 if none has
	// probability is that of its coming; 1 if it has come, 0 also if it is too small to count.
	probability float64
}

// of returns the invocation of a node, nil if it has not come.
func (f *flight) of(node int) *flown {
	if i := f.slots[node].invocation; i > 0 {
		return &f.invocations[i-1]
	}
	return nil
}

// traceLimit is after how long without an event a request is forgotten.
const traceLimit = time.Hour

// tracker follows requests and learns compositions from those that are complete.
type tracker struct {
	// callGrace is how long after a caller's end an invocation that it has sent may still be seen for the first time, and traceGrace how long after
	// the last end of a request there may be another invocation of it. Where only starts are seen, what waits for a container is not.
	callGrace, traceGrace time.Duration
	arrivals              bool // are seen

	offsets      bool           // whether it learns when invocations come
	compositions []*composition // by function of the root; nil if none is known
	flights      []*flight      // some of which are not active
	free         []*flight
	traces       map[prewarm.ID]*flight
	invocations  map[prewarm.ID]place
	closing      []closing // from the index closed on, in the order of time
	closed       int
	swept        int
}

type place struct {
	flight *flight
	i      int
}

// closing is a flight that is complete if nothing happens to it until at.
type closing struct {
	at     prewarm.Time
	flight *flight
	trace  prewarm.ID
}

// newTracker returns a tracker that has learned what was recorded. Where every run will be in a new container, fresh, whose first call is slow, it learns
// offsets from requests that had such ones, if there are enough. Where new containers have made their first call, it learns them from those that
// had none.
func newTracker(o Options, offsets, fresh bool) *tracker {
	t := &tracker{
		offsets: offsets, compositions: make([]*composition, len(o.Functions)),
		traces: map[prewarm.ID]*flight{}, invocations: map[prewarm.ID]place{},
		callGrace: 100 * time.Millisecond, traceGrace: time.Second, arrivals: o.Platform.Arrivals,
	}
	if !t.arrivals {
		t.callGrace, t.traceGrace = 10*time.Second, 11*time.Second
	}
	for _, a := range o.Knowledge.Applications {
		for _, trace := range a.Warm {
			t.study(trace, offsets && (!fresh || o.Platform.FirstCall || len(a.Cold) < enoughCold))
		}
		for _, trace := range a.Cold {
			t.study(trace, offsets && (!o.Platform.FirstCall || len(a.Warm) == 0))
		}
	}
	return t
}

// enoughCold is how many requests with cold starts must be recorded to learn offsets from them alone.
const enoughCold = 20

// study learns a recorded request; its times, if timed is set, as if it had not waited for cold starts: what it has run in new containers is
// then as it will be in prewarmed ones, whose first call is slow.
func (t *tracker) study(trace prewarm.Trace, timed bool) {
	if len(trace) == 0 {
		return
	}
	f := t.begin(0, trace[0].Function, 0)
	waited := make([]float64, len(trace)) // on the way to the run
	for i, v := range trace {
		before, node := 0.0, 0
		if i > 0 {
			if v.Parent < 0 || v.Parent >= i {
				continue
			}
			before, node = waited[v.Parent], t.child(f, f.invocations[v.Parent].node, v.Function)
		}
		waited[i] = before
		if v.Init > 0 {
			waited[i] += v.Start - v.Arrival
		}
		t.join(f, prewarm.ID(i+1), node, seconds(v.Arrival-before))
		w := &f.invocations[len(f.invocations)-1]
		w.started, w.ended = seconds(v.Start-waited[i]), seconds(v.End-waited[i])
	}
	t.learn(f, timed)
	t.release(f)
}

// begin returns a flight that has no invocation yet.
func (t *tracker) begin(trace prewarm.ID, function int, now prewarm.Time) *flight {
	if t.compositions[function] == nil {
		t.compositions[function] = newComposition(function)
	}
	var f *flight
	if n := len(t.free); n > 0 {
		f = t.free[n-1]
		t.free = t.free[:n-1]
	} else {
		f = &flight{index: len(t.flights)}
		t.flights = append(t.flights, f)
	}
	c := t.compositions[function]
	*f = flight{
		index: f.index, trace: trace, composition: c, invocations: f.invocations[:0], slots: f.slots[:0],
		last: now, wake: prewarm.Never, active: true,
	}
	f.fit()
	if trace != 0 {
		t.traces[trace] = f
	}
	return f
}

// fit gives a flight a slot for each node.
func (f *flight) fit() {
	for len(f.slots) < len(f.composition.nodes) {
		f.slots = append(f.slots, slot{})
	}
}

// child returns the node of an invocation that was sent by the invocation of a node: the first of its function that has not come yet.
func (t *tracker) child(f *flight, parent, function int) int {
	f.fit()
	for _, i := range f.composition.nodes[parent].children {
		if f.composition.nodes[i].function == function && f.slots[i].invocation == 0 {
			return i
		}
	}
	i := f.composition.add(parent, function)
	f.fit()
	return i
}

// join adds an invocation to a flight.
func (t *tracker) join(f *flight, id prewarm.ID, node int, arrived prewarm.Time) {
	f.invocations = append(f.invocations, flown{id: id, node: node, arrived: arrived, started: -1, ended: -1})
	f.slots[node].invocation = len(f.invocations)
	if parent := f.composition.nodes[node].parent; parent >= 0 {
		f.slots[parent].latest = node
	}
	f.open++
}

// see updates the flights with an event and returns the one that it belongs to, with the node of its invocation; nil if it belongs to none.
func (t *tracker) see(e *prewarm.Event) (*flight, int) {
	p, known := t.invocations[e.Invocation]
	if !known && (e.Kind == prewarm.Arrived || e.Kind == prewarm.Started) {
		p.flight, p.i = t.enter(e)
	}
	f := p.flight
	if f == nil {
		return nil, 0
	}
	f.last = e.At
	v := &f.invocations[p.i]
	switch e.Kind {
	case prewarm.Placed:
		v.container = e.Container
	case prewarm.Started:
		v.container, v.started = e.Container, e.At
	case prewarm.Ended, prewarm.Refused:
		if v.ended < 0 {
			v.ended = e.At
			f.open--
		}
		if f.open == 0 {
			t.closing = append(t.closing, closing{e.At + t.traceGrace, f, f.trace})
		}
	}
	return f, v.node
}

// enter gives an invocation that is seen for the first time its place in a flight, in a new one if it is a root. It returns nil if its caller
// is not known.
func (t *tracker) enter(e *prewarm.Event) (*flight, int) {
	arrived := e.At - e.Wait
	f := t.traces[e.Trace]
	node := 0
	switch caller, ok := t.invocations[e.Parent]; {
	case e.Parent != 0 && ok:
		f = caller.flight
		node = t.child(f, f.invocations[caller.i].node, e.Function)
	case e.Parent != 0:
		return nil, 0
	case e.Trace != 0 && f != nil: // whose caller is not told: the first that is expected
		if node = f.expected(e.Function); node < 0 {
			return nil, 0
		}
	default:
		t.sweep(e.At)
		f = t.begin(e.Trace, e.Function, e.At)
	}
	t.join(f, e.Invocation, node, arrived)
	i := len(f.invocations) - 1
	t.invocations[e.Invocation] = place{f, i}
	return f, i
}

// expected returns the first node of a function that has not come and whose caller has, −1 if there is none.
func (f *flight) expected(function int) int {
	f.fit()
	for i, n := range f.composition.nodes {
		if n.function == function && n.parent >= 0 && f.slots[i].invocation == 0 && f.slots[n.parent].invocation > 0 {
			return i
		}
	}
	return -1
}

// complete returns a flight that is complete by now, nil if there is none (any more). Whoever calls it ends it with finish.
func (t *tracker) complete(now prewarm.Time) *flight {
	for t.closed < len(t.closing) && t.closing[t.closed].at <= now {
		c := t.closing[t.closed]
		t.closed++
		if c.flight.active && c.flight.trace == c.trace && c.flight.open == 0 && c.flight.last+t.traceGrace == c.at {
			return c.flight
		}
	}
	if t.closed > len(t.closing)/2 {
		t.closing = t.closing[:copy(t.closing, t.closing[t.closed:])]
		t.closed = 0
	}
	return nil
}

// sweep plans the end of a flight of which nothing was heard for long. Each call looks at one flight.
func (t *tracker) sweep(now prewarm.Time) {
	if len(t.flights) == 0 {
		return
	}
	t.swept = (t.swept + 1) % len(t.flights)
	if f := t.flights[t.swept]; f.active && f.last+traceLimit < now {
		f.open, f.last = 0, now
		t.closing = append(t.closing, closing{now + t.traceGrace, f, f.trace})
	}
}

// finish learns from a flight that is complete, and forgets it.
func (t *tracker) finish(f *flight) {
	t.learn(f, t.offsets)
	for i := range f.invocations {
		delete(t.invocations, f.invocations[i].id)
	}
	delete(t.traces, f.trace)
	t.release(f)
}

func (t *tracker) release(f *flight) {
	f.active = false
	t.free = append(t.free, f)
}

// afterEnd returns the probability of a child, p if nothing is known of its time, when its caller ended some time ago and it has not been seen: few
// callers send anything with their end.
func (t *tracker) afterEnd(c *composition, child int, p float64, ago time.Duration) float64 {
	v := c.nodes[child]
	w := v.after[v.depth-1].end.sorted
	if len(w) == 0 || !t.arrivals {
		return p
	}
	before, _ := slices.BinarySearch(w, ago)
	still := p * float64(len(w)-before) / float64(len(w))
	return still / (still + 1 - p)
}

// learn counts the invocations of a flight and, if timed is set, notes when they have come.
func (t *tracker) learn(f *flight, timed bool) {
	f.fit()
	for i := range f.invocations {
		v := &f.invocations[i]
		n := f.composition.nodes[v.node]
		n.n++
		if n.parent >= 0 {
			for _, sibling := range f.composition.nodes[n.parent].children {
				if f.slots[sibling].invocation > 0 {
					n.with[f.composition.nodes[sibling].place]++
				}
			}
		}
		if !timed {
			continue
		}
		if v.started >= 0 && v.ended >= v.started {
			n.run.add(v.ended - v.started)
		}
		for at := n.parent; at >= 0; at = f.composition.nodes[at].parent {
			ancestor := f.of(at)
			if ancestor == nil {
				continue
			}
			o := &n.after[f.composition.nodes[at].depth]
			if ancestor.started >= 0 {
				o.start.add(v.arrived - ancestor.started)
			}
			if ancestor.ended >= 0 {
				o.end.add(v.arrived - ancestor.ended)
			}
		}
	}
}
