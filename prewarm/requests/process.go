package requests

import (
	"math"

	"github.com/tppfaas/tppfaas/prewarm"
)

// expert is one of the processes that a process weighs: it says how likely the gap after the last request is, and adapts to the gaps that come
// in a way of its own. Times are in seconds since the epoch.
type expert interface {
	// begin is told of the start, when no request has come.
	begin(at float64)
	// observe is told of a request. Before the first one the gap is 0: how long it took says nothing.
	observe(at, gap float64)
	// logDensity and logSurvival are those of the gap after the last request.
	logDensity(gap float64) float64
	logSurvival(elapsed float64) float64
	// forecast adds branches with the weight in all, given that elapsed seconds have passed since the last request.
	forecast(elapsed, weight float64, f *Forecast)
}

// twin is an expert that may come to foretell the same as another.
type twin interface {
	// like reports whether it does, but for differences that are small beside the spread of what they foretell.
	like(other expert) bool
}

// switching is the probability with which another expert than before is the right one, for each mean gap that has passed; at a request it
// counts as if the gap had been from leastPassed to mostPassed mean gaps.
const switching, leastPassed, mostPassed = 0.02, 0.1, 5

// mixed is a process that weighs experts by how well they have foretold the requests until now, where at each request another may become the
// right one: the fixed share of Herbster and Warmuth ("Tracking the best expert", Machine Learning 32, 1998), section 3, where it is
// shared out in the proportions that held at the start. The silence since the last request counts too.
type mixed struct {
	experts       []expert
	prior, weight []float64 // of the experts
	scratch       []float64
	mean          float64 // gap in seconds
	last          prewarm.Time
	begun         bool // a request has come
}

func newMixed(start prewarm.Time, mean float64, prior []float64, experts []expert) *mixed {
	m := &mixed{mean: mean, experts: experts, prior: make([]float64, len(prior)), weight: make([]float64, len(prior)), scratch: make([]float64, len(prior)), last: start}
	sum := total(prior)
	for i, p := range prior {
		m.prior[i], m.weight[i] = p/sum, p/sum
		experts[i].begin(start.Seconds())
	}
	return m
}

// Observe is told of a request.
func (m *mixed) Observe(at prewarm.Time) {
	at = max(at, m.last)
	gap := 0.0
	if m.begun {
		gap = max((at - m.last).Seconds(), minGap)
	}
	m.observe(at.Seconds(), gap)
	m.last, m.begun = at, true
}

// observe is told of a request at a time in seconds after the epoch, and returns the log density that the gap before it had. For the first one the
// gap is 0.
func (m *mixed) observe(at, gap float64) (logDensity float64) {
	if gap > 0 {
		for i, e := range m.experts {
			m.scratch[i] = math.Log(m.weight[i]) + e.logDensity(gap)
		}
		logDensity = normalise(m.scratch, m.weight)
		share := switching * min(max(gap/m.mean, leastPassed), mostPassed)
		for i := range m.weight {
			m.weight[i] = (1-share)*m.weight[i] + share*m.prior[i]
		}
	}
	for _, e := range m.experts {
		e.observe(at, gap)
	}
	return logDensity
}

// negligible is the weight below which an expert, or a branch of one, is left out of a forecast.
const negligible = 2e-3

// Forecast sets f to what is expected at now.
func (m *mixed) Forecast(now prewarm.Time, f *Forecast) {
	f.At, f.numBranches = now, 0
	elapsed := max((now - m.last).Seconds(), 0)
	for i, e := range m.experts {
		m.scratch[i] = math.Log(m.weight[i]) + e.logSurvival(elapsed)
	}
	normalise(m.scratch, m.scratch)
	for i, e := range m.experts[1:] {
		if t, ok := e.(twin); ok && t.like(m.experts[0]) {
			m.scratch[0] += m.scratch[i+1]
			m.scratch[i+1] = 0
		}
	}
	for i, e := range m.experts {
		if w := m.scratch[i]; w > negligible {
			e.forecast(elapsed, w, f)
		}
	}
	sum := 0.0
	for i := range f.branches[:f.numBranches] {
		sum += f.branches[i].weight
	}
	for i := range f.branches[:f.numBranches] {
		f.branches[i].weight /= sum
	}
}

// normalise sets weights to the probabilities whose logarithms are given up to a constant; they may be the same slice. If none is finite, all
// are equal. It returns the logarithm of their sum.
func normalise(logs, weights []float64) float64 {
	top := math.Inf(-1)
	for _, l := range logs {
		top = max(top, l)
	}
	if math.IsInf(top, 0) || math.IsNaN(top) {
		for i := range weights {
			weights[i] = 1 / float64(len(weights))
		}
		return math.Log(math.SmallestNonzeroFloat64)
	}
	sum := 0.0
	for i, l := range logs {
		weights[i] = math.Exp(l - top)
		sum += weights[i]
	}
	for i := range weights {
		weights[i] /= sum
	}
	return top + math.Log(sum)
}
