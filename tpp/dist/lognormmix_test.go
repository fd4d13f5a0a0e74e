package dist

import (
	"fmt"
	"math"
	"testing"
)

func TestLogNormMixAgainstReference(t *testing.T) {
	for _, r := range references {
		t.Run(fmt.Sprintf("%s/%g", r.mixture, r.t), func(t *testing.T) {
			d := referenceMixtures[r.mixture]
			// The density of a component as narrow as 1e-8 turns one rounding of log t into 1e-8 relative.
			tol := 1e-12
			if r.mixture == "narrow" {
				tol = 1e-6
			}
			for _, c := range []struct {
				name      string
				got, want float64
			}{
				{"LogProb", d.LogProb(r.t), r.logProb},
				{"LogCDF", d.LogCDF(r.t), r.logCDF},
				{"LogSurvival", d.LogSurvival(r.t), r.logSurvival},
				{"LogInterval", d.LogInterval(r.t, r.t*(1+0x1p-20)), r.logInterval},
				{"RestrictedMean", d.RestrictedMean(r.t), r.restrictedMean},
				{"CDF", d.CDF(r.t), math.Exp(r.logCDF)},
				{"Survival", d.Survival(r.t), math.Exp(r.logSurvival)},
			} {
				if !closeTo(c.got, c.want, tol) && math.Abs(c.got-c.want) > 1e-300 {
					t.Errorf("%s(%v) = %v, want %v (relative error %.2g)", c.name, r.t, c.got, c.want, c.got/c.want-1)
				}
			}
		})
	}
}

func TestLogNormMixQuantileInvertsTails(t *testing.T) {
	for name, d := range referenceMixtures {
		tol := 1e-13
		if name == "narrow" {
			tol = 1e-6 // one rounding of the quantile moves the tail that much
		}
		for _, p := range []float64{1e-12, 1e-6, 0.01, 0.3, 0.5, 0.9, 0.999, 1 - 1e-9, 1 - 1e-12} {
			q := d.Quantile(p)
			if !closeTo(d.CDF(q), p, tol) || !closeTo(d.Survival(q), 1-p, tol) {
				t.Errorf("%s: CDF(Quantile(%v)) − p = %g, Survival off by %g", name, p, d.CDF(q)-p, d.Survival(q)-(1-p))
			}
		}
		for _, logS := range []float64{-1e-20, -1e-3, -3, -50, -599, -601, -1e4, -1e8} {
			if q := d.QuantileLogSurvival(logS); !math.IsInf(q, 1) && !closeTo(d.LogSurvival(q), logS, tol) {
				t.Errorf("%s: LogSurvival(QuantileLogSurvival(%v)) = %v", name, logS, d.LogSurvival(q))
			}
		}
	}
}

func TestQuantileBetweenComponentsThatDoNotOverlap(t *testing.T) {
	d := &LogNormMix{LogWeights: []float64{0, 0}, Mu: []float64{-100, 100}, Sigma: []float64{1e-8, 1e-8}}
	for _, c := range []struct{ p, logTime float64 }{{0.1, -100}, {0.49, -100}, {0.51, 100}, {0.9, 100}} {
		if got := math.Log(d.Quantile(c.p)); math.Abs(got-c.logTime) > 1e-7 {
			t.Errorf("log Quantile(%v) = %v, want %v", c.p, got, c.logTime)
		}
	}
	if m := math.Log(d.Median()); !(m >= -100 && m <= 100) {
		t.Errorf("log Median = %v, want something between the components", m)
	}
}

func TestMoreComponentsThanTheStackHolds(t *testing.T) {
	one := &LogNormMix{LogWeights: []float64{0}, Mu: []float64{2}, Sigma: []float64{0.7}}
	many := &LogNormMix{}
	for range 3 * maxStackComponents {
		many.LogWeights = append(many.LogWeights, -1)
		many.Mu = append(many.Mu, 2)
		many.Sigma = append(many.Sigma, 0.7)
	}
	many.Mu[0] = 2 + 1e-9 // so that the bracket is not a point
	for _, p := range []float64{1e-3, 0.5, 0.9} {
		if got, want := many.Quantile(p), one.Quantile(p); !closeTo(got, want, 1e-9) {
			t.Errorf("Quantile(%v) = %v, want %v", p, got, want)
		}
	}
}

func TestMethodsDoNotAllocate(t *testing.T) {
	d := paperMix()
	var dist complete = d
	rest := &Conditional{Dist: d, Elapsed: 100}
	for name, f := range map[string]func() float64{
		"Prob":                func() float64 { return d.Prob(20) },
		"LogProb":             func() float64 { return d.LogProb(20) },
		"LogProb in the tail": func() float64 { return d.LogProb(1e200) },
		"CDF":                 func() float64 { return d.CDF(20) },
		"LogCDF":              func() float64 { return d.LogCDF(1e-200) },
		"Survival":            func() float64 { return d.Survival(20) },
		"LogSurvival":         func() float64 { return d.LogSurvival(1e200) },
		"LogInterval":         func() float64 { return d.LogInterval(19.5, 20.5) },
		"LogMass":             func() float64 { return LogMass(dist, 0, 1) },
		"Hazard":              func() float64 { return d.Hazard(20) },
		"Mean":                func() float64 { return d.Mean() },
		"Median":              func() float64 { return dist.Median() },
		"Quantile":            func() float64 { return d.Quantile(0.95) },
		"QuantileLogSurvival": func() float64 { return d.QuantileLogSurvival(-1e4) },
		"RestrictedMean":      func() float64 { return d.RestrictedMean(50) },
		"Rand":                func() float64 { return d.Rand() },
		"Conditional CDF":     func() float64 { return rest.CDF(20) },
		"Conditional Median":  func() float64 { return rest.Median() },
	} {
		if n := testing.AllocsPerRun(10, func() { sink += f() }); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func FuzzLogNormMix(f *testing.F) {
	f.Add(0., 5., 0.5, -1., 7., 1., 100., 0.5)
	f.Add(0., 5., 1e-8, -800., 0., 50., 1e9, 1e-12)
	f.Add(1e308, -1e308, 1e-308, -1e308, 1e308, 1e308, math.MaxFloat64, 1-1e-16)
	f.Add(0., 0., math.SmallestNonzeroFloat64, 0., 1., 1., 0., 1.)
	f.Fuzz(func(t *testing.T, lw1, mu1, sigma1, lw2, mu2, sigma2, x, p float64) {
		d := &LogNormMix{LogWeights: []float64{lw1, lw2}, Mu: []float64{mu1, mu2}, Sigma: []float64{sigma1, sigma2}}
		if d.Validate() != nil || !(x >= 0) || !(p >= 0 && p <= 1) {
			t.Skip("not valid")
		}
		rest := Conditional{Dist: d, Elapsed: math.Min(x, math.MaxFloat64)}
		for name, v := range map[string]float64{
			"LogProb": d.LogProb(x), "LogCDF": d.LogCDF(x), "LogSurvival": d.LogSurvival(x), "Hazard": d.Hazard(x),
			"LogInterval": d.LogInterval(x/2, x), "LogMass": LogMass(d, x, 1), "Mean": d.Mean(),
			"RestrictedMean": d.RestrictedMean(x), "Quantile": d.Quantile(p),
			"QuantileLogSurvival": d.QuantileLogSurvival(-x), "remaining CDF": rest.CDF(x),
			"remaining Quantile": rest.Quantile(p), "remaining LogSurvival": rest.LogSurvival(1),
			"remaining Mean": rest.Mean(),
		} {
			if math.IsNaN(v) {
				t.Errorf("%s is NaN", name)
			}
		}
		for name, v := range map[string]float64{
			"LogCDF": d.LogCDF(x), "LogSurvival": d.LogSurvival(x), "LogInterval": d.LogInterval(x/2, x), "LogMass": LogMass(d, x, 1),
		} {
			if v > 0 {
				t.Errorf("%s = %v, more than certain", name, v)
			}
		}
		if sum := d.CDF(x) + d.Survival(x); math.Abs(sum-1) > 1e-12 {
			t.Errorf("CDF + Survival = %v", sum)
		}
		if lo, hi := d.Quantile(p/2), d.Quantile(p); lo > hi*(1+1e-9) {
			t.Errorf("Quantile(%v) = %v > Quantile(%v) = %v", p/2, lo, p, hi)
		}
	})
}

// paperMix has the usual number of components, 64.
func paperMix() *LogNormMix {
	const k = 64
	d := &LogNormMix{}
	for i := range k {
		x := float64(i) / k
		d.LogWeights = append(d.LogWeights, math.Sin(37*x)-4)
		d.Mu = append(d.Mu, 5+2*math.Cos(91*x))
		d.Sigma = append(d.Sigma, 0.05+x*x)
	}
	return d
}

var sink float64

func BenchmarkLogNormMix(b *testing.B) {
	d := paperMix()
	for _, c := range []struct {
		name string
		f    func(i int) float64
	}{
		{"LogProb", func(i int) float64 { return d.LogProb(float64(i%1000 + 1)) }},
		{"CDF", func(i int) float64 { return d.CDF(float64(i%1000 + 1)) }},
		{"LogSurvival", func(i int) float64 { return d.LogSurvival(float64(i%1000 + 1)) }},
		{"LogInterval", func(i int) float64 { return LogMass(d, float64(i%1000), 1) }},
		{"Median", func(i int) float64 { return d.Median() }},
		{"Quantile", func(i int) float64 { return d.Quantile((float64(i%1000) + 0.5) / 1000) }},
		{"RestrictedMean", func(i int) float64 { return d.RestrictedMean(float64(i%1000 + 1)) }},
		{"Rand", func(i int) float64 { return d.Rand() }},
		{"Conditional CDF", func(i int) float64 { return Conditional{Dist: d, Elapsed: 100}.CDF(float64(i%1000 + 1)) }},
		{"Conditional Median", func(i int) float64 { return Conditional{Dist: d, Elapsed: float64(i % 1000)}.Median() }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				sink += c.f(i)
			}
		})
	}
}
