package newsvendor

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// ownDecider returns a decider of a platform on which a late container is lost, whose start times are given.
func ownDecider(t *testing.T, price float64, starts ...float64) *decider {
	t.Helper()
	platform := prewarm.Platform{Warm: true, GiveBack: true, Late: prewarm.OwnContainer}
	d := newDecider(0, 256, price, platform, prewarm.NewStartTimes(1), &work{})
	for _, s := range starts {
		d.started(0, time.Duration(s*float64(time.Second)))
	}
	d.sample(0)
	return d
}

// TestOwnContainerIsAskedForWhereItCostsLeast compares the time with that of the least cost in draws of the arrival and of the start time.
func TestOwnContainerIsAskedForWhereItCostsLeast(t *testing.T) {
	for _, c := range []struct {
		name  string
		price float64
		times Times
		slack float64
	}{
		{"narrow", 2560, timesBetween(10, 10.2), 0},
		{"wide", 2560, timesBetween(10, 14), 0},
		{"wide and cheap", 160, timesBetween(10, 14), 0},
		{"with slack", 640, timesBetween(10, 12), 1.5},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := ownDecider(t, c.price, 1.2, 2.2, 2.2, 2.2, 2.2, 2.2, 2.2, 2.2)
			d.add(&Demand{Trace: 1, Probability: 1, Times: c.times, Busy: 0.1, Notice: never, Slack: c.slack})
			u := d.next(0, 0, d.mean, false, nil)
			wait := c.price * max(d.mean-c.slack, 0)
			cost := func(at float64) float64 {
				sum := 0.0
				const n = 4000
				rng := rand.New(rand.NewPCG(3, 4))
				for range n {
					arrival, ready := c.times.Quantile(rng.Float64()), at+d.atoms[rng.IntN(len(d.atoms))]
					switch {
					case arrival <= at:
						sum += wait
					case arrival < ready:
						sum += wait + d.memory*d.mean
					default:
						sum += d.memory * (arrival - ready)
					}
				}
				return sum / n
			}
			best := math.Inf(1)
			for at := 0.0; at < 14; at += 0.02 {
				best = min(best, cost(at))
			}
			got := d.ownTime(0, c.slack, u)
			if cost(got) > best+0.03*best+15 {
				t.Errorf("asked for at %.2f it costs %.0f MB·s, at best %.0f", got, cost(got), best)
			}
			if _, due := d.due(got-0.3, c.slack, u); due {
				t.Errorf("it is due before %.2f", got)
			}
			if got > 13 {
				return // none is asked for
			}
			if _, due := d.due(got+0.001, c.slack, u); !due {
				t.Errorf("it is not due at %.2f", got)
			}
		})
	}
}

// TestOwnContainerWaitsForWhatCanBeMet: an invocation that comes after 1 or after 5 seconds cannot be met after 1 by a container that takes 2. It is
// asked for in time for the other.
func TestOwnContainerWaitsForWhatCanBeMet(t *testing.T) {
	d := ownDecider(t, 2560, 2)
	var times Times
	for i := range times {
		times[i] = 5 + 0.01*float64(i)
		if i < Quantiles/4 {
			times[i] = 1 + 0.01*float64(i)
		}
	}
	d.add(&Demand{Trace: 1, Probability: 1, Times: times, Busy: 0.1, Notice: never})
	if got := d.ownTime(0, 0, d.next(0, 0, d.mean, false, nil)); !(got > 2.5 && got < 3.1) {
		t.Errorf("it is asked for at %.2f, want shortly before 3", got)
	}
}

// TestDefersWhatWillBeKnown checks when it is better to decide once the caller has come: that depends on how likely the caller is, and on how much time
// is left then.
func TestDefersWhatWillBeKnown(t *testing.T) {
	for _, c := range []struct {
		name         string
		caller, lead float64
		late         prewarm.LateKind
		want         bool
	}{
		{"uncertain, and time enough", 0.5, 4, prewarm.OwnContainer, true},
		{"uncertain, and too late then", 0.5, 1, prewarm.OwnContainer, false},
		{"as good as certain, and hardly time enough", 0.96, 2.2, prewarm.OwnContainer, false},
		{"a late container is waited for", 0.5, 4, prewarm.TakesStarting, false},
	} {
		d := ownDecider(t, 2560, 1.8, 2, 2.2)
		d.platform.Late = c.late
		v := Demand{
			Trace: 1, Probability: c.caller, Times: timesBetween(5, 6), Busy: 0.1, Notice: never,
			Conditions: [mostConditions]Condition{{Probability: c.caller, Lead: c.lead, Spread: 0.3}},
		}
		if got := d.defers(&v); got != c.want {
			t.Errorf("%s: it is deferred: %v", c.name, got)
		}
		d.add(&v)
		if n := len(d.next(0, 0, d.mean, false, nil).list); (n == 0) != c.want {
			t.Errorf("%s: %d uses are weighed", c.name, n)
		}
		if n := len(d.next(0, 1, math.Inf(1), true, nil).list); n != 0 {
			t.Errorf("%s: a second container has %d uses", c.name, n)
		}
		if n := len(d.next(0, 0, math.Inf(1), true, nil).list); n == 0 {
			t.Errorf("%s: what is there already is kept for nothing", c.name)
		}
	}
}

// TestConditions has a caller that is certain, one that is not, its callee that is certain once it comes, and what that may call.
func TestConditions(t *testing.T) {
	list := []expected{
		{cause: 0, parent: -1, probability: 1, gap: timesBetween(1, 1)},
		{cause: -1, parent: 0, probability: 0.5, gap: timesBetween(2, 2)},
		{cause: -1, parent: 1, probability: 1, gap: timesBetween(3, 3)},
		{cause: -1, parent: 2, probability: 0.4, gap: timesBetween(4, 4)},
		{cause: -1, parent: 3, probability: 1, gap: timesBetween(5, 5)},
	}
	chances := []float64{1, 0.5, 0.5, 0.2, 0.2}
	for i, want := range [][]Condition{nil, nil, {{0.5, 3, 0}}, {{0.5, 7, 0}}, {{0.2, 5, 0}, {0.5, 12, 0}}} {
		var d Demand
		d.conditions(list, chances, i)
		for k := range d.Conditions {
			var c Condition
			if k < len(want) {
				c = want[k]
			}
			if got := d.Conditions[k]; got.Probability != c.Probability || math.Abs(got.Lead-c.Lead) > 1e-6 || got.Spread > 1e-6 {
				t.Errorf("condition %d of %d is %+v, want %+v", k, i, got, c)
			}
		}
	}
}
