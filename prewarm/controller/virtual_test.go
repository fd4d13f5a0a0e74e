package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/lab"
	"github.com/tppfaas/tppfaas/prewarm/mirror"
	"github.com/tppfaas/tppfaas/prewarm/policy"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

var virtualEpoch = time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)

// world is a platform in virtual time with a core that observes it and acts on it.
type world struct {
	t        testing.TB
	clock    *localwhisk.VirtualClock
	platform *localwhisk.Platform
	core     *Core
	stop     func() bool
	wake     func() bool // cancels the next call of Pass
	commands []actuator.Command
	creating map[int]func(actuator.Result) // by container, what is told once it is ready
	// act, if not nil, is called instead of the platform.
	act func(actuator.Command) []actuator.Result
	// observed, if not nil, may change observations, or leave them out.
	observed func(o *source.Observation) bool
	// acted, if not nil, is called when the core was told what has become of commands.
	acted    func()
	released func([]Release) // is told what limits do not count any more
	starts   [3]int
	last     prewarm.Time // when the last request comes
}

// marker is what a renewal carries: an invocation that the function answers at once.
type marker struct {
	linger time.Duration
	asked  time.Time
	cold   bool
	done   func(actuator.Result)
}

// worldCall is what an invocation carries.
type worldCall struct {
	w           *world
	request     *lab.Request
	trace       string
	index       int
	parent      int
	functions   []prewarm.Function
	todo        []int
	run         *localwhisk.Run
	temperature source.Temperature
	instance    string
}

func (c *worldCall) id(i int) string {
	if i < 0 {
		return ""
	}
	return fmt.Sprintf("%s-%d", c.trace, i)
}

type worldOptions struct {
	app, load string
	requests  int
	seed      uint64
	policy    string
	act       bool
	ignorant  bool              // the policy has no knowledge
	platform  *prewarm.Platform // what the policy is told of it, nil for whisk
	config    func(*localwhisk.Config)
	options   func(*Options)
	world     func(*world)
}

// whisk is what a policy is told of the platform of worlds.
var whisk = prewarm.Platform{Warm: true, Arrivals: true, FirstCall: true, IdleTimeout: 10 * time.Minute}

// newWorld returns a world in which a workload's requests will come, once run is called.
func newWorld(t testing.TB, o worldOptions) *world {
	t.Helper()
	w, err := lab.NewWorkload(o.app, o.load, lab.Options{Requests: o.requests})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := w.Plan(t.Context(), o.seed)
	if err != nil {
		t.Fatal(err)
	}
	var k prewarm.Knowledge
	if !o.ignorant {
		if k, err = w.Knowledge(); err != nil {
			t.Fatal(err)
		}
	}
	x := &world{t: t, clock: localwhisk.NewVirtualClock(virtualEpoch), creating: map[int]func(actuator.Result){}}
	config := localwhisk.DefaultConfig()
	config.StemCells, config.TakesStarting, config.WarmFirstCall = 0, true, true
	if o.config != nil {
		o.config(&config)
	}
	told := whisk
	if o.platform != nil {
		told = *o.platform
	}
	if x.platform, err = localwhisk.New(x.clock, config, o.seed); err != nil {
		t.Fatal(err)
	}
	for _, f := range w.Functions {
		if err := x.platform.Deploy(localwhisk.Function{Name: f.Name, MemoryMB: f.MemoryMB, Handler: handleWorldCall}); err != nil {
			t.Fatal(err)
		}
	}
	x.platform.Watch(x.event)
	m, err := mirror.New(mirror.Options{Epoch: virtualEpoch, Platform: told, Functions: w.Functions})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range w.Functions {
		names = append(names, f.Name)
	}
	options := Options{
		Epoch: virtualEpoch, Platform: told, Act: o.act, Policy: o.policy, Actuator: "virtual",
		NewPolicy: func(functions []prewarm.Function) (prewarm.Policy, error) {
			return policy.New(o.policy, policy.Options{Platform: told, Functions: functions, Knowledge: k, Seed: 1})
		},
		Models: func() []Model { return []Model{{Name: "recorded", Kind: "race", Functions: names}} },
		Log:    slog.New(slog.NewTextHandler(testWriter{t}, nil)),
	}
	if o.options != nil {
		o.options(&options)
	}
	if x.core, err = NewCore(options, m); err != nil {
		t.Fatal(err)
	}
	x.clock.AfterFunc(0, func() { x.core.Begin(0, nil); x.after() })
	for i := range plan.Requests {
		r := &plan.Requests[i]
		x.last = r.At
		x.clock.AfterFunc(r.At, func() {
			c := &worldCall{w: x, request: r, trace: fmt.Sprintf("%032x", i+1), parent: -1, functions: w.Functions}
			if _, err := x.platform.Invoke(w.Functions[r.Calls[0].Function].Name, c, nil); err != nil {
				t.Error(err)
			}
		})
	}
	x.clock.AfterFunc(plan.End+time.Minute, func() { x.stop() })
	if o.world != nil {
		o.world(x)
	}
	return x
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(string(p))
	return len(p), nil
}

func (x *world) now() prewarm.Time { return x.clock.Now().Sub(virtualEpoch) }

// run lets time pass until all requests have ended.
func (x *world) run() {
	x.t.Helper()
	over := errors.New("over")
	ctx, cancel := context.WithCancelCause(x.t.Context())
	defer cancel(nil)
	x.stop = func() bool { cancel(over); return true }
	if err := x.clock.Run(ctx); err != nil && !errors.Is(context.Cause(ctx), over) {
		x.t.Fatal(err)
	}
	if err := x.platform.Err(); err != nil {
		x.t.Fatal(err)
	}
	if x.core.faults > 0 {
		x.t.Errorf("%d events contradicted what was known", x.core.faults)
	}
}

func handleWorldCall(run *localwhisk.Run) {
	if m, ok := run.Params().(*marker); ok {
		run.Sleep(m.linger, run.Finish)
		return
	}
	c := run.Params().(*worldCall)
	call := &c.request.Calls[c.index]
	c.run, c.todo = run, call.Invokes
	if call.Sleep > 0 {
		run.Sleep(call.Sleep, c.next)
	} else {
		c.next()
	}
}

func (c *worldCall) next() {
	if len(c.todo) == 0 {
		c.run.Finish()
		return
	}
	successor := &worldCall{w: c.w, request: c.request, trace: c.trace, index: c.todo[0], parent: c.index, functions: c.functions}
	c.todo = c.todo[1:]
	if _, err := c.run.Invoke(c.functions[c.request.Calls[successor.index].Function].Name, successor); err != nil {
		c.run.Fail(err)
		return
	}
	if len(c.todo) > 0 {
		c.run.Sleep(15*time.Millisecond, c.next)
	} else {
		c.run.Finish()
	}
}

// event turns an event of the platform into an observation, as an instrumented function would.
func (x *world) event(e localwhisk.Event) {
	if ready := x.creating[e.Container]; ready != nil && (e.Kind == localwhisk.Idle || e.Kind == localwhisk.Started) {
		delete(x.creating, e.Container)
		ready(actuator.Result{Outcome: actuator.Created, Instance: fmt.Sprint("c", e.Container)})
	}
	if m, ok := e.Params.(*marker); ok {
		x.markerEvent(m, &e)
		return
	}
	c, ok := e.Params.(*worldCall)
	if !ok {
		return
	}
	o := source.Observation{
		Function: e.Function, Trace: c.trace, Call: c.id(c.index), ParentCall: c.id(c.parent), Time: x.clock.Now(), Wait: -1, Init: -1,
	}
	switch e.Kind {
	case localwhisk.Arrived:
		o.Kind = source.Invoked
	case localwhisk.Placed:
		x.starts[e.Start]++
		if c.temperature = source.Warm; e.Start == localwhisk.Cold {
			c.temperature = source.Cold
		}
		return
	case localwhisk.Started:
		o.Kind, c.instance = source.Started, fmt.Sprint("c", e.Container)
		o.Instance, o.Temperature = c.instance, c.temperature
	case localwhisk.Ended:
		o.Kind, o.Instance, o.Temperature = source.Ended, c.instance, c.temperature
	default:
		return
	}
	if x.observed != nil && !x.observed(&o) {
		return
	}
	if err := x.core.Observe(x.now(), &o); err != nil {
		x.t.Error(err)
	}
	x.after()
}

// markerEvent tells what has become of a renewal.
func (x *world) markerEvent(m *marker, e *localwhisk.Event) {
	switch e.Kind {
	case localwhisk.Placed:
		m.cold = e.Start == localwhisk.Cold
	case localwhisk.Ended:
		r := actuator.Result{Outcome: actuator.Collapsed, Instance: fmt.Sprint("c", e.Container), Asked: m.asked, Ready: x.clock.Now()}
		if m.cold {
			r.Outcome = actuator.Created
		}
		m.done(r)
	}
}

// after carries out what the core has decided, and comes back when time has passed.
func (x *world) after() {
	for {
		commands := append([]actuator.Command(nil), x.core.Commands()...)
		releases := x.core.Releases()
		if x.released != nil {
			x.released(releases)
		}
		x.core.Records()
		if len(commands) == 0 {
			break
		}
		for _, c := range commands {
			x.commands = append(x.commands, c)
			x.carryOut(c)
		}
	}
	if x.wake != nil {
		x.wake()
	}
	next := x.core.Next()
	if next == prewarm.Never {
		return
	}
	x.wake = x.clock.AfterFunc(max(next-x.now(), 0), func() {
		x.core.Pass(x.now())
		x.after()
	})
}

func (x *world) carryOut(c actuator.Command) {
	if x.act != nil {
		results := x.act(c)
		x.clock.AfterFunc(time.Millisecond, func() {
			x.core.Acted(x.now(), c.ID, results)
			if x.acted != nil {
				x.acted()
			}
			x.after()
		})
		return
	}
	results := make([]actuator.Result, c.N)
	missing := c.N
	done := func(i int, r actuator.Result) {
		results[i] = r
		if missing--; missing == 0 {
			x.clock.AfterFunc(time.Millisecond, func() {
				x.core.Acted(x.now(), c.ID, results)
				if x.acted != nil {
					x.acted()
				}
				x.after()
			})
		}
	}
	for i := range c.N {
		asked := x.clock.Now()
		if c.Kind == actuator.Renew {
			m := &marker{asked: asked, done: func(r actuator.Result) { done(i, r) }}
			if c.N > 1 {
				m.linger = 50 * time.Millisecond
			}
			if _, err := x.platform.Invoke(c.Function, m, nil); err != nil {
				x.t.Error(err)
			}
			continue
		}
		id, err := x.platform.StartContainer(c.Function)
		if err != nil {
			done(i, actuator.Result{Outcome: actuator.Failed, Err: err})
			continue
		}
		x.creating[id] = func(r actuator.Result) {
			r.Asked, r.Ready = asked, x.clock.Now()
			done(i, r)
		}
	}
}

// TestActsInVirtualTime runs the newsvendor on a platform that is only observed, and checks that it does there what it does in the laboratory: of the
// invocations that the root leads to hardly any is cold, and what is counted is what has happened.
func TestActsInVirtualTime(t *testing.T) {
	x := newWorld(t, worldOptions{app: "tree_small", load: "poisson:1200", requests: 40, seed: 1, policy: "newsvendor:2560:table", act: true})
	x.run()
	s := x.core.State()
	// The actuator's answer comes a moment after the container is ready.
	if s.Totals.Warm+s.Totals.Late != uint64(x.starts[localwhisk.Warm]+x.starts[localwhisk.Late]) || s.Totals.Cold != uint64(x.starts[localwhisk.Cold]) {
		t.Errorf("counted %d warm, %d late and %d cold; there were %v", s.Totals.Warm, s.Totals.Late, s.Totals.Cold, x.starts)
	}
	// At this load only the root finds no container, about two times in three, and what cannot be foreseen.
	if s.Totals.Requests != 40 || s.Totals.Invocations != 400 || s.Totals.Cold > 40 || s.Totals.Hits < 150 || s.Totals.SavedSeconds < 300 || s.Totals.Wasted > 5 {
		t.Errorf("totals are %+v", s.Totals)
	}
	if len(x.commands) == 0 || len(s.Decisions) == 0 || s.Mode != Acting {
		t.Errorf("%d commands, %d decisions, %s", len(x.commands), len(s.Decisions), s.Mode)
	}
}

// TestDryRun checks that nothing is done without Act, and that the decisions are those that would be made, with what would have become of them.
func TestDryRun(t *testing.T) {
	x := newWorld(t, worldOptions{app: "tree_small", load: "poisson:1200", requests: 40, seed: 1, policy: "newsvendor:2560:table"})
	x.run()
	s := x.core.State()
	if len(x.commands) > 0 || s.Mode != DryRun {
		t.Errorf("%d commands in %s", len(x.commands), s.Mode)
	}
	if s.Totals.Cold != uint64(x.starts[localwhisk.Cold]) || s.Totals.Hits != 0 || s.Totals.Warmups != 0 || s.Totals.SavedSeconds != 0 {
		t.Errorf("totals are %+v, starts were %v", s.Totals, x.starts)
	}
	if ratio := s.Totals.SpentMBs / s.Totals.AloneMBs; math.Abs(ratio-1) > 0.001 {
		t.Errorf("%v MB·s were spent, and %v would have been", s.Totals.SpentMBs, s.Totals.AloneMBs)
	}
	outcomes := map[string]int{}
	for _, d := range s.Decisions {
		outcome, _, _ := strings.Cut(d.Outcome, " after")
		outcomes[outcome]++
	}
	if outcomes["dry: would have been used"] < 50 {
		t.Errorf("outcomes are %v", outcomes)
	}
}
