package eval

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/tpp/dist"
)

// phi returns the distribution function of the standard normal.
func phi(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }

// logNormalCRPS is E|τ − y| − ½ E|τ − τ′| in closed form. For two log-normals, E max(τ, τ′) is
// e^(μ+σ²/2) Φ((μ − μ′ + σ²)/s) + e^(μ′+σ′²/2) Φ((μ′ − μ + σ′²)/s) with s² = σ² + σ′².
func logNormalCRPS(l *dist.LogNormMix, y float64) float64 {
	total := 0.0
	for _, lw := range l.LogWeights {
		total += math.Exp(lw)
	}
	score := 0.0
	for i, lw := range l.LogWeights {
		w, mu, s2 := math.Exp(lw)/total, l.Mu[i], l.Sigma[i]*l.Sigma[i]
		mean := math.Exp(mu + s2/2)
		if y > 0 {
			z := (math.Log(y) - mu) / l.Sigma[i]
			score += w * (y*(2*phi(z)-1) + mean*(1-2*phi(z-l.Sigma[i])))
		} else {
			score += w * mean
		}
		for j, lw2 := range l.LogWeights {
			w2, mu2, s22 := math.Exp(lw2)/total, l.Mu[j], l.Sigma[j]*l.Sigma[j]
			mean2, s := math.Exp(mu2+s22/2), math.Sqrt(s2+s22)
			larger := mean*phi((mu-mu2+s2)/s) + mean2*phi((mu2-mu+s22)/s)
			score -= w * w2 / 2 * (2*larger - mean - mean2) // E|τ − τ′| = 2 E max − E τ − E τ′
		}
	}
	return score
}

func TestCRPSOfLogNormalMixtures(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.IntRange(1, 8).Draw(t, "components")
		unit := math.Pow(10, rapid.Float64Range(-6, 9).Draw(t, "unit"))
		l := &dist.LogNormMix{}
		for range k {
			l.LogWeights = append(l.LogWeights, rapid.Float64Range(-8, 0).Draw(t, "log weight"))
			l.Mu = append(l.Mu, math.Log(unit)+rapid.Float64Range(-5, 5).Draw(t, "mu"))
			l.Sigma = append(l.Sigma, math.Exp(rapid.Float64Range(-5, 0.7).Draw(t, "log sigma")))
		}
		y := unit * math.Exp(rapid.Float64Range(-6, 6).Draw(t, "log y"))
		if rapid.IntRange(0, 9).Draw(t, "zero") == 0 {
			y = 0
		}
		got, want := CRPS(l, y, math.Inf(1)), logNormalCRPS(l, y)
		// The closed form is a difference of terms as large as the mean.
		lost := 1e-13 * l.Mean()
		if math.Abs(got-want) > 2e-3*want+lost {
			t.Errorf("CRPS of %+v at %v is %v, closed form %v (off by %.2g)", l, y, got, want, got/want-1)
		}
	})
}

// A narrow component between two nodes can make a rule and its refinement agree by chance.
func TestCRPSOfStepsBetweenNodes(t *testing.T) {
	for _, c := range []struct {
		l dist.LogNormMix
		y float64
	}{
		{dist.LogNormMix{
			LogWeights: []float64{-6.75, -0.0009765625, -3.53125, -0.0009765625},
			Mu:         []float64{3.302585092994046, 2.583835092994046, 4.802585092994046, 6.583835092994046},
			Sigma:      []float64{2.0137527074704766, 2.0137527074704766, 1.1331484530668263, 0.0529980584033558},
		}, 0},
		{dist.LogNormMix{LogWeights: []float64{0, -2.3713}, Mu: []float64{0.8728, 3.7698}, Sigma: []float64{0.0901, 0.0328}}, 127.38},
	} {
		if got, want := CRPS(&c.l, c.y, math.Inf(1)), logNormalCRPS(&c.l, c.y); math.Abs(got-want) > 4e-4*want {
			t.Errorf("CRPS of %+v at %v is %v, closed form %v (off by %.2g)", c.l, c.y, got, want, got/want-1)
		}
	}
}

func TestNormalTable(t *testing.T) {
	for z := -9.0; z <= 9; z += 1. / 1024 {
		if got, want := sharedNormalTable().cdf(z), phi(z); math.Abs(got-want) > 3e-10 {
			t.Fatalf("Φ(%v) is %v from the table, want %v", z, got, want)
		}
	}
}

func TestCRPSOfOthers(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	sample := make([]float64, 300)
	for i := range sample {
		sample[i] = math.Round(50 * math.Exp(rng.NormFloat64()))
	}
	empirical, err := dist.NewEmpirical(sample, 1)
	if err != nil {
		t.Fatal(err)
	}
	empirical.BackgroundWeight = 0
	// mean |x − y| and mean |x − x′| over the sample, directly
	direct := func(y float64) float64 {
		n, score := float64(len(sample)), 0.0
		for _, a := range sample {
			score += math.Abs(a-y) / n
			for _, b := range sample {
				score -= math.Abs(a-b) / (2 * n * n)
			}
		}
		return score
	}
	for _, c := range []struct {
		d         dist.Distribution
		y, want   float64
		tolerance float64
	}{
		{dist.Exponential{Rate: 0.1}, 5, 5 + 20*math.Exp(-0.5) - 15, 2e-4},
		{dist.Exponential{Rate: 0.1}, 0, 5, 2e-4},
		{dist.Exponential{Rate: 0.1}, 1e6, 1e6 - 15, 2e-4},
		{dist.Exponential{Rate: 1e9}, 1e-12, 1e-12 + 2e-9*math.Exp(-1e-3) - 1.5e-9, 2e-4},
		{&dist.Point{Value: 7}, 5, 2, 0},
		{dist.Point{Value: 7}, 12, 5, 0},
		{empirical, 0, direct(0), 2e-3},
		{empirical, 40, direct(40), 2e-3},
		{empirical, 1e4, direct(1e4), 2e-3},
		{dist.LogNormMix{LogWeights: []float64{0}, Mu: []float64{0}, Sigma: []float64{1e-6}}, 1, 1e-6 * (math.Sqrt2 - 1) / math.Sqrt(math.Pi), 1e-3},
	} {
		if got := CRPS(c.d, c.y, math.Inf(1)); math.Abs(got-c.want) > c.tolerance*c.want {
			t.Errorf("CRPS of %T at %v is %v, want %v (off by %.2g)", c.d, c.y, got, c.want, got/c.want-1)
		}
	}
	hawkes := defective{dist.Exponential{Rate: 1}}
	if got := CRPS(hawkes, 1, math.Inf(1)); !math.IsInf(got, 1) {
		t.Errorf("CRPS of an event that may never come is %v", got)
	}
}

func TestCRPSUpToAHorizon(t *testing.T) {
	e := dist.Exponential{Rate: 0.1}
	square := func(a, b float64) float64 { return 5 * (math.Exp(-0.2*a) - math.Exp(-0.2*b)) } // ∫ S²
	below := func(y float64) float64 {                                                        // ∫ F² up to y
		return y - 20*(1-math.Exp(-0.1*y)) + square(0, y)
	}
	for _, c := range []struct {
		d                dist.Distribution
		y, horizon, want float64
	}{
		{e, 5, 30, below(5) + square(5, 30)},
		{e, 5, 5, below(5)},
		{e, 100, 30, below(30)}, // it came too late to count when
		{e, 0, 1e-9, 1e-9},
		{dist.Point{Value: 7}, 50, 30, 23},
		{dist.Point{Value: 70}, 50, 30, 0},
		{defective{e}, 5, 30, below(5)/4 + 25./4 + 10*(math.Exp(-0.5)-math.Exp(-3))/2 + square(5, 30)/4},
		// A thousandth of the mass is beyond everything: it costs a millionth of the horizon.
		{&dist.LogNormMix{LogWeights: []float64{math.Log(0.999), math.Log(0.001)}, Mu: []float64{-20, 200}, Sigma: []float64{0.1, 0.1}}, 0, 1e6, 1},
	} {
		if got := CRPS(c.d, c.y, c.horizon); math.Abs(got-c.want) > 5e-4*c.want {
			t.Errorf("CRPS of %T at %v up to %v is %v, want %v", c.d, c.y, c.horizon, got, c.want)
		}
	}
}

// defective is a distribution whose event never comes with a probability of a half.
type defective struct{ dist.Exponential }

func (d defective) CDF(t float64) float64      { return d.Exponential.CDF(t) / 2 }
func (d defective) Survival(t float64) float64 { return 1 - d.CDF(t) }

func BenchmarkCRPS(b *testing.B) {
	for _, k := range []int{1, 64} {
		rng := rand.New(rand.NewPCG(1, 1))
		l := &dist.LogNormMix{}
		for range k {
			l.LogWeights = append(l.LogWeights, 2*rng.NormFloat64())
			l.Mu = append(l.Mu, 5+rng.NormFloat64())
			l.Sigma = append(l.Sigma, math.Exp(0.5*rng.NormFloat64()-1))
		}
		b.Run(fmt.Sprintf("K=%d", k), func(b *testing.B) {
			b.ReportAllocs()
			var c crpsIntegrator
			for b.Loop() {
				c.score(l, 90, 150, 3.6e6)
			}
		})
		b.Run(fmt.Sprintf("CDF/K=%d", k), func(b *testing.B) {
			for b.Loop() {
				l.CDF(90)
			}
		})
		b.Run(fmt.Sprintf("Median/K=%d", k), func(b *testing.B) {
			for b.Loop() {
				l.Quantile(0.5)
			}
		})
	}
}
