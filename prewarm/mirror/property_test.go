package mirror_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/mirror"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

var epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// follower has a fleet follow a mirror, and fails a test if it cannot.
type follower struct {
	t interface {
		Helper()
		Fatalf(string, ...any)
	}
	options mirror.Options
	m       *mirror.Mirror
	fleet   *prewarm.Fleet
	last    prewarm.Time
	now     prewarm.Time
	told    []prewarm.Event
	heard   map[prewarm.ID]bool // invocations that were told of; nil if it is not known
}

func follow(t interface {
	Helper()
	Fatalf(string, ...any)
}, o mirror.Options) *follower {
	t.Helper()
	m, err := mirror.New(o)
	if err != nil {
		t.Fatalf("%v", err)
	}
	f := &follower{t: t, options: o, m: m, heard: map[prewarm.ID]bool{}}
	f.newFleet()
	return f
}

func (f *follower) newFleet() {
	f.t.Helper()
	fleet, err := prewarm.NewFleet(f.options.Platform, slices.Clone(f.m.Functions()))
	if err != nil {
		f.t.Fatalf("%v", err)
	}
	f.fleet = fleet
}

// take applies events.
func (f *follower) take(events []prewarm.Event) {
	f.t.Helper()
	for n := len(f.fleet.Functions); n < len(f.m.Functions()); n++ {
		if _, err := f.fleet.AddFunction(f.m.Functions()[n]); err != nil {
			f.t.Fatalf("%v", err)
		}
	}
	for i := range events {
		e := &events[i]
		if e.At < f.last {
			f.t.Fatalf("%v at %v comes after one at %v", e.Kind, e.At, f.last)
		}
		if e.At > f.now {
			f.t.Fatalf("%v at %v is told at %v", e.Kind, e.At, f.now)
		}
		f.last = e.At
		if err := f.fleet.Apply(e); err != nil {
			f.t.Fatalf("event %d, %+v: %v", len(f.told), *e, err)
		}
		f.told = append(f.told, *e)
		switch {
		case f.heard == nil || e.Invocation == 0:
		case e.Kind != prewarm.Called:
			f.heard[e.Invocation] = true
		case !f.heard[e.Invocation] || !f.heard[e.Parent]:
			f.t.Fatalf("%+v is of invocations that were not told of", *e)
		}
	}
}

func (f *follower) observe(now prewarm.Time, o source.Observation) error {
	f.t.Helper()
	f.now = now
	events, err := f.m.Observe(now, &o, nil)
	f.take(events)
	f.measured()
	return err
}

func (f *follower) pass(now prewarm.Time) {
	f.t.Helper()
	for next := f.m.Next(); next <= now; next = f.m.Next() {
		f.now = max(f.now, next)
		f.take(f.m.Pass(f.now, nil))
		if f.m.Next() <= next && next < now && f.m.Next() < f.now {
			f.t.Fatalf("Next is %v after Pass at %v", f.m.Next(), f.now)
		}
	}
	f.now = max(f.now, now)
	f.take(f.m.Pass(f.now, nil))
}

// restart replaces the mirror by one that is restored from its snapshot, and the fleet by a new one.
func (f *follower) restart() {
	f.t.Helper()
	text, err := json.Marshal(f.m.Snapshot())
	if err != nil {
		f.t.Fatalf("%v", err)
	}
	var s mirror.Snapshot
	if err := json.Unmarshal(text, &s); err != nil {
		f.t.Fatalf("%v", err)
	}
	before := f.view()
	inFlight := f.m.InFlight()
	m, restored, err := mirror.Restore(f.options, &s, f.now)
	if err != nil {
		f.t.Fatalf("%v", err)
	}
	f.m = m
	f.newFleet()
	f.last, f.told = 0, nil
	f.take(restored.Events)
	f.measured()
	if after := f.view(); after != before {
		f.t.Fatalf("after the restart:\n%s\nbefore:\n%s", after, before)
	}
	if m.InFlight() != inFlight {
		f.t.Fatalf("%d are in flight after the restart, %d were before", m.InFlight(), inFlight)
	}
}

// measured adds the start times that the fleet cannot know.
func (f *follower) measured() {
	for _, s := range f.m.Measured() {
		f.fleet.Starts.Add(s.Function, 0, s.Took)
	}
}

// view says what containers there are.
func (f *follower) view() string {
	text := ""
	for i, fn := range f.fleet.Functions {
		text += fn.Name + ":"
		for s := prewarm.StateStarting; s <= prewarm.StateReturning; s++ {
			var ids []prewarm.ID
			for _, c := range f.fleet.Containers(i, s) {
				ids = append(ids, c.ID)
			}
			slices.Sort(ids)
			text += fmt.Sprintf(" %v %v", s, ids)
		}
		text += fmt.Sprintf(" waiting %d running %d\n", f.fleet.Loads[i].Waiting, f.fleet.Loads[i].Running)
	}
	return text
}

// quiet lets time pass until nothing is in flight any more, and checks that.
func (f *follower) quiet() {
	f.t.Helper()
	f.pass(f.now + 30*time.Hour)
	if f.m.InFlight() != 0 {
		f.t.Fatalf("%d invocations are in flight", f.m.InFlight())
	}
	for i := range f.fleet.Functions {
		l := &f.fleet.Loads[i]
		if l.InFlight() != 0 || l.Running != 0 || l.Waiting != 0 {
			f.t.Fatalf("%s: %+v: some are in flight", f.fleet.Functions[i].Name, *l)
		}
		if !f.options.Replicas && f.fleet.Count(i) > 0 {
			f.t.Fatalf("%s has %d containers", f.fleet.Functions[i].Name, f.fleet.Count(i))
		}
	}
}

func drawOptions(t *rapid.T) mirror.Options {
	o := mirror.Options{
		Epoch: epoch, Replicas: rapid.IntRange(0, 3).Draw(t, "replicas") == 0,
		Platform: prewarm.Platform{
			Warm: true, Arrivals: rapid.IntRange(0, 3).Draw(t, "arrivals") > 0, IdleTimeout: time.Duration(rapid.IntRange(1, 300).Draw(t, "timeout")) * time.Second,
			MemoryMB: rapid.SampledFrom([]int{0, 512, 2048}).Draw(t, "memory"),
		},
		Functions: []prewarm.Function{{Name: "a", MemoryMB: 256, Concurrency: rapid.IntRange(0, 3).Draw(t, "concurrency")}, {Name: "b", MemoryMB: 128}},
		Limits: mirror.Limits{
			Functions: 3, Traces: rapid.SampledFrom([]int{0, 3}).Draw(t, "traces"), Invocations: rapid.SampledFrom([]int{0, 5}).Draw(t, "invocations"),
			InvocationsPerTrace: rapid.SampledFrom([]int{0, 4}).Draw(t, "per trace"), Containers: rapid.SampledFrom([]int{0, 3}).Draw(t, "containers"), Clocks: 2, Length: 8,
		},
	}
	if rapid.Bool().Draw(t, "own") {
		o.Platform.Late = prewarm.OwnContainer
	}
	return o
}

func drawObservation(t *rapid.T, now prewarm.Time) source.Observation {
	id := func(label string, ids ...string) string { return rapid.SampledFrom(ids).Draw(t, label) }
	stamp := func(label string) time.Time {
		return epoch.Add(now + time.Duration(rapid.IntRange(-20_000, 500).Draw(t, label))*time.Millisecond)
	}
	o := source.Observation{
		Kind: source.Kind(rapid.IntRange(0, 2).Draw(t, "kind")), Function: id("function", "a", "a", "a", "b", "c", "d"), Version: id("version", "", "", "", "1", "2", "3"),
		Trace: id("trace", "x", "x", "y", "z", "u", ""), Call: id("call", "", "1", "2", "3", "4"), ParentCall: id("parent", "", "1", "2"),
		Span: id("span", "", "s", "t", "u"), ParentSpan: id("parent span", "", "s", "t"), Activation: id("activation", "", "", "m", "n", "o"),
		Instance: id("instance", "", "", "i", "j", "k"), Clock: id("clock", "", "p", "q", "r"), Time: stamp("time"), Wait: -1, Init: -1,
		Temperature: source.Temperature(rapid.IntRange(0, 2).Draw(t, "temperature")), Failed: rapid.Bool().Draw(t, "failed"),
	}
	switch rapid.IntRange(0, 9).Draw(t, "odd") {
	case 0:
		o.Time = time.Time{}
	case 1:
		o.Begin = stamp("begin")
	case 2:
		o.Wait, o.Init = time.Second, time.Duration(rapid.IntRange(0, 2).Draw(t, "init"))*time.Second
	case 3:
		o.Time = time.Unix(rapid.Int64().Draw(t, "unix"), 0)
	case 4:
		o.Function = id("bad", "", "far too long a name")
	}
	return o
}

// TestAnything has observations come in any order, twice, late or never, with warm-ups, loads and restarts: every event can be applied to a fleet, in
// the order of time, the limits hold, and in the end nothing is in flight.
func TestAnything(t *testing.T) { rapid.Check(t, anything) }

func FuzzAnything(f *testing.F) { f.Fuzz(rapid.MakeFuzz(anything)) }

func anything(t *rapid.T) {
	f := follow(t, drawOptions(t))
	now := prewarm.Time(0)
	var before []source.Observation
	var asked []prewarm.ID
	for range rapid.IntRange(1, 80).Draw(t, "steps") {
		now += time.Duration(rapid.SampledFrom([]int{0, 1, 50, 500, 5_000, 70_000}).Draw(t, "after")) * time.Millisecond
		f.now = now
		switch rapid.IntRange(0, 15).Draw(t, "step") {
		case 0:
			ids, events := f.m.Warm(now, rapid.IntRange(-1, 2).Draw(t, "warm"), rapid.IntRange(0, 3).Draw(t, "n"), nil)
			f.take(events)
			asked = append(asked, ids...)
		case 1, 2:
			if len(asked) == 0 {
				continue
			}
			r := actuator.Result{
				Outcome: actuator.Outcome(rapid.IntRange(0, 5).Draw(t, "outcome")), Instance: rapid.SampledFrom([]string{"", "i", "j", "l"}).Draw(t, "of"),
				Asked: epoch.Add(now - time.Second), Ready: epoch.Add(now + time.Duration(rapid.IntRange(-900, 900).Draw(t, "ready"))*time.Millisecond),
			}
			f.take(f.m.Warmed(now, rapid.SampledFrom(asked).Draw(t, "id"), r, nil))
		case 3:
			events, _ := f.m.ObserveLoad(now, &source.Load{
				Function: rapid.SampledFrom([]string{"a", "b", "c", ""}).Draw(t, "load"), Replicas: float64(rapid.IntRange(-1, 5).Draw(t, "all")), Ready: float64(rapid.IntRange(-1, 5).Draw(t, "some")),
			}, nil)
			f.take(events)
		case 4:
			if f.options.Replicas {
				f.take(f.m.Scaled(now, rapid.IntRange(-1, 1).Draw(t, "scale"), rapid.IntRange(0, 4).Draw(t, "to"), nil))
			}
		case 5:
			f.pass(now)
		case 6:
			if rapid.IntRange(0, 2).Draw(t, "restart") == 0 {
				f.pass(now)
				f.restart()
			}
		case 7, 8:
			if len(before) > 0 {
				f.observe(now, rapid.SampledFrom(before).Draw(t, "again"))
			}
		default:
			o := drawObservation(t, now)
			before = append(before, o)
			f.observe(now, o)
		}
		if n := len(f.m.Functions()); n > 3 {
			t.Fatalf("%d functions", n)
		}
		s := f.m.Snapshot()
		if l := f.options.Limits; l.Containers > 0 && len(s.Containers) > l.Containers || l.Traces > 0 && len(s.Traces) > l.Traces || l.Invocations > 0 && len(s.Invocations) > l.Invocations {
			t.Fatalf("%d containers, %d traces, %d invocations: limits are %+v", len(s.Containers), len(s.Traces), len(s.Invocations), l)
		}
		for i := range f.fleet.Functions {
			n := 0
			for _, c := range s.Containers {
				if c.Function == i {
					n++
				}
			}
			if f.fleet.Count(i) != n {
				t.Fatalf("the fleet has %d containers of %s, the mirror %d", f.fleet.Count(i), f.fleet.Functions[i].Name, n)
			}
		}
	}
	f.quiet()
}

// FuzzRestore checks that whatever a snapshot has, Restore returns an error, or a mirror with events that bring a fleet to its state.
func FuzzRestore(f *testing.F) {
	for _, s := range scenarios {
		var texts [][]byte
		run(f, s, func(m *mirror.Mirror) {
			text, err := json.Marshal(m.Snapshot())
			if err != nil {
				f.Fatal(err)
			}
			texts = append(texts, text)
		})
		for _, text := range texts {
			f.Add(text, s.o.Replicas, s.o.Platform.Arrivals, int64(time.Hour))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, replicas, arrivals bool, now int64) {
		var s mirror.Snapshot
		if json.Unmarshal(text, &s) != nil {
			return
		}
		o := mirror.Options{Epoch: epoch, Replicas: replicas, Platform: prewarm.Platform{Arrivals: arrivals}, Functions: []prewarm.Function{{Name: "a", MemoryMB: 256, Concurrency: 2}}}
		m, restored, err := mirror.Restore(o, &s, min(max(prewarm.Time(now), 0), 1000*time.Hour))
		if err != nil {
			return
		}
		x := &follower{t: t, options: o, m: m, now: min(max(prewarm.Time(now), 0), 1000*time.Hour)}
		x.newFleet()
		x.take(restored.Events)
		x.observe(x.now, source.Observation{Kind: source.Ended, Function: "a", Trace: "t", Call: "c1", Time: epoch.Add(x.now), Temperature: source.Warm})
		x.quiet()
	})
}
