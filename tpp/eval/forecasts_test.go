package eval

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

// predictsAll is clockwork whose states predict all events to come themselves: one of mark 0 in 10, and one of mark 1 in 30
// with a probability of 0.4.
type predictsAll struct{ tpptest.Clockwork }

func (p predictsAll) NewState(float64) tpp.State { return p }
func (p predictsAll) Clone() tpp.State           { return p }
func (predictsAll) Continue(now float64) iter.Seq[tpp.PredictedEvent] {
	return func(yield func(tpp.PredictedEvent) bool) {
		_ = yield(tpp.PredictedEvent{Time: now + 10, Mark: 0, Probability: 0.9}) &&
			yield(tpp.PredictedEvent{Time: now + 30, Mark: 1, Probability: 0.4})
	}
}

func TestForecastsByHand(t *testing.T) {
	names := []string{"a", "b", "c"}
	sequence := &tpp.Sequence{ArrivalTimes: []float64{0, 10, 32, 40}, Marks: []int{2, 0, 1, 0}}
	for _, c := range []struct {
		name      string
		sequence  *tpp.Sequence
		opts      ForecastOptions
		tmap, otd float64
	}{
		// Of mark 0, at 10 after 0: right. After 10, at 20 for 40: wrong. After 32, at 42 for 40: right. After 40: wrong. Two of
		// the four events of mark 0 that came in the windows, at one confidence: 1/2 · 2/4. Of mark 1, at 30 for 32: right; at
		// 40 for 32: wrong; at 62 and 70: wrong. One of two that came: 1/4 · 1/2.
		{"all prefixes", sequence, ForecastOptions{Horizon: 50, Tolerance: 5, NextEvents: 1, EditCost: 4}, (2./4*2/4 + 1./4/2) / 2, (0 + 8 + 2 + 4) / 4.},
		{"every other from the second on", sequence, ForecastOptions{Horizon: 50, Tolerance: 5, NextEvents: 1, EditCost: 4, Prefix: 2, PrefixStep: 2}, 0, (8 + 4) / 2.},
		{"what comes at the horizon does not count", sequence, ForecastOptions{Horizon: 10, Tolerance: 5, NextEvents: 1, EditCost: 4, PrefixStep: 9}, math.NaN(), 0},
		{"no horizon", sequence, ForecastOptions{NextEvents: 3, EditCost: 4}, math.NaN(), (8 + (8 + 4) + 2 + 4) / 4.},
		{"defaults", sequence, ForecastOptions{Horizon: 20, PrefixStep: 9}, 1, 0 + 2 + 2},
		{"one event at most", sequence, ForecastOptions{Horizon: 50, Tolerance: 5, NextEvents: 1, EditCost: 4, MaxEvents: 1, PrefixStep: 9}, (1. / 2) / 2, 0},
		// It is known what came up to 50 after 0 and 10, and one event after each but the last.
		{"a sequence still running", &tpp.Sequence{ArrivalTimes: sequence.ArrivalTimes, Marks: sequence.Marks, TEnd: new(60.0)},
			ForecastOptions{Horizon: 50, Tolerance: 5, NextEvents: 1, EditCost: 4}, (1./2/3 + 1./2/2) / 2, (0 + 8 + 2) / 3.},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &tpp.Dataset{MarkNames: names, Sequences: []tpp.Sequence{*c.sequence}}
			got, err := Evaluate(t.Context(), predictsAll{}, d, EvaluateOptions{Forecasts: c.opts})
			if err != nil {
				t.Fatal(err)
			}
			if !same(got.TMAP, c.tmap, 1e-12) || !same(got.OTD, c.otd, 1e-12) {
				t.Errorf("T-mAP %v and OTD %v, want %v and %v", got.TMAP, got.OTD, c.tmap, c.otd)
			}
		})
	}
}

// TestGreedyContinuation checks that events follow one another by the median gap, as probable as that the sequence went on.
func TestGreedyContinuation(t *testing.T) {
	var got []string
	for e, err := range GreedyContinuation(&ending{}, &ending{}, 5) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%v %d %.3f %v", e.Time, e.Mark, e.Probability, e.Marks))
	}
	want := []string{"15 0 0.750 [1 0]", "25 1 0.562 [0 1]", "35 0 0.422 [1 0]", "45 1 0.105 [0 1]", "55 0 0.026 [1 0]"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	errs := 0
	for _, err := range GreedyContinuation(&ending{}, refuses{}, 5) {
		if err != nil {
			errs++
		}
	}
	if errs != 1 {
		t.Errorf("%d errors of a state that refuses events", errs)
	}
}

// refuses is a state that takes no event.
type refuses struct{ tpptest.Clockwork }

func (refuses) Observe(tpp.Event) error { return errors.New("no") }

func TestForecastOptionsAreChecked(t *testing.T) {
	d := exponentialGaps(2, 1, 5, 10, 1)
	for reason, opts := range map[string]ForecastOptions{
		"the horizon of forecasts is -1":                   {Horizon: -1},
		"the horizon of forecasts is NaN":                  {Horizon: math.NaN()},
		"the horizon of forecasts is +Inf":                 {Horizon: math.Inf(1)},
		"the tolerance of forecasts is -2":                 {Horizon: 1, Tolerance: -2},
		"the edit cost of forecasts is 0":                  {NextEvents: 1},
		"the edit cost of forecasts is NaN":                {NextEvents: 1, EditCost: math.NaN()},
		"forecasts of -1 events":                           {NextEvents: -1},
		"forecasts after -1 events and then every 1":       {Horizon: 1, Prefix: -1},
		"forecasts after 1 events and then every -4":       {Horizon: 1, PrefixStep: -4},
		"forecasts of at most -1 events":                   {Horizon: 1, MaxEvents: -1},
		"event 0: forecast: an event at -5 follows one at": {Horizon: 1, Continue: yields(tpp.PredictedEvent{Time: -5, Probability: 1})},
		"an event comes with probability 2":                {Horizon: 1, Continue: yields(tpp.PredictedEvent{Time: 1e9, Probability: 2})},
		"an event has mark -1":                             {Horizon: 1, Continue: yields(tpp.PredictedEvent{Time: 1e9, Probability: 1, Mark: -1})},
	} {
		if _, err := Evaluate(t.Context(), tpptest.Clockwork{}, d, EvaluateOptions{Forecasts: opts}); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%+v: error %v, want %q", opts, err, reason)
		}
	}
}

func yields(e tpp.PredictedEvent) Continuation {
	return func(tpp.Model, tpp.State, float64) iter.Seq2[tpp.PredictedEvent, error] {
		return func(yield func(tpp.PredictedEvent, error) bool) { yield(e, nil) }
	}
}

func TestForecastScoresDoNotDependOnWorkers(t *testing.T) {
	d := tpptest.RandomDataset(rand.New(rand.NewPCG(5, 1)), 200, 3)
	d.MarkNames = []string{"a", "b", "c"}
	opts := EvaluateOptions{Workers: 1, Forecasts: ForecastOptions{Horizon: 60}}
	want, err := Diagnose(t.Context(), tpptest.Clockwork{}, d, opts)
	if err != nil {
		t.Fatal(err)
	}
	opts.Workers = 4
	got, err := Diagnose(t.Context(), tpptest.Clockwork{}, d, opts)
	if err != nil {
		t.Fatal(err)
	}
	if got.Scores.TMAP != want.Scores.TMAP || got.Scores.OTD != want.Scores.OTD || !(got.Scores.TMAP > 0) {
		t.Errorf("with four workers T-mAP %v and OTD %v, with one %v and %v", got.Scores.TMAP, got.Scores.OTD, want.Scores.TMAP, want.Scores.OTD)
	}
	if f := got.Forecasts; f.Tolerance != 12 || f.EditCost != 6 || f.NextEvents != 10 || f.Prefix != 1 || f.PrefixStep != 1 {
		t.Errorf("the defaults are %+v", f)
	}
}

func TestDefaultHorizon(t *testing.T) {
	d := &tpp.Dataset{Sequences: []tpp.Sequence{
		{ArrivalTimes: []float64{0, 10, 30}}, {ArrivalTimes: []float64{7}}, {ArrivalTimes: []float64{5, 20}}, {TStart: new(0.0), TEnd: new(9.0)},
	}}
	if h, err := DefaultHorizon(each(d)); err != nil || h != 10*45./3 {
		t.Errorf("horizon %v, %v", h, err)
	}
	torn := errors.New("torn")
	if _, err := DefaultHorizon(func(yield func(*tpp.Sequence, error) bool) { yield(nil, torn) }); err != torn {
		t.Errorf("got error %v", err)
	}
	if _, err := DefaultHorizon(each(&tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1, 1}}}})); err == nil {
		t.Error("a horizon was derived from no time")
	}
}
