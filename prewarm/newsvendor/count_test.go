package newsvendor

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// enumerate returns the probability that at least k of independent events happen, by going through all outcomes.
func enumerate(k int, probabilities []float64) float64 {
	sum := 0.0
	for outcome := range 1 << len(probabilities) {
		p, n := 1.0, 0
		for i, q := range probabilities {
			if outcome>>i&1 == 1 {
				p *= q
				n++
			} else {
				p *= 1 - q
			}
		}
		if n >= k {
			sum += p
		}
	}
	return sum
}

// exactlyAtLeast returns what uses computes for it, k ≥ 1.
func exactlyAtLeast(k int, probabilities []float64) float64 {
	u := uses{memory: make([]float64, k+2)}
	u.memory[0] = 1
	for _, p := range probabilities {
		u.use(k, 0, p)
	}
	return u.memory[k] + u.memory[k+1]
}

func TestCountsEqualEnumeration(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOfN(rapid.Float64Range(0, 1), 0, 9).Draw(t, "probabilities")
		k := rapid.IntRange(1, 10).Draw(t, "k")
		got, want := exactlyAtLeast(k, p), enumerate(k, p)
		if math.Abs(got-want) > 1e-12 {
			t.Errorf("at least %d of %v: %v, enumeration gives %v", k, p, got, want)
		}
	})
}

// TestCumulantsAreExactWhereTheyCanBe has events that are certain, and others that are equally likely.
func TestCumulantsAreExactWhereTheyCanBe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		certain, others := rapid.IntRange(0, 5).Draw(t, "certain"), rapid.IntRange(0, 7).Draw(t, "others")
		p := rapid.Float64Range(0.01, 0.99).Draw(t, "p")
		var list []float64
		var c cumulants
		for i := range certain + others {
			q := p
			if i < certain {
				q = 1
			}
			list = append(list, q)
			c.add(q, 1)
		}
		for k := range len(list) + 2 {
			if got, want := atLeast(&c, k), enumerate(k, list); math.Abs(got-want) > 1e-4 {
				t.Errorf("%d certain, %d of %v: at least %d: %v, enumeration gives %v", certain, others, p, k, got, want)
			}
		}
	})
}

// TestCumulantsAreClose compares the approximation with the exact distribution of many events.
func TestCumulantsAreClose(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Float64Range(0.1, 0.9), exactly+1, 120).Draw(t, "probabilities")
		var c cumulants
		for _, p := range list {
			c.add(p, 1)
		}
		for k := 1; k < len(list)+2; k++ {
			want := exactlyAtLeast(k, list)
			if got := atLeast(&c, k); math.Abs(got-want) > 0.07 {
				t.Errorf("at least %d of %d: %v, exactly %v", k, len(list), got, want)
			}
		}
	})
}

func TestRemovedEventsLeaveNothing(t *testing.T) {
	var r ring
	early, late := timesBetween(1, 2), timesBetween(3, 60)
	end := r.end()
	r.add(0.7, &early, 0.5, end, 1)
	r.add(1, &late, 0.5, end, 1)
	busy := timesBetween(1, 2)
	r.run(0, &busy, end, 1)
	r.advance(1.5)
	r.add(0.7, &early, 0.5, end, -1)
	r.add(1, &late, 0.5, end, -1)
	r.run(0, &busy, end, -1)
	for i := range bins {
		if c := r.needed[i]; math.Abs(r.arriving[i]) > 1e-12 || math.Abs(c.mean)+math.Abs(c.variance)+math.Abs(c.third) > 1e-12 {
			t.Fatalf("bin %d still has %v arriving, %+v needed", i, r.arriving[i], c)
		}
	}
}

// timesBetween returns the uniform distribution.
func timesBetween(from, to float64) (t Times) {
	for i := range t {
		t[i] = from + (to-from)*(float64(i)+0.5)/Quantiles
	}
	return t
}

// atLeast is what a tail answers that has not been asked before.
func atLeast(c *cumulants, k int) float64 {
	var t tail
	t.set(*c)
	return t.atLeast(k)
}

// TestTailsAnswerTheSame asks one tail for many counts and many k, in any order: it answers as one that has not been asked before.
func TestTailsAnswerTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var counts [2]cumulants
		for i := range counts {
			for _, p := range rapid.SliceOfN(rapid.Float64Range(0, 1), 0, 40).Draw(t, "probabilities") {
				counts[i].add(p, 1)
			}
		}
		var one tail
		for range 20 {
			c, k := &counts[rapid.IntRange(0, 1).Draw(t, "count")], rapid.IntRange(-1, 40).Draw(t, "k")
			one.set(*c)
			if got, want := one.atLeast(k), atLeast(c, k); got != want {
				t.Fatalf("at least %d of %+v: %v, another says %v", k, *c, got, want)
			}
		}
	})
}
