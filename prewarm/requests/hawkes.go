package requests

import (
	"context"
	"fmt"
	"math"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
)

// excited is the state of a Hawkes process with an exponential kernel: its intensity is base + now·exp(−decay·t), as long as nothing comes, and
// each request adds jump to it (Hawkes, "Spectra of some self-exciting and mutually exciting point processes", Biometrika 58, 1971).
type excited struct{ base, jump, decay, now float64 }

// compensator returns the integral of the intensity over t seconds in which nothing comes.
func (e *excited) compensator(t float64) float64 {
	return e.base*t - e.now*math.Expm1(-e.decay*t)/e.decay
}

// mean returns the expected number of requests in t seconds, from the differential equation of the mean intensity (Dassios and Zhao, "A
// dynamic contagion process", Advances in Applied Probability 43, 2011, section 3).
func (e *excited) mean(t float64) float64 {
	k := e.decay - e.jump // above 0
	steady := e.base * e.decay / k
	return steady*t - (e.base+e.now-steady)*math.Expm1(-k*t)/k
}

// atLeast returns the probability of at least k requests within t seconds: exact for k = 1. The number is taken to be negative binomial, with
// the exact mean and the exact probability of 0, since the clusters of a Hawkes process make it vary more than a Poisson one.
func (e *excited) atLeast(k int, t float64) float64 {
	none := e.compensator(t)
	if k == 1 {
		return -math.Expm1(-none)
	}
	mean := e.mean(t)
	// The shape is mean/y, where log(1 + y)/y = none/mean: Newton's steps come from above.
	ratio := none / mean
	if !(ratio < 1-1e-7) {
		return negativeBinomial(k, mean*1e7, 1e-7)
	}
	y := 4 * (1 - ratio) / (ratio * ratio)
	for range 30 {
		step := (math.Log1p(y) - ratio*y) / (1/(1+y) - ratio)
		y -= step
		if math.Abs(step) < 1e-9*y {
			break
		}
	}
	return negativeBinomial(k, mean/y, y/(1+y))
}

// hawkes is a Hawkes process.
type hawkes struct{ excited }

// begin makes the intensity what it is on average.
func (h *hawkes) begin(float64) { h.now = h.base * h.jump / (h.decay - h.jump) }

func (h *hawkes) observe(_, gap float64) { h.now = h.now*math.Exp(-h.decay*gap) + h.jump }

func (h *hawkes) logDensity(gap float64) float64 {
	return math.Log(h.base+h.now*math.Exp(-h.decay*gap)) - h.compensator(gap)
}

func (h *hawkes) logSurvival(elapsed float64) float64 { return -h.compensator(elapsed) }

func (h *hawkes) forecast(elapsed, weight float64, f *Forecast) {
	if b := f.add(hawkesBranch, weight); b != nil {
		b.hawkes = h.excited
		b.hawkes.now *= math.Exp(-h.decay * elapsed)
	}
}

// hawkesModel is the model of a Hawkes process.
type hawkesModel struct{ excited }

// mostExcited bounds the requests that a request causes directly, on average: from 1 on there is no end to them.
const mostExcited = 0.98

func fitHawkes(gaps []float64) (candidate, error) {
	model, err := classical.FitHawkes(context.Background(), sequenceOf(gaps), classical.FitOptions{TimeUnit: "s", Resolution: minGap})
	if err != nil {
		return nil, fmt.Errorf("fit of a Hawkes process: %w", err)
	}
	jump, decay := model.Kernel(0, 0)
	base := model.BaseIntensity()[0]
	if !(base > 0) || !(decay > 0) {
		return nil, fmt.Errorf("fit of a Hawkes process: base intensity %v, decay %v", base, decay)
	}
	return &hawkesModel{excited{base: base, jump: min(jump, mostExcited*decay), decay: decay}}, nil
}

// sequenceOf returns a dataset of one sequence with the gaps.
func sequenceOf(gaps []float64) *tpp.Dataset {
	times := make([]float64, len(gaps)+1)
	for i, g := range gaps {
		times[i+1] = times[i] + g
	}
	return &tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: times}}}
}

func (m *hawkesModel) prepare() {}

func (m *hawkesModel) fitted() expert { return m.process(1) }

// process returns the process on another scale of time.
func (m *hawkesModel) process(scale float64) *hawkes {
	return &hawkes{excited{base: m.base / scale, jump: m.jump / scale, decay: m.decay / scale}}
}

func (m *hawkesModel) others() (prior []float64, experts []expert) {
	for _, scale := range []float64{0.1, 0.3, 3, 10} {
		prior, experts = append(prior, 0.015), append(experts, m.process(scale))
	}
	return prior, experts
}
