package classical

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/eval"
)

// windows returns windows of 1000 ms over a Poisson process with a mean gap of 2000 ms, most of them without an event.
func windows(n int) (d *tpp.Dataset, events int) {
	rng := rand.New(rand.NewPCG(3, 4))
	d = &tpp.Dataset{MarkNames: []string{"a", "b"}}
	for i := range n {
		start := float64(i) * 1000
		s := tpp.Sequence{TStart: new(start), TEnd: new(start + 1000)}
		for at := start + 2000*rng.ExpFloat64(); at < start+1000; at += 2000 * rng.ExpFloat64() {
			s.ArrivalTimes, s.Marks = append(s.ArrivalTimes, at), append(s.Marks, rng.IntN(2))
			events++
		}
		d.Sequences = append(d.Sequences, s)
	}
	return d, events
}

func TestWindowsWithoutEventsCount(t *testing.T) {
	d, events := windows(600)
	m, err := FitPoisson(t.Context(), d, FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// Without the empty windows the rate would be 2.6 times as high.
	if want := float64(events) / 6e5; math.Abs(m.Rate()/want-1) > 1e-3 {
		t.Errorf("the rate is %v, %d events in 600 windows of 1000 ms are %v", m.Rate(), events, want)
	}
	truth := -float64(events)*math.Log(1.0/2000) + 6e5/2000 // less the marks
	for _, kind := range Kinds() {
		model, err := Fit(t.Context(), kind, d, FitOptions{})
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		scores, err := eval.Evaluate(t.Context(), model, d, eval.EvaluateOptions{})
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		if scores.Sequences != 600 || scores.Events != events {
			t.Errorf("%s: %d sequences and %d events are scored, want 600 and %d", kind, scores.Sequences, scores.Events, events)
		}
		got := (scores.NLL - scores.NLLMark) * float64(events)
		table := strings.HasPrefix(string(kind), "lookup-") || kind == KindContinuation
		if !table && math.Abs(got/truth-1) > 0.03 {
			t.Errorf("%s: negative log likelihood of the times %v, of the process itself %v", kind, got, truth)
		}
	}
}

func TestEmptyWindowsDoNotChangeEnds(t *testing.T) {
	d := &tpp.Dataset{}
	for i := range 50 {
		at := float64(i) * 1e4
		d.Sequences = append(d.Sequences, tpp.Sequence{ArrivalTimes: []float64{at, at + 100, at + 300}, TStart: new(at - 100)})
	}
	with := &tpp.Dataset{Sequences: append([]tpp.Sequence(nil), d.Sequences...)}
	for range 500 {
		with.Sequences = append(with.Sequences, tpp.Sequence{TStart: new(0.0), TEnd: new(50.0)})
	}
	for _, kind := range []Kind{KindPoisson, KindRenewal, KindMarkovRenewal, KindHawkes} {
		ends := [2]float64{}
		for i, d := range []*tpp.Dataset{d, with} {
			m, err := Fit(t.Context(), kind, d, FitOptions{})
			if err != nil {
				t.Fatal(err)
			}
			state := m.NewState(0)
			if err := state.Observe(tpp.Event{Time: 1}); err != nil {
				t.Fatal(err)
			}
			ends[i] = state.Next(1).End
		}
		if math.Abs(ends[0]-ends[1]) > 0.01 {
			t.Errorf("%s: the probability of the end is %v, with empty windows %v", kind, ends[0], ends[1])
		}
	}
}
