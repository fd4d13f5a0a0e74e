package classical

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/diff/fd"
	"gonum.org/v1/gonum/integrate/quad"
	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

// hawkesOf returns a Hawkes process of two marks, in a unit of which a tick of the clock is 1e-6.
func hawkesOf(t testing.TB, base, excitation, decay, end []float64) *Hawkes {
	t.Helper()
	m, err := newHawkes(classical{tpp.ModelHeader{
		Format: tpp.ModelFormat, Kind: string(KindHawkes), NumMarks: 2, Marks: []string{"a", "b"}, TimeUnit: "s", Resolution: 1e-6,
	}}, base, excitation, decay, end)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// simulateHawkes draws sequences by Ogata's thinning (1981), independently of the model's code. If there are ends,
// every second sequence is complete; the others are observed until the horizon, whether they are over or not.
func simulateHawkes(h *Hawkes, seed uint64, n int, horizon float64) *tpp.Dataset {
	rng := rand.New(rand.NewPCG(seed, 1))
	d := &tpp.Dataset{MarkNames: []string{"a", "b"}}
	for i := range n {
		s := tpp.Sequence{TStart: new(0.0)}
		if i%2 == 0 || h.end[0] == 0 {
			s.TEnd = new(horizon)
		}
		intensity := func(at float64, mark int) float64 {
			sum := h.base[mark]
			for i, t := range s.ArrivalTimes {
				for k := range h.NumKernels() {
					alpha, beta := h.KernelAt(k, s.Marks[i], mark)
					sum += alpha * math.Exp(-beta*(at-t))
				}
			}
			return sum
		}
		for at := 0.0; ; {
			bound := intensity(at, 0) + intensity(at, 1)
			at += rng.ExpFloat64() / bound
			if s.TEnd != nil && at > horizon {
				break
			}
			u := rng.Float64() * bound
			mark := 0
			if first := intensity(at, 0); u > first {
				u -= first
				mark = 1
				if u > intensity(at, 1) {
					continue
				}
			}
			s.ArrivalTimes, s.Marks = append(s.ArrivalTimes, at), append(s.Marks, mark)
			if rng.Float64() < h.end[mark] {
				break
			}
		}
		if s.Len() > 0 {
			d.Sequences = append(d.Sequences, s)
		}
	}
	return d
}

var twoMarks = struct{ base, excitation, shared, perPair []float64 }{
	[]float64{0.3, 0.1}, []float64{0.5, 1.2, 0.1, 0.4}, []float64{2}, []float64{2, 4, 1, 3},
}

// kernelsOfTwoMarks are kernels of every kind that there is.
var kernelsOfTwoMarks = map[string]struct{ excitation, decay []float64 }{
	"one decay":             {twoMarks.excitation, twoMarks.shared},
	"a decay for each pair": {twoMarks.excitation, twoMarks.perPair},
	"two kernels":           {[]float64{0.1, 0.05, 0, 0.06, 1, 2, 0.5, 0}, []float64{0.4, 9}},
}

// TestFitHawkesFindsTheTruth checks that the parameters of a simulated process are recovered, with at least its likelihood.
func TestFitHawkesFindsTheTruth(t *testing.T) {
	truth := hawkesOf(t, twoMarks.base, twoMarks.excitation, twoMarks.shared, []float64{0.01, 0.03})
	d := simulateHawkes(truth, 1, 200, 200)
	got, err := FitHawkes(t.Context(), d, FitOptions{TimeUnit: "s", Resolution: 1e-6})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d events in %d sequences", d.NumEvents(), len(d.Sequences))
	for i, want := range truth.excitation {
		if diff := math.Abs(got.excitation[i] - want); diff > 0.1+0.1*want {
			t.Errorf("excitation %d is %.3f, want %.3f", i, got.excitation[i], want)
		}
	}
	for i, want := range truth.base {
		if !within(got.base[i], want, 0.15*want) {
			t.Errorf("base intensity %d is %.3f, want %.3f", i, got.base[i], want)
		}
		if !within(got.end[i], truth.end[i], 0.3*truth.end[i]) {
			t.Errorf("probability of the end %d is %.4f, want %.4f", i, got.end[i], truth.end[i])
		}
	}
	if !within(got.decay[0], 2, 0.2) {
		t.Errorf("decay is %.3f, want 2", got.decay[0])
	}
	// What is most likely is at least as likely as the truth.
	opts := FitOptions{Resolution: 1e-6}.withDefaults()
	r, err := newRecords(d, &opts)
	if err != nil {
		t.Fatal(err)
	}
	l := newHawkesLikelihood(d, r, opts)
	likelihood := func(h *Hawkes) float64 {
		x := make([]float64, l.size())
		mu, eta, beta, end := l.split(x)
		for i := range mu {
			mu[i] = math.Log(h.base[i] * l.scale)
			end[i] = math.Log(h.end[i] / (1 - h.end[i]))
		}
		for i := range eta {
			eta[i] = math.Log(h.excitation[i] / h.decay[0])
		}
		beta[0] = math.Log(h.decay[0] * l.scale)
		return -l.negLogLikelihood(x, make([]float64, len(x)))
	}
	if ours, theirs := likelihood(got), likelihood(truth); ours < theirs {
		t.Errorf("the fitted process has the log likelihood %v, the truth %v", ours, theirs)
	}
}

// TestHawkesLikelihoodByDefinition checks the NLL against the sum over all pairs of events, with compensators by
// quadrature.
func TestHawkesLikelihoodByDefinition(t *testing.T) {
	for name, k := range kernelsOfTwoMarks {
		h := hawkesOf(t, twoMarks.base, k.excitation, k.decay, []float64{0, 0})
		d := simulateHawkes(h, 3, 4, 15)
		got, err := eval.Evaluate(t.Context(), h, d, eval.EvaluateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want := 0.0
		for i := range d.Sequences {
			s := &d.Sequences[i]
			intensity := func(at float64, mark int) float64 {
				sum := h.base[mark]
				for i, t := range s.ArrivalTimes {
					if t < at {
						for k := range h.NumKernels() {
							alpha, beta := h.KernelAt(k, s.Marks[i], mark)
							sum += alpha * math.Exp(-beta*(at-t))
						}
					}
				}
				return sum
			}
			for j, at := range s.ArrivalTimes {
				want += math.Log(intensity(at, s.Marks[j]))
			}
			ends := append(append([]float64{0}, s.ArrivalTimes...), *s.TEnd)
			for j := 1; j < len(ends); j++ {
				want -= quad.Fixed(func(at float64) float64 { return intensity(at, 0) + intensity(at, 1) }, ends[j-1], ends[j], 60, nil, 0)
			}
		}
		if nll := -want / float64(d.NumEvents()); !within(got.NLL, nll, 1e-9*math.Abs(nll)) {
			t.Errorf("%s: NLL %v, by definition %v", name, got.NLL, nll)
		}
	}
}

// TestHawkesFitMaximisesWhatEvaluateScores checks that the objective of the fit, without smoothing and ends, is the
// NLL of eval.Evaluate.
func TestHawkesFitMaximisesWhatEvaluateScores(t *testing.T) {
	for _, kind := range []FitOptions{{}, {DecayPerPair: true}, {Kernels: 3}} {
		rng := rand.New(rand.NewPCG(5, 5))
		d := tpptest.RandomDataset(rng, 12, 2)
		d.MarkNames = []string{"a", "b"}
		for i := range d.Sequences {
			s := &d.Sequences[i]
			s.TEnd = new(s.ArrivalTimes[s.Len()-1] + 20*rng.Float64())
		}
		opts := kind.withDefaults()
		r, err := newRecords(d, &opts)
		if err != nil {
			t.Fatal(err)
		}
		l := newHawkesLikelihood(d, r, opts)
		x := l.start(r, 2)
		for i := range x {
			x[i] += 0.3 * rng.NormFloat64()
		}
		want := l.negLogLikelihood(x, make([]float64, len(x)))
		// Without the smoothing, and in the dataset's unit.
		for _, mu := range l.mu {
			want += (math.Log(mu)/2 - mu) / float64(l.events)
		}
		want += math.Log(l.scale)
		m, err := l.model(newClassical(KindHawkes, d, opts), x)
		if err != nil {
			t.Fatal(err)
		}
		got, err := eval.Evaluate(t.Context(), m, d, eval.EvaluateOptions{})
		if err != nil || !within(got.NLL, want, 1e-5*math.Abs(want)) { // parameters are float32
			t.Errorf("%+v: NLL %v, the fit has %v (error %v)", kind, got.NLL, want, err)
		}
	}
}

// TestHawkesGradient checks the gradient against finite differences on random data.
func TestHawkesGradient(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 2))
		marks := rapid.IntRange(1, 3).Draw(rt, "marks")
		d := tpptest.RandomDataset(rng, 5, marks)
		if marks > 1 {
			d.MarkNames = []string{"a", "b", "c"}[:marks]
		}
		for i := range d.Sequences {
			if s := &d.Sequences[i]; rng.IntN(2) == 0 {
				s.TEnd = new(s.ArrivalTimes[s.Len()-1] + 100*rng.Float64())
			}
		}
		opts := rapid.SampledFrom([]FitOptions{{}, {DecayPerPair: true}, {Kernels: 2}, {Kernels: 3}}).Draw(rt, "kernels").withDefaults()
		r, err := newRecords(d, &opts)
		if err != nil {
			rt.Skip(err)
		}
		l := newHawkesLikelihood(d, r, opts)
		x := l.start(r, math.Exp(rng.NormFloat64()))
		for i := range x {
			x[i] += 0.5 * rng.NormFloat64()
		}
		got := make([]float64, len(x))
		l.negLogLikelihood(x, got)
		want := fd.Gradient(nil, func(x []float64) float64 { return l.negLogLikelihood(x, make([]float64, len(x))) }, x, &fd.Settings{Formula: fd.Central})
		for i := range x {
			if !within(got[i], want[i], 1e-6*(1+math.Abs(want[i]))) {
				rt.Errorf("derivative %d of %d is %v, by differences %v", i, len(x), got[i], want[i])
			}
		}
	})
}

// TestHawkesMarksCompete checks the joint distribution against its marginals and against quadrature of its density.
func TestHawkesMarksCompete(t *testing.T) {
	for name, k := range kernelsOfTwoMarks {
		h := hawkesOf(t, twoMarks.base, k.excitation, k.decay, []float64{0.1, 0.2})
		state := h.NewState(0)
		for _, e := range []tpp.Event{{Time: 1}, {Time: 1.2, Mark: 1}, {Time: 1.2, Mark: 1}, {Time: 1.9}} {
			if err := state.Observe(e); err != nil {
				t.Fatal(err)
			}
		}
		for _, now := range []float64{1.9, 2.7} {
			next := state.Next(now)
			if want := []float64{0.1}; now == 1.9 && !within(next.End, want[0], 1e-7) {
				t.Errorf("%s: the end has the probability %v, want %v", name, next.End, want[0])
			}
			for _, c := range [][2]float64{{0, 0.01}, {0.5, 0.50001}, {0.1, 3}, {2, 80}, {0, math.Inf(1)}} {
				a, b := c[0], c[1]
				sum := 0.0
				for mark := range 2 {
					p := math.Exp(next.Joint.LogIntervalMark(a, b, mark))
					sum += p
					// Simpson's rule, piece by piece.
					want, end := 0.0, math.Min(b, a+200)
					for i := range 4000 {
						u, v := a+(end-a)*math.Pow(float64(i)/4000, 3), a+(end-a)*math.Pow(float64(i+1)/4000, 3)
						f := func(x float64) float64 { return math.Exp(next.Joint.LogProbMark(x, mark)) }
						want += (v - u) / 6 * (f(u) + 4*f((u+v)/2) + f(v))
					}
					if !within(p, want, 1e-7*want+1e-12) {
						t.Errorf("%s: mark %d from %v to %v has the probability %v, by quadrature %v", name, mark, a, b, p, want)
					}
				}
				if want := math.Exp(dist.LogInterval(next.Time, a, b)); !within(sum, want, 1e-9*want) {
					t.Errorf("%s: from %v to %v the marks add up to %v, the time has %v", name, a, b, sum, want)
				}
			}
			for mark, p := range next.Marks {
				if want := math.Exp(next.Joint.LogIntervalMark(0, math.Inf(1), mark)); !within(p, want, 1e-12) {
					t.Errorf("%s: mark %d has the probability %v, its time %v", name, mark, p, want)
				}
			}
		}
	}
}

// TestFitStopsWhenContextIsDone checks that a fit returns the error of its context.
func TestFitStopsWhenContextIsDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, kind := range []Kind{KindHawkes, KindRenewal, KindMarkovRenewal} {
		if m, err := Fit(ctx, kind, tpptest.Chains(1, 20), FitOptions{}); m != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: a model: %t, and error %v, from a context that was done", kind, m != nil, err)
		}
	}
}

func BenchmarkHawkesLikelihood(b *testing.B) {
	for _, perPair := range []bool{false, true} {
		b.Run(fmt.Sprintf("decay per pair %t", perPair), func(b *testing.B) {
			d := tpptest.Chains(1, 200)
			opts := FitOptions{DecayPerPair: perPair}.withDefaults()
			r, err := newRecords(d, &opts)
			if err != nil {
				b.Fatal(err)
			}
			l := newHawkesLikelihood(d, r, opts)
			x := l.start(r, 1)
			grad := make([]float64, len(x))
			for b.Loop() {
				l.negLogLikelihood(x, grad)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*l.events), "ns/event")
		})
	}
}

// TestHawkesPenalty checks that value and gradient of the likelihood belong together beyond the bounds of the logarithms, where a
// penalty leads back, on both sides of each bound.
func TestHawkesPenalty(t *testing.T) {
	d := tpptest.RandomDataset(rand.New(rand.NewPCG(3, 4)), 5, 2)
	opts := FitOptions{}.withDefaults()
	r, err := newRecords(d, &opts)
	if err != nil {
		t.Fatal(err)
	}
	l := newHawkesLikelihood(d, r, opts)
	inside := l.start(r, 1)
	grad := make([]float64, len(inside))
	for i := range inside {
		for _, at := range []float64{-35, -31, -25, -21, 21, 25, 31, 35} {
			x := append([]float64(nil), inside...)
			x[i] = at
			value := func(v float64) float64 {
				x[i] = v
				return l.negLogLikelihood(x, make([]float64, len(x)))
			}
			h := 1e-3
			if math.Abs(at) > hardBound {
				h = 0.5 // the penalty is quadratic, the rest constant, and may be so large that its rounding counts
			}
			want := (value(at+h) - value(at-h)) / (2 * h)
			x[i] = at
			l.negLogLikelihood(x, grad)
			if !within(grad[i], want, 0.02+1e-3*math.Abs(want)) {
				t.Errorf("parameter %d at %v: the derivative is %v, by differences %v", i, at, grad[i], want)
			}
			if over := math.Abs(at) - softBound; math.Abs(at) > hardBound && !within(math.Abs(grad[i]), over, 1e-9) {
				t.Errorf("parameter %d at %v: the derivative is %v, want that of the penalty, %v", i, at, grad[i], over)
			}
		}
	}
}

// TestFitOfTwoScales fits a process that excites at two time scales: one kernel falls short of the truth, two do not, and their parameters and standard
// errors are those of the truth.
func TestFitOfTwoScales(t *testing.T) {
	truth, err := NewHawkes(HawkesParameters{
		Base: []float64{0.1, 0.05}, Branching: [][]float64{{0.2, 0.3}, {0, 0.1}}, Decay: [][]float64{{30}},
		Further: []HawkesKernel{{Branching: [][]float64{{0.3, 0}, {0.3, 0.3}}, Decay: 0.3}},
	}, ProcessOptions{MarkNames: []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	training, test := windowsOf(t, truth, 1, 200, 100), windowsOf(t, truth, 2, 100, 100)
	score := func(m tpp.Model) float64 {
		s, err := eval.Evaluate(t.Context(), m, test, eval.EvaluateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return s.NLL
	}
	fit := func(kernels int) *Hawkes {
		h, err := FitHawkes(t.Context(), training, FitOptions{Resolution: 1e-6, Kernels: kernels, StandardErrors: kernels == 2})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	one, two := fit(1), fit(2)
	best := score(truth)
	if short := score(one) - best; short < 0.05 {
		t.Errorf("one kernel falls %v nats short, expected more: the test is too easy", short)
	}
	if short := score(two) - best; short > 0.01 {
		t.Errorf("two kernels fall %v nats short", short)
	}
	if k := two.NumKernels(); k != 2 {
		t.Fatalf("%d kernels", k)
	}
	for k, want := range []float64{0.3, 30} {
		if _, beta := two.KernelAt(k, 0, 0); !within(beta, want, 0.25*want) {
			t.Errorf("decay %d is %v, want %v", k, beta, want)
		}
	}
	errs := two.StandardErrors()
	for from, row := range truth.Branching() {
		for to, want := range row {
			got, deviation := two.Branching()[from][to], errs.Branching[from][to]
			if !within(got, want, 4*deviation) || !(deviation < 0.1) {
				t.Errorf("branching from %d to %d is %.3f ± %.3f, want %.3f", from, to, got, deviation, want)
			}
		}
	}
}

// TestSeveralKernelsAreChecked checks what several kernels do not go with.
func TestSeveralKernelsAreChecked(t *testing.T) {
	d := tpptest.Chains(1, 10)
	for _, o := range []FitOptions{{Kernels: -1}, {Kernels: maxKernels + 1}, {Kernels: 2, DecayPerPair: true}} {
		if _, err := FitHawkes(t.Context(), d, o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	slow := []HawkesKernel{{Branching: [][]float64{{0.1}}, Decay: 0.1}}
	for _, p := range []HawkesParameters{
		{Base: []float64{1, 1}, Branching: [][]float64{{0, 0}, {0, 0}}, Decay: [][]float64{{1, 1}, {1, 1}}, Further: slow},
		{Base: []float64{1}, Branching: [][]float64{{0.1}}, Decay: [][]float64{{1}}, Further: []HawkesKernel{{Branching: [][]float64{{0.1}}}}},
		{Base: []float64{1}, Branching: [][]float64{{0.5}}, Decay: [][]float64{{1}}, Further: []HawkesKernel{{Branching: [][]float64{{0.5}}, Decay: 0.1}}},
	} {
		if _, err := NewHawkes(p, ProcessOptions{}); err == nil {
			t.Errorf("%+v is accepted", p)
		}
	}
	if alpha, beta := mustHawkes(t, HawkesParameters{Base: []float64{1}, Branching: [][]float64{{0.2}}, Decay: [][]float64{{1}}, Further: slow}).KernelAt(2, 0, 0); alpha != 0 || beta != 0 {
		t.Errorf("a kernel that there is not is %v, %v", alpha, beta)
	}
}

func mustHawkes(t *testing.T, p HawkesParameters) *Hawkes {
	t.Helper()
	h, err := NewHawkes(p, ProcessOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}
