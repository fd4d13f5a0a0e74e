package learn

import (
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/internal/recent"
)

const (
	// mostInFlight is how many requests are followed at once, and mostCalls how many invocations of one.
	mostInFlight = 20_000
	mostCalls    = 512
	// settle is how long nothing must have been heard of a request all of whose runs have ended, so that it is over, and longer where events are told late;
	// forgotten is after how long it is given up otherwise.
	settle    = 2 * time.Second
	forgotten = 15 * time.Minute
	// mostGaps is how many times between requests are kept.
	mostGaps = 400
)

// unknown is a time that is not known yet.
const unknown prewarm.Time = -1

// call is an invocation of a request in flight.
type call struct {
	id                  prewarm.ID
	function, parent    int32 // parent is the index of its caller, −1 of the root and of one that is not known yet
	arrival, start, end prewarm.Time
	init                time.Duration
	fresh               bool
}

// flight is a request in flight.
type flight struct {
	id      prewarm.ID
	calls   []call
	running int  // calls that have not ended
	broken  bool // something of it is not known
	heard   prewarm.Time
	// expected is the number of invocations that was expected when it came, and variance that of the number; NaN if nothing was.
	expected, variance float64

	list, before, after int32 // the list that it is in, and its neighbours there
}

// recorder follows requests in flight, and passes those on that are over.
type recorder struct {
	platform prewarm.Platform
	index    map[prewarm.ID]int32
	flights  []flight
	unused   []int32
	lists    [2]flightList // of those that are quiet, and of those that run; the first was heard of longest ago
	arrivals []*arrivals   // by function that requests begin with
	// dropped are the last requests that are not followed any more, and oldest is the place of the one that was dropped first once these are
	// mostInFlight. What comes of them yet begins no request, although it may look like the root: the caller of a run whose start is heard of before
	// the announcement of the call is not known at first.
	dropped []prewarm.ID
	oldest  int
	done    map[prewarm.ID]bool
	late    recent.Max // by how much events are told late
	// over is told of each request that is over. It must not keep it.
	over func(f *flight)
}

const (
	quiet = iota
	runs
)

type flightList struct{ first, last int32 }

func newRecorder(p prewarm.Platform) *recorder {
	r := &recorder{platform: p, index: map[prewarm.ID]int32{}, done: map[prewarm.ID]bool{}, late: recent.Max{Span: 10 * time.Minute}}
	for i := range r.lists {
		r.lists[i] = flightList{-1, -1}
	}
	return r
}

// observe is told of an event. It returns the request that has just begun, nil if none has.
func (r *recorder) observe(e *prewarm.Event, fleet *prewarm.Fleet) (begun *flight) {
	r.late.Add(e.At, e.Late)
	switch e.Kind {
	case prewarm.Arrived:
		begun = r.arrived(e, e.At)
	case prewarm.Called:
		r.called(e)
	case prewarm.Placed, prewarm.Displaced, prewarm.Started, prewarm.Ended, prewarm.Refused:
		at, v := r.call(e)
		if v == nil && e.Kind == prewarm.Started && !r.platform.Arrivals {
			begun = r.arrived(e, max(e.At-max(e.Wait, 0), 0))
			at, v = r.call(e)
		}
		if v != nil {
			r.changed(at, v, e, fleet)
		}
	}
	r.sweep(e.At)
	return begun
}

// call returns the place of the request of an event, and its invocation.
func (r *recorder) call(e *prewarm.Event) (int32, *call) {
	at, ok := r.index[e.Trace]
	if !ok || e.Trace == 0 {
		return -1, nil
	}
	calls := r.flights[at].calls
	for i := len(calls) - 1; i >= 0; i-- {
		if calls[i].id == e.Invocation {
			return at, &calls[i]
		}
	}
	return at, nil
}

// arrived adds an invocation, and begins its request if it is the root.
func (r *recorder) arrived(e *prewarm.Event, arrival prewarm.Time) *flight {
	if e.Trace == 0 || e.Invocation == 0 || e.Function < 0 {
		return nil
	}
	at, known := r.index[e.Trace]
	if !known {
		if e.Parent != 0 || r.done[e.Trace] {
			return nil // its beginning was not seen, or it was given up, or is over
		}
		at = r.begin(e.Trace)
		r.arrivalsOf(e.Function).add(arrival)
	}
	f := &r.flights[at]
	v := call{id: e.Invocation, function: int32(e.Function), parent: -1, arrival: arrival, start: unknown, end: unknown}
	if len(f.calls) > 0 {
		for i := range f.calls {
			if f.calls[i].id == e.Invocation {
				f.broken = true
				return nil
			}
			if e.Parent != 0 && f.calls[i].id == e.Parent {
				v.parent = int32(i)
			}
		}
		if v.parent < 0 && e.Parent != 0 || len(f.calls) >= mostCalls {
			f.broken = true
			r.touch(at, e.At)
			return nil
		}
		if v.parent >= 0 {
			v.arrival = f.notBefore(v.parent, arrival)
		}
	}
	f.calls = append(f.calls, v)
	f.running++
	r.touch(at, e.At)
	if known {
		return nil
	}
	return f
}

// notBefore returns when an invocation of a caller has arrived, which was not before the caller's run has begun.
func (f *flight) notBefore(caller int32, arrival prewarm.Time) prewarm.Time {
	c := &f.calls[caller]
	return max(arrival, c.arrival, c.start)
}

// called notes who has called an invocation of which that was not known when it came.
func (r *recorder) called(e *prewarm.Event) {
	at, v := r.call(e)
	if v == nil || v.parent >= 0 {
		return
	}
	f := &r.flights[at]
	for i := range f.calls {
		c := &f.calls[i]
		if c == v {
			return // it came before its caller
		}
		if c.id == e.Parent {
			v.parent = int32(i)
			v.arrival = f.notBefore(v.parent, min(v.arrival, e.At-e.Late))
			if v.start != unknown {
				v.start = max(v.start, v.arrival)
			}
			return
		}
	}
}

// orphaned reports whether the caller of any invocation is not known.
func (f *flight) orphaned() bool {
	for i := range f.calls {
		if i > 0 && f.calls[i].parent < 0 {
			return true
		}
	}
	return false
}

// changed notes what has happened to an invocation.
func (r *recorder) changed(at int32, v *call, e *prewarm.Event, fleet *prewarm.Fleet) {
	f := &r.flights[at]
	c := fleet.Container(e.Container)
	switch e.Kind {
	case prewarm.Placed:
		v.fresh = c != nil && r.fresh(c)
	case prewarm.Displaced:
		v.fresh = false
	case prewarm.Started:
		if v.start != unknown {
			break
		}
		v.start, v.init = max(e.At, v.arrival), max(e.Init, 0)
		if !r.platform.Arrivals {
			v.fresh = c != nil && r.fresh(c)
		}
	case prewarm.Ended:
		if v.end != unknown {
			break
		}
		v.end = e.At
		f.running--
		f.broken = f.broken || v.start == unknown
	case prewarm.Refused:
		if v.end == unknown {
			v.end = e.At
			f.running--
		}
		f.broken = true
	}
	r.touch(at, e.At)
}

// fresh reports whether the first call that a container makes is yet to come.
func (r *recorder) fresh(c *prewarm.Container) bool {
	return c.Uses <= 1 && !(r.platform.FirstCall && c.By == prewarm.ByPolicy)
}

// begin returns the place of a new request.
func (r *recorder) begin(id prewarm.ID) int32 {
	if len(r.index) >= mostInFlight {
		victim := r.lists[quiet].first
		if victim < 0 {
			victim = r.lists[runs].first
		}
		r.drop(victim)
	}
	var at int32
	if n := len(r.unused); n > 0 {
		at = r.unused[n-1]
		r.unused = r.unused[:n-1]
	} else {
		at = int32(len(r.flights))
		r.flights = append(r.flights, flight{})
	}
	r.flights[at] = flight{id: id, calls: r.flights[at].calls[:0], list: -1}
	r.index[id] = at
	return at
}

// drop forgets a request.
func (r *recorder) drop(at int32) {
	r.unlink(at)
	id := r.flights[at].id
	delete(r.index, id)
	r.unused = append(r.unused, at)
	r.giveUp(id)
}

// giveUp has no request begin with what comes of one.
func (r *recorder) giveUp(id prewarm.ID) {
	r.done[id] = true
	if len(r.dropped) < mostInFlight {
		r.dropped = append(r.dropped, id)
		return
	}
	delete(r.done, r.dropped[r.oldest])
	r.dropped[r.oldest] = id
	r.oldest = (r.oldest + 1) % mostInFlight
}

// touch notes that something was heard of a request.
func (r *recorder) touch(at int32, now prewarm.Time) {
	r.unlink(at)
	f := &r.flights[at]
	f.heard = now
	f.list = runs
	if f.running <= 0 {
		f.list = quiet
	}
	l := &r.lists[f.list]
	f.before, f.after = l.last, -1
	if l.last >= 0 {
		r.flights[l.last].after = at
	} else {
		l.first = at
	}
	l.last = at
}

func (r *recorder) unlink(at int32) {
	f := &r.flights[at]
	if f.list < 0 {
		return
	}
	l := &r.lists[f.list]
	if f.before >= 0 {
		r.flights[f.before].after = f.after
	} else {
		l.first = f.after
	}
	if f.after >= 0 {
		r.flights[f.after].before = f.before
	} else {
		l.last = f.before
	}
	f.list = -1
}

// next returns when a request will be over if nothing is heard of it until then, Never if there is none such.
func (r *recorder) next() prewarm.Time {
	at := r.lists[quiet].first
	if at < 0 {
		return prewarm.Never
	}
	return r.flights[at].heard + r.settle()
}

// settle is for how long nothing must have been heard of a request whose runs have ended.
func (r *recorder) settle() time.Duration { return settle + min(2*r.late.Get(), forgotten) }

// sweep passes on what is over, and gives up what nothing was heard of for long.
func (r *recorder) sweep(now prewarm.Time) {
	for at := r.lists[quiet].first; at >= 0 && now-r.flights[at].heard >= r.settle(); at = r.lists[quiet].first {
		f := &r.flights[at]
		if !f.broken && !f.orphaned() {
			r.over(f)
		}
		r.drop(at)
	}
	for at := r.lists[runs].first; at >= 0 && now-r.flights[at].heard >= forgotten; at = r.lists[runs].first {
		r.drop(at)
	}
}

// trace appends the request to t, as it is kept.
func (f *flight) trace(t prewarm.Trace) prewarm.Trace {
	root := f.calls[0].arrival
	since := func(at prewarm.Time) float64 { return (at - root).Seconds() }
	for i := range f.calls {
		v := &f.calls[i]
		t = append(t, prewarm.Invocation{
			Function: int(v.function), Parent: int(v.parent), Arrival: since(v.arrival), Start: since(v.start), End: since(max(v.end, v.start)),
			Init: v.init.Seconds(), Fresh: v.fresh,
		})
	}
	return t
}

// arrivals are the times between the last requests that begin with a function.
type arrivals struct {
	gaps []float64 // in seconds: a ring
	next int
	last prewarm.Time
	any  bool // last is known
}

func (r *recorder) arrivalsOf(function int) *arrivals {
	for len(r.arrivals) <= function {
		r.arrivals = append(r.arrivals, nil)
	}
	if r.arrivals[function] == nil {
		r.arrivals[function] = &arrivals{}
	}
	return r.arrivals[function]
}

func (a *arrivals) add(at prewarm.Time) {
	if a.any {
		a.addGap(max(at-a.last, 0).Seconds())
	}
	a.last, a.any = max(at, a.last), true
}

func (a *arrivals) addGap(gap float64) {
	if len(a.gaps) < mostGaps {
		a.gaps = append(a.gaps, gap)
		return
	}
	a.gaps[a.next] = gap
	a.next = (a.next + 1) % mostGaps
}

// inOrder returns a copy of the gaps, the oldest first.
func (a *arrivals) inOrder() []float64 {
	if a == nil {
		return nil
	}
	return append(append(make([]float64, 0, len(a.gaps)), a.gaps[a.next:]...), a.gaps[:a.next]...)
}

// recent returns when the last requests came, at most n.
func (a *arrivals) recent(n int) []prewarm.Time {
	if a == nil || !a.any {
		return nil
	}
	gaps := a.inOrder()
	gaps = gaps[max(len(gaps)-n+1, 0):]
	times := make([]prewarm.Time, len(gaps)+1)
	at := a.last
	times[len(gaps)] = at
	for i := len(gaps) - 1; i >= 0; i-- {
		at -= time.Duration(gaps[i] * float64(time.Second))
		times[i] = at
	}
	return times
}
