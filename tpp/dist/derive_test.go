package dist

import (
	"math"
	"testing"
)

// TestDerivedFunctions checks the functions derived from the four methods of a Distribution against the methods of the
// distributions of this package.
func TestDerivedFunctions(t *testing.T) {
	for _, d := range examples(t) {
		if d.discrete {
			continue // whose atoms nothing can be derived about
		}
		hidden := anonymous{d.complete}
		for _, x := range []float64{-1, 0, 1e-9, 0.5, 13, 30, 40.5, 113, 900, 5e4, 1e6} {
			for _, c := range []struct {
				name      string
				got, want float64
			}{
				{"Prob", Prob(hidden, x), d.Prob(x)},
				{"Survival", Survival(hidden, x), d.Survival(x)},
				{"Hazard", Hazard(hidden, x), d.Hazard(x)},
				{"RestrictedMean", RestrictedMean(hidden, x), d.RestrictedMean(x)},
				{"CDF by its logarithm", math.Exp(LogCDF(hidden, x)), d.CDF(x)},
			} {
				if !closeTo(c.got, c.want, 1e-9) {
					t.Errorf("%s: %s at %v is %v, want %v", d.name, c.name, x, c.got, c.want)
				}
			}
			for _, width := range []float64{1e-7, 0.01, 1, 50} {
				got, want := LogInterval(hidden, x, x+width), d.LogInterval(x, x+width)
				if want > -600 && x+width > d.offset && !(math.Abs(got-want) <= 1e-6+1e-9*math.Abs(want)+3e-14*(x+d.offset)/width) {
					t.Errorf("%s: LogInterval(%v, %v) = %v, want %v", d.name, x, x+width, got, want)
				}
			}
		}
		for name, c := range map[string][2]float64{"Mean": {Mean(hidden), d.Mean()}, "Median": {Median(hidden), d.Median()}} {
			if !closeTo(c[0], c[1], 1e-9) {
				t.Errorf("%s: %s is %v, want %v", d.name, name, c[0], c[1])
			}
		}
		for _, logS := range []float64{0, -1e-3, -1, -20, -100, -650} {
			got := QuantileLogSurvival(hidden, logS)
			if !math.IsInf(got, 1) && logS < 0 && !closeTo(d.LogSurvival(got), logS, 1e-9) {
				t.Errorf("%s: LogSurvival(QuantileLogSurvival(%v)) = %v", d.name, logS, d.LogSurvival(got))
			}
		}
	}
}

// uniform10 is the uniform distribution from 0 to 10: its support ends.
type uniform10 struct{}

func (uniform10) LogProb(t float64) float64 {
	if t < 0 || t > 10 {
		return math.Inf(-1)
	}
	return -math.Log(10)
}
func (uniform10) CDF(t float64) float64           { return math.Min(math.Max(t/10, 0), 1) }
func (u uniform10) LogSurvival(t float64) float64 { return math.Log1p(-u.CDF(t)) }
func (uniform10) Quantile(p float64) float64      { return 10 * p }

// TestDerivedFunctionsAfterTheSupport checks that nothing derived is NaN where no probability is left.
func TestDerivedFunctionsAfterTheSupport(t *testing.T) {
	inf := math.Inf(1)
	for name, c := range map[string][2]float64{
		"LogInterval(12, 13)":   {LogInterval(uniform10{}, 12, 13), -inf},
		"LogInterval(12, +Inf)": {LogInterval(uniform10{}, 12, inf), -inf},
		"LogInterval(5, +Inf)":  {LogInterval(uniform10{}, 5, inf), math.Log(0.5)},
		"LogInterval(4, 12)":    {LogInterval(uniform10{}, 4, 12), math.Log(0.6)},
		"LogMass(12)":           {LogMass(uniform10{}, 12, 1), -inf},
		"Hazard(12)":            {Hazard(uniform10{}, 12), inf},
		"Hazard(5)":             {Hazard(uniform10{}, 5), 0.2},
		"Mean":                  {Mean(uniform10{}), 5},
	} {
		if c[0] != c[1] && !closeTo(c[0], c[1], 1e-9) {
			t.Errorf("%s is %v, want %v", name, c[0], c[1])
		}
	}
	for _, d := range examples(t) {
		for _, x := range edgeTimes {
			if h := Hazard(anonymous{d.complete}, x); !d.discrete && math.IsNaN(h) {
				t.Errorf("%s: the derived Hazard(%v) is NaN", d.name, x)
			}
		}
	}
}

func TestDerivedRandFollowsTheDistribution(t *testing.T) {
	d := anonymous{Exponential{Rate: 0.02}}
	src, sum := seeded(), 0.0
	const n = 20_000
	for range n {
		sum += Rand(d, src)
	}
	if mean := sum / n; math.Abs(mean-50) > 4*50/math.Sqrt(n) {
		t.Errorf("the mean of %d draws is %v, want about 50", n, mean)
	}
}

// TestPointByValueAndByPointer checks that a Point and a pointer to one give the same results.
func TestPointByValueAndByPointer(t *testing.T) {
	p := Point{Value: 40}
	for name, d := range map[string]Distribution{
		"Point": p, "*Point": &p, "Conditional": Conditional{Dist: p, Elapsed: 1}, "Conditional of *Point": &Conditional{Dist: &p, Elapsed: 1},
		"Shifted": Shifted{Dist: &p},
	} {
		if HasDensity(d) {
			t.Errorf("%s has a density", name)
		}
	}
	for _, d := range examples(t) {
		if want := !d.discrete || d.name == "Empirical" || d.name == "Empirical without background" || d.name == "Total" ||
			d.name == "Conditional Empirical" || d.name == "Conditional of nothing elapsed"; HasDensity(d.complete) != want {
			t.Errorf("%s: HasDensity = %v, want %v", d.name, !want, want)
		}
	}
}
