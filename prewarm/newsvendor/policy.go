package newsvendor

import (
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/internal/idmap"
	"github.com/tppfaas/tppfaas/prewarm"
)

// Policy is the newsvendor's policy. It connects the predictor and the deciders, which exchange nothing but values.
type Policy struct {
	platform  prewarm.Platform
	price     float64
	everyWait bool
	startCost float64
	apart     bool // it is a part only: that of a Predictor, or of a Decider
	starts    *prewarm.StartTimes
	work      *work
	at        prewarm.Time // of the last event
	predictor *predictor
	roots     []*roots // by application
	streams   []*roots // of requests that begin with other functions
	// lastStream is the last number that one of streams got.
	lastStream uint32
	deciders   []*decider
	boxes      idmap.Map[prewarm.ID, *box]
	spare      []*box
	timers     timers // of deciders

	fleet            *prewarm.Fleet
	out              *prewarm.Decisions
	overload         bool
	active           []*decider // those that decide at this event
	reserved         int        // memory of what was started at this event
	asking           int        // containers that were started at this event
	boxOf            func(prewarm.ID) *box
	roomFor          func(*decider, float64) bool
	wokenPredictions float64 // when the predictor is woken next
	wokenDecisions   float64
}

// box is what is known of a container beside the fleet.
type box struct {
	until float64 // of its hold
	rank  float64
	ready bool
	gone  bool // it was given back to make room
}

// Keys of wakes.
const (
	keyPredictor = 1
	keyDeciders  = 2
	// KeyAgain is the key of a Woken that only has the policy decide again, after Replace. It may come at any time.
	KeyAgain = 3
)

// leastRank is the negative rank of what is never used again.
const leastRank = 1e12

// manyCreations is from how many creations under way on nothing is removed, and someCreations where half of them are for invocations that find
// no container: then the platform is behind what is demanded, and not only ahead of what is foreseen.
const manyCreations, someCreations = 24, 12

// overloaded reports whether the platform has more to do than it can: removals would make creations slower still.
func (p *Policy) overloaded() bool {
	n := p.fleet.Creating()
	return p.fleet.Queue > 0 || n >= manyCreations || n >= someCreations && 2*p.fleet.CreatingCold() >= n
}

// Handle implements prewarm.Policy.
func (p *Policy) Handle(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	now := seconds(e.At)
	p.at, p.fleet, p.out = e.At, fleet, d
	p.Grow(fleet.Functions)
	before := p.overload
	p.overload = p.overloaded()
	if before && !p.overload {
		for _, f := range p.deciders {
			f.dirty = f.dirty || f.postponed
		}
	}
	p.reserved, p.asking = 0, 0
	switch e.Kind {
	case prewarm.Woken:
		p.woken(e, now)
	case prewarm.Pressure:
	default:
		if e.Function >= 0 && e.Function < len(p.deciders) && p.deciders[e.Function].known {
			p.happened(e, now)
		} else {
			p.unknown(e, now)
		}
	}
	p.decide(now, e.At)
	p.wake()
}

// unknown handles what has happened to a function that nothing is known of.
func (p *Policy) unknown(e *prewarm.Event, now float64) {
	c := p.fleet.Container(e.Container)
	switch {
	case e.Kind == prewarm.Removed:
		p.removed(e.Container)
	case c == nil || p.fleet.Functions[c.Function].StemCell:
	case e.Kind == prewarm.Started || e.Kind == prewarm.Idle:
		p.ready(c, now)
	}
	if e.Kind == prewarm.Idle && c != nil && p.platform.MemoryMB > 0 {
		// No use of it is foreseen: it makes room before all others.
		p.out.Rank(c, -leastRank)
	}
}

// removed forgets a container.
func (p *Policy) removed(id prewarm.ID) {
	if b, ok := p.boxes.Get(id); ok {
		p.boxes.Delete(id)
		if len(p.spare) < mostSpare {
			p.spare = append(p.spare, b)
		}
	}
}

// woken handles times at which something wanted to be looked at.
func (p *Policy) woken(e *prewarm.Event, now float64) {
	if e.Key == 0 {
		p.wokenPredictions, p.wokenDecisions = never, never
		for _, f := range p.deciders {
			p.predictor.supplies[f.function] = f.supply(p.fleet)
		}
		for _, r := range slices.Concat(p.roots, p.streams) {
			if r.model != nil {
				r.process = r.model.New(e.At)
				r.last, r.changed = now, true
			}
		}
		return
	}
	switch e.Key {
	case keyPredictor:
		p.wokenPredictions = never
	case keyDeciders:
		p.wokenDecisions = never
	}
	for p.predictor.timers.next() <= now+1e-6 {
		t := p.predictor.traces[p.predictor.timers.heap[0].owner]
		p.predictor.timers.set(&t.timer, 0, never)
		p.tell(t, now)
	}
	for p.timers.next() <= now+1e-6 {
		f := p.deciders[p.timers.heap[0].owner]
		p.timers.set(&f.timer, 0, never)
		f.dirty = true
		p.refresh(f, now)
	}
}

// refresh has the traces looked at again that a decider is about to decide for, if they are few: nothing was heard of them since.
func (p *Policy) refresh(f *decider, now float64) {
	const few, recent = 3, 0.02
	if a := p.predictor.appOf[f.function]; a >= 0 && now-p.roots[a].told > max(recent, p.roots[a].lasts) {
		p.roots[a].wanted = true
	}
	for _, r := range p.streams {
		if r.place == p.predictor.appOf[f.function] && now-r.told > max(recent, r.lasts) {
			r.wanted = true
		}
	}
	if len(f.entries) > few {
		return
	}
	var ids [few]prewarm.ID
	n := 0
	for i := range f.entries {
		ids[n] = f.entries[i].Trace
		n++
	}
	for _, id := range ids[:n] {
		if t := p.predictor.of(id); t != nil && now-t.told > recent {
			p.tell(t, now)
		}
	}
}

// happened handles what has happened to a function that is known.
func (p *Policy) happened(e *prewarm.Event, now float64) {
	f := p.deciders[e.Function]
	f.dirty, f.heard = true, now
	c := p.fleet.Container(e.Container)
	switch e.Kind {
	case prewarm.Arrived:
		p.arrived(e, now)
	case prewarm.Called:
		if t := p.predictor.called(e); t != nil {
			p.tell(t, now)
		}
	case prewarm.Placed:
		if b, ok := p.boxes.Get(e.Container); ok {
			b.gone = false
		}
		t, v := p.invocation(e)
		if v == nil {
			break
		}
		v.placed = true
		v.fresh = c != nil && p.fresh(c)
		v.asked = math.NaN()
		if e.Start != prewarm.Warm && c != nil {
			v.asked = seconds(c.Asked)
		}
		if e.Start != prewarm.Warm || v.fresh {
			p.tell(t, now)
		}
		if c != nil && e.Start == prewarm.Warm {
			f.begin(e.Container, now)
		} else if c != nil {
			f.begin(e.Container, max(now, seconds(c.Asked)+f.mean))
		}
	case prewarm.Started:
		if !p.platform.Arrivals {
			p.arrived(e, now)
		}
		t, v := p.invocation(e)
		if c != nil {
			p.ready(c, now)
			if r := f.runs.of(e.Container); r == nil || math.Abs(r.began-now) > 0.02 {
				f.begin(e.Container, now)
			}
		}
		if v == nil {
			break
		}
		if !p.platform.Arrivals {
			v.fresh = c != nil && p.fresh(c)
		}
		waited := !math.IsNaN(v.asked) || now-v.arrived > 0.05
		v.started, v.asked = happened(e), math.NaN()
		if waited || !p.platform.Arrivals {
			t.heard = now
			p.tell(t, now)
		}
	case prewarm.Ended:
		f.finish(e.Container)
		if t, v := p.invocation(e); v != nil && math.IsNaN(v.ended) {
			v.ended = happened(e)
			if math.IsNaN(v.started) {
				v.started = v.ended
			}
			t.running--
			t.heard = now
			p.ended(t, v, now)
		}
	case prewarm.Refused:
		if t, v := p.invocation(e); v != nil && math.IsNaN(v.ended) {
			v.started, v.ended = now, now-afterEnd
			t.running--
			p.tell(t, now)
		}
	case prewarm.Starting:
		if e.By == prewarm.ByPolicy && len(f.asks) > 0 {
			f.asks = append(f.asks[:0], f.asks[1:]...)
		}
	case prewarm.Idle:
		if c != nil {
			p.ready(c, now)
			f.finish(e.Container)
			p.rank(f, c, now)
		}
	case prewarm.Removed:
		f.finish(e.Container)
		p.removed(e.Container)
		for _, other := range p.deciders {
			other.dirty = other.dirty || other.starved
		}
	}
}

// arrived handles the arrival of an invocation.
func (p *Policy) arrived(e *prewarm.Event, now float64) {
	if p.apart {
		return // the predictor elsewhere has told what it means
	}
	if e.Parent == 0 && p.predictor.of(e.Trace) == nil {
		if a := p.predictor.appOf[e.Function]; a >= 0 && p.deciders[e.Function].isRoot(p.roots[a]) {
			p.beganRequest(p.roots[a], now, e.At-e.Late)
		} else if r := p.stream(e.Function); r != nil {
			p.beganRequest(r, now, e.At-e.Late)
		}
	}
	if t := p.predictor.arrived(e, now); t != nil {
		p.tell(t, now)
	}
}

func (d *decider) isRoot(r *roots) bool { return r.app.history.app.Functions[r.root] == d.function }

// ended handles the end of a run: what it has not called by a moment later will not come.
func (p *Policy) ended(t *trace, v *invocation, now float64) {
	if p.endedIn(t, v, now) {
		p.tell(t, now)
	}
}

// endedIn handles the end of a run in a trace, and reports whether the trace is over.
func (p *Policy) endedIn(t *trace, v *invocation, now float64) (over bool) {
	if t.running == 0 && len(t.expected) == 0 {
		return true
	}
	for i := range t.expected {
		if c := t.expected[i].cause; c >= 0 && &t.invocations[c] == v {
			at := now + afterEnd
			if t.timer >= 0 {
				at = min(at, p.predictor.timers.heap[t.timer].at)
			}
			p.predictor.timers.set(&t.timer, uint64(t.at), at)
			return false
		}
	}
	return false
}

// invocation returns the invocation of an event and its trace, nil if it is not known.
func (p *Policy) invocation(e *prewarm.Event) (*trace, *invocation) {
	t := p.predictor.find(e.Trace, e.Function, false)
	if t == nil {
		return nil, nil
	}
	return t, t.invocation(e.Invocation)
}

// fresh reports whether the first call that the container makes is yet to come: it was given its first invocation, and the platform did not make
// the call beforehand.
func (p *Policy) fresh(c *prewarm.Container) bool {
	return c.Uses <= 1 && !(p.platform.FirstCall && c.By == prewarm.ByPolicy)
}

// ready notes a start time, once for each container.
func (p *Policy) ready(c *prewarm.Container, now float64) {
	b := p.box(c.ID)
	if b.ready {
		return
	}
	b.ready = true
	if at := seconds(c.Asked); at < now {
		p.deciders[c.Function].started(c.Load, p.fleet.Now-c.Asked)
	}
}

func (p *Policy) box(id prewarm.ID) *box {
	b, ok := p.boxes.Get(id)
	if !ok {
		if n := len(p.spare); n > 0 {
			b = p.spare[n-1]
			p.spare = p.spare[:n-1]
		} else {
			b = new(box)
		}
		*b = box{until: math.Inf(-1), rank: math.NaN()}
		p.boxes.Set(id, b)
	}
	return b
}

// tell passes the demands of a trace from the predictor to the deciders.
func (p *Policy) tell(t *trace, now float64) {
	app := p.predictor.apps[t.app]
	id := t.id
	demands, _ := p.predictor.demandsOf(t, now)
	for _, f := range app.history.app.Functions {
		p.deciders[f].remove(id)
	}
	for i := range demands {
		p.deciders[demands[i].Function].add(&demands[i])
	}
}

// Where demands are many, starts are decided on every often seconds, and how long containers are kept every sometimes.
const (
	often     = 0.02
	sometimes = 0.2
)

// crowded reports whether demands are that many.
func (d *decider) crowded() bool { return d.ringed && len(d.entries)+len(d.runs.list) >= 40 }

// decide has all deciders decide to whom something new was told.
func (p *Policy) decide(now float64, at prewarm.Time) {
	for _, r := range p.roots {
		p.renew(r, now, at)
	}
	for _, r := range p.streams {
		p.renew(r, now, at)
	}
	p.active = p.active[:0]
	for _, f := range p.deciders {
		if f.dirty && f.known {
			if f.crowded() && now < f.decided+often-1e-4 {
				// Among many demands a moment more or less is nothing.
				if f.timer < 0 || p.timers.heap[f.timer].at > f.decided+often {
					p.timers.set(&f.timer, uint64(f.function), f.decided+often)
				}
				continue
			}
			f.dirty, f.begun, f.decided = false, 0, now
			f.count(now)
			p.active = append(p.active, f)
		}
	}
	// One container each in turn, so that where memory is short all functions have some.
	for again, n := len(p.active) > 0, 0; again && n < maxStarts; n++ {
		again = false
		for _, f := range p.active {
			if f.begun < n {
				continue
			}
			var did bool
			if f.wake, did = f.start(now, p.asking, p.fleet, p.roomFor, p.out); did {
				f.begun++
				p.asking++
				again = true
			}
		}
	}
	for _, f := range p.active {
		wake := f.wake
		if !f.crowded() || now >= f.held+sometimes-1e-4 || p.overload && now >= f.holdWake-1e-4 {
			f.held = now
			f.holdWake = f.hold(now, p.fleet, p.overload, p.boxOf, p.out)
		} else {
			f.holdWake = min(f.holdWake, f.held+sometimes)
		}
		wake = min(wake, f.holdWake)
		p.timers.set(&f.timer, uint64(f.function), max(wake, now+0.001))
		p.predictor.supplies[f.function] = f.supply(p.fleet)
	}
}

// supply returns what the function's containers mean for invocations to come.
func (d *decider) supply(fleet *prewarm.Fleet) Supply {
	s := Supply{Function: d.function, Asked: math.NaN(), Fresh: !d.platform.FirstCall}
	d.sample(fleet.Creating())
	for i := range s.Start {
		s.Start[i] = d.atoms[i*len(d.atoms)/Quantiles]
	}
	idle := fleet.Containers(d.function, prewarm.StateIdle)
	if n := len(idle) - fleet.Loads[d.function].Waiting; n > 0 {
		s.Free = true
		s.Fresh = s.Fresh && idle[n-1].Uses == 0
		return s
	}
	for _, c := range fleet.Containers(d.function, prewarm.StateStarting) {
		if at := seconds(c.Asked); !(at >= s.Asked) {
			s.Asked = at
		}
	}
	return s
}

// wake asks for the next times at which something wants to be looked at.
func (p *Policy) wake() {
	if at := p.predictor.timers.next(); at != p.wokenPredictions {
		p.wokenPredictions = at
		p.out.Wake(moment(at), keyPredictor)
	}
	if at := p.timers.next(); at != p.wokenDecisions {
		p.wokenDecisions = at
		p.out.Wake(moment(at), keyDeciders)
	}
}
