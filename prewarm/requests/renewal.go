package requests

import (
	"fmt"
	"math"
)

// renewal is a renewal process whose gaps have a fixed law up to their scale, which follows the logarithms of the gaps by exponential smoothing; if
// rate is 0 it is fixed.
type renewal struct {
	law     *law
	sums    *sums
	meanLog float64 // mean of the logarithm of a gap at scale 1
	rate    float64 // of smoothing
	scaling
}

// scaling is a scale of gaps, and its logarithm.
type scaling struct{ scale, log float64 }

func scaled(by float64) scaling { return scaling{by, math.Log(by)} }

// follow moves the scale by the share rate of the difference that a gap shows whose logarithm has the mean meanLog at scale 1. One gap counts as
// if it were off by a factor of 10 at most.
func (s *scaling) follow(gap, meanLog, rate float64) {
	s.log += rate * min(max(math.Log(gap)-meanLog-s.log, -math.Ln10), math.Ln10)
	s.scale = math.Exp(s.log)
}

func (r *renewal) begin(float64) {}

func (r *renewal) observe(_, gap float64) {
	if gap > 0 && r.rate > 0 {
		r.follow(gap, r.meanLog, r.rate)
	}
}

func (r *renewal) logDensity(gap float64) float64 { return r.law.logDensity(gap/r.scale) - r.log }

func (r *renewal) logSurvival(elapsed float64) float64 { return r.law.logSurvival(elapsed / r.scale) }

func (r *renewal) like(other expert) bool {
	o, ok := other.(*renewal)
	return ok && o.law == r.law && r.near(&o.scaling, r.law)
}

// near reports whether two scales of a law differ by less than a small part of its spread.
func (s *scaling) near(o *scaling, l *law) bool {
	return math.Abs(s.log-o.log)*l.x[levels/2] < 0.1*l.spread()
}

func (r *renewal) forecast(elapsed, weight float64, f *Forecast) {
	if b := f.add(renewalBranch, weight); b != nil {
		b.rest = rest{gaps: r.sums, scale: r.scale}
		b.first.set(r.law, r.scale, elapsed)
	}
}

// renewalModel is the model of a renewal process.
type renewalModel struct {
	law     *law
	sums    *sums
	meanLog float64 // of the gaps
}

// fitRenewal returns the fit of a renewal process by that of its gaps.
func fitRenewal(fit fitGaps) func(gaps []float64) (candidate, error) {
	return func(gaps []float64) (candidate, error) {
		d, err := fit(gaps)
		if err != nil {
			return nil, fmt.Errorf("gaps between requests: %w", err)
		}
		return &renewalModel{law: newLaw(d), meanLog: meanLog(gaps)}, nil
	}
}

func meanLog(gaps []float64) float64 {
	sum := 0.0
	for _, g := range gaps {
		sum += math.Log(g)
	}
	return sum / float64(len(gaps))
}

func (m *renewalModel) prepare() { m.sums = newSums(m.law) }

func (m *renewalModel) fitted() expert { return m.process(1, 0) }

func (m *renewalModel) process(scale, rate float64) *renewal {
	return &renewal{law: m.law, sums: m.sums, meanLog: m.meanLog, rate: rate, scaling: scaled(scale)}
}

func (m *renewalModel) others() ([]float64, []expert) {
	return scales(func(scale, rate float64) expert { return m.process(scale, rate) })
}

// scales returns experts that differ from what was fitted by their scale, one of which adapts, and their weights at the start.
func scales(process func(scale, rate float64) expert) (prior []float64, experts []expert) {
	prior, experts = append(prior, 0.06), append(experts, process(1, 1./rememberScaled))
	for _, scale := range []float64{0.1, 0.3, 3, 10} {
		prior, experts = append(prior, 0.015), append(experts, process(scale, 0))
	}
	return prior, experts
}
