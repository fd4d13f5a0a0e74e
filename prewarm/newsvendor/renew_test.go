package newsvendor

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// renewer returns a decider of a platform that removes what was idle for 6 s and only lets idle times be renewed, and a fleet in which n containers of 256 MB are idle since
// second 1; a start takes 0.3 s.
func renewer(t *testing.T, price float64, n int) (*decider, *prewarm.Fleet) {
	t.Helper()
	platform := prewarm.Platform{Warm: true, Arrivals: true, FirstCall: true, Late: prewarm.OwnContainer, Renew: true, IdleTimeout: 6 * time.Second}
	fleet, err := prewarm.NewFleet(platform, []prewarm.Function{{Name: "f", MemoryMB: 256}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		for _, e := range []prewarm.Event{{Kind: prewarm.Starting}, {Kind: prewarm.Idle, At: time.Second}} {
			e.Container = prewarm.ID(i + 1)
			if err := fleet.Apply(&e); err != nil {
				t.Fatal(err)
			}
		}
	}
	d := newDecider(0, 256, price, platform, prewarm.NewStartTimes(1), &work{})
	for range 8 {
		d.started(0, 300*time.Millisecond)
	}
	d.sample(0)
	return d, fleet
}

// TestRenewalIsWorthIt: idle times end at 7 s. A container is kept where its use soon after that is likely, and is worth a start that would be late.
func TestRenewalIsWorthIt(t *testing.T) {
	for _, c := range []struct {
		name       string
		price      float64
		containers int
		demands    []Demand
		creation   float64
		want       int
	}{
		{"nothing is expected", 6200, 1, nil, 0, 0},
		{"it comes a moment after", 6200, 1, []Demand{{Probability: 0.9, Times: timesBetween(7.1, 7.3)}}, 0, 1},
		{"it comes before, and renews it by itself", 6200, 1, []Demand{{Probability: 1, Times: timesBetween(6.75, 6.95)}}, 0, 0},
		{"there is time to start one then", 6200, 1, []Demand{{Probability: 1, Times: timesBetween(10, 10.1)}}, 0, 0},
		{"there is time, but starts are dear", 6200, 1, []Demand{{Probability: 1, Times: timesBetween(10, 10.1)}}, 1000, 1},
		{"it is rare, and waiting is cheap", 640, 1, []Demand{{Probability: 0.2, Times: timesBetween(7, 11)}}, 0, 0},
		{"it is rare, and waiting is dear", 64000, 1, []Demand{{Probability: 0.2, Times: timesBetween(7, 11)}}, 0, 1},
		{"one comes, and there are two", 6200, 2, []Demand{{Probability: 1, Times: timesBetween(7.1, 7.3)}}, 0, 0},
		{"two come, and there are two", 6200, 2, []Demand{{Trace: 1, Probability: 1, Times: timesBetween(7.1, 7.2)}, {Trace: 2, Probability: 1, Times: timesBetween(7.1, 7.2)}}, 0, 2},
		{"it is a long way off", 6200, 1, []Demand{{Probability: 1, Times: timesBetween(30, 30.1)}}, 1000, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, fleet := renewer(t, c.price, c.containers)
			d.creation = c.creation
			for _, v := range c.demands {
				if v.Busy, v.Notice = 0.5, never; v.Trace == 0 {
					v.Trace = 1
				}
				d.add(&v)
			}
			held := map[prewarm.ID]prewarm.Time{}
			wakes := 0
			for now := 1.0; now < 7; wakes++ {
				var out prewarm.Decisions
				wake := d.renew(now, fleet, &out)
				for _, decision := range out.List {
					if decision.Action != prewarm.HoldContainer {
						t.Errorf("at %v: %v", now, decision.Action)
					}
					if now < 7-looksAhead*0.3-1e-6 || now > 6.7+0.01 {
						t.Errorf("decided at %v", now)
					}
					held[decision.Container] = decision.Until
				}
				if wake <= now {
					t.Fatalf("at %v it wants to be asked at %v", now, wake)
				}
				now = wake
			}
			if len(held) != c.want {
				t.Errorf("%d are renewed, want %d", len(held), c.want)
			}
			for id, until := range held {
				if until < 12*time.Second || until > 13*time.Second {
					t.Errorf("container %d is held until %v", id, until)
				}
			}
			if wakes > 4 {
				t.Errorf("it was asked %d times", wakes)
			}
		})
	}
}

// TestRenewalsAvoidArrivals: where an invocation may come just when the last moment for a renewal is, it is done before.
func TestRenewalsAvoidArrivals(t *testing.T) {
	at := func(times Times) float64 {
		d, fleet := renewer(t, 6200, 1)
		d.creation = 1000
		d.add(&Demand{Trace: 1, Probability: 0.1, Times: times, Busy: 0.5, Notice: never})
		d.add(&Demand{Trace: 2, Probability: 0.9, Times: timesBetween(7.4, 7.6), Busy: 0.5, Notice: never})
		for now := 1.0; now < 7; {
			var out prewarm.Decisions
			wake := d.renew(now, fleet, &out)
			if len(out.List) > 0 {
				return now
			}
			now = wake
		}
		return never
	}
	if got := at(timesBetween(6.68, 6.82)); got > 6.2 {
		t.Errorf("renewed at %v, when an invocation may come", got)
	}
	if got := at(timesBetween(6.05, 6.2)); math.Abs(got-6.7) > 0.01 {
		t.Errorf("renewed at %v, want the last moment", got)
	}
}

// TestWorthRenewing compares what renewing is worth with draws of the next use.
func TestWorthRenewing(t *testing.T) {
	d, _ := renewer(t, 6200, 1)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		v := Demand{Trace: 1, Probability: rng.Float64(), Times: timesBetween(6.5+rng.Float64(), 8+3*rng.Float64()), Busy: 0.5, Notice: never}
		d.remove(1)
		d.add(&v)
		u := d.next(6.7, 0, math.Inf(1), true, nil)
		gain, used := d.worthRenewing(u, 7, 6.7, 6)
		saving := d.without(6.7, &v, v.Probability)
		sum, uses := 0.0, 0.0
		const n = 200000
		for range n {
			if at := v.Times.Quantile(rng.Float64()); rng.Float64() >= v.Probability {
				sum -= 256 * (12.7 - 7)
			} else if at > 7 {
				sum += saving - 256*(at-7)
				uses++
			}
		}
		if want := sum / n; math.Abs(gain-want) > 0.02*math.Abs(want)+12 {
			t.Errorf("%v from %v to %v: it is worth %v, want %v", v.Probability, v.Times[0], v.Times[Quantiles-1], gain, want)
		}
		if math.Abs(used-uses/n) > 0.02 {
			t.Errorf("it is used with probability %v, want %v", used, uses/n)
		}
	}
}

// TestWorthRenewingEnds: where idle times are so short that a use is billions of them away, that is seen at once, and is not worth it.
func TestWorthRenewingEnds(t *testing.T) {
	for _, timeout := range []time.Duration{1, time.Microsecond, 50 * time.Millisecond} {
		d, _ := renewer(t, 1e9, 1)
		d.platform.IdleTimeout = timeout
		v := Demand{Trace: 1, Probability: 1, Times: timesBetween(1e7, 2e7), Busy: 0.5, Notice: never}
		d.add(&v)
		u := d.next(1, 0, math.Inf(1), true, nil)
		if gain, used := d.worthRenewing(u, 1+seconds(timeout), 1, seconds(timeout)); gain > 0 || math.IsNaN(gain) || used != 0 {
			t.Errorf("%v: it is worth %v, used with probability %v", timeout, gain, used)
		}
	}
}

// TestWithout: without a container an invocation costs what the best of waiting, of starting one ahead, and of starting one when more is known does.
func TestWithout(t *testing.T) {
	d, _ := renewer(t, 6200, 1)
	memory, wait, unused := 256*0.3, 6200*0.3, 256*6.3
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 0.05*want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	sure := Demand{Trace: 1, Probability: 1, Times: timesBetween(10, 10.01), Notice: never}
	near("a start in time", d.without(5, &sure, 1), memory)
	rare := sure
	rare.Probability = 0.1
	near("it waits", d.without(5, &rare, 0.1), wait+memory)
	half := sure
	half.Probability = 0.7
	near("one ahead that may be in vain", d.without(5, &half, 0.7), 0.3/0.7*unused+memory)
	half.Conditions[0] = Condition{Probability: 0.75, Lead: 1, Spread: 0.01}
	near("one when it is known", d.without(5, &half, 0.7), 0.05/0.7*unused+memory+256*0.7)
	half.Conditions[0] = Condition{Probability: 0.75, Lead: 0.1, Spread: 0.01}
	near("that would be late", d.without(5, &half, 0.7), 0.3/0.7*unused+memory)
}
