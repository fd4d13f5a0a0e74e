package dist

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestExpHawkesWithoutExcitationIsExponential(t *testing.T) {
	h, e := ExpHawkes{Base: 0.02, Alpha: []float64{0}, Beta: []float64{0}}, Exponential{Rate: 0.02}
	for _, x := range []float64{0, 1e-12, 1, 50, 1e4, math.Inf(1)} {
		for _, c := range []struct {
			name      string
			got, want float64
		}{
			{"LogProb", h.LogProb(x), e.LogProb(x)}, {"LogCDF", h.LogCDF(x), e.LogCDF(x)},
			{"LogSurvival", h.LogSurvival(x), e.LogSurvival(x)}, {"RestrictedMean", h.RestrictedMean(x), e.RestrictedMean(x)},
			{"LogInterval", h.LogInterval(x/2, x), e.LogInterval(x/2, x)},
		} {
			if !closeTo(c.got, c.want, 1e-12) {
				t.Errorf("%s(%v) = %v, want %v", c.name, x, c.got, c.want)
			}
		}
	}
	for _, p := range probabilities {
		if !closeTo(h.Quantile(p), e.Quantile(p), 1e-13) {
			t.Errorf("Quantile(%v) = %v, want %v", p, h.Quantile(p), e.Quantile(p))
		}
	}
}

func TestExpHawkesConditionalIsDecayed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := expHawkes().Draw(t, "process")
		elapsed := math.Exp(rapid.Float64Range(-8, 5).Draw(t, "log elapsed"))
		x := math.Exp(rapid.Float64Range(-8, 5).Draw(t, "log time"))
		later := ExpHawkes{Base: d.Base, Beta: d.Beta}
		for i, a := range d.Alpha {
			later.Alpha = append(later.Alpha, a*math.Exp(-d.Beta[i]*elapsed))
		}
		rest := Conditional{Dist: d, Elapsed: elapsed}
		// log S is resolved to rounding of what has accumulated, time to rounding of what has elapsed.
		slack := 1e-14*(1-d.LogSurvival(elapsed)) + 1e-14*elapsed*later.Hazard(0)
		if got, want := rest.LogSurvival(x), later.LogSurvival(x); math.Abs(got-want) > 1e-9*math.Abs(want)+slack {
			t.Errorf("after %v: LogSurvival(%v) = %v, want %v", elapsed, x, got, want)
		}
	})
}

func TestExpHawkesQuantileWhereTheIntensityFallsByOrders(t *testing.T) {
	for _, d := range []ExpHawkes{
		{Base: 1e-9, Alpha: []float64{10}, Beta: []float64{20}},
		{Base: 1e-12, Alpha: []float64{1e6, 1, 1e-6}, Beta: []float64{1e6, 1, 1e-6}},
		{Alpha: []float64{1, 1e-9}, Beta: []float64{1, 1e-10}},
		{Alpha: []float64{3}, Beta: []float64{0}},
	} {
		for _, logS := range []float64{-1e-9, -0.3, -0.4999999, -0.5000001, -1, -5, -12, -700} {
			x := d.QuantileLogSurvival(logS)
			if math.IsInf(x, 1) {
				if d.LogSurvival(x) <= logS {
					t.Errorf("%+v: log S reaches %v, quantile of %v is +Inf", d, d.LogSurvival(x), logS)
				}
				continue
			}
			if got := d.LogSurvival(x); !closeTo(got, logS, 1e-12) {
				t.Errorf("%+v: LogSurvival(%v) = %v, want %v", d, x, got, logS)
			}
		}
	}
}

func TestExpHawkesMean(t *testing.T) {
	// With one term of rate 1, x = exp(−t) turns E[τ] = ∫ exp(−μ t − α (1 − exp(−t))) dt into the series
	// exp(−α) Σₙ αⁿ / (n! (n + μ)).
	for _, c := range []struct{ mu, alpha float64 }{{1, 1}, {0.001, 2}, {5, 0.1}, {1e-6, 8}} {
		want, term := 0.0, math.Exp(-c.alpha)
		for n := range 80 {
			want += term / (float64(n) + c.mu)
			term *= c.alpha / float64(n+1)
		}
		d := ExpHawkes{Base: c.mu, Alpha: []float64{c.alpha}, Beta: []float64{1}}
		if got := d.Mean(); !closeTo(got, want, 1e-10) {
			t.Errorf("μ %v, α %v: mean %v, want %v", c.mu, c.alpha, got, want)
		}
	}
	if d := (ExpHawkes{Alpha: []float64{1}, Beta: []float64{1}}); !math.IsInf(d.Mean(), 1) || !math.IsInf(d.Quantile(0.9), 1) {
		t.Errorf("may die out: mean %v, 90 %% quantile %v, want +Inf", d.Mean(), d.Quantile(0.9))
	}
}

func ExampleExpHawkes() {
	// Just after an event the process is excited; that decays within some 10 ms.
	d := ExpHawkes{Base: 0.001, Alpha: []float64{0.05}, Beta: []float64{0.1}}
	fmt.Printf("hazard %.3f, after 50 ms %.4f; within 50 ms with %.3f\n", d.Hazard(0), d.Hazard(50), d.CDF(50))
	// Output:
	// hazard 0.051, after 50 ms 0.0013; within 50 ms with 0.421
}
