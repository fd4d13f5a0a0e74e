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

func benchMix() *LogNormMix {
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
	d := benchMix()
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
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				sink += c.f(i)
			}
		})
	}
}
