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
