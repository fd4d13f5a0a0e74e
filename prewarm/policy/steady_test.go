package policy_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/policy"
)

// steady repeats a request over and over: A calls B and B calls C at its end, 1 s each. A is cold, 2 s; containers of B and C are started at 1 and
// 2 s, and are ready when they are needed. Nothing is kept after use. Requests begin a tenth of a second apart, so that many are in flight.
type steady struct {
	fleet    *prewarm.Fleet
	policy   prewarm.Policy
	d        prewarm.Decisions
	event    prewarm.Event     // that is being handled
	wakes    [500]prewarm.Time // by key and 1; 0 for none
	requests uint64
	decided  int
}

const requestGap = 100 * time.Millisecond

// script has the events of a request, by the tenth of a second in which they happen. Numbers of containers and invocations are relative to the request.
var script = func() [60][]prewarm.Event {
	var s [60][]prewarm.Event
	add := func(tenths int, e prewarm.Event) { s[tenths] = append(s[tenths], e) }
	for i := range 3 {
		id := prewarm.ID(i + 1)
		e := prewarm.Event{Function: i, Container: id, Invocation: id}
		if i > 0 {
			e.Parent = id - 1
		}
		of := func(k prewarm.Kind) prewarm.Event { e := e; e.Kind = k; return e }
		arrived, start := of(prewarm.Arrived), 20
		arrived.Container = 0
		if i > 0 {
			start = 20 + 10*i
			add(10*i, prewarm.Event{Kind: prewarm.Starting, Function: i, Container: id})
			add(start, prewarm.Event{Kind: prewarm.Idle, Function: i, Container: id})
			add(start, arrived)
			add(start, of(prewarm.Placed))
			add(start, of(prewarm.Started))
		} else {
			placed, started := of(prewarm.Placed), of(prewarm.Started)
			placed.Start, started.Init, started.Wait = prewarm.Cold, 2*time.Second, 2*time.Second
			add(0, arrived)
			add(0, placed)
			add(start, started)
		}
		add(start+10, of(prewarm.Ended))
		add(start+10, prewarm.Event{Kind: prewarm.Idle, Function: i, Container: id})
		add(start+10, prewarm.Event{Kind: prewarm.Removed, Function: i, Container: id})
	}
	return s
}()

func newSteady(t testing.TB, spec string, arrivals bool) *steady {
	platform := prewarm.Platform{Warm: true, Hold: true, GiveBack: true, Arrivals: arrivals, IdleTimeout: 10 * time.Minute}
	functions := []prewarm.Function{{Name: "A", MemoryMB: 256}, {Name: "B", MemoryMB: 256}, {Name: "C", MemoryMB: 256}}
	recording := prewarm.Recording{Functions: []int{0, 1, 2}}
	for range 100 {
		recording.Warm = append(recording.Warm, prewarm.Trace{
			{Function: 0, Parent: -1, End: 1}, {Function: 1, Parent: 0, Arrival: 1, Start: 1, End: 2}, {Function: 2, Parent: 1, Arrival: 2, Start: 2, End: 3},
		})
	}
	fleet, err := prewarm.NewFleet(platform, functions)
	require.NoError(t, err)
	p, err := policy.New(spec, policy.Options{
		Platform: platform, Functions: functions, Knowledge: prewarm.Knowledge{Applications: []prewarm.Recording{recording}},
	})
	require.NoError(t, err)
	s := &steady{fleet: fleet, policy: p}
	s.handle(t, prewarm.Event{Kind: prewarm.Woken})
	return s
}

func (s *steady) handle(t testing.TB, e prewarm.Event) {
	if !s.fleet.Platform.Arrivals && (e.Kind == prewarm.Arrived || e.Kind == prewarm.Placed) {
		return
	}
	s.event = e
	if err := s.fleet.Apply(&s.event); err != nil {
		t.Fatal(err)
	}
	s.d.Reset()
	s.policy.Handle(&s.event, s.fleet, &s.d)
	s.decided += len(s.d.List)
	for _, d := range s.d.List {
		if d.Action == prewarm.WakePolicy {
			s.wakes[d.Key+1] = d.Until
		}
	}
}

// step lets a tenth of a second pass, in which a request begins. That has as many events as a whole request.
func (s *steady) step(t testing.TB) {
	s.requests++
	now := prewarm.Time(s.requests) * requestGap
	for key, at := range &s.wakes {
		if at > 0 && at <= now {
			s.wakes[key] = 0
			s.handle(t, prewarm.Event{Kind: prewarm.Woken, At: now, Key: uint64(key - 1)})
		}
	}
	for tenths := len(script) - 1; tenths >= 0; tenths-- { // of requests that began so long ago, the oldest first
		if uint64(tenths) >= s.requests {
			continue
		}
		request := prewarm.ID(s.requests - uint64(tenths))
		for _, e := range script[tenths] {
			e.At = now
			e.Trace = request
			e.Container, e.Invocation, e.Parent = numbered(e.Container, request), numbered(e.Invocation, request), numbered(e.Parent, request)
			s.handle(t, e)
		}
	}
}

// numbered returns the number of a container or an invocation of a request.
func numbered(id, request prewarm.ID) prewarm.ID {
	if id == 0 {
		return 0
	}
	return 3*request + id
}

// steadySpecs are the policies whose steady state is measured.
var steadySpecs = []string{"keepalive:600", "chain", "jit:0.5:0.5", "jit:0.25:0.3:keep=60"}

// TestNoAllocationInSteadyState checks that policies allocate nothing per event once they know what they need.
func TestNoAllocationInSteadyState(t *testing.T) {
	for _, spec := range steadySpecs {
		for _, arrivals := range []bool{true, false} {
			s := newSteady(t, spec, arrivals)
			for range 2000 {
				s.step(t)
			}
			before := s.decided
			require.Zero(t, testing.AllocsPerRun(1000, func() { s.step(t) }), "%s, arrivals %v", spec, arrivals)
			require.Greater(t, s.decided, before+1000, "%s decides nothing", spec)
		}
	}
}

// BenchmarkHandle measures the time of a policy for a request of three invocations, with fifty in flight.
func BenchmarkHandle(b *testing.B) {
	for _, spec := range steadySpecs {
		b.Run(fmt.Sprintf("policy=%s", spec), func(b *testing.B) {
			s := newSteady(b, spec, true)
			for range 2000 {
				s.step(b)
			}
			b.ReportAllocs()
			for b.Loop() {
				s.step(b)
			}
		})
	}
}
