package classical

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/diff/fd"
	"gonum.org/v1/gonum/mat"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
	"github.com/tppfaas/tppfaas/tpp/live"
)

// windowsOf draws n windows of a Hawkes process.
func windowsOf(t testing.TB, h *Hawkes, seed uint64, n int, length float64) *tpp.Dataset {
	t.Helper()
	s, err := live.Simulate(t.Context(), h, n, live.SimulateOptions{Window: length, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	return &tpp.Dataset{MarkNames: h.MarkNames(), Sequences: s}
}

// TestStandardErrorsAreTheSpread fits a process to many simulated datasets: the standard errors of each fit must be the standard deviation of the
// estimates over the fits, and intervals of 1.96 of them must hold the truth 95 times in a hundred.
func TestStandardErrorsAreTheSpread(t *testing.T) {
	const repeats = 120
	truth := HawkesParameters{Base: []float64{0.3, 0.2}, Branching: [][]float64{{0.4, 0.3}, {0.25, 0.3}}, Decay: [][]float64{{1.5}}}
	h, err := NewHawkes(truth, ProcessOptions{})
	if err != nil {
		t.Fatal(err)
	}
	type quantity struct {
		name  string
		truth float64
		of    func(h *Hawkes) (estimate, deviation float64)
	}
	quantities := []quantity{
		{"base of 0", 0.3, func(h *Hawkes) (float64, float64) { return h.BaseIntensity()[0], h.StandardErrors().Base[0] }},
		{"base of 1", 0.2, func(h *Hawkes) (float64, float64) { return h.BaseIntensity()[1], h.StandardErrors().Base[1] }},
		{"decay", 1.5, func(h *Hawkes) (float64, float64) { _, b := h.Kernel(0, 0); return b, h.StandardErrors().Beta[1][0] }},
		{"alpha from 0 to 1", 0.45, func(h *Hawkes) (float64, float64) { a, _ := h.Kernel(0, 1); return a, h.StandardErrors().Alpha[0][1] }},
		{"branching from 0 to 1", 0.3, func(h *Hawkes) (float64, float64) { return h.Branching()[0][1], h.StandardErrors().Branching[0][1] }},
		{"branching from 1 to 1", 0.3, func(h *Hawkes) (float64, float64) { return h.Branching()[1][1], h.StandardErrors().Branching[1][1] }},
	}
	estimates, deviations, inside := make([][]float64, len(quantities)), make([][]float64, len(quantities)), make([]int, len(quantities))
	for repeat := range repeats {
		d := windowsOf(t, h, uint64(repeat), 10, 120)
		fitted, err := FitHawkes(t.Context(), d, FitOptions{Resolution: 1e-6, StandardErrors: true})
		if err != nil {
			t.Fatal(err)
		}
		for i, q := range quantities {
			v, s := q.of(fitted)
			if !(s > 0) {
				t.Fatalf("repeat %d: the standard error of the %s is %v", repeat, q.name, s)
			}
			estimates[i], deviations[i] = append(estimates[i], v), append(deviations[i], s)
			if math.Abs(v-q.truth) < 1.96*s {
				inside[i]++
			}
		}
	}
	for i, q := range quantities {
		mean, variance := meanAndVariance(estimates[i])
		s, _ := meanAndVariance(deviations[i])
		ratio := math.Sqrt(variance) / s
		t.Logf("%s: %.4f, truth %v, standard deviation %.4f, standard error %.4f, %d of %d intervals hold the truth", q.name, mean, q.truth, math.Sqrt(variance), s, inside[i], repeats)
		// A standard deviation of 120 estimates is known to 6.5 %.
		if ratio < 0.8 || ratio > 1.25 || inside[i] < repeats*88/100 {
			t.Errorf("%s: the estimates have a standard deviation of %v, the standard errors are %v on average; %d of %d intervals hold the truth",
				q.name, math.Sqrt(variance), s, inside[i], repeats)
		}
	}
}

// TestStandardErrorsByDefinition compares with the inverse of the second derivatives, by the parameters themselves, of the log likelihood as it is
// defined, and not as the fit computes it.
func TestStandardErrorsByDefinition(t *testing.T) {
	const mu, eta, beta, window = 0.5, 0.5, 1.0, 400.0
	h, err := NewHawkes(HawkesParameters{Base: []float64{mu}, Branching: [][]float64{{eta}}, Decay: [][]float64{{beta}}}, ProcessOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d := windowsOf(t, h, 5, 1, window)
	fitted, err := FitHawkes(t.Context(), d, FitOptions{Resolution: 1e-9, StandardErrors: true})
	if err != nil {
		t.Fatal(err)
	}
	times := d.Sequences[0].ArrivalTimes
	logLikelihood := func(p []float64) float64 {
		mu, eta, beta := p[0], p[1], p[2]
		sum, excited, last := -mu*window, 0.0, 0.0
		for _, at := range times {
			excited *= math.Exp(-beta * (at - last))
			sum += math.Log(mu+eta*beta*excited) + eta*math.Expm1(-beta*(window-at))
			excited, last = excited+1, at
		}
		// The smoothing: one more event in one more mean gap.
		return sum + math.Log(mu) - mu*window/float64(len(times))
	}
	_, decay := fitted.Kernel(0, 0)
	at := []float64{fitted.BaseIntensity()[0], fitted.Branching()[0][0], decay}
	hessian := mat.NewSymDense(3, nil)
	fd.Hessian(hessian, logLikelihood, at, &fd.Settings{Step: 1e-4})
	hessian.ScaleSym(-1, hessian)
	var c mat.Cholesky
	var covariance mat.SymDense
	if !c.Factorize(hessian) || c.InverseTo(&covariance) != nil {
		t.Fatal("the estimate is no maximum")
	}
	e := fitted.StandardErrors()
	for i, got := range []float64{e.Base[0], e.Branching[0][0], e.Beta[0][0]} {
		if want := math.Sqrt(covariance.At(i, i)); math.Abs(got-want) > 0.02*want {
			t.Errorf("standard error %d is %v, by definition %v", i, got, want)
		}
	}
	if e.End != nil {
		t.Errorf("ends have standard errors, and no sequence was complete: %v", e.End)
	}
	// The kernel at 0 is the product of branching and decay: its variance is that of the delta method.
	gradient := mat.NewVecDense(3, []float64{0, at[2], at[1]})
	if got, want := e.Alpha[0][0], math.Sqrt(mat.Inner(gradient, &covariance, gradient)); math.Abs(got-want) > 0.02*want {
		t.Errorf("the standard error of alpha is %v, by the delta method %v", got, want)
	}
}

// TestStandardErrorsOfEnds compares that of the end with the binomial one.
func TestStandardErrorsOfEnds(t *testing.T) {
	h, err := NewHawkes(HawkesParameters{Base: []float64{1}, Branching: [][]float64{{0.5}}, Decay: [][]float64{{1}}}, ProcessOptions{End: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	d := windowsOf(t, h, 5, 200, math.Inf(1))
	fitted, err := FitHawkes(t.Context(), d, FitOptions{Resolution: 1e-6, StandardErrors: true})
	if err != nil {
		t.Fatal(err)
	}
	n := float64(d.NumEvents())
	p := 200 / n
	if got, want := fitted.StandardErrors().End[0], math.Sqrt(p*(1-p)/n); math.Abs(got-want) > 0.02*want {
		t.Errorf("the standard error of the end is %v, of a share %v", got, want)
	}
}

// TestStandardErrorsThatAreNotKnown checks that kernels of which nothing is left have none, while all others have, with a decay for each pair too, and
// that a file keeps them.
func TestStandardErrorsThatAreNotKnown(t *testing.T) {
	h, err := NewHawkes(HawkesParameters{
		Base: []float64{0.5, 0.5}, Branching: [][]float64{{0.6, 0}, {0, 0}}, Decay: [][]float64{{2}},
	}, ProcessOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d := windowsOf(t, h, 1, 20, 100)
	for _, perPair := range []bool{false, true} {
		opts := FitOptions{Resolution: 1e-6, StandardErrors: true, DecayPerPair: perPair}
		m, err := FitHawkes(t.Context(), d, opts)
		if err != nil {
			t.Fatal(err)
		}
		e, unknown := m.StandardErrors(), 0
		if !(e.Branching[0][0] > 0.02 && e.Branching[0][0] < 0.2 && e.Alpha[0][0] > 0 && e.Beta[0][0] > 0 && e.Base[0] > 0) {
			t.Errorf("decay per pair %t: standard errors %+v", perPair, e)
		}
		for from, row := range e.Branching {
			for to, v := range row {
				if math.IsNaN(v) != math.IsNaN(e.Alpha[from][to]) || math.IsNaN(v) && m.Branching()[from][to] > 1e-3 {
					t.Errorf("decay per pair %t: branching from %d to %d is %v ± %v, alpha ± %v", perPair, from, to, m.Branching()[from][to], v, e.Alpha[from][to])
				}
				if math.IsNaN(v) {
					unknown++
				}
			}
		}
		if unknown == 0 && !perPair { // with decays of their own the kernels find something in chance
			t.Errorf("decay per pair %t: all kernels have standard errors: %v of %v", perPair, e.Branching, m.Branching())
		}
		text := tpptest.Encoded(t, m)
		back, err := tpp.ReadModel(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if tpptest.Encoded(t, back.(tpp.FileModel)) != text {
			t.Error("another file once it is read")
		}
		if got := back.(*Hawkes).StandardErrors(); got.Branching[0][0] != e.Branching[0][0] || !math.IsNaN(got.Branching[1][1]) != !math.IsNaN(e.Branching[1][1]) {
			t.Errorf("read %+v, written %+v", got, e)
		}
		opts.StandardErrors = false
		plain, err := FitHawkes(t.Context(), d, opts)
		if err != nil {
			t.Fatal(err)
		}
		if plain.StandardErrors() != nil || plain.Fingerprint() != m.Fingerprint() {
			t.Error("standard errors make another model")
		}
	}
	for _, d := range []*hawkesErrorsDescription{{}, {Base: make([]*float64, 3)}, {Base: make([]*float64, 2), Branching: make([][]*float64, 2)}} {
		if _, err := d.errors(2); err == nil {
			t.Errorf("%+v are standard errors of two marks", d)
		}
	}
}

// TestStandardErrorsStop checks that a context that is done ends their computation.
func TestStandardErrorsStop(t *testing.T) {
	d := tpptest.Chains(1, 20)
	opts := FitOptions{}.withDefaults()
	r, err := newRecords(d, &opts)
	if err != nil {
		t.Fatal(err)
	}
	l := newHawkesLikelihood(d, r, opts)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.standardErrors(ctx, l.start(r, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestInvertDetermined checks that of a flat direction one parameter is left out, and that the rest are inverted.
func TestInvertDetermined(t *testing.T) {
	free, covariance := invertDetermined([]int{3, 5, 8}, mat.NewSymDense(3, []float64{
		4, 0, 0,
		0, 1, -1,
		0, -1, 1,
	}))
	if len(free) != 2 || free[0] != 3 || covariance.At(0, 0) != 0.25 || covariance.At(1, 1) != 1 {
		t.Errorf("left are %v with the covariance %v", free, covariance)
	}
	if free, _ := invertDetermined([]int{1}, mat.NewSymDense(1, []float64{-1})); len(free) != 0 {
		t.Errorf("left are %v", free)
	}
}
