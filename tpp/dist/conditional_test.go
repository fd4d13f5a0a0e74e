package dist

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestConditionalAgainstReference(t *testing.T) {
	for _, r := range conditionalReferences {
		t.Run(fmt.Sprintf("%s/%g", r.mixture, r.elapsed), func(t *testing.T) {
			c := Conditional{Dist: referenceMixtures[r.mixture], Elapsed: r.elapsed}
			for _, v := range []struct {
				name      string
				got, want float64
			}{
				{"LogCDF", c.LogCDF(r.t), r.logCDF},
				{"LogSurvival", c.LogSurvival(r.t), r.logSurvival},
				{"CDF", c.CDF(r.t), math.Exp(r.logCDF)},
				{"Median", c.Median(), r.median},
				{"Mean", c.Mean(), r.mean},
				{"RestrictedMean", c.RestrictedMean(r.t), r.restrictedMean},
			} {
				// Sums with the elapsed time round at 1e-16 of it, and log S(Elapsed) at 1e-16 of that.
				tol := 1e-9
				if !closeTo(v.got, v.want, tol) {
					t.Errorf("%s = %v, want %v (relative error %.2g)", v.name, v.got, v.want, v.got/v.want-1)
				}
			}
		})
	}
}

func TestConditionalOfConditional(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d complete = logNormMixes().Draw(t, "mixture")
		if rapid.Bool().Draw(t, "Hawkes") {
			d = expHawkes().Draw(t, "process")
		}
		s := math.Exp(rapid.Float64Range(-10, 20).Draw(t, "log s"))
		u := math.Exp(rapid.Float64Range(-10, 20).Draw(t, "log t"))
		c := Conditional{Dist: d, Elapsed: s}
		got, want := d.LogSurvival(s)+c.LogSurvival(u), d.LogSurvival(s+u)
		if !closeTo(got, want, 1e-9) {
			t.Errorf("log P(τ > s) + log P(τ > s+t | τ > s) = %v, log P(τ > s+t) = %v", got, want)
		}
		if p := 1 - d.Survival(s+u)/d.Survival(s); d.Survival(s) > 1e-200 && math.Abs(c.CDF(u)-p) > 1e-9 {
			t.Errorf("P(τ ≤ s+t | τ > s) = %v, want %v", c.CDF(u), p)
		}
		again := Conditional{Dist: Conditional{Dist: d, Elapsed: s / 2}, Elapsed: s / 2}
		if a, b := again.LogSurvival(u), c.LogSurvival(u); !(math.Abs(a-b) <= 1e-9*(1+math.Abs(want))) {
			t.Errorf("conditioned twice %v, once %v", a, b)
		}
	})
}

func TestConditionalExponentialIsMemoryless(t *testing.T) {
	d := Exponential{Rate: 0.1}
	for _, elapsed := range []float64{0, 1, 50, 1e5} { // at the last, S(elapsed) is exp(−10000)
		c := Conditional{Dist: d, Elapsed: elapsed}
		for _, x := range []float64{0.1, 1, 20} {
			if !closeTo(c.LogSurvival(x), d.LogSurvival(x), 1e-9) || !closeTo(c.CDF(x), d.CDF(x), 1e-9) ||
				!closeTo(c.Hazard(x), 0.1, 1e-12) || !closeTo(c.RestrictedMean(x), d.RestrictedMean(x), 1e-12) {
				t.Errorf("after %v: Survival(%v) = %v, want %v", elapsed, x, c.Survival(x), d.Survival(x))
			}
		}
		if !closeTo(c.Median(), d.Median(), 1e-9) || !closeTo(c.Mean(), 10, 1e-12) {
			t.Errorf("after %v: median %v, mean %v", elapsed, c.Median(), c.Mean())
		}
	}
}

func TestConditionalOverdue(t *testing.T) {
	alone, err := NewEmpirical([]float64{10, 20}, 1)
	if err != nil {
		t.Fatal(err)
	}
	alone.BackgroundWeight = 0
	for _, c := range []Conditional{
		{Dist: Point{Value: 40}, Elapsed: 40},
		{Dist: alone, Elapsed: 21},
		{Dist: anonymous{Point{Value: 40}}, Elapsed: 50},
	} {
		if c.CDF(0) != 1 || c.Survival(0) != 0 || c.Median() != 0 || c.Mean() != 0 || c.Rand() != 0 || c.RestrictedMean(5) != 0 {
			t.Errorf("%+v: CDF(0) = %v, median %v, mean %v, Rand %v", c, c.CDF(0), c.Median(), c.Mean(), c.Rand())
		}
		if !math.IsInf(c.LogInterval(1, 2), -1) || c.LogInterval(0, 2) != 0 {
			t.Errorf("%+v: LogInterval(1, 2) = %v, LogInterval(0, 2) = %v", c, c.LogInterval(1, 2), c.LogInterval(0, 2))
		}
	}
	onTime := Conditional{Dist: Point{Value: 40}, Elapsed: 30}
	if onTime.Median() != 10 || onTime.Mean() != 10 || onTime.Total().Median() != 40 {
		t.Errorf("10 before: median %v, mean %v, in total %v", onTime.Median(), onTime.Mean(), onTime.Total().Median())
	}
}

// anonymous hides the optional methods of a distribution.
type anonymous struct{ Distribution }

func TestConditionalOfAnyDistribution(t *testing.T) {
	d := referenceMixtures["three"]
	for _, elapsed := range []float64{0, 10, 1000, 1e6} {
		plain, hidden := Conditional{Dist: d, Elapsed: elapsed}, Conditional{Dist: anonymous{d}, Elapsed: elapsed}
		for _, p := range []float64{1e-9, 0.1, 0.5, 0.999} {
			if got, want := hidden.Quantile(p), plain.Quantile(p); !closeTo(got, want, 1e-6) {
				t.Errorf("after %v: Quantile(%v) by bisection is %v, want %v", elapsed, p, got, want)
			}
		}
		for _, h := range []float64{1, 1e4, math.Inf(1)} {
			if got, want := hidden.RestrictedMean(h), plain.RestrictedMean(h); !closeTo(got, want, 1e-9) {
				t.Errorf("after %v: RestrictedMean(%v) = %v, want %v", elapsed, h, got, want)
			}
		}
	}
}

func ExampleConditional() {
	gap := &LogNormMix{
		LogWeights: []float64{math.Log(0.7), math.Log(0.3)},
		Mu:         []float64{math.Log(120), math.Log(2500)}, // ms
		Sigma:      []float64{0.1, 0.5},
	}
	for _, elapsed := range []float64{0, 100, 200} {
		rest := Conditional{Dist: gap, Elapsed: elapsed}
		fmt.Printf("after %3.0f ms: within 100 ms with %.3f, median %.0f ms\n", elapsed, rest.CDF(100), rest.Median())
	}
	// Output:
	// after   0 ms: within 100 ms with 0.024, median 127 ms
	// after 100 ms: within 100 ms with 0.693, median 28 ms
	// after 200 ms: within 100 ms with 0.000, median 2300 ms
}
