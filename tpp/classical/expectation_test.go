package classical

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/internal/num"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// TestExpectationByDefinition compares the expectation step, which leaves out what is negligible, with its definition.
func TestExpectationByDefinition(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 16))
		var gaps []logGap
		for range 1 + rng.IntN(300) {
			gaps = append(gaps, newLogGap(math.Exp(4+2*rng.NormFloat64()), 0.01))
		}
		var waited []float64
		for range rng.IntN(20) {
			waited = append(waited, math.Round(math.Exp(4+4*rng.NormFloat64()))+1)
		}
		classes := make([]gapClass, 1+rng.IntN(2))
		for i := range classes {
			classes[i] = newGapClass(gaps, 1+rng.IntN(8), backgroundOf(gaps))
		}
		g := newGapMixtures(classes, rng.IntN(5), rng.IntN(2) == 0, waited)
		for range rng.IntN(10) {
			g.step() // to components that are narrow and apart
		}
		for i := range g.classes {
			c := &g.classes[i]
			want := make([]expected, len(c.components))
			objective := 0.0
			for _, gap := range c.gaps {
				logs, total := make([]float64, len(want)), math.Inf(-1)
				for k, comp := range c.components {
					z, w := (gap.mean-comp.mu)/comp.sigma, gap.variance/(comp.sigma*comp.sigma)
					logs[k] = math.Log(comp.weight) - math.Log(comp.sigma) - 0.5*(z*z+w) - 0.5*math.Log(2*math.Pi)
					total = num.LogAddExp(total, logs[k])
				}
				objective += gap.count * total
				for k, comp := range c.components {
					d := gap.mean - comp.mu
					want[k].add(gap.count*math.Exp(logs[k]-total), d, d*d+gap.variance)
				}
			}
			got := make([]expected, len(want))
			if o := c.expect(got, &g.scratch); !within(o, objective, 1e-9*(1+math.Abs(objective))) {
				rt.Errorf("class %d: the objective is %v, want %v", i, o, objective)
			}
			compareExpected(rt, got, want)
		}
		g.termsOfTails()
		for i, o := range slices.Concat(g.open, g.open) {
			over := g.end
			if i >= len(g.open) {
				over = 0 // a window without events
			}
			longer := func(class, k int) float64 {
				c := &g.classes[class]
				alone := dist.LogNormMix{LogWeights: []float64{0}, Mu: []float64{c.components[k].mu}, Sigma: []float64{c.components[k].sigma}}
				return math.Log(c.share) + math.Log(c.components[k].weight) + alone.LogSurvival(math.Exp(o.log))
			}
			total := math.Log(over)
			got, want := make([][]expected, len(g.classes)), make([][]expected, len(g.classes))
			for i := range g.classes {
				got[i], want[i] = make([]expected, len(g.classes[i].components)), make([]expected, len(g.classes[i].components))
				for k := range g.classes[i].components {
					total = num.LogAddExp(total, longer(i, k))
				}
			}
			for i := range g.classes {
				for k, c := range g.classes[i].components {
					z := (o.log - c.mu) / c.sigma
					alone := dist.LogNormMix{LogWeights: []float64{0}, Mu: []float64{c.mu}, Sigma: []float64{c.sigma}}
					h := c.sigma * math.Exp(o.log) * alone.Hazard(math.Exp(o.log))
					if p := o.count * math.Exp(longer(i, k)-total); p > 0 {
						want[i][k].add(p, c.sigma*h, c.sigma*c.sigma*(1+z*h))
					}
				}
			}
			logLonger, end := g.expectOpen(o, over, got, make([]float64, len(g.classes)))
			if !within(logLonger, total, 1e-9*(1+math.Abs(total))) || !within(end, math.Exp(math.Log(over)-total), 1e-9) {
				rt.Errorf("open for exp(%v): the objective is %v, want %v; the end %v", o.log, logLonger, total, end)
			}
			far := make([][]expected, len(g.classes))
			for i := range far {
				far[i] = make([]expected, len(want[i]))
			}
			if v, e := g.expectOpenFar(o, over, far, make([]float64, len(g.classes))); !within(v, total, 1e-9*(1+math.Abs(total))) || !within(e, end, 1e-9) {
				rt.Errorf("open for exp(%v): by logarithms the objective is %v and the end %v, want %v and %v", o.log, v, e, total, end)
			}
			for i := range got {
				compareExpected(rt, got[i], want[i])
				compareExpected(rt, far[i], want[i])
			}
		}
	})
}

func compareExpected(rt *rapid.T, got, want []expected) {
	for k := range want {
		scale := 1 + math.Abs(want[k].n) + math.Abs(want[k].sum) + math.Abs(want[k].squares)
		if !within(got[k].n, want[k].n, 1e-9*scale) || !within(got[k].sum, want[k].sum, 1e-9*scale) || !within(got[k].squares, want[k].squares, 1e-9*scale) {
			rt.Errorf("component %d: got %+v, want %+v", k, got[k], want[k])
		}
	}
}

func TestExpNegative(t *testing.T) {
	for x := -700.0; x <= 0; x += 0.00137 {
		if got, want := expNegative(x), math.Exp(x); !within(got, want, 1e-12*want) {
			t.Fatalf("exp(%v) = %v, want %v", x, got, want)
		}
	}
	if got := expNegative(0); got != 1 {
		t.Errorf("exp(0) = %v", got)
	}
}

// TestLogNormalTail compares with the logarithm of the survival function of a log-normal distribution.
func TestLogNormalTail(t *testing.T) {
	one := dist.LogNormMix{LogWeights: []float64{0}, Mu: []float64{0}, Sigma: []float64{1}}
	for z := -40.0; z <= 600; z += 0.37 {
		if got, want := logNormalTail(z), one.LogSurvival(math.Exp(z)); !within(got, want, 1e-11*(1+math.Abs(want))) {
			t.Errorf("log Φ(−%v) = %v, want %v", z, got, want)
		}
	}
}
