package race

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/tpp"
	"pgregory.net/rapid"
)

// someStates calls check with states of random models after some events of their sequences.
func someStates(t *testing.T, n int, check func(rng *rand.Rand, s *state)) {
	t.Helper()
	for seed := range uint64(n) {
		rng := rand.New(rand.NewPCG(seed, 6))
		regime := Arrivals
		if seed%2 == 1 {
			regime = Starts
		}
		w := randomWorld(rng, regime, 3, int(seed%3))
		for i := range w.data.Sequences {
			s := &w.data.Sequences[i]
			state := w.model.NewState(s.Start()).(*state)
			upTo := rng.IntN(s.Len() + 1)
			for j := range upTo {
				if err := state.Observe(s.Event(j, w.model.CovariateNames(), nil)); err != nil {
					t.Fatal(err)
				}
			}
			check(rng, state)
			if t.Failed() {
				t.Fatalf("seed %d, sequence %d after %d events", seed, i, upTo)
			}
		}
	}
}

func near(got, want, relative, absolute float64) bool {
	return math.Abs(got-want) <= relative*math.Abs(want)+absolute
}

// marksError is how far the probability of a mark may be off: they are summed over a few dozen times, where a dozen marks compete
// by mixtures as ragged as those of the random models. TestMarksOnAverage says how far it is on average.
const marksError = 1.2e-2

// TestPredictionLikeReference compares the prediction, at the last step and later, with the formulas of competing risks in float64.
func TestPredictionLikeReference(t *testing.T) {
	if testing.Short() {
		t.Skip("much work in one goroutine")
	}
	someStates(t, 60, func(rng *rand.Rand, s *state) {
		for _, waited := range []float64{0, math.Floor(50 * rng.Float64()), 700 * rng.Float64()} {
			now := s.last + waited
			f := newReference(s, now)
			next := s.Next(now)
			if !near(next.End, f.end(), 1e-3, 1e-5) {
				t.Errorf("waited %v: end %v, want %v", waited, next.End, f.end())
			}
			comes := 1 - f.end()
			for range 5 {
				tau := math.Exp(8*rng.Float64()) - 1
				want := f.survival(tau)
				if got := math.Exp(next.LogSurvival(tau)); !near(got, want, 1e-3, 1e-5) {
					t.Errorf("waited %v: survival at %v is %v, want %v", waited, tau, got, want)
				}
				// Within one tick the shares of the marks are those of the mean hazards.
				marks, _ := f.joint(tau, tau+1, 20)
				all := 0.0
				for m, p := range marks {
					got := math.Exp(next.Joint.LogIntervalMark(tau, tau+1, m))
					all += got
					if !near(got, p/comes, 0.1, 1e-5) {
						t.Errorf("waited %v: probability of mark %d in the tick after %v is %v, want %v", waited, m, tau, got, p/comes)
					}
				}
				if want := (f.survival(tau) - f.survival(tau+1)) / comes; !near(all, want, 1e-3, 1e-6) {
					t.Errorf("waited %v: probability of the tick after %v is %v, want %v", waited, tau, all, want)
				}
			}
			marks, _ := f.joint(0, 1e9, 4000)
			for m, p := range marks {
				if !near(next.Marks[m], p/comes, 0, marksError) {
					t.Errorf("waited %v: marks %v, want %v over %v", waited, next.Marks, marks, comes)
					break
				}
			}
		}
	})
}

// TestMarksOnAverage checks that the probabilities of the marks are within 0.3 % of the quadrature nearly always.
func TestMarksOnAverage(t *testing.T) {
	n, sum, wrong := 0, 0.0, 0
	someStates(t, 60, func(rng *rand.Rand, s *state) {
		next, f := s.Next(s.last), newReference(s, s.last)
		marks, _ := f.joint(0, 1e9, 4000)
		worst := 0.0
		for m, p := range marks {
			worst = max(worst, math.Abs(next.Marks[m]-p/(1-f.end())))
		}
		n, sum = n+1, sum+worst
		if worst > 3e-3 {
			wrong++
		}
	})
	if sum > 1e-3*float64(n) || wrong*20 > n {
		t.Errorf("the marks are off by %v on average, and by more than 0.3 %% in %d of %d", sum/float64(n), wrong, n)
	}
}

// TestPredictionIsConsistent compares what a prediction says by its various functions.
func TestPredictionIsConsistent(t *testing.T) {
	someStates(t, 20, func(rng *rand.Rand, s *state) {
		next := s.Next(s.last + float64(rng.IntN(2))*100*rng.Float64())
		d := next.Time.(*prediction)
		sum := 0.0
		for _, p := range next.Marks {
			sum += p
		}
		if !near(sum, 1, 0, 1e-9) {
			t.Errorf("marks add up to %v", sum)
		}
		// All ticks and marks: the mass of one is one.
		total := math.Exp(d.LogInterval(1e6, math.Inf(1)))
		byMark := make([]float64, len(next.Marks))
		for tick := 0.0; tick < 400; tick++ {
			all := math.Exp(d.LogInterval(max(tick-0.5, 0), tick+0.5))
			joint := 0.0
			for m := range byMark {
				v := math.Exp(next.LogResolution(tick, 1, m))
				joint, byMark[m] = joint+v, byMark[m]+v
			}
			if !near(joint, all, 1e-6, 1e-12) {
				t.Fatalf("the marks of tick %v add up to %v, the tick is %v", tick, joint, all)
			}
			total += all
		}
		for m := range byMark {
			v := math.Exp(d.LogIntervalMark(399.5, 1e6, m))
			total, byMark[m] = total+v, byMark[m]+v
			byMark[m] += math.Exp(d.LogIntervalMark(1e6, math.Inf(1), m))
		}
		if !near(total, 1, 0, 2e-3) {
			t.Errorf("the masses of all ticks add up to %v", total)
		}
		for m, v := range byMark {
			if !near(v, next.Marks[m], 0, marksError) {
				t.Errorf("mark %d has %v in all ticks, but the probability %v", m, v, next.Marks[m])
			}
		}
		if median, want := next.Median(), d.Quantile(0.5); !near(median, want, 1e-3, 0.01) {
			t.Errorf("median %v, quantile %v", median, want)
		}
		last := 0.0
		for _, q := range []float64{0, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999} {
			v := d.Quantile(q)
			if v < last {
				t.Errorf("quantile %v of %v is below another one, %v", q, v, last)
			}
			last = v
			if got := d.CDF(v); !near(got, q, 0, 1e-4) {
				t.Errorf("quantile %v is %v, where the distribution is %v", q, v, got)
			}
		}
		for range 5 {
			a := math.Exp(8*rng.Float64()) - 1
			b := a + 4 + math.Exp(6*rng.Float64())
			cdf, survival := d.CDF(a), d.LogSurvival(a)
			if !near(math.Exp(survival), 1-cdf, 0, 1e-6) {
				t.Errorf("at %v: distribution %v, log survival %v", a, cdf, survival)
			}
			interval := math.Exp(d.LogInterval(a, b))
			if !near(interval, d.CDF(b)-cdf, 1e-3, 1e-5) {
				t.Errorf("(%v, %v] has %v, the distribution %v", a, b, interval, d.CDF(b)-cdf)
			}
			// The densities: Simpson's rule over the interval, and the joint ones add up to it.
			const n = 2000
			integral := 0.0
			for i := range n + 1 {
				weight := float64(2 + 2*(i%2))
				if i == 0 || i == n {
					weight = 1
				}
				integral += weight / 3 * (b - a) / n * math.Exp(d.LogProb(a+(b-a)*float64(i)/n))
			}
			if !near(integral, interval, 1e-2, 1e-5) {
				t.Errorf("the density over (%v, %v] has the integral %v, the interval %v", a, b, integral, interval)
			}
			density, joint := math.Exp(d.LogProb(a)), 0.0
			at := d.MarksAt(a, make([]float64, len(next.Marks)))
			for m := range next.Marks {
				v := math.Exp(d.LogProbMark(a, m))
				joint += v
				if !near(v, at[m]*density, 1e-6, 1e-12) {
					t.Errorf("density of mark %d at %v is %v, want %v of %v", m, a, v, at[m], density)
				}
			}
			if !near(joint, density, 1e-6, 1e-12) {
				t.Errorf("the densities of the marks at %v add up to %v, not %v", a, joint, density)
			}
		}
	})
}

// TestWaitingConditions checks that a prediction made later is the earlier one given that nothing has come.
func TestWaitingConditions(t *testing.T) {
	someStates(t, 60, func(rng *rand.Rand, s *state) {
		waited := math.Exp(7 * rng.Float64())
		later := s.Clone().Next(s.last + waited)
		conditional := s.Next(s.last).Conditional(waited)
		if !near(later.End, conditional.End, 2e-3, 2e-5) {
			t.Errorf("waited %v: end %v, conditional %v", waited, later.End, conditional.End)
		}
		for m, p := range later.Marks {
			if !near(p, conditional.Marks[m], 0, marksError) {
				t.Errorf("waited %v: marks %v, conditional %v", waited, later.Marks, conditional.Marks)
				break
			}
		}
		for _, q := range []float64{0.1, 0.5, 0.9} {
			v := later.Time.Quantile(q)
			if got := conditional.Time.CDF(v); !near(got, q, 0, 2e-3) {
				t.Errorf("waited %v: at %v the distribution is %v, conditional %v", waited, v, q, got)
			}
		}
	})
}

// TestExtremesAreNumbers checks that nothing is NaN, negative or above 1, whatever the times.
func TestExtremesAreNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 7))
		regime := rapid.SampledFrom([]Regime{Arrivals, Starts}).Draw(t, "regime")
		w := randomWorld(rng, regime, 2, rapid.IntRange(someBegun, noneBegun).Draw(t, "begun"))
		delay := rapid.SampledFrom([]float64{0, 0, 1e-9, 1, 15, 1e3, 1e6, 1e9, 1e12})
		now := 0.0
		s := w.model.NewState(now)
		for range rapid.IntRange(0, 12).Draw(t, "events") {
			now += delay.Draw(t, "gap")
			mark := rapid.IntRange(0, w.model.numMarks-1).Draw(t, "mark")
			if err := s.Observe(tpp.Event{Time: now, Mark: mark, Covariates: []float64{rng.NormFloat64()}}); err != nil {
				t.Fatal(err)
			}
		}
		n := s.Next(now + delay.Draw(t, "waited"))
		probability := func(what string, p float64) {
			if !(p >= 0 && p <= 1+1e-9) {
				t.Errorf("%s is %v", what, p)
			}
		}
		probability("end", n.End)
		sum := 0.0
		for _, p := range n.Marks {
			probability("mark", p)
			sum += p
		}
		if !near(sum, 1, 0, 1e-6) {
			t.Errorf("marks %v add up to %v", n.Marks, sum)
		}
		if m := n.Median(); !(m >= 0) {
			t.Errorf("median %v", m)
		}
		last := 0.0
		for _, tau := range []float64{0, 1e-9, 0.5, 1, 100, 1e6, 1e12, math.Inf(1)} {
			cdf := n.Time.CDF(tau)
			probability("distribution", cdf)
			if cdf < last-1e-6 {
				t.Errorf("the distribution falls to %v at %v", cdf, tau)
			}
			last = cdf
			for what, v := range map[string]float64{
				"density": n.Time.LogProb(tau), "survival": n.LogSurvival(tau), "within": n.Within(tau),
				"density of the mark": n.Joint.LogProbMark(tau, 0), "mark given the time": n.LogMark(tau, 0),
				"tick": n.LogResolution(min(tau, 1e15), 1, 0), "interval": n.Joint.LogIntervalMark(min(tau, 1e15), math.Inf(1), 0),
			} {
				if math.IsNaN(v) || math.IsInf(v, 1) {
					t.Errorf("%s at %v is %v", what, tau, v)
				}
			}
		}
		for _, q := range []float64{0, 0.5, 1} {
			if v := n.Time.Quantile(q); !(v >= 0) {
				t.Errorf("quantile %v is %v", q, v)
			}
		}
	})
}

// TestDrawnMarks checks that events drawn by time and then by mark have the marks with the probabilities that the prediction says. The draws
// are spread evenly over all times.
func TestDrawnMarks(t *testing.T) {
	someStates(t, 15, func(rng *rand.Rand, s *state) {
		n := s.Next(s.last)
		const draws = 1000
		sum := make([]float64, len(n.Marks))
		var at []float64
		for i := range draws {
			at = n.MarksAt(n.Time.Quantile((float64(i)+0.5)/draws), at)
			for m, p := range at {
				sum[m] += p / draws
			}
		}
		for m, p := range n.Marks {
			if !near(sum[m], p, 0, marksError) {
				t.Errorf("draws have the marks %v, the prediction %v", sum, n.Marks)
				break
			}
		}
	})
}

// TestHopelesslyLate checks that something that is due for far longer than its distribution knows, such as what a lost message would
// have told, does not spoil the prediction of all else.
func TestHopelesslyLate(t *testing.T) {
	g, names := parseGraph("main: a b")
	m := newRace(Config{Graph: g, Components: 2, ContextSize: 4}.withDefaults(), names, len(names), nil)
	m.background.fit([]float64{5000, 6000}, make([]float64, len(names)), 1, 1000, 1, 1000)
	for c := range m.net.classes { // all delays are near 36, and next to impossible beyond
		row := nn.Of(m.net.table, m.params)[c*m.net.size:]
		row[0], row[1], row[2], row[3] = 2, 2, -6, -6
	}
	m.net.prepare(m.params)
	s := m.NewState(0)
	for _, at := range []float64{0, 1e6} {
		if err := s.Observe(tpp.Event{Time: at, Mark: 0}); err != nil {
			t.Fatal(err)
		}
	}
	n := s.Next(1e6)
	if median := n.Median(); !(median > 30 && median < 40) {
		t.Errorf("the median is %v, want 36", median)
	}
	if n.Marks[1] < 0.45 || n.Marks[2] < 0.45 || n.End > 0.01 {
		t.Errorf("marks %v, end %v", n.Marks, n.End)
	}
	if n := s.Next(1e6 + 1e6); n.End > 1e-6 || !(n.Median() > 0) {
		t.Errorf("later: end %v, median %v", n.End, n.Median())
	}
}
