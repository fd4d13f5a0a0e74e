package requests

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mathext"

	"github.com/tppfaas/tppfaas/prewarm"
)

// Fit fits a model to the gaps between successive requests, in seconds, in the order in which they came. There are these kinds, from the simplest:
//
//   - Poisson process: gaps are exponential;
//   - renewal process: gaps are independent, with a gamma distribution, a mixture of log-normals, or one that is the smoothed histogram of the
//     logarithms of the gaps;
//   - bursts: short gaps within bursts and long ones between, with the distribution of the number of requests in a burst; the next burst comes a
//     time after the last request of the one before, or after its first;
//   - timetable: a request in each period, early or late by a random time;
//   - Poisson process whose rate goes up and down with a period that is found in the history;
//   - Hawkes process: each request brings others about;
//   - recurrent network that foretells a gap from those before it.
//
// The last four are tried only where the gaps depend on those before them in a way that what was chosen of the others does not explain.
//
// The kind is chosen by the likelihood of gaps that were not used for the fit: from 40 % of the history on, each block of 15 % is foretold by
// a process that was fitted to all before it, and adapts as it does afterwards (a rolling origin: Tashman, "Out-of-sample tests of forecasting accuracy", International Journal of Forecasting 16,
// 2000). Of the kinds whose mean log likelihood is within one standard error of the difference to the best, the simplest is taken, after Hastie,
// Tibshirani and Friedman, "The Elements of Statistical Learning" (2009), section 7.10. With fewer than 20 gaps it is the Poisson process, or if
// they are clearly more regular, a renewal process whose gaps have a log-normal distribution that is as uncertain as so few leave it.
//
// While requests come, each process weighs what was fitted against the same on other scales and against Poisson processes that know the
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
	m, err := fit(times)
	if err != nil {
		return nil, fmt.Errorf("requests: %w", err)
	}
	return m, nil
}

// fewGaps is the number of gaps below which only the Poisson process is tried, and one that is steady.
const fewGaps = 20

// candidate is a fitted model of some kind.
type candidate interface {
	// prepare computes what only forecasts need.
	prepare()
	// fitted returns a new process as it was fitted.
	fitted() expert
	// others returns processes which are weighed against it, and their weights at the start, the sum of which is far below 1.
	others() (prior []float64, experts []expert)
}

// kind is a kind of model.
type kind struct {
	name string
	fit  func(gaps []float64) (candidate, error)
}

// kinds are all kinds of models, the simplest first. Those of a later stage are tried only where the gaps, as what was chosen until then explains
// them, still depend on those before.
func kinds() [3][]kind {
	first := []kind{{"Poisson", fitPoisson}}
	for _, g := range gapKinds {
		first = append(first, kind{g.name + " renewal", fitRenewal(g.fit)})
	}
	between, cycles := fitBursts()
	return [...][]kind{
		append(first, kind{"bursts", between}, kind{"cycles of bursts", cycles}),
		{{"timetable", fitTimetable}, {"Poisson with a cycle", fitCycle}, {"Hawkes", fitHawkes}},
		{{"recurrent network", fitNeural}},
	}
}

func fit(gaps []float64) (Model, error) {
	if len(gaps) < fewGaps {
		k := kind{"Poisson", fitPoisson}
		if steady(gaps) {
			k = kind{"steady renewal", fitRenewal(fitStudent)}
		}
		m, err := k.model(gaps)
		if err != nil {
			return nil, err
		}
		m.prepare()
		return m, nil
	}
	var tried []kind
	var scores [][]float64
	best := &model{}
	for _, stage := range kinds() {
		for _, k := range stage {
			tried, scores = append(tried, k), append(scores, heldOut(gaps, k.fit))
		}
		if chosen := tried[simplest(scores)]; chosen.name != best.name {
			m, err := chosen.model(gaps)
			if err != nil {
				return nil, err
			}
			best = m
		}
		if independent(normalScores(best.fitted(), gaps)) {
			break
		}
	}
	best.prepare()
	return best, nil
}

// model returns the model of this kind, which is not prepared.
func (k kind) model(gaps []float64) (*model, error) {
	c, err := k.fit(gaps)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.name, err)
	}
	return &model{k.name, total(gaps) / float64(len(gaps)), c}, nil
}

// normalScores returns the quantiles of the normal distribution at the probabilities with which the expert foretells at most each gap.
func normalScores(e expert, gaps []float64) []float64 {
	return follow(e, gaps, func(e expert, gap float64) float64 {
		p := -math.Expm1(e.logSurvival(gap))
		return mathext.NormalQuantile(min(max(p, 1e-4), 1-1e-4))
	})
}

// independent reports whether the normal scores, and their squares, show no correlation with those up to 10 before, at the level of 1 % each (Ljung and
// Box, "On a measure of lack of fit in time series models", Biometrika 65, 1978).
func independent(scores []float64) bool {
	const lags, limit = 10, 23.21 // of a χ² distribution with 10 degrees of freedom
	squares := make([]float64, len(scores))
	for i, z := range scores {
		squares[i] = z * z
	}
	for _, x := range [][]float64{scores, squares} {
		n := float64(len(x))
		mean, sum, q := total(x)/n, 0.0, 0.0
		for _, v := range x {
			sum += (v - mean) * (v - mean)
		}
		if sum < 1e-9*n {
			continue
		}
		for lag := 1; lag <= lags && lag < len(x); lag++ {
			c := 0.0
			for i, v := range x[lag:] {
				c += (v - mean) * (x[i] - mean)
			}
			q += n * (n + 2) / (n - float64(lag)) * (c / sum) * (c / sum)
		}
		if q > limit {
			return false
		}
	}
	return true
}

// model is the model that Fit returns.
type model struct {
	name string
	mean float64 // gap
	candidate
}

// Name returns the name of the kind.
func (m *model) Name() string { return m.name }

// How many gaps the experts remember that forget: what was fitted with a scale of its own, and the Poisson processes of the last ten and of the
// last three requests.
const rememberScaled, rememberTen, rememberThree = 40, 10, 3

// New returns a process.
func (m *model) New(start prewarm.Time) Process { return m.process(start) }

func (m *model) process(start prewarm.Time) *mixed {
	prior, experts := []float64{0.8, 0.04, 0.04}, []expert{m.fitted(), recent(m.mean, rememberTen), recent(m.mean, rememberThree)}
	p, e := m.others()
	return newMixed(start, m.mean, append(prior, p...), append(experts, e...))
}

// Score implements Model.
func (m *model) Score(gaps []float64, first int) []float64 {
	var scores []float64
	p := m.process(0)
	p.observe(0, 0)
	at := 0.0
	for i, g := range gaps {
		g = max(g, minGap)
		at += g
		if d := p.observe(at, g); i >= first {
			scores = append(scores, d)
		}
	}
	return scores
}

// heldOut returns the log densities of the gaps that a process foretells which was fitted to those before. Where the kind cannot be fitted it is the
// Poisson process.
func heldOut(gaps []float64, fit func(gaps []float64) (candidate, error)) []float64 {
	var scores []float64
	eachBlock(len(gaps), func(from, to int) {
		c, err := fit(gaps[:from])
		if err != nil {
			c, _ = fitPoisson(gaps[:from])
		}
		m := model{mean: total(gaps[:from]) / float64(from), candidate: c}
		scores = append(scores, m.Score(gaps[:to], from)...)
	})
	return scores
}

// follow lets an expert follow the gaps from 0 on and returns a number for each, computed before it is observed.
func follow(e expert, gaps []float64, number func(e expert, gap float64) float64) []float64 {
	values := make([]float64, len(gaps))
	e.begin(0)
	e.observe(0, 0)
	at := 0.0
	for i, g := range gaps {
		values[i] = number(e, g)
		at += g
		e.observe(at, g)
	}
	return values
}

// eachBlock calls block with the first index and the end of each block that is foretold.
func eachBlock(n int, block func(from, to int)) {
	for k := range 4 {
		block((40+15*k)*n/100, (55+15*k)*n/100)
	}
}

// simplest returns the first of the kinds whose scores are not worse than the best's by more than the standard error of the mean difference. Kinds
// without a score for each gap do not count.
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
