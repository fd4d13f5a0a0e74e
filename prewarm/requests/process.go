package requests

import (
	"math"

	"github.com/tppfaas/tppfaas/prewarm"
)

// expert is one of the processes that a process weighs: it says how likely the gap after the last request is, and adapts to the gaps that come
// in a way of its own.
type expert interface {
	// observe is told of a request at t seconds after the start, gap seconds after the one before.
	observe(t, gap float64)
	// logDensity and logSurvival are those of the gap after the last request.
	logDensity(gap float64) float64
	logSurvival(elapsed float64) float64
	// forecast adds branches with the weight in all, given that elapsed seconds have passed since the last request.
	forecast(elapsed, weight float64, f *Forecast)
}

// switching is the probability with which another expert than before is the right one, at each request.
const switching = 0.02

// mixed is a process that weighs experts by how well they have foretold the requests until now, where at each request another may become the
// right one: the fixed share of Herbster and Warmuth ("Tracking the best expert", Machine Learning 32, 1998), section 3, where it is
// shared out in the proportions that held at the start. The silence since the last request counts too.
type mixed struct {
	experts       []expert
	prior, weight []float64 // of the experts
	scratch       []float64
	start, last   prewarm.Time
}

func newMixed(start prewarm.Time, prior []float64, experts ...expert) *mixed {
	m := &mixed{experts: experts, prior: prior, weight: make([]float64, len(prior)), scratch: make([]float64, len(prior)), start: start, last: start}
	copy(m.weight, prior)
	return m
}

// Observe is told of a request.
func (m *mixed) Observe(at prewarm.Time) {
	gap := max((at - m.last).Seconds(), minGap)
	for i, e := range m.experts {
		m.scratch[i] = math.Log(m.weight[i]) + e.logDensity(gap)
	}
	normalise(m.scratch, m.weight)
	for i := range m.weight {
		m.weight[i] = (1-switching)*m.weight[i] + switching*m.prior[i]
	}
	m.last = max(at, m.last)
	for _, e := range m.experts {
		e.observe((m.last - m.start).Seconds(), gap)
	}
}

// negligible is the weight below which an expert is left out of a forecast.
const negligible = 1e-3

// Forecast sets f to what is expected at now.
func (m *mixed) Forecast(now prewarm.Time, f *Forecast) {
	f.At, f.numBranches = now, 0
	elapsed := max((now - m.last).Seconds(), 0)
	for i, e := range m.experts {
		m.scratch[i] = math.Log(m.weight[i]) + e.logSurvival(elapsed)
	}
	normalise(m.scratch, m.scratch)
	for i, e := range m.experts {
		if w := m.scratch[i]; w > negligible {
			e.forecast(elapsed, w, f)
		}
	}
	total := 0.0
	for i := range f.branches[:f.numBranches] {
		total += f.branches[i].weight
	}
	for i := range f.branches[:f.numBranches] {
		f.branches[i].weight /= total
	}
}

// normalise sets weights to the probabilities whose logarithms are given up to a constant; they may be the same slice. If all are 0, weights
// do not change.
func normalise(logs, weights []float64) {
	top := math.Inf(-1)
	for _, l := range logs {
		top = max(top, l)
	}
	if math.IsInf(top, 0) || math.IsNaN(top) {
		for i := range weights {
			weights[i] = 1 / float64(len(weights))
		}
		return
	}
	total := 0.0
	for i, l := range logs {
		weights[i] = math.Exp(l - top)
		total += weights[i]
	}
	for i := range weights {
		weights[i] /= total
	}
}

// gammaPoisson is a Poisson process whose rate has a gamma distribution, which is updated by Bayes' rule at each gap, after what was known
// before has been discounted: what n gaps ago was observed counts keepⁿ. A gap then has a Lomax distribution. See West and Harrison, "Bayesian
// Forecasting and Dynamic Models" (1997), section 10.8, on discounting.
type gammaPoisson struct {
	a, b float64 // shape, and rate in seconds
	keep float64
}

func (g *gammaPoisson) observe(_, gap float64) {
	g.a, g.b = g.keep*g.a+1, g.keep*g.b+gap
}

func (g *gammaPoisson) logDensity(gap float64) float64 {
	return math.Log(g.a/g.b) - (g.a+1)*math.Log1p(gap/g.b)
}

func (g *gammaPoisson) logSurvival(elapsed float64) float64 { return -g.a * math.Log1p(elapsed/g.b) }

func (g *gammaPoisson) forecast(elapsed, weight float64, f *Forecast) {
	b := f.add(weight)
	b.a, b.b = g.a, g.b+elapsed
}

// renewal is a renewal process whose gaps have a fixed law up to their scale, which follows the logarithms of the gaps by exponential smoothing; if
// rate is 0 it is 1.
type renewal struct {
	law     *law
	sums    *sums
	meanLog float64 // mean of the logarithm of a gap at scale 1
	rate    float64 // of smoothing
	log     float64 // logarithm of the scale
	scale   float64
}

func (r *renewal) observe(_, gap float64) {
	if r.rate == 0 {
		return
	}
	// One gap moves the scale as if it were off by a factor of 10 at most.
	step := min(max(math.Log(gap)-r.meanLog-r.log, -math.Ln10), math.Ln10)
	r.log += r.rate * step
	r.scale = math.Exp(r.log)
}

func (r *renewal) logDensity(gap float64) float64 { return r.law.logDensity(gap/r.scale) - r.log }

func (r *renewal) logSurvival(elapsed float64) float64 { return r.law.logSurvival(elapsed / r.scale) }

func (r *renewal) forecast(elapsed, weight float64, f *Forecast) {
	b := f.add(weight)
	b.a, b.rest, b.scale = 0, r.sums, r.scale
	b.first.set(r.law, r.scale, elapsed)
}
