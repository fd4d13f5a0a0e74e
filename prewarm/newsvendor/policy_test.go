package newsvendor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// TestOneStartForOneDemand: while the platform has not yet said that a start has begun, no second one is asked for.
func TestOneStartForOneDemand(t *testing.T) {
	p, fleet := newTestPolicy(t, 2560)
	var out prewarm.Decisions
	send := func(e prewarm.Event) {
		t.Helper()
		if err := fleet.Apply(&e); err != nil {
			t.Fatal(err)
		}
		p.Handle(&e, fleet, &out)
	}
	send(prewarm.Event{Kind: prewarm.Woken})
	send(prewarm.Event{Kind: prewarm.Arrived, At: time.Second, Trace: 1, Invocation: 10})
	send(prewarm.Event{Kind: prewarm.Placed, At: 1004 * time.Millisecond, Trace: 1, Invocation: 10, Container: 1, Start: prewarm.Cold})
	send(prewarm.Event{Kind: prewarm.Woken, At: 1900 * time.Millisecond, Key: keyDeciders})
	send(prewarm.Event{Kind: prewarm.Woken, At: 1901 * time.Millisecond, Key: keyDeciders})
	n := map[int]int{}
	for _, d := range out.List {
		if d.Action == prewarm.StartContainers {
			n[d.Function] += d.N
		}
	}
	if n[1] != 1 {
		t.Errorf("%d containers were started for one demand", n[1])
	}
	for f := range n {
		if n[f] > 1 {
			t.Errorf("%d containers of function %d were started for one request", n[f], f)
		}
	}
}

// TestIdleContainerIsReservedUntilPlaced: in the time between an arrival and its placement the container that it will take is kept, and none is
// started beside it.
func TestIdleContainerIsReservedUntilPlaced(t *testing.T) {
	p, fleet := newTestPolicy(t, 2560)
	var out prewarm.Decisions
	send := func(e prewarm.Event) {
		t.Helper()
		if err := fleet.Apply(&e); err != nil {
			t.Fatal(err)
		}
		out.Reset()
		p.Handle(&e, fleet, &out)
	}
	send(prewarm.Event{Kind: prewarm.Woken})
	last := benchFunctions - 1
	send(prewarm.Event{Kind: prewarm.Starting, At: time.Second, Function: last, Container: 1})
	send(prewarm.Event{Kind: prewarm.Arrived, At: 3 * time.Second, Function: last, Trace: 7, Invocation: 1, Parent: 99})
	send(prewarm.Event{Kind: prewarm.Idle, At: 3*time.Second + 1e6, Function: last, Container: 1})
	for _, d := range out.List {
		if d.Action == prewarm.GiveBackContainer || d.Action == prewarm.StartContainers {
			t.Errorf("%v of function %d while an invocation waits for the idle container", d.Action, d.Function)
		}
	}
}

func newTestPolicy(t *testing.T, price float64) (*Policy, *prewarm.Fleet) {
	t.Helper()
	platform := prewarm.Platform{Warm: true, GiveBack: true, Hold: true, Arrivals: true, IdleTimeout: 10 * time.Minute}
	var functions []prewarm.Function
	for f := range benchFunctions {
		functions = append(functions, prewarm.Function{Name: fmt.Sprint("f", f), MemoryMB: 256})
	}
	fleet, err := prewarm.NewFleet(platform, functions)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(t.Context(), Options{
		Price: price, Model: Table, Platform: platform, Functions: functions, Knowledge: benchKnowledge(rand.New(rand.NewPCG(1, 2)), 1200),
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, fleet
}

// TestKeepIsOptimalStopping compares how long a container is kept with the best time, found by trying.
func TestKeepIsOptimalStopping(t *testing.T) {
	p, fleet := newTestPolicy(t, 40960)
	d := p.deciders[0]
	d.sample(0)
	_ = fleet
	for _, c := range []struct {
		name     string
		from, to float64
		chance   float64
	}{{"soon", 1, 3, 1}, {"far", 1000, 2000, 1}, {"unlikely", 1, 600, 0.05}, {"likely", 10, 60, 0.9}} {
		d.foreseen = []Demand{{Probability: c.chance, Times: timesBetween(c.from, c.to), Busy: 0.4}}
		got, gain := d.keep(0, 0)
		saving := d.restart(&d.foreseen[0])
		value := func(until float64) float64 {
			v := 0.0
			for _, at := range d.foreseen[0].Times {
				if at <= until {
					v += c.chance / Quantiles * (saving - d.memory*at)
				} else {
					v -= c.chance / Quantiles * d.memory * until
				}
			}
			return v - (1-c.chance)*d.memory*until
		}
		best := 0.0
		for until := 0.0; until < c.to+1; until += (c.to + 1) / 5000 {
			best = math.Max(best, value(until))
		}
		if math.Abs(gain-best) > 0.03*best+1 || (best > 1) != (got > 0) {
			t.Errorf("%s: kept until %v with a gain of %v, the best is %v", c.name, got, gain, best)
		}
	}
}

// TestMustComeInSilence: of alternatives of which one was always called, the sum stays 1 as long as the caller runs; a moment after its end it is 0.
func TestMustComeInSilence(t *testing.T) {
	p, fleet := newTestPolicy(t, 2560)
	e := prewarm.Event{Kind: prewarm.Arrived, At: time.Second, Trace: 1, Invocation: 1}
	if err := fleet.Apply(&e); err != nil {
		t.Fatal(err)
	}
	trace := p.predictor.arrived(&e, 1)
	trace.invocations[0].placed, trace.invocations[0].started = true, 1
	for _, now := range []float64{1, 1.5, 2, 5, 60} {
		demands, ok := p.predictor.demandsOf(trace, now)
		if !ok || len(demands) != benchFunctions-1 {
			t.Fatalf("at %v: %d demands, want %d", now, len(demands), benchFunctions-1)
		}
		for _, d := range demands {
			if math.Abs(d.Probability-1) > 1e-9 || d.Times[0] < now {
				t.Errorf("at %v function %d is demanded with probability %v from %v on", now, d.Function, d.Probability, d.Times[0])
			}
		}
	}
	trace.invocations[0].ended = 60
	trace.running = 0
	if demands, _ := p.predictor.demandsOf(trace, 60.11); len(demands) > 0 {
		t.Errorf("%d demands are left after the end of the only run", len(demands))
	}
}
