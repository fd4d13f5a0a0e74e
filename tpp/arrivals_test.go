package tpp

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawArrivals draws a tree of at most n expected events of three marks, in the order that ForecastingState asks for. None is likelier to
// have come by a time than its parent.
func drawArrivals(t *rapid.T, n int) []ExpectedArrival {
	times := rapid.SliceOfN(rapid.Float64Range(0, 100), 1, 5)
	var out []ExpectedArrival
	var grow func(parent, steps int)
	grow = func(parent, steps int) {
		for slot := range rapid.SampledFrom([]int{2, 1, 3, 0}).Draw(t, "slots") {
			left := 1.0
			if parent >= 0 {
				left = out[parent].Probability
			}
			for range rapid.IntRange(1, 2).Draw(t, "alternatives") {
				if len(out) == n {
					return
				}
				a := ExpectedArrival{Mark: rapid.SampledFrom([]int{0, 1, 2}).Draw(t, "mark"), Parent: parent, Slot: 7 * slot, Steps: steps}
				a.Probability = left * rapid.SampledFrom([]float64{0.5, 0.3, 1, 0}).Draw(t, "probability")
				left -= a.Probability
				if parent < 0 {
					a.Times = times.Draw(t, "times")
				} else {
					offset := rapid.Float64Range(0, 50).Draw(t, "offset")
					for _, at := range out[parent].Times {
						a.Times = append(a.Times, at+offset)
					}
				}
				slices.Sort(a.Times)
				out = append(out, a)
				if steps < 5 {
					grow(len(out)-1, steps+1)
				}
			}
		}
	}
	grow(-1, 1)
	return out
}

// eachWorld calls visit with every set of events that can come, and its probability.
func eachWorld(arrivals []ExpectedArrival, visit func(comes []bool, p float64)) {
	comes := make([]bool, len(arrivals))
	var from func(i int, p float64)
	from = func(i int, p float64) {
		if p == 0 {
			return
		}
		if i == len(arrivals) {
			visit(comes, p)
			return
		}
		a := &arrivals[i]
		given := a.Probability
		if a.Parent >= 0 {
			if !comes[a.Parent] {
				from(i+1, p)
				return
			}
			given /= arrivals[a.Parent].Probability
		}
		// Of a slot at most one comes: given that those before did not, this one is likelier.
		left := 1.0
		for j := range i {
			if b := &arrivals[j]; b.Parent == a.Parent && b.Slot == a.Slot {
				if comes[j] {
					from(i+1, p)
					return
				}
				if a.Parent >= 0 {
					left -= b.Probability / arrivals[a.Parent].Probability
				} else {
					left -= b.Probability
				}
			}
		}
		if left > 1e-12 {
			given = min(given/left, 1)
		} else {
			given = 0
		}
		comes[i] = true
		from(i+1, p*given)
		comes[i] = false
		from(i+1, p*(1-given))
	}
	from(0, 1)
}

// TestArrivalsAgainstEnumeration compares the probability that a mark comes within a time, and that nothing comes after it, with sums over
// everything that can happen.
func TestArrivalsAgainstEnumeration(t *testing.T) {
	several := 0
	rapid.Check(t, func(t *rapid.T) {
		arrivals := drawArrivals(t, 9)
		at := rapid.SampledFrom([]float64{0, 1, 20, 50, 120, math.Inf(1)}).Draw(t, "t")
		mark := rapid.SampledFrom([]int{0, 1, 2}).Draw(t, "mark")
		within, over := 0.0, 0.0
		of := 0
		eachWorld(arrivals, func(comes []bool, p float64) {
			none, by := 1.0, 1.0
			for i := range arrivals {
				a := &arrivals[i]
				if !comes[i] {
					continue
				}
				if above := a.Parent; above < 0 {
					by *= a.Within(at)
				} else if w := arrivals[above].Within(at); w > 0 {
					by *= a.Within(at) / w
				} else {
					by = 0
				}
				first := a.Mark == mark
				for above := a.Parent; above >= 0; above = arrivals[above].Parent {
					first = first && arrivals[above].Mark != mark
				}
				if first {
					none *= 1 - a.Within(at)
				}
			}
			within += p * (1 - none)
			over += p * by
		})
		memory := make([]float64, rapid.IntRange(0, 40).Draw(t, "memory"))
		for i := range memory {
			memory[i] = math.NaN()
		}
		got, memory := ArrivalsWithin(arrivals, mark, at, memory)
		if math.Abs(got-within) > 1e-9 {
			t.Fatalf("mark %d comes within %v with probability %v, want %v: %+v", mark, at, got, within, arrivals)
		}
		if got, _ := ArrivalsOver(arrivals, at, memory); math.Abs(got-over) > 1e-9 {
			t.Fatalf("nothing comes after %v with probability %v, want %v: %+v", at, got, over, arrivals)
		}
		for i := range arrivals {
			if arrivals[i].Mark == mark && arrivals[i].Probability > 0 {
				of++
			}
		}
		if of > 1 {
			several++
		}
	})
	if several < 10 && !testing.Short() { // with few checks chance may leave them out
		t.Errorf("a mark was expected more than once in %d cases only", several)
	}
}

// TestWithinIsADistribution checks that Within rises from 0 to 1, and is at the times what these are the quantiles of.
func TestWithinIsADistribution(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := ExpectedArrival{Times: rapid.SliceOfN(rapid.SampledFrom([]float64{0, 1e-300, 0.5, 3, 3, 70, 1e9, 1e300}), 1, 8).Draw(t, "times")}
		slices.Sort(a.Times)
		n := len(a.Times)
		points := append([]float64{math.Inf(-1), -1, 0, 0.25, 2, 50, 1e5, 1e301, math.MaxFloat64, math.Inf(1)}, a.Times...)
		slices.Sort(points)
		last := 0.0
		for _, at := range points {
			p := a.Within(at)
			if !(p >= last*(1-1e-12) && p <= 1) {
				t.Fatalf("within %v: %v, before it was %v", at, p, last)
			}
			last = p
		}
		if last != 1 || a.Within(0) > 0 && a.Times[0] > 0 || a.Within(-1) != 0 || a.Within(math.NaN()) != 0 {
			t.Fatalf("%v: %v in the end, %v at 0", a.Times, last, a.Within(0))
		}
		for i, at := range a.Times {
			if p := a.Within(at); at > 0 && p > (float64(i)+0.5)/float64(n)+1e-12 {
				t.Fatalf("%v: within time %d is %v", a.Times, i, p)
			}
			if above := math.Nextafter(at, math.Inf(1)); at > 1 && i < n-1 && a.Times[i+1] > at && a.Within(above) < (float64(i)+0.5)/float64(n)-1e-12 {
				t.Fatalf("%v: just after time %d it is %v", a.Times, i, a.Within(above))
			}
		}
	})
}

// TestWithinOfFewTimes has what Within is for distributions that are hardly known.
func TestWithinOfFewTimes(t *testing.T) {
	for _, c := range []struct {
		times   []float64
		at      float64
		within  float64
		because string
	}{
		{nil, 5, 0, "nothing is known"},
		{nil, math.Inf(1), 1, "it comes in the end"},
		{[]float64{10}, 5, 0.25, "half way to the median"},
		{[]float64{10}, 10, 0.5, "the median"},
		{[]float64{10}, 11, 1, "one time has no spread"},
		{[]float64{10, 20}, 15, 0.5, "between the quartiles"},
		{[]float64{10, 20}, 30, 1 - 0.25*math.Exp(-1), "a share's width beyond the last"},
		{[]float64{0, 0}, 0, 0, "nothing comes in no time"},
		{[]float64{0, 0}, 1e-9, 1, "but right after"},
	} {
		a := ExpectedArrival{Times: c.times}
		if got := a.Within(c.at); math.Abs(got-c.within) > 1e-12 {
			t.Errorf("%v within %v: %v, want %v: %s", c.times, c.at, got, c.within, c.because)
		}
	}
}

// TestArrivalsOfNothing checks lists that are empty, and a chain that is long.
func TestArrivalsOfNothing(t *testing.T) {
	if p, _ := ArrivalsWithin(nil, 0, math.Inf(1), nil); p != 0 {
		t.Errorf("of nothing, something comes with probability %v", p)
	}
	if p, _ := ArrivalsOver(nil, 0, nil); p != 1 {
		t.Errorf("nothing is left with probability %v", p)
	}
	const n = 10_000
	chain := make([]ExpectedArrival, n)
	for i := range chain {
		chain[i] = ExpectedArrival{Probability: 0.5, Parent: i - 1, Steps: i + 1, Times: []float64{float64(i + 1)}}
	}
	chain[n-1].Mark = 1
	if p, _ := ArrivalsWithin(chain, 1, math.Inf(1), nil); p != 0.5 {
		t.Errorf("the end of the chain comes with probability %v, want 0.5", p)
	}
	if p, _ := ArrivalsWithin(chain, 1, 0.5, nil); !(p < 1e-4) {
		t.Errorf("it comes at once with probability %v", p)
	}
	if p, _ := ArrivalsOver(chain, n+1, nil); p != 1 {
		t.Errorf("after the last time something comes with probability %v", 1-p)
	}
	memory := make([]float64, 3*(n+1))
	if allocations := testing.AllocsPerRun(5, func() {
		_, memory = ArrivalsWithin(chain, 1, 7, memory)
		_, memory = ArrivalsOver(chain, 7, memory)
	}); allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}
