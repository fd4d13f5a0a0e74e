package newsvendor

import (
	"math"
	"time"

	"github.com/tppfaas/tppfaas/internal/idmap"
	"github.com/tppfaas/tppfaas/prewarm"
)

// predictor follows the traces in flight of all applications, and says what is still to come of each.
type predictor struct {
	platform    prewarm.Platform
	patience    float64 // 0 if nothing can be lost
	apps        []*application
	appOf       []int32 // by function, −1 if it is of none
	supplies    []Supply
	index       idmap.Map[prewarm.ID, int32]
	traces      []*trace // nil where none is in flight
	unused      []int32  // of traces
	timers      timers
	expected    pool[expected]
	invocations pool[invocation]
	list        []expected // of the trace under way
	demands     []Demand   // of it

	// Of what is expected of the trace under way, by its index there:
	arrivals, begins []Times   // when it arrives, and when its run starts
	chances          []float64 // that it comes
	done, lost       []bool
	ready            Times
}

// application is what a predictor knows of one.
type application struct {
	spare      []*trace // over, for others to come: their followers are of the application
	history    *history
	forecaster forecaster
	certain    [][]bool  // by the marks of caller and callee: where one was never seen not to come
	groups     [][]int   // by the same: calls with the same number, of which each run makes one at most; −1 where that is not known
	firstCall  []float64 // by mark, learned further while the policy runs
	variance   []float64
	slack      []float64 // by mark
}

// trace is a request in flight.
type trace struct {
	id          prewarm.ID
	at          int32 // in the predictor's list
	app         int32
	timer       int
	invocations []invocation
	expected    []expected
	follower    follower
	heard       float64  // when the last event of it was
	told        float64  // when its demands were last told
	running     int      // of its invocations
	last        float64  // delay-free time of the last invocation
	checks      float64  // how long until it is looked at again if nothing is heard
	toldTo      []toldTo // what functions were told of it, if deciders are elsewhere
}

// invocation is one of a trace that has arrived.
type invocation struct {
	id                      prewarm.ID
	mark                    int32
	caller                  int32
	free                    float64 // when it has come in delay-free time, in seconds since the first of the trace
	arrived, started, ended float64 // in seconds since the epoch; NaN for what has not happened
	asked                   float64 // when the container was asked for that it waits for, NaN if it waits for none
	placed                  bool    // it has a container
	fresh                   bool    // the container has called nothing yet
	called                  bool    // it has called something
}

const (
	// afterEnd is for how many seconds after the end of a run an invocation that it has made may still be under way.
	afterEnd = 0.1
	// dispatch is about how long an invocation takes from its arrival to the start of its run in an idle container, in seconds.
	dispatch = 0.005
	// forgotten is after how many seconds without any event a trace is taken to be over.
	forgotten = 900.0
)

// DefaultPatience is a good Options.Patience where what is observed can be lost, or held up on its way.
const DefaultPatience = 2 * time.Second

// lost reports whether what comes at one of these times is so late, as seen at now, that it must have come and not been heard of: by more than the patience,
// in seconds, and twice the range of the times.
func (t *Times) lost(now, patience float64) bool {
	first, last := t[0], t[Quantiles-1]
	return patience > 0 && now > last+2*(last-first)+patience
}

// Lost reports whether a demand is so late, as seen at now, in seconds since the epoch, that it must have come and not been heard of (Options.Patience).
func (v *Demand) Lost(now float64, patience time.Duration) bool {
	return v.Times.lost(now, patience.Seconds())
}

func newPredictor(platform prewarm.Platform, patience time.Duration) *predictor {
	p := &predictor{platform: platform, patience: patience.Seconds()}
	p.expected.most, p.invocations.most = mostExpected, mostArrived
	return p
}

// grow makes room for functions.
func (p *predictor) grow(functions int) {
	for f := len(p.appOf); f < functions; f++ {
		p.appOf = append(p.appOf, -1)
		p.supplies = append(p.supplies, Supply{Function: f, Asked: math.NaN(), Fresh: true})
	}
}

// find returns the trace with the number, and begins it if there is none; nil if the function is of no application that is known.
func (p *predictor) find(id prewarm.ID, function int, begin bool) *trace {
	if t := p.of(id); t != nil {
		if p.apps[t.app].history.mark(function) < 0 {
			return nil
		}
		return t
	}
	if !begin || p.appOf[function] < 0 || id == 0 {
		return nil
	}
	app := p.appOf[function]
	t := p.apps[app].take()
	if n := len(p.unused); n > 0 {
		t.at = p.unused[n-1]
		p.unused = p.unused[:n-1]
	} else {
		t.at = int32(len(p.traces))
		p.traces = append(p.traces, nil)
	}
	p.traces[t.at] = t
	t.id, t.app, t.timer, t.running, t.last, t.checks, t.toldTo = id, app, -1, 0, 0, 0, t.toldTo[:0]
	p.index.Set(id, t.at)
	return t
}

// of returns the trace with the number, nil if it is not in flight.
func (p *predictor) of(id prewarm.ID) *trace {
	if at, ok := p.index.Get(id); ok {
		return p.traces[at]
	}
	return nil
}

// take returns a trace without events, one that is over if there is such a one.
func (a *application) take() *trace {
	var t *trace
	if n := len(a.spare); n > 0 {
		t = a.spare[n-1]
		a.spare = a.spare[:n-1]
	} else {
		t = &trace{follower: a.forecaster.newFollower()}
	}
	t.follower.reset()
	return t
}

// drop forgets a trace.
func (p *predictor) drop(t *trace) {
	p.index.Delete(t.id)
	p.timers.set(&t.timer, uint64(t.at), never)
	p.traces[t.at] = nil
	p.unused = append(p.unused, t.at)
	p.expected.give(t.expected)
	p.invocations.give(t.invocations)
	t.expected, t.invocations = nil, nil
	if a := p.apps[t.app]; len(a.spare) < mostSpare {
		a.spare = append(a.spare, t)
	}
}

// mostInvocations is how many invocations of a trace are followed. Each looks at what all others may lead to, so that a trace without end, as of functions
// that call each other for ever, would take all the time there is. Of one that has more nothing is expected.
const mostInvocations = 512

// arrived is told that an invocation has arrived, or if the platform does not say that, that it has started.
func (p *predictor) arrived(e *prewarm.Event, now float64) *trace {
	t := p.find(e.Trace, e.Function, true)
	if t == nil {
		return nil
	}
	t.heard, t.checks = now, 0
	now = happened(e)
	if len(t.invocations) >= mostInvocations {
		t.expected = t.expected[:0]
		return t
	}
	app := p.apps[t.app]
	v := invocation{
		id: e.Invocation, mark: int32(app.history.marks[e.Function]), caller: -1, arrived: now,
		started: math.NaN(), ended: math.NaN(), asked: math.NaN(),
	}
	if e.Parent != 0 {
		v.caller = t.place(e.Parent)
	} else {
		v.caller = t.likelyCaller(v.mark)
	}
	v.free = t.last
	if v.caller >= 0 {
		c := &t.invocations[v.caller]
		from := c.started
		if math.IsNaN(from) {
			from = c.arrived // nobody has said that it has started
		}
		gap := now - from
		if c.fresh {
			first := !c.called
			if first {
				p.learn(app, c.mark, gap)
			}
			gap -= stall(app.firstCall[c.mark], app.history.after[c.mark][v.mark])
		}
		c.called = true
		v.free = max(c.free+max(gap, 0), t.last)
	} else if len(t.invocations) > 0 {
		v.free = max(t.last, now-t.invocations[0].arrived)
	}
	if err := t.follower.observe(int(v.mark), int(v.caller), v.free); err == nil {
		t.last = v.free
		t.invocations = append(p.invocations.grow(t.invocations, len(t.invocations)+1), v)
		t.running++
		p.expect(t)
	}
	return t
}

// happened returns when something has happened, in seconds; that may be before it could be told.
func happened(e *prewarm.Event) float64 { return seconds(e.At - e.Late) }

// expect renews what is expected of a trace.
func (p *predictor) expect(t *trace) {
	p.list = t.follower.expect(p.list[:0])
	t.expected = append(p.expected.grow(t.expected[:0], len(p.list)), p.list...)
	p.apps[t.app].normalise(t)
}

// place returns the place of an invocation of the trace, −1 if it is none that is known.
func (t *trace) place(id prewarm.ID) int32 {
	for i := range t.invocations {
		if t.invocations[i].id == id {
			return int32(i)
		}
	}
	return -1
}

// likelyCaller returns the place of the invocation that has most likely called one of a function, −1 if none is expected to. Its run may be heard of before the
// call; as one without a caller it would be expected once more, and all that it leads to twice.
func (t *trace) likelyCaller(mark int32) int32 {
	caller, most := int32(-1), 0.0
	for i := range t.expected {
		if e := &t.expected[i]; e.parent < 0 && e.mark == mark && e.probability > most {
			caller, most = e.cause, e.probability
		}
	}
	return caller
}

// called is told who has called an invocation that has come already, and returns its trace if that was not what had been taken for likely.
func (p *predictor) called(e *prewarm.Event) *trace {
	t := p.of(e.Trace)
	if t == nil {
		return nil
	}
	v, caller := t.invocation(e.Invocation), t.place(e.Parent)
	if v == nil || v.caller == caller || caller < 0 || caller >= t.place(v.id) {
		return nil
	}
	v.caller = caller
	t.invocations[caller].called = true
	t.follower.reset()
	for i := range t.invocations {
		v := &t.invocations[i]
		if err := t.follower.observe(int(v.mark), int(v.caller), v.free); err != nil {
			t.expected = t.expected[:0]
			return t
		}
	}
	p.expect(t)
	return t
}

// caller returns the mark of the caller of what is expected, −1 if it is not known.
func (t *trace) caller(e *expected) int32 {
	switch {
	case e.parent >= 0:
		return t.expected[e.parent].mark
	case e.cause >= 0:
		return t.invocations[e.cause].mark
	}
	return -1
}

// group returns the group of calls that a call is of, by the marks of caller and callee; −1 if it is not known.
func (a *application) group(caller, mark int32) int {
	if caller < 0 || a.groups == nil {
		return -1
	}
	return a.groups[caller][mark]
}

// called reports whether the cause of what is expected has made a call of its group.
func (a *application) called(t *trace, e *expected, group int) bool {
	if e.cause < 0 || group < 0 {
		return false
	}
	for i := range t.invocations {
		if v := &t.invocations[i]; v.caller == e.cause && a.group(t.invocations[e.cause].mark, v.mark) == group {
			return true
		}
	}
	return false
}

// normalise makes the probabilities of what must come, itself or another in its place, add up to 1: whatever the tail of a model leaves over. A model
// that has not seen that they take each other's place, because it learned from few requests, is told.
func (a *application) normalise(t *trace) {
	for i := range t.expected {
		e := &t.expected[i]
		c := t.caller(e)
		group := a.group(c, e.mark)
		e.certain = c >= 0 && a.certain[c][e.mark] && !a.called(t, e, group)
		if !e.certain {
			continue
		}
		for j := i + 1; group >= 0 && j < len(t.expected); j++ {
			if o := &t.expected[j]; o.cause == e.cause && o.parent == e.parent && a.group(c, o.mark) == group {
				o.slot = e.slot
			}
		}
		total, first := 0.0, true
		for j := range t.expected {
			o := &t.expected[j]
			if o.cause == e.cause && o.parent == e.parent && o.slot == e.slot {
				first = first && j >= i
				total += o.probability
			}
		}
		if !first || total <= 0 {
			continue
		}
		for j := i; j < len(t.expected); j++ {
			if o := &t.expected[j]; o.alternative(e) {
				o.probability = min(o.probability/total, 1)
			}
		}
	}
}

// learn learns from the first call of a fresh container.
func (p *predictor) learn(app *application, mark int32, gap float64) {
	warm := &app.history.first[mark]
	if warm.n < 2 {
		return
	}
	noise := warm.sum/(warm.n-1) + 1e-5
	v := app.variance[mark] + 1e-7 // it may drift
	gain := v / (v + noise)
	app.firstCall[mark] = max(app.firstCall[mark]+gain*(gap-warm.mean-app.firstCall[mark]), 0)
	app.variance[mark] = v * (1 - gain)
}

func (t *trace) invocation(id prewarm.ID) *invocation {
	if at := t.place(id); at >= 0 {
		return &t.invocations[at]
	}
	return nil
}

// demandsOf returns what is still to come of a trace, as seen at now, and sets when to look at it again. They are valid until the next call. It
// returns false, and forgets the trace, if nothing is.
func (p *predictor) demandsOf(t *trace, now float64) ([]Demand, bool) {
	p.demands = p.demands[:0]
	app := p.apps[t.app]
	n := len(t.expected)
	for len(p.arrivals) < n {
		p.arrivals, p.begins, p.chances, p.lost = append(p.arrivals, Times{}), append(p.begins, Times{}), append(p.chances, 0), append(p.lost, false)
	}
	again := never
	if t.running > 0 {
		again = now + 10
	}
	for i := range t.expected {
		e := &t.expected[i]
		if e.parent < 0 {
			p.chances[i], p.lost[i] = p.due(t, app, e, &p.arrivals[i], now)
		}
	}
	p.silence(t, now)
	for i := range t.expected {
		e := &t.expected[i]
		arrival := &p.arrivals[i]
		if e.parent >= 0 {
			p.chances[i] = p.chances[e.parent] * e.probability
		}
		if p.chances[i] <= leastReach {
			p.chances[i] = 0
			continue
		}
		if e.parent < 0 {
			again = min(again, max(arrival.Quantile(0.4), now+0.05))
			if e.cause >= 0 {
				if c := &t.invocations[e.cause]; !math.IsNaN(c.ended) {
					again = min(again, c.ended+afterEnd)
				}
			}
		} else {
			caller := t.expected[e.parent].mark
			arrival.sum(&p.begins[e.parent], &e.gap)
			if p.supplies[app.history.app.Functions[caller]].Fresh {
				arrival.shift(stall(app.firstCall[caller], app.history.after[caller][e.mark]))
			}
		}
		function := app.history.app.Functions[e.mark]
		p.begin(&p.begins[i], arrival, &p.supplies[function], now)
		p.demands = append(p.demands, Demand{
			Trace: t.id, Function: function, Key: uint32(i), Probability: p.chances[i], Times: *arrival,
			Busy: app.history.busy[e.mark].Mean(), Notice: never, Spread: arrival.Deviation(),
			Slack: app.slack[e.mark],
		})
		p.demands[len(p.demands)-1].conditions(t.expected, p.chances, i)
	}
	t.told = now
	if len(p.demands) == 0 && t.running == 0 || now-t.heard > forgotten {
		p.drop(t)
		return p.demands[:0], false // nobody would take back what is told of it now
	}
	// The longer nothing is heard, the more rarely it is looked at.
	again = max(again, now+t.checks)
	t.checks = max(0.05, (now-t.heard)/4)
	p.timers.set(&t.timer, uint64(t.at), again)
	return p.demands, true
}

// silence conditions what is due on not having come by now, where chances are the probabilities that each comes later. Where one of a group must
// come, it still must, however long nothing is heard.
func (p *predictor) silence(t *trace, now float64) {
	done := p.done[:0]
	for range t.expected {
		done = append(done, false)
	}
	p.done = done
	for i := range t.expected {
		e := &t.expected[i]
		if e.parent >= 0 || done[i] {
			continue
		}
		// Of those of which one comes at most: how likely each was to come, and is to come later.
		total, later, lost := 0.0, 0.0, true
		for j := i; j < len(t.expected); j++ {
			if o := &t.expected[j]; o.alternative(e) {
				total += o.probability
				later += p.chances[j]
				lost = lost && p.lost[j]
			}
		}
		rest := max(1-total, 0)
		if e.certain {
			rest = 0
		}
		over := lost || t.over(e, now)
		for j := i; j < len(t.expected); j++ {
			o := &t.expected[j]
			if !o.alternative(e) {
				continue
			}
			done[j] = true
			switch {
			case over:
				p.chances[j] = 0
			case later+rest > 1e-12:
				p.chances[j] = min(p.chances[j]/(later+rest), 1)
			default:
				p.chances[j] = o.probability // all times have passed
			}
		}
	}
}

// alternative reports whether at most one of two that are expected comes, or they are the same.
func (e *expected) alternative(o *expected) bool {
	return e.cause == o.cause && e.parent == o.parent && e.slot == o.slot
}

// over reports whether what is due cannot come any more because the run that would have called it has ended.
func (t *trace) over(e *expected, now float64) bool {
	if e.cause < 0 {
		return false
	}
	ended := t.invocations[e.cause].ended
	return !math.IsNaN(ended) && now >= ended+afterEnd-1e-6
}

// due sets arrival to when an invocation comes whose caller has arrived, given that it has not come by now, and returns the probability that it
// comes later, and whether it must have come, or what it waits for, without being heard of.
func (p *predictor) due(t *trace, app *application, e *expected, arrival *Times, now float64) (chance float64, lost bool) {
	patience := p.patience
	if patience > 0 && !p.platform.Arrivals { // it is heard of when it has a container
		patience += p.supplies[app.history.app.Functions[e.mark]].Start[Quantiles-1]
	}
	if e.cause < 0 {
		*arrival = e.gap
		arrival.shift(t.heard)
		lost = arrival.lost(now, patience)
		return e.probability * silent(arrival, now), lost
	}
	c := &t.invocations[e.cause]
	extra := 0.0
	if c.fresh && !(c.called && app.history.after[c.mark][e.mark] == 0) {
		extra = stall(app.firstCall[c.mark], app.history.after[c.mark][e.mark])
	}
	if !math.IsNaN(c.started) {
		*arrival = e.gap
		arrival.shift(c.started + extra)
		lost = arrival.lost(now, patience)
		return e.probability * silent(arrival, now), lost
	}
	s := &p.supplies[app.history.app.Functions[c.mark]]
	switch {
	case c.placed && math.IsNaN(c.asked) || !c.placed && s.Free:
		lost = p.patience > 0 && now > c.arrived+dispatch+patience
		p.ready.point(max(c.arrived+dispatch, now))
	default:
		from := c.asked
		if !c.placed {
			if from = s.Asked; !(from < c.arrived) || p.platform.Late == prewarm.OwnContainer {
				from = c.arrived
			}
		}
		p.ready = s.Start
		p.ready.shift(from)
		lost = p.ready.lost(now, patience)
		p.ready.after(now)
	}
	arrival.sum(&p.ready, &e.gap)
	if extra > 0 {
		arrival.shift(extra)
	}
	return e.probability, lost
}

// silent conditions an arrival on not having come by now, and returns the probability of that, given that it comes.
func silent(arrival *Times, now float64) float64 {
	if now <= arrival[0]-(arrival[1]-arrival[0])/2 {
		return 1
	}
	return arrival.after(now)
}

// begin sets start to when the run of an invocation starts which arrives at some time.
func (p *predictor) begin(start, arrival *Times, s *Supply, now float64) {
	if s.Free {
		*start = *arrival
		return
	}
	from := s.Asked
	if math.IsNaN(from) {
		from = now
	}
	if from+s.Start[Quantiles-1] <= arrival[0] {
		*start = *arrival
		return
	}
	p.ready = s.Start
	p.ready.shift(from)
	if from < now {
		p.ready.after(now)
	}
	start.later(arrival, &p.ready)
}
