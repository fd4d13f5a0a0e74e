package newsvendor

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/internal/idmap"
	"github.com/tppfaas/tppfaas/prewarm"
)

// BenchmarkArrival measures what the policy takes for an arrival, with all events that follow it until the next: placement, start, end, idle, the
// decisions, and times at which it wanted to be asked. A chain of ten functions runs, with so many traces in flight.
func BenchmarkArrival(b *testing.B) {
	for _, model := range []string{Table, "race"} {
		for _, traces := range []int{1, 10, 100, 1000, 10000} {
			b.Run(fmt.Sprintf("model=%s/traces=%d", model, traces), func(b *testing.B) {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				s := newBenchmark(b, model, traces)
				s.run(max(warmUp*traces, leastWarmUp))
				s.spent = 0
				b.ResetTimer()
				allocated := mallocs(func() { s.run(b.N) })
				b.StopTimer()
				b.ReportMetric(float64(s.spent.Nanoseconds())/float64(b.N), "policy-ns/op")
				b.ReportMetric(float64(allocated)/float64(b.N), "mallocs/op")
				b.ReportMetric(float64(s.policy.predictor.index.Len()), "in-flight")
			})
		}
	}
}

// mallocs returns how many objects the process allocates while f runs.
func mallocs(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

// The first requests find no container. It takes so many arrivals for each trace in flight until those are through, the number in flight is steady,
// and lists have grown to what they will be; and so many at least until start times were measured under each load.
const warmUp, leastWarmUp = 26, 4000

const (
	benchFunctions = 10
	benchRun       = 0.4 // seconds of a run
	benchStart     = 2.0
)

// benchPlatform is a platform on which a chain of functions runs, without anything random but the arrivals and durations.
type benchPlatform struct {
	tb       testing.TB
	policy   *Policy
	fleet    *prewarm.Fleet
	out      prewarm.Decisions
	events   benchQueue
	rng      *rand.Rand
	now      prewarm.Time
	gap      float64
	regular  bool // gaps and durations are always the same
	idle     [benchFunctions][]prewarm.ID
	until    idmap.Map[prewarm.ID, prewarm.Time]
	wakes    [3]prewarm.Time // by key
	last     prewarm.ID
	trace    prewarm.ID
	arrivals int
	spent    time.Duration // of the processor, in the policy and the fleet
}

type benchEvent struct {
	prewarm.Event
	order int
}

type benchQueue struct {
	list  []benchEvent
	count int
}

func (q *benchQueue) Len() int { return len(q.list) }
func (q *benchQueue) Less(i, j int) bool {
	a, b := &q.list[i], &q.list[j]
	return a.At < b.At || a.At == b.At && a.order < b.order
}
func (q *benchQueue) Swap(i, j int) { q.list[i], q.list[j] = q.list[j], q.list[i] }
func (q *benchQueue) Push(any)      {}
func (q *benchQueue) Pop() any {
	q.list = q.list[:len(q.list)-1]
	return nil
}

func (s *benchPlatform) add(e prewarm.Event, in float64) {
	e.At = s.now + prewarm.Time(in*float64(time.Second))
	s.events.count++
	s.events.list = append(s.events.list, benchEvent{e, s.events.count})
	heap.Fix(&s.events, len(s.events.list)-1)
}

func benchKnowledge(rng *rand.Rand, gap float64) prewarm.Knowledge {
	r := prewarm.Recording{Name: "chain"}
	for f := range benchFunctions {
		r.Functions = append(r.Functions, f)
	}
	for i := range 440 {
		var t prewarm.Trace
		at := 0.0
		for f := range benchFunctions {
			v := prewarm.Invocation{Function: f, Parent: f - 1, Arrival: at}
			wait := 0.004
			if i >= 400 {
				wait, v.Init = benchStart, 0.14
			}
			v.Start = at + wait
			v.End = v.Start + benchRun*(0.5+rng.Float64())
			at = v.End + 0.01
			t = append(t, v)
		}
		if i >= 400 {
			r.Cold = append(r.Cold, t)
		} else {
			r.Warm = append(r.Warm, t)
		}
		r.Gaps = append(r.Gaps, gap*rng.ExpFloat64())
	}
	return prewarm.Knowledge{Applications: []prewarm.Recording{r}}
}

func newBenchmark(tb testing.TB, model string, traces int) *benchPlatform {
	s := &benchPlatform{tb: tb, rng: rand.New(rand.NewPCG(1, 2))}
	s.gap = benchFunctions * (benchRun + 0.014) / float64(traces)
	platform := prewarm.Platform{Warm: true, GiveBack: true, Hold: true, Arrivals: true, IdleTimeout: 10 * time.Minute}
	var functions []prewarm.Function
	for f := range benchFunctions {
		functions = append(functions, prewarm.Function{Name: fmt.Sprint("f", f), MemoryMB: 256})
	}
	var err error
	if s.fleet, err = prewarm.NewFleet(platform, functions); err != nil {
		tb.Fatal(err)
	}
	s.policy, err = New(tb.Context(), Options{
		Price: 2560, Model: model, Platform: platform, Functions: functions, Knowledge: benchKnowledge(s.rng, s.gap), Seed: 1,
	})
	if err != nil {
		tb.Fatal(err)
	}
	for f := range s.idle {
		s.idle[f] = make([]prewarm.ID, 0, max(2*traces, 100))
	}
	s.add(prewarm.Event{Kind: prewarm.Woken}, 0)
	s.add(prewarm.Event{Kind: prewarm.Arrived}, 1)
	return s
}

// run goes on until so many invocations more have arrived.
func (s *benchPlatform) run(arrivals int) {
	for target := s.arrivals + arrivals; s.arrivals < target; {
		e := s.events.list[0].Event
		n := len(s.events.list) - 1
		s.events.list[0] = s.events.list[n]
		s.events.list = s.events.list[:n]
		if n > 0 {
			heap.Fix(&s.events, 0)
		}
		s.now = e.At
		s.happen(&e)
	}
}

// pop takes the idle container of a function that became idle last.
func (s *benchPlatform) pop(f int) prewarm.ID {
	for n := len(s.idle[f]); n > 0; n-- {
		id := s.idle[f][n-1]
		s.idle[f] = s.idle[f][:n-1]
		if c := s.fleet.Container(id); c != nil && c.State == prewarm.StateIdle {
			return id
		}
	}
	return 0
}

func (s *benchPlatform) happen(e *prewarm.Event) {
	switch e.Kind {
	case prewarm.Arrived:
		s.arrivals++
		if e.Function == 0 {
			s.trace++
			e.Trace, e.Invocation = s.trace, s.trace*benchFunctions
			gap := s.gap
			if !s.regular {
				gap *= s.rng.ExpFloat64()
			}
			s.add(prewarm.Event{Kind: prewarm.Arrived}, gap)
		}
		placed := *e
		placed.Kind = prewarm.Placed
		s.add(placed, 0.004)
	case prewarm.Placed:
		wait := 0.0
		if e.Container = s.pop(e.Function); e.Container == 0 {
			s.last++
			e.Container, e.Start, wait = s.last, prewarm.Cold, benchStart
		}
		started := *e
		started.Kind = prewarm.Started
		s.add(started, wait)
	case prewarm.Started:
		ended := *e
		ended.Kind = prewarm.Ended
		took := benchRun
		if !s.regular {
			took *= 0.5 + s.rng.Float64()
		}
		s.add(ended, took)
		if e.Function+1 < benchFunctions {
			s.add(prewarm.Event{Kind: prewarm.Arrived, Function: e.Function + 1, Trace: e.Trace, Invocation: e.Invocation + 1, Parent: e.Invocation}, took+0.01)
		}
	case prewarm.Ended:
		s.add(prewarm.Event{Kind: prewarm.Idle, Function: e.Function, Container: e.Container}, 0.001)
	case prewarm.Idle:
		s.idle[e.Function] = append(s.idle[e.Function], e.Container)
	case prewarm.Woken:
		if e.Key != 0 && s.now < s.wakes[e.Key] {
			return // another time was asked for since
		}
		if e.Key != 0 {
			s.wakes[e.Key] = prewarm.Never
		}
	case prewarm.Removed:
		c := s.fleet.Container(e.Container)
		until, _ := s.until.Get(e.Container)
		if c == nil || c.State != prewarm.StateIdle || e.By == prewarm.ByPolicy && s.now < until {
			return // used meanwhile, or held for longer
		}
		s.until.Delete(e.Container)
	}
	s.tell(e)
}

func (s *benchPlatform) tell(e *prewarm.Event) {
	s.out.Reset()
	begin := threadTime()
	err := s.fleet.Apply(e)
	s.policy.Handle(e, s.fleet, &s.out)
	s.spent += threadTime() - begin
	if err != nil {
		s.tb.Fatal(err)
	}
	for _, d := range s.out.List {
		switch d.Action {
		case prewarm.StartContainers:
			for range d.N {
				s.last++
				s.add(prewarm.Event{Kind: prewarm.Starting, Function: d.Function, Container: s.last}, 0)
				s.add(prewarm.Event{Kind: prewarm.Idle, Function: d.Function, Container: s.last}, benchStart)
			}
		case prewarm.GiveBackContainer:
			s.until.Set(d.Container, 0)
			s.add(prewarm.Event{Kind: prewarm.Removed, Function: d.Function, Container: d.Container}, 0)
		case prewarm.HoldContainer:
			s.until.Set(d.Container, d.Until)
			s.add(prewarm.Event{Kind: prewarm.Removed, Function: d.Function, Container: d.Container}, seconds(d.Until-s.now))
		case prewarm.WakePolicy:
			s.wakes[d.Key] = d.Until
			if d.Until != prewarm.Never {
				s.add(prewarm.Event{Kind: prewarm.Woken, Key: d.Key}, seconds(max(d.Until-s.now, 0)))
			}
		}
	}
}
