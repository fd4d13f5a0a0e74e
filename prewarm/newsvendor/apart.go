package newsvendor

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/prewarm"
)

// A policy is made of a predictor, which follows traces, and of a decider for each function, which decides on its containers. Where they are in processes of
// their own, a Predictor tells Deciders what it expects of each trace, and these tell it what containers there are.

// Told is what a predictor expects of a trace for one function, in place of what it has told before.
type Told struct {
	Trace prewarm.ID
	// Function is the index of the function, and Demands are what is still to come of it, none if nothing is.
	Function int
	Demands  []Demand
	// Until is the time, in seconds since the epoch, at which it is void unless it has been told anew.
	Until float64
	// Began says that the trace has just begun, with an invocation of Root that arrived At.
	Began bool
	Root  int
	At    prewarm.Time
}

// Predictor is the part of a Policy that follows traces, for deciders that are elsewhere.
type Predictor struct {
	policy    *Policy
	functions []prewarm.Function
	tell      func(*Told)
	told      Told
	kept      []toldTo
}

// grace is for how many seconds what was told holds beyond the time at which it should have been told anew. A predictor that has died has an heir by then.
const grace = 60.0

// NewPredictor returns a predictor that knows applications. What it expects of a trace is told to tell, which keeps nothing of it. Of the options, Knowledge, Model and
// Seed are not used.
func NewPredictor(o Options, applications []*Application, tell func(*Told)) (*Predictor, error) {
	p, err := newApart(o, applications)
	if err != nil {
		return nil, err
	}
	r := &Predictor{policy: p, functions: o.Functions, tell: tell}
	return r, r.supplyNone()
}

// supplyNone takes it that there are no containers, until deciders tell of some.
func (r *Predictor) supplyNone() error {
	p := r.policy
	fleet, err := prewarm.NewFleet(p.platform, r.functions)
	if err != nil {
		return fmt.Errorf("newsvendor: %w", err)
	}
	for _, d := range p.deciders {
		p.predictor.supplies[d.function] = d.supply(fleet)
	}
	return nil
}

// newApart returns a policy that knows applications, and nothing that has happened.
func newApart(o Options, applications []*Application) (*Policy, error) {
	p := newPolicy(&o)
	p.apart = true
	p.Grow(o.Functions)
	for _, a := range applications {
		if err := p.Replace(a, nil, nil); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Grow makes room for functions that were added.
func (r *Predictor) Grow(functions []prewarm.Function) { r.policy.Grow(functions) }

// Knows reports whether a function is of an application, so that something may be expected of its traces.
func (r *Predictor) Knows(function int) bool {
	return function >= 0 && function < len(r.policy.predictor.appOf) && r.policy.predictor.appOf[function] >= 0
}

// Supply takes what a decider tells of the containers of its function.
func (r *Predictor) Supply(s *Supply) {
	if r.Knows(s.Function) {
		r.policy.predictor.supplies[s.Function] = *s
	}
}

// Handle is told of an event, in the order of time: Arrived, Called, Started, Ended or Refused; others say nothing. Where the invocation is placed is taken to be as its
// function's decider has told.
func (r *Predictor) Handle(e *prewarm.Event) {
	p, now := r.policy, seconds(e.At)
	p.at = e.At
	if !r.Knows(e.Function) {
		return
	}
	switch e.Kind {
	case prewarm.Arrived:
		began := e
		if e.Parent != 0 || p.predictor.of(e.Trace) != nil {
			began = nil
		}
		t := p.predictor.arrived(e, now)
		if t == nil {
			return
		}
		if v := t.invocation(e.Invocation); v != nil {
			r.place(v, e.Function)
		}
		r.say(t, now, began)
	case prewarm.Called:
		if t := p.predictor.called(e); t != nil {
			r.say(t, now, nil)
		}
	case prewarm.Started:
		t, v := p.invocation(e)
		if v == nil {
			return
		}
		waited := !math.IsNaN(v.asked) || now-v.arrived > 0.05
		v.started, v.asked = happened(e), math.NaN()
		if waited {
			t.heard = now
			r.say(t, now, nil)
		}
	case prewarm.Ended, prewarm.Refused:
		t, v := p.invocation(e)
		if v == nil || !math.IsNaN(v.ended) {
			return
		}
		v.ended = happened(e)
		if math.IsNaN(v.started) {
			v.started = v.ended
		}
		t.running--
		t.heard = now
		if e.Kind == prewarm.Refused {
			v.started, v.ended = now, now-afterEnd
			r.say(t, now, nil)
		} else if p.endedIn(t, v, now) {
			r.say(t, now, nil)
		}
	}
}

// place places an invocation that has just arrived in the container that its function's decider has told of.
func (r *Predictor) place(v *invocation, function int) {
	p := r.policy
	s := &p.predictor.supplies[function]
	v.placed, v.fresh = true, s.Fresh
	if !s.Free {
		v.fresh = true
		if v.asked = v.arrived; s.Asked < v.arrived && p.platform.Late == prewarm.TakesStarting {
			v.asked = s.Asked
		}
	}
}

// Pass tells what is expected anew of traces of which nothing was heard for long enough.
func (r *Predictor) Pass(at prewarm.Time) {
	p, now := r.policy, seconds(at)
	p.at = at
	timers := &p.predictor.timers
	for timers.next() <= now+1e-6 {
		t := p.predictor.traces[timers.heap[0].owner]
		timers.set(&t.timer, 0, never)
		r.say(t, now, nil)
	}
}

// Again has what is expected of all traces told anew, at the next Pass.
func (r *Predictor) Again() {
	p := r.policy.predictor
	for _, t := range p.traces {
		if t != nil {
			p.timers.set(&t.timer, uint64(t.at), t.told)
		}
	}
}

// Next returns when Pass should be called next, prewarm.Never if that is not needed.
func (r *Predictor) Next() prewarm.Time { return moment(r.policy.predictor.timers.next()) }

// InFlight returns how many traces are followed.
func (r *Predictor) InFlight() int {
	return len(r.policy.predictor.traces) - len(r.policy.predictor.unused)
}

// say tells the functions of a trace what is expected of it: those of which something is, or was told before, and where it has just begun, as an event says, all.
func (r *Predictor) say(t *trace, now float64, began *prewarm.Event) {
	p := r.policy
	functions := p.predictor.apps[t.app].history.app.Functions
	r.told = Told{Trace: t.id, Demands: r.told.Demands}
	if began != nil {
		r.told.Began, r.told.Root, r.told.At = true, began.Function, began.At-began.Late
	}
	before := t.toldTo
	demands, goesOn := p.predictor.demandsOf(t, now)
	if goesOn && t.timer >= 0 {
		r.told.Until = p.predictor.timers.heap[t.timer].at + grace
	} else {
		r.told.Until = now + grace
	}
	kept := r.kept[:0]
	for _, f := range functions {
		r.told.Function, r.told.Demands = f, r.told.Demands[:0]
		for i := range demands {
			if demands[i].Function == f {
				r.told.Demands = append(r.told.Demands, demands[i])
			}
		}
		was := slices.IndexFunc(before, func(o toldTo) bool { return o.function == int32(f) })
		is := summary(&r.told, now)
		switch {
		case is.n > 0 && !r.told.Began && was >= 0 && before[was].like(&is, now):
			kept = append(kept, before[was]) // it holds
			continue
		case is.n > 0:
			kept = append(kept, is)
		case was < 0 && !r.told.Began:
			continue
		}
		r.tell(&r.told)
	}
	r.kept = kept
	t.toldTo = append(t.toldTo[:0], kept...)
}

// toldTo says about what a function was told of a trace.
type toldTo struct {
	function int32
	n        int32
	expected float64 // sum of the probabilities
	mean     float64 // of the times
	until    float64
}

func summary(t *Told, now float64) toldTo {
	s := toldTo{function: int32(t.Function), n: int32(len(t.Demands)), until: t.Until}
	for i := range t.Demands {
		s.expected += t.Demands[i].Probability
		for _, at := range t.Demands[i].Times {
			s.mean += max(at, now) / Quantiles / float64(len(t.Demands))
		}
	}
	return s
}

// like reports whether it makes no difference to a decider to be told the one or the other: it knows by itself how long nothing has come.
func (s *toldTo) like(o *toldTo, now float64) bool {
	const chance, moment, share = 0.01, 0.01, 0.02
	return s.n == o.n && math.Abs(s.expected-o.expected) < chance && math.Abs(s.mean-o.mean) < max(moment, share*(o.mean-now)) && s.until > now+grace/2
}

// Decider is the part of a Policy that decides on containers: of the functions that Own was called for, by what predictors tell it. It implements
// prewarm.Policy; events are those of its own functions.
type Decider struct {
	policy   *Policy
	learns   bool
	told     map[toldOf]float64 // until when
	sweep    float64            // when what is void is looked for next
	supplies map[int]Supply     // as they were told last
	begun    map[prewarm.ID]float64
	runs     map[int]*runTimes
	streams  map[int]*stream
}

// toldOf is what something was told of.
type toldOf struct {
	function int
	trace    prewarm.ID
}

// sweepEvery is how often, in seconds, what is void is looked for.
const sweepEvery = 5.0

// NewDecider returns a decider that knows applications, and owns no function yet. With learns it learns how long runs take, and when requests come, from what
// it is told, beside what is known of the applications. Of the options, Knowledge, Model and Seed are not used.
func NewDecider(o Options, applications []*Application, learns bool) (*Decider, error) {
	p, err := newApart(o, applications)
	if err != nil {
		return nil, err
	}
	d := &Decider{
		policy: p, learns: learns, told: map[toldOf]float64{}, supplies: map[int]Supply{}, begun: map[prewarm.ID]float64{}, runs: map[int]*runTimes{},
		streams: map[int]*stream{},
	}
	for _, f := range p.deciders {
		f.known = false
	}
	return d, nil
}

// Grown implements prewarm.Grower.
func (d *Decider) Grown(fleet *prewarm.Fleet, _ *prewarm.Decisions) { d.policy.Grow(fleet.Functions) }

// Forget forgets the start times of a function, because its code has changed.
func (d *Decider) Forget(function int) { d.policy.Forget(function) }

// Own has a function decided on from now on, if it is of an application.
func (d *Decider) Own(function int) {
	p := d.policy
	if function < len(p.deciders) && p.predictor.appOf[function] >= 0 && !p.deciders[function].known {
		p.deciders[function].known, p.deciders[function].dirty = true, true
	}
}

// Tell takes what a predictor has told. What it leads to is decided at the next event.
func (d *Decider) Tell(t *Told, at prewarm.Time) {
	p := d.policy
	if t.Function < 0 || t.Function >= len(p.deciders) || !p.deciders[t.Function].known {
		return
	}
	p.at = max(p.at, at)
	f, now := p.deciders[t.Function], seconds(at)
	f.heard = max(f.heard, now)
	if t.Began {
		d.beganRequest(t, now)
	}
	f.remove(t.Trace)
	of := toldOf{t.Function, t.Trace}
	if len(t.Demands) == 0 || t.Until <= now {
		delete(d.told, of)
		return
	}
	d.told[of] = t.Until
	learned := d.runs[t.Function]
	for i := range t.Demands {
		v := &t.Demands[i]
		if v.Trace = t.Trace; learned != nil && learned.known {
			v.Busy = f.busy.Mean()
		}
		f.add(v)
	}
}

// beganRequest is told that a request has begun; once for each, whatever the number of functions that are told of it.
func (d *Decider) beganRequest(t *Told, now float64) {
	p := d.policy
	if _, known := d.begun[t.Trace]; known || t.Root < 0 || t.Root >= len(p.predictor.appOf) {
		return
	}
	d.begun[t.Trace] = now
	if a := p.predictor.appOf[t.Root]; a >= 0 && p.deciders[t.Root].isRoot(p.roots[a]) {
		p.beganRequest(p.roots[a], now, t.At)
	} else if r := p.stream(t.Root); r != nil {
		p.beganRequest(r, now, t.At)
	}
	if d.learns {
		d.learnGap(t.Root, t.At)
	}
}

// Handle implements prewarm.Policy.
func (d *Decider) Handle(e *prewarm.Event, fleet *prewarm.Fleet, out *prewarm.Decisions) {
	if now := seconds(e.At); now >= d.sweep {
		d.sweep = now + sweepEvery
		d.forgetVoid(now)
	}
	if d.learns && e.Kind == prewarm.Ended && e.Function < len(d.policy.deciders) {
		d.learnRun(e)
	}
	d.policy.Handle(e, fleet, out)
}

// forgetVoid forgets what was told and is void, and requests that have begun long ago.
func (d *Decider) forgetVoid(now float64) {
	var void []toldOf
	for of, until := range d.told {
		if until <= now {
			void = append(void, of)
		}
	}
	// In an order that is always the same, so that the same events lead to the same sums.
	slices.SortFunc(void, func(a, b toldOf) int {
		return cmp.Or(cmp.Compare(a.function, b.function), cmp.Compare(a.trace, b.trace))
	})
	for _, of := range void {
		d.policy.deciders[of.function].remove(of.trace)
		delete(d.told, of)
	}
	for id, at := range d.begun {
		if now-at > forgotten {
			delete(d.begun, id)
		}
	}
}

// EachSupply calls f for what predictors should know of the containers of its functions, where that has changed since the last call; with all, whether or
// not it has.
func (d *Decider) EachSupply(all bool, f func(*Supply)) {
	p := d.policy
	for _, k := range p.deciders {
		if !k.known {
			continue
		}
		s := p.predictor.supplies[k.function]
		if last, ok := d.supplies[k.function]; !all && ok && last.like(&s) {
			continue
		}
		d.supplies[k.function] = s
		f(&s)
	}
}

// like reports whether a predictor would expect nearly the same of both.
func (s *Supply) like(o *Supply) bool {
	if s.Free != o.Free || s.Fresh != o.Fresh || math.IsNaN(s.Asked) != math.IsNaN(o.Asked) || math.Abs(s.Asked-o.Asked) > 1e-3 {
		return false
	}
	for i := range s.Start {
		if math.Abs(s.Start[i]-o.Start[i]) > 0.01*s.Start[i] {
			return false
		}
	}
	return true
}
