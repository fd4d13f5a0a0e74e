package live

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/modeltest"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// TestFuturesOfModelsThatAreToldStarts checks that a model which has to be told when events start is refused where futures are drawn, and only
// there.
func TestFuturesOfModelsThatAreToldStarts(t *testing.T) {
	d := tpptest.Calls(3, 40)
	m := modeltest.Race(t, race.Config{Regime: race.Starts}, d)
	f := newForecaster(t, m, ForecasterOptions{})
	if err := f.Observe("x", tpp.Event{Time: 1}); err != nil {
		t.Fatal(err)
	}
	drawn := ForecastOptions{Paths: 64}
	for name, call := range map[string]func() error{
		"simulate: ": func() error { _, err := Simulate(t.Context(), m, 1, SimulateOptions{}); return err },
		"forecast: ": func() error { _, err := NewForecast(t.Context(), m.NewState(0), 0, 10, drawn); return err },
		"trace x: ":  func() error { _, err := f.Forecast(t.Context(), "x", 1, 10, drawn); return err },
		"forecast:":  func() error { _, err := f.ForecastAll(t.Context(), 1, 10, drawn); return err },
	} {
		err := call()
		if err == nil || !strings.HasPrefix(err.Error(), name) || !strings.HasSuffix(err.Error(), "the model has to be told when events start, which nobody knows of events that are drawn") {
			t.Errorf("%s got error %v", name, err)
		}
	}
	if _, err := NewForecast(t.Context(), m.NewState(0), 0, 10, ForecastOptions{}); err != nil {
		t.Error(err)
	}
	if all, err := f.ForecastAll(t.Context(), 1, 1e9, ForecastOptions{}); err != nil || !(all.Any.Count > 0) {
		t.Errorf("forecast %+v, error %v", all, err)
	}
}

// startsBetween returns the events of a sequence that start at a time or before and after another, in the order of their starts.
func startsBetween(s *tpp.Sequence, after, until float64) []int {
	var out []int
	for i, at := range s.ArrivalTimes {
		if start := at + s.WaitTimes[i]; start > after && start <= until && (s.TEnd == nil || start <= *s.TEnd) {
			out = append(out, i)
		}
	}
	slices.SortStableFunc(out, func(a, b int) int {
		return cmp.Compare(s.ArrivalTimes[a]+s.WaitTimes[a], s.ArrivalTimes[b]+s.WaitTimes[b])
	})
	return out
}

// TestForecasterIsToldStarts follows sequences with a Forecaster that is told of each start when it comes. Its predictions are those of
// Predict on the sequence as a whole, and of a state alone.
func TestForecasterIsToldStarts(t *testing.T) {
	d := tpptest.Calls(3, 40)
	m := modeltest.Race(t, race.Config{Regime: race.Starts}, d)
	f := newForecaster(t, m, ForecasterOptions{})
	untold, changed := newForecaster(t, m, ForecasterOptions{}), 0
	for k := range d.Sequences {
		s := &d.Sequences[k]
		s.TStart = nil // a Forecaster hears of a trace by its first event
		key := fmt.Sprint(k)
		predictions, err := Predict(m, s, 1)
		if err != nil {
			t.Fatal(err)
		}
		before := math.Inf(-1)
		alone := m.NewState(s.Start())
		tell := func(until float64) {
			for _, i := range startsBetween(s, before, until) {
				start := s.ArrivalTimes[i] + s.WaitTimes[i]
				if err := f.ObserveStart(key, start, i, s.WaitTimes[i], s.InitTimes[i]); err != nil {
					t.Fatal(err)
				}
				if err := alone.(tpp.StartedState).ObserveStart(start, i, s.WaitTimes[i], s.InitTimes[i]); err != nil {
					t.Fatal(err)
				}
			}
			before = max(before, until)
		}
		for i := range s.Len() {
			e := s.Event(i, nil, nil)
			tell(e.Time)
			for _, err := range []error{f.Observe(key, e), untold.Observe(key, e), alone.Observe(e)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			f.Next(key, e.Time, func(n *tpp.Next) {
				if p := predictions[i]; n.Median() != p.Median || n.End != p.End {
					t.Errorf("sequence %d, event %d: median %v and end %v, Predict says %+v", k, i, n.Median(), n.End, p)
				}
			})
			untold.Next(key, e.Time, func(n *tpp.Next) {
				if n.Median() != predictions[i].Median {
					changed++
				}
			})
		}
		tell(math.Inf(1))
		last := s.ArrivalTimes[s.Len()-1] + 1000
		if s.TEnd != nil {
			last = max(last, *s.TEnd)
		}
		if state, ok := f.State(key); !ok || !tpptest.SameNext(state, alone, last) {
			t.Errorf("sequence %d: at its end the state predicts otherwise than alone", k)
		}
	}
	if changed < 10 {
		t.Errorf("starts changed %d predictions", changed)
	}
	if err := f.ObserveStart("nobody", 1, 0, 0, 0); !errors.Is(err, ErrNoTrace) {
		t.Errorf("a start of no trace: error %v", err)
	}
	stats := f.Stats()
	if err := f.ObserveStart("1", 0, 0, 0, 0); err == nil || !strings.HasPrefix(err.Error(), "trace 1: ") || f.Stats().Rejected != stats.Rejected+1 {
		t.Errorf("a start in the past: error %v", err)
	}
	if err := (&Forecaster[int]{}).ObserveStart(1, 0, 0, 0, 0); err == nil {
		t.Error("a Forecaster that nobody made takes starts")
	}
}

// TestStartsPutOffTheEnd checks that a trace whose event has started is not silent since its arrival, and that models that do not want
// to know ignore starts.
func TestStartsPutOffTheEnd(t *testing.T) {
	d := tpptest.Calls(3, 40)
	for _, c := range []struct {
		regime race.Regime
		left   int
	}{{race.Starts, 1}, {race.Arrivals, 0}, {race.OnlyStarts, 0}} {
		f := newForecaster(t, modeltest.Race(t, race.Config{Regime: c.regime}, d), ForecasterOptions{MaxIdle: 50, IdleSurvival: 1e-300, EndProbability: 1})
		for _, err := range []error{f.Observe("x", tpp.Event{Time: 1}), f.ObserveStart("x", 40, 0, 39, 0)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		f.Expire(60)
		if got := f.Stats().Traces; got != c.left {
			t.Errorf("%s: %d traces are left, want %d", c.regime, got, c.left)
		}
	}
}

// TestPredictNeedsStarts checks that Predict refuses sequences that do not say when their events start, where the model has to know.
func TestPredictNeedsStarts(t *testing.T) {
	d := tpptest.Calls(3, 40)
	s := d.Sequences[0]
	s.WaitTimes = nil
	for _, regime := range race.Regimes() {
		m := modeltest.Race(t, race.Config{Regime: regime}, d)
		_, err := Predict(m, &s, 1)
		if regime != race.Starts {
			if err != nil {
				t.Error(err)
			}
		} else if err == nil || !strings.HasPrefix(err.Error(), "predict: ") || !strings.Contains(err.Error(), "no wait times") {
			t.Errorf("%s: error %v", regime, err)
		}
	}
}

// TestTimesOfStarts checks that a model whose times are starts predicts from the sequence at its starts, and that what it draws is of starts,
// which it takes as they are.
func TestTimesOfStarts(t *testing.T) {
	d := tpptest.Calls(3, 40)
	m := modeltest.Race(t, race.Config{Regime: race.OnlyStarts}, d)
	at, err := d.AtStarts()
	if err != nil {
		t.Fatal(err)
	}
	for i := range d.Sequences {
		got, err := Predict(m, &d.Sequences[i], 3)
		want, errAt := Predict(m, &at.Sequences[i], 3)
		if err != nil || errAt != nil {
			t.Fatal(err, errAt)
		}
		if len(got) != at.Sequences[i].Len() || !reflect.DeepEqual(got, want) {
			t.Errorf("sequence %d: %+v, at its starts %+v", i, got, want)
		}
	}
	drawn, err := Simulate(t.Context(), m, 10, SimulateOptions{Beginnings: []tpp.Sequence{d.Sequences[1].First(1)}})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range drawn {
		if s.WaitTimes != nil {
			t.Errorf("%+v waited", s)
		}
		if begun := d.Sequences[1].ArrivalTimes[0] + d.Sequences[1].WaitTimes[0]; s.ArrivalTimes[0] != begun {
			t.Errorf("a sequence that begins with a start at %v begins at %v", begun, s.ArrivalTimes[0])
		}
		if _, err := Predict(m, &s, 1); err != nil {
			t.Error(err)
		}
	}
}

func TestPredict(t *testing.T) {
	s := &tpp.Sequence{ArrivalTimes: []float64{1, 2}, Marks: []int{0, 1}}
	got, err := Predict(tpptest.Clockwork{}, s, 2)
	if err != nil {
		t.Fatal(err)
	}
	want := Prediction{
		Event: 1, Median: 10 * math.Ln2, Lower: -10 * math.Log(0.95), Upper: -10 * math.Log(0.05),
		Marks: []MarkProbability{{Mark: 2, Name: "c", Probability: 0.5}, {Mark: 1, Name: "b", Probability: 1. / 3}},
	}
	if len(got) != 2 || fmt.Sprintf("%.9v", got[1]) != fmt.Sprintf("%.9v", want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// silent is a model whose next event is the zero value: none ever comes.
type silent struct{ tpptest.Clockwork }

func (silent) NewState(float64) tpp.State { return silentState{} }

type silentState struct{ tpptest.Clockwork }

func (silentState) Next(float64) *tpp.Next { return &tpp.Next{} }
func (silentState) Clone() tpp.State       { return silentState{} }

// TestPredictNothing checks that the zero value of tpp.Next is a prediction too.
func TestPredictNothing(t *testing.T) {
	p, err := Predict(silent{}, &tpp.Sequence{ArrivalTimes: []float64{1}, Marks: []int{0}}, 1)
	if err != nil || len(p) != 1 || !math.IsInf(p[0].Lower, 1) || !math.IsInf(p[0].Median, 1) || !math.IsInf(p[0].Upper, 1) {
		t.Errorf("got %+v, error %v", p, err)
	}
}
