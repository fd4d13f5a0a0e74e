package newsvendor

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func demand(p float64, from, to float64) *Demand {
	return &Demand{Trace: 1, Probability: p, Times: timesBetween(from, to), Busy: 0.5, Notice: never}
}

// TestUsesOfOneDemandAreItsTimes: without any container the first use is when the demand comes.
func TestUsesOfOneDemandAreItsTimes(t *testing.T) {
	var u uses
	u.compute(0, never, 0, []*Demand{demand(0.6, 10, 20)}, nil, nil)
	for _, c := range []struct{ at, want float64 }{{9, 0}, {10, 0}, {15, 0.3}, {17.5, 0.45}, {20, 0.6}, {30, 0.6}} {
		if got := u.within(c.at); math.Abs(got-c.want) > 0.01 {
			t.Errorf("within %v: %v, want %v", c.at, got, c.want)
		}
	}
}

// TestCertainDemandsStayCertain: however long nothing is heard, what must come still must.
func TestCertainDemandsStayCertain(t *testing.T) {
	var u uses
	for _, now := range []float64{0, 15, 19.9, 25, 1000} {
		u.compute(now, never, 0, []*Demand{demand(1, 10, 20)}, nil, nil)
		if math.Abs(u.total-1) > 1e-9 {
			t.Errorf("at %v it comes with probability %v", now, u.total)
		}
		u.compute(now, never, 0, []*Demand{demand(0.5, 10, 20)}, nil, nil)
		if want := 0.5 * math.Max(math.Min((20-now)/10, 1), 0); math.Abs(u.total-want/(want+0.5)) > 0.02 {
			t.Errorf("at %v what may not come comes with probability %v, want %v", now, u.total, want/(want+0.5))
		}
	}
}

// TestOverdueDemandTakesAContainerForItsRun: what should have come long ago comes at once, and gives its container back before the next comes. Of two that
// are overdue the second finds none.
func TestOverdueDemandTakesAContainerForItsRun(t *testing.T) {
	late, soon, later := demand(1, 10, 11), demand(1, 20.2, 20.3), demand(1, 22, 22.5)
	late.Busy, soon.Busy = 1, 1
	for _, c := range []struct {
		name    string
		demands []*Demand
		want    float64
	}{{"a run before", []*Demand{late, later}, 0}, {"during its run", []*Demand{late, soon}, 1}, {"two at once", []*Demand{late, late}, 1}} {
		var u uses
		u.compute(20, never, 1, c.demands, nil, nil)
		if math.Abs(u.total-c.want) > 1e-6 {
			t.Errorf("%s: a second container is used with probability %v, want %v", c.name, u.total, c.want)
		}
	}
}

// TestUsesEqualSimulation deals demands out to containers, as a platform does, many times.
func TestUsesEqualSimulation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, k := rapid.IntRange(1, 5).Draw(t, "demands"), rapid.IntRange(0, 3).Draw(t, "containers")
		var demands []*Demand
		for range n {
			from := rapid.Float64Range(0, 4).Draw(t, "from")
			d := demand(rapid.Float64Range(0.1, 1).Draw(t, "probability"), from, from+rapid.Float64Range(0.1, 4).Draw(t, "width"))
			d.Busy = rapid.Float64Range(0.05, 3).Draw(t, "busy")
			demands = append(demands, d)
		}
		var u uses
		u.compute(0, never, k, demands, nil, nil)
		const samples = 4000
		want := simulate(rand.New(rand.NewPCG(1, 2)), demands, k, samples)
		// How often it has happened before is taken not to depend on which demands are there. Where one that may not come at all, and stays long, meets
		// several others in turn, it does: what is searched for here are such cases. TestUsesAreCloseToSimulation has bounds for all others.
		if got := u.total; math.Abs(got-want) > 0.05+0.5*want {
			t.Errorf("one container more than %d is used with probability %v, in %v of the simulations", k, got, want)
		}
	})
}

// TestUsesAreCloseToSimulation bounds the error for demands drawn at random.
func TestUsesAreCloseToSimulation(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 2))
	const cases = 1000
	var mean, absolute float64
	far := 0
	for range cases {
		k := 1 + rng.IntN(3)
		var demands []*Demand
		for range 1 + rng.IntN(5) {
			from := 4 * rng.Float64()
			d := demand(0.1+0.9*rng.Float64(), from, from+0.1+3.9*rng.Float64())
			d.Busy = 0.05 + 2.95*rng.Float64()
			demands = append(demands, d)
		}
		var u uses
		u.compute(0, never, k, demands, nil, nil)
		e := u.total - simulate(rng, demands, k, 4000)
		mean += e / cases
		absolute += math.Abs(e) / cases
		if math.Abs(e) > 0.05 {
			far++
		}
	}
	if math.Abs(mean) > 0.003 || absolute > 0.007 || far > cases*3/100 {
		t.Errorf("the error is %v on average, its amount %v; it is above 0.05 in %d of %d cases", mean, absolute, far, cases)
	}
}

// simulate returns the share of samples in which one container more than k is used.
func simulate(rng *rand.Rand, demands []*Demand, k, samples int) float64 {
	missed := 0
	type arrival struct{ at, until float64 }
	var list []arrival
	for range samples {
		list = list[:0]
		for _, d := range demands {
			if rng.Float64() < d.Probability {
				at := d.Times.Quantile(rng.Float64())
				list = append(list, arrival{at, at + d.Busy})
			}
		}
		for _, a := range list {
			inUse := 0
			for _, b := range list {
				if b.at < a.at && a.at < b.until {
					inUse++
				}
			}
			if inUse >= k {
				missed++
				break
			}
		}
	}
	return float64(missed) / float64(samples)
}

// TestManyDemandsAreWeighedAsFew compares counts in bins with demands one by one.
func TestManyDemandsAreWeighedAsFew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var demands []*Demand
		var r ring
		for range rapid.IntRange(8, 14).Draw(t, "demands") {
			from := rapid.Float64Range(0, 4).Draw(t, "from")
			d := demand(rapid.Float64Range(0.05, 0.4).Draw(t, "probability"), from, from+rapid.Float64Range(0.5, 4).Draw(t, "width"))
			demands = append(demands, d)
			r.add(d.Probability, &d.Times, d.Busy, r.end(), 1)
		}
		k := rapid.IntRange(0, 3).Draw(t, "containers")
		var few, many uses
		few.compute(0, never, k, demands, nil, nil)
		many.computeMany(0, k, 0, 0, 20, &r, true, nil, nil)
		if math.Abs(few.total-many.total) > 0.2 {
			t.Errorf("one container more than %d: one by one %v, by counts %v", k, few.total, many.total)
		}
	})
}

// TestWhenIsTheQuantile compares the time at which a start is asked for with the best one, found by trying: the price is that of the
// newsvendor.
func TestWhenIsTheQuantile(t *testing.T) {
	const m, price = 256.0, 2304.0
	starts := []float64{1.3, 2.3, 2.3, 2.3}
	d := demand(1, 10, 14)
	var u uses
	u.compute(0, never, 0, []*Demand{d}, nil, nil)
	got := u.when(0, m/(price+m), starts)
	cost := func(at float64) (sum float64) {
		for _, c := range starts {
			for _, a := range d.Times {
				sum += price*max(at+c-a, 0) + m*max(a-at-c, 0)
			}
		}
		return sum
	}
	best := 0.0
	for at := 0.0; at < 14; at += 0.005 {
		if cost(at) < cost(best) {
			best = at
		}
	}
	// Where silence is heard meanwhile the later decision is the better one; this early there is none.
	if math.Abs(got-best) > 0.1 {
		t.Errorf("asked for at %v, best is %v", got, best)
	}
}
