package requests

import (
	"errors"
	"fmt"
	"math"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// Fit fits a model to the gaps between successive requests, in seconds, in the order in which they came. There are these kinds, from the simplest:
//
//   - Poisson process: gaps are exponential;
//   - renewal process: gaps are independent, with a gamma distribution, a mixture of log-normals, or one that is the smoothed histogram of the
//     logarithms of the gaps.
//
// The kind is chosen by the likelihood of gaps that were not used for the fit: from 40 % of the history on, each block of 15 % is foretold by
// a fit to all before it (a rolling origin: Tashman, "Out-of-sample tests of forecasting accuracy", International Journal of Forecasting 16,
// 2000). Of the kinds whose mean log likelihood is within one standard error of the difference to the best, the simplest is taken, after Hastie,
// Tibshirani and Friedman, "The Elements of Statistical Learning" (2009), section 7.10. With fewer than 20 gaps it is the Poisson process.
//
// While requests come, each process weighs what was fitted against the same with another scale and against a Poisson process that knows the
// last few requests only, by how well they foretell; so it follows a load that changes.
func Fit(gaps []float64) (Model, error) {
	if len(gaps) == 0 {
		return nil, errors.New("requests: no gaps to fit a model to")
	}
	times := make([]float64, len(gaps))
	for i, g := range gaps {
		if !(g >= 0) || math.IsInf(g, 1) {
			return nil, fmt.Errorf("requests: gap %d is %v, must be a number of seconds from 0", i, g)
		}
		times[i] = max(g, minGap)
	}
	return fit(times)
}

// fewGaps is the number of gaps below which no kind but the simplest is tried.
const fewGaps = 20

func fit(gaps []float64) (Model, error) {
	if len(gaps) < fewGaps {
		return newPoisson(gaps), nil
	}
	scores := [][]float64{heldOut(gaps, fitExponential)}
	for _, k := range gapKinds {
		scores = append(scores, heldOut(gaps, k.fit))
	}
	chosen := simplest(scores)
	if chosen == 0 {
		return newPoisson(gaps), nil
	}
	kind := gapKinds[chosen-1]
	d, err := kind.fit(gaps)
	if err != nil {
		return nil, fmt.Errorf("requests: %s gaps: %w", kind.name, err)
	}
	return newRenewalModel(kind.name, d, gaps), nil
}

// heldOut returns the log densities of the gaps that a fit to those before foretells, nil if it cannot be fitted.
func heldOut(gaps []float64, fit fitGaps) []float64 {
	var scores []float64
	eachBlock(len(gaps), func(from, to int) {
		d, err := fit(gaps[:from])
		if err != nil {
			return
		}
		for _, g := range gaps[from:to] {
			scores = append(scores, d.LogProb(g))
		}
	})
	return scores
}

// eachBlock calls block with the first index and the end of each block that is foretold.
func eachBlock(n int, block func(from, to int)) {
	for k := range 4 {
		block((40+15*k)*n/100, (55+15*k)*n/100)
	}
}

// simplest returns the first of the kinds whose scores are not worse than the best's by more than the standard error of the mean difference.
func simplest(scores [][]float64) int {
	best, top := 0, math.Inf(-1)
	for i, s := range scores {
		if len(s) != len(scores[0]) {
			continue
		}
		if sum := total(s); sum > top {
			best, top = i, sum
		}
	}
	for i, s := range scores {
		if len(s) == len(scores[0]) && !worse(s, scores[best]) {
			return i
		}
	}
	return best
}

// noDifference is the difference of mean log likelihoods that is none.
const noDifference = 0.005

// worse reports whether the mean of a is below that of b by more than the standard error of the difference.
func worse(a, b []float64) bool {
	n := float64(len(a))
	mean, squares := 0.0, 0.0
	for i := range a {
		mean += (b[i] - a[i]) / n
	}
	for i := range a {
		d := b[i] - a[i] - mean
		squares += d * d
	}
	return mean > math.Sqrt(squares/(n-1)/n)+noDifference
}

func total(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum
}

func fitExponential(gaps []float64) (distribution, error) {
	return dist.Exponential{Rate: float64(len(gaps)) / total(gaps)}, nil
}

// How many gaps the experts remember that forget: what was fitted with a scale of its own, and the Poisson processes of the last ten and of the
// last three requests.
const rememberScaled, rememberTen, rememberThree = 40, 10, 3

// poisson is the model of a Poisson process.
type poisson struct{ n, total float64 }

func newPoisson(gaps []float64) *poisson { return &poisson{float64(len(gaps)), total(gaps)} }

// Name returns Poisson.
func (p *poisson) Name() string { return "Poisson" }

// New returns a process.
func (p *poisson) New(start prewarm.Time) Process {
	mean := p.total / p.n
	return newMixed(start, []float64{0.82, 0.06, 0.06, 0.06},
		&gammaPoisson{p.n + 1, p.total, 1}, recent(mean, rememberScaled), recent(mean, rememberTen), recent(mean, rememberThree))
}

// recent returns a Poisson process that forgets, and that knows at the start half of what it can know.
func recent(mean, gaps float64) *gammaPoisson {
	return &gammaPoisson{gaps / 2, gaps / 2 * mean, 1 - 1/gaps}
}

// renewalModel is the model of a renewal process.
type renewalModel struct {
	name          string
	law           *law
	sums          *sums
	meanLog, mean float64 // of the gaps
}

func newRenewalModel(kind string, d distribution, gaps []float64) *renewalModel {
	m := &renewalModel{name: kind + " renewal", law: newLaw(d), mean: total(gaps) / float64(len(gaps))}
	m.sums = newSums(m.law)
	for _, g := range gaps {
		m.meanLog += math.Log(g) / float64(len(gaps))
	}
	return m
}

// Name returns the kind of gaps, and renewal.
func (m *renewalModel) Name() string { return m.name }

// New returns a process.
func (m *renewalModel) New(start prewarm.Time) Process {
	fitted := &renewal{law: m.law, sums: m.sums, meanLog: m.meanLog, scale: 1}
	scaled := *fitted
	scaled.rate = 1. / rememberScaled
	prior := []float64{0.8, 0.06, 0.04, 0.04}
	experts := []expert{fitted, &scaled, recent(m.mean, rememberTen), recent(m.mean, rememberThree)}
	for _, scale := range []float64{0.1, 0.3, 3, 10} {
		other := *fitted
		other.scale, other.log = scale, math.Log(scale)
		prior, experts = append(prior, 0.015), append(experts, &other)
	}
	return newMixed(start, prior, experts...)
}
