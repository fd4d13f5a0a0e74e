package lab

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/internal/seed"
	"github.com/tppfaas/tppfaas/prewarm"
)

// Setting is what policies can do and see in a run, and how the platform treats them. The zero value is that of the protocol.
type Setting struct {
	// Own says that an invocation for which a container is being started for nobody has one of its own created.
	Own bool
	// NoGiveBack says that the platform keeps idle containers for its idle timeout, whatever the policy wants.
	NoGiveBack bool
	// Renew says that with NoGiveBack a hold is carried out by renewing the idle time, see prewarm.Platform.Renew.
	Renew bool
	// IdleTimeout is how long the platform keeps an idle container on which the policy has decided nothing; 0 stands for 10 minutes.
	IdleTimeout time.Duration
	// StartsOnly says that the policy hears of an invocation only when its run starts.
	StartsOnly bool
	// FirstCall says that containers which are started for nobody make their first outgoing call before they are idle.
	FirstCall bool
	// WarmedLast says that of the idle containers of a function those that have made their first call are handed out before the others.
	WarmedLast bool
}

// platform returns what policies are told of the platform.
func (s Setting) platform(c localwhisk.Config) prewarm.Platform {
	p := prewarm.Platform{
		Warm: true, GiveBack: !s.NoGiveBack, Hold: !s.NoGiveBack, Arrivals: !s.StartsOnly, FirstCall: s.FirstCall, Renew: s.Renew && s.NoGiveBack,
		IdleTimeout: c.IdleTimeout, MemoryMB: c.MemoryMB,
	}
	if s.Own {
		p.Late = prewarm.OwnContainer
	}
	return p
}

// NewPolicy makes the policy of a run. The seed is for what is random about the policy.
type NewPolicy func(platform prewarm.Platform, functions []prewarm.Function, k prewarm.Knowledge, seed uint64) (prewarm.Policy, error)

// Observer is told more of a run than its Run has. Each of its functions may be nil.
type Observer struct {
	// Decided is told of each decision but Wake, and whether it had an effect.
	Decided func(at prewarm.Time, d *prewarm.Decision, done bool)
	// TimePolicy says that the processor time which the policy takes is measured, where the system tells it; otherwise the time that passes.
	TimePolicy bool
}

// Run is what a policy has reached with a plan.
type Run struct {
	// Measures are those of the whole run, Functions those of each function.
	Measures  Measures
	Functions []FunctionMeasures
	// Added is the added latency of each scored request in seconds, in the order of the plan.
	Added []float64
	// PolicyTime is the time that the policy has taken, if it was measured; Arrivals and Events are what it was told of.
	PolicyTime       time.Duration
	Arrivals, Events int

	requests []*pending // of the plan
}

// Run runs a policy on the plan of a seed.
func (w *Workload) Run(ctx context.Context, s Setting, number uint64, newPolicy NewPolicy, o Observer) (*Run, error) {
	plan, err := w.Plan(ctx, number)
	if err != nil {
		return nil, err
	}
	k, err := w.Knowledge()
	if err != nil {
		return nil, err
	}
	config := w.config
	config.TakesStarting, config.WarmFirstCall, config.WarmedLast = !s.Own, s.FirstCall, s.WarmedLast
	config.IdleTimeout = cmp.Or(s.IdleTimeout, config.IdleTimeout)
	platform := s.platform(config)
	policy, err := newPolicy(platform, w.Functions, k, seed.Stream(number, "policy").Uint64())
	if err != nil {
		return nil, err
	}
	fleet, err := prewarm.NewFleet(platform, w.Functions)
	if err != nil {
		return nil, err
	}
	e, err := newEngine(config, w.Functions, seed.Stream(number, "platform").Uint64())
	if err != nil {
		return nil, err
	}
	d := &driver{engine: e, policy: policy, fleet: fleet, observer: o, setting: s, wakes: map[uint64]*wake{}, running: map[prewarm.ID]prewarm.Time{}, targets: make([]int, len(w.Functions))}
	for i := range d.targets {
		d.targets[i] = -1
	}
	if platform.Renews() {
		d.renewing = newRenewing(len(w.Functions))
	}
	e.watch = d.watch
	m := newMeter(e, w.Functions)
	d.meter = m
	run := &Run{requests: make([]*pending, len(plan.Requests))}
	missing := len(plan.Requests)
	e.done = func(p *pending) {
		run.requests[p.number] = p
		if missing--; missing == 0 && m.ended {
			e.halt()
		}
	}
	e.after(0, func() { d.tell(prewarm.Event{Kind: prewarm.Woken}) })
	e.after(plan.Begin, m.begin)
	for i := range plan.Requests {
		r := &plan.Requests[i]
		e.after(r.At, func() { e.send(r) })
	}
	e.after(plan.End, func() {
		m.end()
		if missing == 0 {
			e.halt()
		}
	})
	if o.TimePolicy { // threads have their own processor time
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
	}
	if err := e.run(ctx); err != nil {
		return nil, err
	}
	if missing > 0 {
		return nil, fmt.Errorf("%d requests never end", missing)
	}
	run.PolicyTime, run.Arrivals, run.Events = d.spent, d.arrivals, d.events
	m.result(run, plan, w.Functions)
	if d.renewing != nil {
		run.Measures.Renewals = d.renewing.sent / float64(plan.Scored)
	}
	return run, nil
}

// driver tells a policy what happens on a platform, and carries its decisions out.
type driver struct {
	engine   *engine
	policy   prewarm.Policy
	fleet    *prewarm.Fleet
	observer Observer
	setting  Setting
	meter    *meter
	renewing *renewing // nil where holds are not carried out by renewing

	queue     []prewarm.Event // that the policy is yet to be told of
	telling   bool
	decisions prewarm.Decisions
	wakes     map[uint64]*wake
	targets   []int // replicas of each function that the policy wants; −1 if it has not said so

	// running has the containers that run an invocation, with the time until which it is counted as processor time.
	running map[prewarm.ID]prewarm.Time

	spent            time.Duration
	arrivals, events int
	at               prewarm.Time
	eventsAt         int // number of events at that time
}

// wake is a time at which the policy wants to be asked.
type wake struct {
	stop func() bool
}

// watch translates an event of the platform.
func (d *driver) watch(ev *localwhisk.Event, function int, c *call) {
	if m, ok := ev.Params.(*marker); ok {
		d.watchMarker(ev, function, m)
		return
	}
	e := prewarm.Event{At: ev.At.Sub(epoch), Function: function, Container: prewarm.ID(ev.Container)}
	if c != nil {
		e.Trace, e.Invocation = prewarm.ID(c.Request.number+1), c.Request.first+prewarm.ID(c.Index)
		if parent := c.Request.records[c.Index].parent; parent >= 0 {
			e.Parent = c.Request.first + prewarm.ID(parent)
		}
	}
	switch ev.Kind {
	case localwhisk.Arrived:
		e.Kind = prewarm.Arrived
	case localwhisk.Placed:
		e.Kind, e.Start = prewarm.Placed, startOf(ev.Start)
	case localwhisk.Started:
		e.Kind, e.Wait, e.Init = prewarm.Started, ev.Wait, ev.Init
	case localwhisk.Ended:
		e.Kind, e.Failed = prewarm.Ended, ev.Err != nil
	case localwhisk.Refused:
		e.Kind = prewarm.Refused
	case localwhisk.Starting:
		e.Kind, e.By = prewarm.Starting, byOf(ev.By)
	case localwhisk.Idle:
		if e.Kind = prewarm.Idle; d.renewing != nil && d.renewing.busy[e.Container] {
			e.Kind = prewarm.Renewed
			delete(d.renewing.busy, e.Container)
		}
	case localwhisk.Removed:
		e.Kind, e.By = prewarm.Removed, byOf(ev.By)
	case localwhisk.Pressure:
		e.Kind, e.Queue = prewarm.Pressure, ev.Queue
	default:
		return
	}
	d.meter.note(&e)
	if d.setting.StartsOnly && (e.Kind == prewarm.Arrived || e.Kind == prewarm.Placed) {
		return
	}
	d.tell(e)
}

// byOf translates at whose wish a container was started or removed.
func byOf(by localwhisk.By) prewarm.By {
	switch by {
	case localwhisk.ByPolicy:
		return prewarm.ByPolicy
	case localwhisk.ByEviction:
		return prewarm.ByEviction
	}
	return prewarm.ByPlatform
}

// mostEventsAt is the number of events at one moment from which on a policy is taken to answer its own decisions without an end.
const mostEventsAt = 1_000_000

// tell tells the policy of an event, and carries out what it decides. What that leads to at once is told afterwards, in order.
func (d *driver) tell(e prewarm.Event) {
	d.queue = append(d.queue, e)
	if d.telling {
		return
	}
	d.telling = true
	for i := 0; i < len(d.queue) && d.engine.err == nil; i++ {
		d.handle(&d.queue[i])
	}
	d.queue = d.queue[:0]
	d.telling = false
}

func (d *driver) handle(e *prewarm.Event) {
	if e.At != d.at {
		d.at, d.eventsAt = e.At, 0
	}
	if d.eventsAt++; d.eventsAt > mostEventsAt {
		d.engine.fail(fmt.Errorf("the policy does not come to an end at %v: %d events at one time", e.At, d.eventsAt))
		return
	}
	if d.setting.StartsOnly && e.Kind == prewarm.Removed && d.fleet.Container(e.Container) == nil {
		return // created for an invocation whose run has not started
	}
	if err := d.fleet.Apply(e); err != nil {
		d.engine.fail(err)
		return
	}
	d.countProcessorTime(e)
	if d.renewing != nil {
		d.followRenewals(e)
	}
	d.events++
	if e.Kind == prewarm.Arrived || d.setting.StartsOnly && e.Kind == prewarm.Started {
		d.arrivals++
	}
	d.decisions.Reset()
	if d.observer.TimePolicy {
		begin := threadTime()
		d.policy.Handle(e, d.fleet, &d.decisions)
		d.spent += max(threadTime()-begin-timingCost(), 0)
	} else {
		d.policy.Handle(e, d.fleet, &d.decisions)
	}
	for i := range d.decisions.List {
		decision := &d.decisions.List[i]
		done := d.carryOut(decision)
		if d.observer.Decided != nil && decision.Action != prewarm.WakePolicy {
			d.observer.Decided(e.At, decision, done)
		}
	}
	d.keepReplicas(e)
}

// countProcessorTime tells the fleet how much processor time the runs have used: their durations stand for work that keeps one core busy.
func (d *driver) countProcessorTime(e *prewarm.Event) {
	count := func(container prewarm.ID) {
		if c := d.fleet.Container(container); c != nil {
			used := e.At - d.running[container]
			c.CPU += used
			d.fleet.Loads[c.Function].CPU += used
		}
		d.running[container] = e.At
	}
	switch e.Kind {
	case prewarm.Started:
		d.running[e.Container] = e.At
	case prewarm.Ended:
		count(e.Container)
		delete(d.running, e.Container)
	case prewarm.Woken: // policies look at it when they wake
		for container := range d.running {
			count(container)
		}
	}
}

// timingCost returns what a measurement itself takes.
var timingCost = sync.OnceValue(func() time.Duration {
	const n = 1000
	begin := threadTime()
	for range n {
		threadTime()
	}
	return (threadTime() - begin) / (n + 1)
})

// carryOut does what the policy has decided, and reports whether that had an effect.
func (d *driver) carryOut(decision *prewarm.Decision) bool {
	p, container := d.engine.platform, int(decision.Container)
	switch decision.Action {
	case prewarm.StartContainers:
		started := 0
		for range decision.N {
			if _, err := p.StartContainer(d.engine.names[decision.Function]); err != nil {
				break
			}
			started++
		}
		return started > 0
	case prewarm.HoldContainer:
		if d.renewing != nil && d.fleet.Container(decision.Container) != nil {
			d.renewing.Hold(decision.Container, decision.Until)
			d.renewing.wanted[decision.Function] = true
			d.lookAtRenewals(decision.Function)
			return true
		}
		return !d.setting.NoGiveBack && p.Hold(container, epoch.Add(min(decision.Until, d.engine.now()+longestHold))) == nil
	case prewarm.GiveBackContainer:
		if d.renewing != nil {
			d.renewing.End(decision.Container)
		}
		return !d.setting.NoGiveBack && p.GiveBack(container) == nil
	case prewarm.WakePolicy:
		d.wake(decision.Key, decision.Until)
	case prewarm.ScaleFunction:
		d.targets[decision.Function] = max(decision.N, 0)
		d.scale(decision.Function)
	case prewarm.RankContainer:
		return p.Rank(container, decision.Rank) == nil
	}
	return true
}

// longestHold stands for a hold without an end, which would be beyond the times that can be added.
const longestHold = 100 * 366 * 24 * time.Hour

// wake plans a Woken.
func (d *driver) wake(key uint64, at prewarm.Time) {
	if w := d.wakes[key]; w != nil {
		w.stop()
		delete(d.wakes, key)
	}
	if at == prewarm.Never {
		return
	}
	w := &wake{}
	w.stop = d.engine.after(max(at-d.engine.now(), 0), func() {
		delete(d.wakes, key)
		d.tell(prewarm.Event{Kind: prewarm.Woken, At: d.engine.now(), Key: key})
	})
	d.wakes[key] = w
}

// scale brings the number of containers of a function nearer to what the policy wants. Of containers that are too many, those go first that
// have been idle longest; busy ones go once they are idle.
func (d *driver) scale(function int) {
	have := d.fleet.Count(function)
	for ; have < d.targets[function]; have++ {
		if _, err := d.engine.platform.StartContainer(d.engine.names[function]); err != nil {
			return
		}
	}
	if d.setting.NoGiveBack {
		return
	}
	for _, c := range d.fleet.Containers(function, prewarm.StateIdle) {
		if have <= d.targets[function] {
			return
		}
		if d.engine.platform.GiveBack(int(c.ID)) == nil {
			have--
		}
	}
}

// keepReplicas keeps the number of replicas that the policy has set: against the idle timeout, and where one too many becomes idle.
func (d *driver) keepReplicas(e *prewarm.Event) {
	if e.Kind != prewarm.Idle && e.Kind != prewarm.Removed || d.targets[e.Function] < 0 {
		return
	}
	d.scale(e.Function)
	if e.Kind == prewarm.Idle && !d.setting.NoGiveBack {
		d.engine.platform.Hold(int(e.Container), epoch.Add(d.engine.now()+longestHold)) // an error says that it is gone
	}
}
