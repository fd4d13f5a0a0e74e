package classical

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
	"github.com/tppfaas/tppfaas/tpp/live"
)

// within reports whether got is want up to an absolute error.
func within(got, want, tolerance float64) bool { return math.Abs(got-want) <= tolerance }

// fitEach fits every classical model, Hawkes processes with a decay for each pair and with two kernels included.
func fitEach(t testing.TB, d *tpp.Dataset, opts FitOptions, f func(name string, m tpp.FileModel)) {
	t.Helper()
	for _, kind := range append(Kinds(), "hawkes, a decay for each pair", "hawkes, two kernels") {
		name := string(kind)
		opts := opts
		if strings.HasPrefix(name, "hawkes, ") {
			kind = KindHawkes
			if opts.DecayPerPair = strings.HasSuffix(name, "pair"); !opts.DecayPerPair {
				opts.Kernels = 2
			}
		}
		m, err := Fit(t.Context(), kind, d, opts)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if m.Kind() != string(kind) {
			t.Errorf("fitting a %s gives a %s", kind, m.Kind())
		}
		f(name, m)
	}
}

// endingSequences draws sequences of renewal processes: after each event the sequence is over with probability end,
// otherwise follows draws the next mark and gap. Every second sequence is complete; the others are observed until the
// horizon, whether they are over or not, and have a TEnd.
func endingSequences(seed uint64, n int, end, horizon float64, follows func(rng *rand.Rand, last int) (mark int, gap float64)) *tpp.Dataset {
	rng := rand.New(rand.NewPCG(seed, 4))
	d := &tpp.Dataset{MarkNames: []string{"a", "b"}}
	for i := range n {
		s := tpp.Sequence{ArrivalTimes: []float64{0}, Marks: []int{0}}
		if i%2 == 0 {
			s.TEnd = new(horizon)
		}
		for rng.Float64() >= end {
			last := s.Len() - 1
			mark, gap := follows(rng, s.Marks[last])
			at := s.ArrivalTimes[last] + gap
			if s.TEnd != nil && at > horizon {
				break
			}
			s.ArrivalTimes, s.Marks = append(s.ArrivalTimes, at), append(s.Marks, mark)
		}
		d.Sequences = append(d.Sequences, s)
	}
	return d
}

// TestFitPoissonFindsTheTruth checks that the rate and shares of simulated data are recovered.
func TestFitPoissonFindsTheTruth(t *testing.T) {
	d := endingSequences(1, 3000, 0.2, 40, func(rng *rand.Rand, _ int) (int, float64) {
		return rng.IntN(4) / 3, 8 * rng.ExpFloat64()
	})
	m, err := FitPoisson(t.Context(), d, FitOptions{Resolution: 1e-6})
	if err != nil {
		t.Fatal(err)
	}
	if !within(m.Rate(), 1./8, 0.005) {
		t.Errorf("rate is %v, want 1/8", m.Rate())
	}
	next := m.NewState(0).Next(0)
	if next.End != 0 || !within(next.Marks[1], 0.25, 0.02) {
		t.Errorf("before the first event the end has the probability %v, mark b %v: want 0 and 1/4", next.End, next.Marks[1])
	}
}

// TestFitPoissonByHand checks that without complete sequences the rate is gaps over time, and that a zero gap counts
// as half a tick.
func TestFitPoissonByHand(t *testing.T) {
	d := &tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{0, 10, 10, 29.5}, TEnd: new(29.5)}}}
	m, err := FitPoisson(t.Context(), d, FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if want := 3. / 30; !within(m.Rate(), want, 1e-7) || m.rows[0].End != 0 {
		t.Errorf("rate %v and end %v, want %v and 0", m.Rate(), m.rows[0].End, want)
	}
}

// TestFitRenewalFindsTheTruth checks that the mixture of simulated gaps is recovered, with and without right-censored gaps.
func TestFitRenewalFindsTheTruth(t *testing.T) {
	truth := dist.LogNormMix{LogWeights: []float64{math.Log(0.7), math.Log(0.3)}, Mu: []float64{3, 5}, Sigma: []float64{0.2, 0.4}}
	draw := func(rng *rand.Rand, _ int) (int, float64) {
		if rng.Float64() < 0.7 {
			return 0, math.Exp(3 + 0.2*rng.NormFloat64())
		}
		return 1, math.Exp(5 + 0.4*rng.NormFloat64())
	}
	for name, horizon := range map[string]float64{"all gaps seen": 1e9, "many sequences still running": 200} {
		m, err := FitRenewal(t.Context(), endingSequences(2, 4000, 0.25, horizon, draw), FitOptions{Resolution: 1e-3, Components: 2, MaxIterations: 2000})
		if err != nil {
			t.Fatal(err)
		}
		for _, tau := range []float64{12, 16, 20, 26, 60, 120, 150, 250} {
			if got, want := m.mix.CDF(tau), truth.CDF(tau); !within(got, want, 0.02) {
				t.Errorf("%s: P(τ ≤ %v) = %.4f, want %.4f", name, tau, got, want)
			}
		}
		if !within(m.rows[0].End, 0.25, 0.02) {
			t.Errorf("%s: the end has the probability %.4f, want 0.25", name, m.rows[0].End)
		}
	}
}

// TestFitMarkovRenewalFindsTheTruth checks that transitions and gaps of simulated data are recovered, and that predictions are conditional on the time since the last event.
func TestFitMarkovRenewalFindsTheTruth(t *testing.T) {
	// After a mostly b, soon; rarely a, late. After b always a.
	medians := map[[2]int]float64{{0, 0}: 300, {0, 1}: 20, {1, 0}: 50}
	d := endingSequences(3, 1000, 0.2, 1e9, func(rng *rand.Rand, last int) (int, float64) {
		mark := 0
		if last == 0 && rng.Float64() < 0.8 {
			mark = 1
		}
		return mark, medians[[2]int{last, mark}] * math.Exp(0.1*rng.NormFloat64())
	})
	m, err := FitMarkovRenewal(t.Context(), d, FitOptions{Resolution: 1e-3, MaxIterations: 100})
	if err != nil {
		t.Fatal(err)
	}
	state := m.NewState(0)
	if err := state.Observe(tpp.Event{Time: 0, Mark: 0}); err != nil {
		t.Fatal(err)
	}
	next := state.Next(0)
	if !within(next.Marks[1], 0.8, 0.02) || !within(dist.Median(next.Time), 21, 1.5) {
		t.Errorf("after a: b has the probability %.3f, want 0.8; the median is %.2f", next.Marks[1], dist.Median(next.Time))
	}
	// What has not come for 100 is not b, which comes soon, and the sequence may well be over.
	late := state.Next(100)
	if late.Marks[0] < 0.95 || !within(dist.Median(late.Time), 200, 20) {
		t.Errorf("nothing for 100 after a: a has the probability %.3f, the median is %.2f: want nearly 1 and 200", late.Marks[0], dist.Median(late.Time))
	}
	if want := 0.2 / (0.2 + 0.8*0.2); !within(late.End, want, 0.05) {
		t.Errorf("nothing for 100 after a: the end has the probability %.3f, want %.3f", late.End, want)
	}
}

// TestGapMixtureClimbs checks that no EM step lowers the objective, and that shares and end sum to 1, on random data.
func TestGapMixtureClimbs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 6))
		var all []logGap
		classes := make([][]logGap, 1+rng.IntN(3))
		for i := range classes {
			for range rng.IntN(120) {
				g := newLogGap(math.Round(math.Exp(4*rng.Float64()+2*rng.NormFloat64())), 1)
				classes[i], all = append(classes[i], g), append(all, g)
			}
		}
		if len(all) == 0 {
			rt.Skip("no gaps")
		}
		var open []float64
		for range rng.IntN(20) {
			open = append(open, math.Exp(3+4*rng.NormFloat64()))
		}
		var fitted []gapClass
		for _, gaps := range classes {
			fitted = append(fitted, newGapClass(gaps, 4, backgroundOf(all)))
		}
		g := newGapMixtures(fitted, rng.IntN(30), rng.IntN(2) == 0, open)
		before := math.Inf(-1)
		for i := range 60 {
			now := g.step()
			if !(now >= before-1e-9*math.Abs(now)) {
				rt.Fatalf("step %d lowers the objective from %v to %v", i, before, now)
			}
			before = now
			total := g.end
			for c := range g.classes {
				total += g.classes[c].share
			}
			if !within(total, 1, 1e-12) {
				rt.Fatalf("step %d: shares and end add up to %v", i, total)
			}
		}
	})
}

// TestLogGapMoments checks the moments against the midpoint rule over the tick.
func TestLogGapMoments(t *testing.T) {
	for _, gap := range []float64{0, 0.3, 0.5, 1, 3, 49, 51, 2000} {
		a, b := max(gap-0.5, 0), gap+0.5
		const n = 400_000
		mean, square := 0.0, 0.0
		for i := range n {
			l := math.Log(a + (b-a)*(float64(i)+0.5)/n)
			mean += l / n
			square += (l - math.Log(b)) * (l - math.Log(b)) / n
		}
		variance := square - (mean-math.Log(b))*(mean-math.Log(b))
		got := newLogGap(gap, 1)
		if !within(got.mean, mean, 1e-6) || !tpptest.Near(got.variance, variance, 1e-4) {
			t.Errorf("gap %v: mean %v and variance %v, want %v and %v", gap, got.mean, got.variance, mean, variance)
		}
	}
}

// oddDatasets returns valid datasets that are degenerate for a fit.
func oddDatasets() map[string]*tpp.Dataset {
	return map[string]*tpp.Dataset{
		"one gap":         {Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1, 5}}}},
		"equal gaps":      {Sequences: []tpp.Sequence{{ArrivalTimes: []float64{0, 5, 10, 15, 20}}}},
		"many equal gaps": {Sequences: slicesOf(40, tpp.Sequence{ArrivalTimes: []float64{0, 5, 10, 15, 20}})},
		"zero gaps":       {Sequences: []tpp.Sequence{{ArrivalTimes: []float64{7, 7, 7, 7}}}},
		"many zero gaps":  {Sequences: slicesOf(40, tpp.Sequence{ArrivalTimes: []float64{7, 7, 7, 7, 12}})},
		"a first event":   {Sequences: []tpp.Sequence{{ArrivalTimes: []float64{9}, TStart: new(2.0)}}},
		"tiny and huge":   {Sequences: []tpp.Sequence{{ArrivalTimes: []float64{0, 1e-3, 1e9, 1e9 + 1e-3}}}},
		"a mark unseen":   {MarkNames: []string{"a", "b"}, Sequences: []tpp.Sequence{{ArrivalTimes: []float64{0, 1}, Marks: []int{0, 0}}}},
		"a window's end":  {Sequences: []tpp.Sequence{{ArrivalTimes: []float64{0, 10}, TEnd: new(1e6)}}},
		"waiting for ever": {Sequences: []tpp.Sequence{
			{ArrivalTimes: []float64{0, 10}, TEnd: new(1e12)}, {ArrivalTimes: []float64{0, 10, 20}}}},
		"a lone event beside": {MarkNames: []string{"a", "b"}, Sequences: []tpp.Sequence{
			{ArrivalTimes: []float64{3}, Marks: []int{1}}, {ArrivalTimes: []float64{0, 1}, Marks: []int{0, 0}}}},
	}
}

func slicesOf(n int, s tpp.Sequence) []tpp.Sequence {
	out := make([]tpp.Sequence, n)
	for i := range out {
		out[i] = s
	}
	return out
}

// TestFitTakesOddData checks that every kind can be fitted to degenerate data and gives finite scores.
func TestFitTakesOddData(t *testing.T) {
	for name, d := range oddDatasets() {
		// Also what training never saw: every mark after every other, soon and late, in sequences complete and not.
		strange := &tpp.Dataset{MarkNames: d.MarkNames, Sequences: []tpp.Sequence{
			{ArrivalTimes: []float64{0, 0, 3, 1e7, 1e7}, Marks: []int{0, d.NumMarks() - 1, 0, 0, d.NumMarks() - 1}, TStart: new(-5.0), TEnd: new(1e9)},
			{ArrivalTimes: []float64{0, 4}, Marks: []int{d.NumMarks() - 1, d.NumMarks() - 1}},
		}}
		t.Run(name, func(t *testing.T) {
			fitEach(t, d, FitOptions{}, func(kind string, m tpp.FileModel) {
				for _, data := range []*tpp.Dataset{d, strange} {
					got, err := eval.Evaluate(t.Context(), m, data, eval.EvaluateOptions{})
					if err != nil {
						t.Fatal(err)
					}
					for _, v := range []float64{got.NLLTime, got.NLLMark, got.NLL, got.NLLResolution, got.MAE, got.RMSE, got.Accuracy} {
						if math.IsNaN(v) || math.IsInf(v, 0) {
							t.Fatalf("%s: scores are not finite: %+v", kind, got)
						}
					}
				}
			})
		})
	}
}

// TestFitInOtherUnits checks that scaling the unit of time shifts the NLL by the logarithm of the factor and scales
// the predictions.
func TestFitInOtherUnits(t *testing.T) {
	d := tpptest.Chains(11, 60)
	for i := range d.Sequences {
		s := &d.Sequences[i]
		start := s.ArrivalTimes[0]
		for j := range s.ArrivalTimes {
			s.ArrivalTimes[j] -= start // the sums that follow must not lose digits
		}
		if i%3 == 0 {
			s.TEnd = new(s.ArrivalTimes[s.Len()-1] + 30)
		}
	}
	const factor = 1. / 1024
	scaled := &tpp.Dataset{MarkNames: d.MarkNames}
	for _, s := range d.Sequences {
		times := make([]float64, s.Len())
		for j, v := range s.ArrivalTimes {
			times[j] = v * factor
		}
		s.ArrivalTimes = times
		if s.TEnd != nil {
			s.TEnd = new(*s.TEnd * factor)
		}
		scaled.Sequences = append(scaled.Sequences, s)
	}
	want := map[string]eval.Scores{}
	fitEach(t, d, FitOptions{}, func(name string, m tpp.FileModel) {
		want[name], _ = eval.Evaluate(t.Context(), m, d, eval.EvaluateOptions{})
	})
	fitEach(t, scaled, FitOptions{TimeUnit: "1.024 s", Resolution: factor}, func(name string, m tpp.FileModel) {
		got, err := eval.Evaluate(t.Context(), m, scaled, eval.EvaluateOptions{Resolution: factor})
		if err != nil {
			t.Fatal(err)
		}
		const tolerance = 2e-4 // of an optimum that is found to so many digits, in float32
		if !within(got.NLL, want[name].NLL+math.Log(factor), tolerance) || !within(got.NLLMark, want[name].NLLMark, tolerance) ||
			!within(got.NLLResolution, want[name].NLLResolution, tolerance) || !within(got.MAE/factor, want[name].MAE, 1e-2*want[name].MAE) {
			t.Errorf("%s: scores %+v, in the other unit %+v", name, want[name], got)
		}
	})
}

// TestFitIsRepeatable checks that the same data gives the same file.
func TestFitIsRepeatable(t *testing.T) {
	d := tpptest.Chains(12, 30)
	files := map[string]string{}
	fitEach(t, d, FitOptions{}, func(name string, m tpp.FileModel) { files[name] = tpptest.Encoded(t, m) })
	fitEach(t, d, FitOptions{}, func(name string, m tpp.FileModel) {
		if tpptest.Encoded(t, m) != files[name] {
			t.Errorf("%s: two fits give two models", name)
		}
	})
}

// TestFitRejects checks that invalid options and data give errors with the reason.
func TestFitRejects(t *testing.T) {
	good := tpptest.Chains(5, 10)
	lone := &tpp.Dataset{MarkNames: good.MarkNames, Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1}, Marks: []int{0}}}}
	for _, c := range []struct {
		name   string
		kind   Kind
		data   *tpp.Dataset
		opts   FitOptions
		reason string
	}{
		{"an unknown kind", "arima", good, FitOptions{}, `unknown kind of classical model "arima"`},
		{"a negative resolution", KindPoisson, good, FitOptions{Resolution: -1}, "the resolution is -1"},
		{"negative components", KindRenewal, good, FitOptions{Components: -2}, "components is -2"},
		{"nothing to score", KindHawkes, lone, FitOptions{}, "Hawkes process: no sequence has an event to score"},
		{"nothing to count", KindLookupSet, lone, FitOptions{}, "lookup table: the dataset has no gap to count"},
		{"broken data", KindMarkovRenewal, &tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{2, 1}}}}, FitOptions{}, "sequence 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Fit(t.Context(), c.kind, c.data, c.opts)
			if m != nil || err == nil || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("got a model: %t, and error %v, want one that says %q", m != nil, err, c.reason)
			}
		})
	}
}

// TestClassicalStates checks observing, cloning, copying and serialising states of every kind.
func TestClassicalStates(t *testing.T) {
	fitEach(t, tpptest.Chains(13, 60), FitOptions{}, func(name string, m tpp.FileModel) {
		state := m.NewState(0)
		if state.Next(0).End != 0 {
			t.Errorf("%s: a sequence may be over before its first event", name)
		}
		for i, mark := range []int{0, 1} {
			if err := state.Observe(tpp.Event{Time: float64(100 + 20*i), Mark: mark}); err != nil {
				t.Fatal(err)
			}
		}
		says := func(s tpp.State) string {
			n := s.Next(130)
			return fmt.Sprint(dist.Median(n.Time), n.Marks, n.End, n.LogResolution(20, 1, 2))
		}
		before := says(state)
		for _, e := range []tpp.Event{{Time: 119}, {Time: 130, Mark: 3}, {Time: 130, Mark: -1}, {Time: math.NaN()}, {Time: math.Inf(1)}} {
			if err := state.Observe(e); err == nil {
				t.Errorf("%s: event %+v was observed", name, e)
			}
		}
		if after := says(state); after != before {
			t.Errorf("%s: refused events changed the state from %s to %s", name, before, after)
		}
		clone, copied := state.Clone(), m.NewState(7)
		if c, ok := copied.(interface{ CopyFrom(tpp.State) bool }); !ok || !c.CopyFrom(state) || c.CopyFrom(tpptest.Clockwork{}) {
			t.Errorf("%s: a state does not copy those of its model, and no others", name)
		}
		packed, err := live.MarshalState(m, state)
		if err != nil {
			t.Fatal(err)
		}
		unpacked, err := live.UnmarshalState(m, packed)
		if err != nil || says(unpacked) != before {
			t.Errorf("%s: a state that travelled says other things, error %v", name, err)
		}
		if err := state.Observe(tpp.Event{Time: 150, Mark: 2}); err != nil {
			t.Fatal(err)
		}
		if says(clone) != before || says(copied) != before {
			t.Errorf("%s: a copy changed with the state it was taken from", name)
		}
		// The longer nothing comes, the likelier is the end.
		last := 0.0
		for _, now := range []float64{150, 300, 3000} {
			n := state.Next(now)
			if n.End < last || n.End <= 0 || n.End > 1 {
				t.Errorf("%s: at %v the end has the probability %v, before %v", name, now, n.End, last)
			}
			last = n.End
		}
	})
}

// TestLookupKnowsTheEnd checks the probability of the end with and without complete sequences.
func TestLookupKnowsTheEnd(t *testing.T) {
	d := &tpp.Dataset{MarkNames: []string{"a", "b"}, Sequences: []tpp.Sequence{
		{ArrivalTimes: []float64{0, 10}, Marks: []int{0, 1}},
		{ArrivalTimes: []float64{0, 12}, Marks: []int{0, 1}},
		{ArrivalTimes: []float64{0}, Marks: []int{0}},
		{ArrivalTimes: []float64{0}, Marks: []int{0}, TEnd: new(50.0)}, // still running: it tells nothing
	}}
	l, err := FitLookup(t.Context(), LastMark, d, FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for mark, want := range []float64{(1 + 1./3) / (2 + 1 + 1), (2 + 1./3) / (2 + 1)} {
		state := l.NewState(0)
		if err := state.Observe(tpp.Event{Mark: mark}); err != nil {
			t.Fatal(err)
		}
		if got := state.Next(0).End; !within(got, want, 1e-12) {
			t.Errorf("after mark %d the end has the probability %v, want %v", mark, got, want)
		}
		if median := dist.Median(state.Next(0).Time); !within(median, 11, 1e-9) {
			t.Errorf("after mark %d the median is %v, want 11: where all sequences ended, that of all events", mark, median)
		}
	}
	for i := range d.Sequences {
		d.Sequences[i].TEnd = new(50.0)
	}
	if l, err = FitLookup(t.Context(), LastMark, d, FitOptions{}); err != nil || l.cells[string((&lookupHistory{}).key(LastMark, emptyKey))].next.End != 0 {
		t.Errorf("sequences that were all still running teach an end, error %v", err)
	}
}

// TestLookupCounts checks medians and marks against counts by hand, fallbacks included.
func TestLookupCounts(t *testing.T) {
	d := &tpp.Dataset{MarkNames: []string{"a", "b", "c"}, Sequences: []tpp.Sequence{
		{ArrivalTimes: []float64{0, 10, 40}, Marks: []int{0, 1, 2}},
		{ArrivalTimes: []float64{0, 12, 40}, Marks: []int{0, 1, 0}},
		{ArrivalTimes: []float64{0, 50}, Marks: []int{0, 2}},
		{ArrivalTimes: []float64{0, 7, 8}, Marks: []int{2, 1, 0}},
	}}
	for _, c := range []struct {
		key         LookupKey
		history     []int
		median      float64
		likeliest   int
		probability float64
	}{
		{LastMark, []int{0}, 12, 1, (2 + 1./3) / 4},
		{LastMark, []int{1}, 28, 0, (2 + 1./3) / 4},
		{LastThreeMarks, []int{2, 1}, 1, 0, (1 + 1./3) / 2},
		{LastThreeMarks, []int{0, 1}, 29, 0, (1 + 1./3) / 3}, // ties: the mean of the middle two, the first mark
		{LastThreeMarks, []int{1, 1}, 28, 0, (2 + 1./3) / 4}, // never seen: falls back to the last mark
		{LastMarkAndSet, []int{2, 2, 2, 1}, 1, 0, (1 + 1./3) / 2},
		{LastMarkAndSet, []int{2, 0, 1}, 28, 0, (2 + 1./3) / 4},
	} {
		l, err := FitLookup(t.Context(), c.key, d, FitOptions{})
		if err != nil {
			t.Fatal(err)
		}
		state := l.NewState(0)
		for i, m := range c.history {
			if err := state.Observe(tpp.Event{Time: float64(i), Mark: m}); err != nil {
				t.Fatal(err)
			}
		}
		next := state.Next(0)
		if got := dist.Median(next.Time); !tpptest.Near(got, c.median, 1e-9) {
			t.Errorf("%s after %v: median %v, want %v", l.Kind(), c.history, got, c.median)
		}
		if got := next.LikeliestMark(); got != c.likeliest || !tpptest.Near(next.Marks[got], c.probability, 1e-12) {
			t.Errorf("%s after %v: marks %v, want %d with %v", l.Kind(), c.history, next.Marks, c.likeliest, c.probability)
		}
	}
	if _, err := FitLookup(t.Context(), LastMark, &tpp.Dataset{}, FitOptions{}); err == nil {
		t.Error("a table of nothing was fitted")
	}
}
