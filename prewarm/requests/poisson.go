package requests

import "math"

// gammaPoisson is a Poisson process whose rate has a gamma distribution, which is updated by Bayes' rule at each gap, after what was known
// before has been discounted: what n gaps ago was observed counts keepⁿ. A gap then has a Lomax distribution. See West and Harrison, "Bayesian
// Forecasting and Dynamic Models" (1997), section 10.8, on discounting.
type gammaPoisson struct {
	a, b float64 // shape, and rate in seconds
	keep float64
}

// recent returns a Poisson process that remembers about so many gaps, and knows half of that at the start.
func recent(mean, gaps float64) *gammaPoisson {
	return &gammaPoisson{gaps / 2, gaps / 2 * mean, 1 - 1/gaps}
}

func (g *gammaPoisson) begin(float64) {}

func (g *gammaPoisson) observe(_, gap float64) {
	if gap > 0 {
		g.a, g.b = g.keep*g.a+1, g.keep*g.b+gap
	}
}

func (g *gammaPoisson) logDensity(gap float64) float64 {
	return math.Log(g.a/g.b) - (g.a+1)*math.Log1p(gap/g.b)
}

func (g *gammaPoisson) logSurvival(elapsed float64) float64 { return -g.a * math.Log1p(elapsed/g.b) }

func (g *gammaPoisson) forecast(elapsed, weight float64, f *Forecast) {
	if b := f.add(gammaPoissonBranch, weight); b != nil {
		b.a, b.b = g.a, g.b+elapsed
	}
}

// poissonModel is a Poisson process of which n gaps were seen.
type poissonModel struct{ n, total float64 }

func fitPoisson(gaps []float64) (candidate, error) {
	return &poissonModel{float64(len(gaps)), total(gaps)}, nil
}

func (p *poissonModel) prepare() {}

func (p *poissonModel) fitted() expert { return &gammaPoisson{p.n + 1, p.total, 1} }

func (p *poissonModel) others() ([]float64, []expert) {
	return []float64{0.06}, []expert{recent(p.total/p.n, rememberScaled)}
}
