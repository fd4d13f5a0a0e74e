package tpp_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/live"
	"github.com/tppfaas/tppfaas/tpp/neural"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// TestZeroValues calls every exported method of the zero values of types that callers usually get from a constructor. None may
// panic, and a state of a model that was never fitted accepts no event and expects none.
func TestZeroValues(t *testing.T) {
	for _, fresh := range []func() any{
		func() any { return &tpp.Dataset{} },
		func() any { return &tpp.Drawer{} },
		func() any { return &tpp.ModelFile{} },
		func() any { return &tpp.Next{} },
		func() any { return &live.Forecaster[string]{} },
		func() any { return &live.Forecast{} },
		func() any { return &neural.Recurrent{} },
		func() any { return &race.Race{} },
		func() any { return &classical.Continuation{} },
		func() any { return &classical.Hawkes{} },
		func() any { return &classical.Lookup{} },
		func() any { return &classical.MarkovRenewal{} },
		func() any { return &classical.Poisson{} },
		func() any { return &classical.Renewal{} },
		func() any { return new(classical.LookupKey(-1)) },
		func() any { return new(classical.LookupKey(9)) },
		func() any { return &eval.Confusion{} },
		func() any { return &eval.RepeatedScores{} },
		func() any { return &eval.Repetition{} },
		func() any { return &eval.Scores{} },
	} {
		typ := reflect.TypeOf(fresh())
		for method := range typ.Methods() {
			t.Run(typ.String()+"."+method.Name, func(t *testing.T) {
				args := []reflect.Value{reflect.ValueOf(fresh())}
				for i := 1; i < method.Type.NumIn(); i++ {
					args = append(args, someValue(method.Type.In(i)))
				}
				call := method.Func.Call
				if method.Type.IsVariadic() {
					call = method.Func.CallSlice
				}
				for _, out := range call(args) {
					if state, ok := out.Interface().(tpp.State); ok {
						checkUnfitted(t, state)
					}
				}
			})
		}
	}
	for _, m := range []tpp.FileModel{
		&neural.Recurrent{}, &race.Race{}, &classical.Continuation{}, &classical.Hawkes{}, &classical.Lookup{}, &classical.MarkovRenewal{}, &classical.Poisson{}, &classical.Renewal{},
	} {
		if err := m.Encode(io.Discard); err == nil {
			t.Errorf("the zero value of %T can be written", m)
		}
	}
}

// someValue returns an argument of the type.
func someValue(typ reflect.Type) reflect.Value {
	switch {
	case typ == reflect.TypeFor[context.Context]():
		return reflect.ValueOf(context.Background())
	case typ == reflect.TypeFor[io.Writer]():
		return reflect.ValueOf(new(bytes.Buffer))
	case typ == reflect.TypeFor[*tpp.Next]():
		return reflect.ValueOf(&tpp.Next{})
	case typ.Kind() == reflect.Func:
		return reflect.MakeFunc(typ, func([]reflect.Value) []reflect.Value { return nil })
	}
	return reflect.Zero(typ)
}

func checkUnfitted(t *testing.T, state tpp.State) {
	t.Helper()
	for _, s := range []tpp.State{state, state.Clone()} {
		if err := s.Observe(tpp.Event{Time: 1}); err == nil {
			t.Error("a state of a model without parameters accepts an event")
		}
		next := s.Next(2)
		if next.Within(1e9) != 0 || !math.IsInf(next.Median(), 1) {
			t.Errorf("a state of a model without parameters expects an event in %v", next.Median())
		}
		var d tpp.Drawer
		d.Reset(next)
		if tau, _, _ := d.Draw(0.5, 0.5); !math.IsInf(tau, 1) {
			t.Errorf("a state of a model without parameters draws an event after %v", tau)
		}
	}
}

// TestMisuse checks that calls with a missing or an impossible argument return errors that name it.
func TestMisuse(t *testing.T) {
	ctx := t.Context()
	data := &tpp.Dataset{MarkNames: []string{"a"}, Sequences: []tpp.Sequence{{ArrivalTimes: []float64{0, 1, 3}}}}
	empty := &tpp.Dataset{Sequences: make([]tpp.Sequence, 1)}
	m, err := classical.FitPoisson(ctx, data, classical.FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sequence := &data.Sequences[0]
	type call struct {
		name, reason string
		err          func() error
	}
	calls := []call{
		{"Predict without a model", "no model", func() error { _, err := live.Predict(nil, sequence, 1); return err }},
		{"Predict without a sequence", "no sequence", func() error { _, err := live.Predict(m, nil, 1); return err }},
		{"Predict with top −1", "-1 likeliest marks", func() error { _, err := live.Predict(m, sequence, -1); return err }},
		{"Predict with too few marks", "2 arrival_times but 1 marks", func() error {
			_, err := live.Predict(m, &tpp.Sequence{ArrivalTimes: []float64{1, 2}, Marks: []int{0}}, 1)
			return err
		}},
		{"NewForecast without a state", "no state", func() error { _, err := live.NewForecast(ctx, nil, 0, 1, live.ForecastOptions{}); return err }},
		{"NewForecaster without a model", "no model", func() error { _, err := live.NewForecaster[int](nil, live.ForecasterOptions{}); return err }},
		{"Simulate without a model", "no model", func() error { _, err := live.Simulate(ctx, nil, 1, live.SimulateOptions{}); return err }},
		{"MarshalState without a model", "no model", func() error { _, err := live.MarshalState(nil, m.NewState(0)); return err }},
		{"MarshalState without a state", "no state", func() error { _, err := live.MarshalState(m, nil); return err }},
		{"UnmarshalState without a model", "no model", func() error { _, err := live.UnmarshalState(nil, nil); return err }},
		{"the zero Forecaster", "NewForecaster", func() error { return new(live.Forecaster[int]).Observe(1, tpp.Event{}) }},
		{"Evaluate without a model", "no model", func() error { _, err := eval.Evaluate(ctx, nil, data, eval.EvaluateOptions{}); return err }},
		{"Evaluate without data", "no dataset", func() error { _, err := eval.Evaluate(ctx, m, nil, eval.EvaluateOptions{}); return err }},
		{"Diagnose without data", "no dataset", func() error { _, err := eval.Diagnose(ctx, m, nil, eval.EvaluateOptions{}); return err }},
		{"EvaluateStream without a stream", "no sequences", func() error {
			_, err := eval.EvaluateStream(ctx, m, nil, nil, eval.EvaluateOptions{})
			return err
		}},
		{"Repeat without data", "no dataset", func() error {
			_, err := eval.Repeat(ctx, nil, []uint64{1}, make([]eval.Candidate, 1), eval.EvaluateOptions{})
			return err
		}},
		{"Repeat without a fit", "has no Fit", func() error {
			_, err := eval.Repeat(ctx, data, []uint64{1}, make([]eval.Candidate, 1), eval.EvaluateOptions{})
			return err
		}},
		{"GreedyContinuation without a state", "no state", func() (err error) {
			for _, err = range eval.GreedyContinuation(m, nil, 0) {
			}
			return err
		}},
		{"DefaultHorizon without a stream", "no sequences", func() error { _, err := eval.DefaultHorizon(nil); return err }},
		{"Train without data", "no dataset", func() error {
			_, err := neural.Train(ctx, neural.Config{}, nil, nil, neural.TrainOptions{})
			return err
		}},
		{"Train on a sequence without events", "no events", func() error {
			_, err := neural.Train(ctx, neural.Config{}, empty, nil, neural.TrainOptions{})
			return err
		}},
		{"an unknown lookup key", "unknown key", func() error {
			_, err := classical.FitLookup(ctx, classical.LookupKey(3), data, classical.FitOptions{})
			return err
		}},
		{"WriteTrainedModelFile without a model", "no model", func() error { return tpp.WriteTrainedModelFile(t.TempDir()+"/m", nil, tpp.TrainingData{}) }},
		{"Suspect with too few marks", "2 arrival_times but 1 marks", func() error {
			_, err := eval.Suspect(m, &tpp.Sequence{ArrivalTimes: []float64{1, 2}, Marks: []int{0}}, 1)
			return err
		}},
		{"WriteModelFile without a model", "no model", func() error { return tpp.WriteModelFile(t.TempDir()+"/m", nil) }},
		{"WithMarks of a mark that has no name", "has mark 5", func() error {
			d := &tpp.Dataset{MarkNames: []string{"a"}, Sequences: []tpp.Sequence{{ArrivalTimes: []float64{0}, Marks: []int{5}}}}
			_, err := d.WithMarks([]string{"b"})
			return err
		}},
	}
	for _, kind := range classical.Kinds() {
		for name, d := range map[string]*tpp.Dataset{"no dataset": nil, "no sequences": {}, "a sequence without events": empty} {
			calls = append(calls, call{"Fit of " + string(kind) + " to " + name, "", func() error {
				_, err := classical.Fit(ctx, kind, d, classical.FitOptions{})
				return err
			}})
		}
	}
	for name, d := range map[string]*tpp.Dataset{"no dataset": nil, "no sequences": {}, "a sequence without events": empty, "single events": {
		Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1}}, {ArrivalTimes: []float64{1}}}}} {
		for _, g := range []*race.Graph{nil, {Slots: make([][]race.Slot, 1)}} {
			calls = append(calls, call{fmt.Sprintf("race.Train on %s, with a graph: %t", name, g != nil), "", func() error {
				_, err := race.Train(ctx, race.Config{Graph: g}, d, nil, race.TrainOptions{})
				return err
			}})
		}
	}
	calls = append(calls, call{"race.Train with a graph of other marks", "slots of 3 marks, there are 1", func() error {
		_, err := race.Train(ctx, race.Config{Graph: &race.Graph{Slots: make([][]race.Slot, 3)}}, data, nil, race.TrainOptions{})
		return err
	}}, call{"race.Train on starts that are not known", "no wait times", func() error {
		_, err := race.Train(ctx, race.Config{Regime: race.Starts, Graph: &race.Graph{Slots: make([][]race.Slot, 1)}}, data, nil, race.TrainOptions{})
		return err
	}}, call{"race.Train with an unknown covariate", `no covariate "load"`, func() error {
		_, err := race.Train(ctx, race.Config{Covariates: []string{"load"}, Graph: &race.Graph{Slots: make([][]race.Slot, 1)}}, data, nil, race.TrainOptions{})
		return err
	}})
	many := manyMarks(200_000)
	for _, kind := range classical.Kinds() {
		calls = append(calls, call{"Fit of " + string(kind) + " to 200,000 marks", "200000 marks", func() error {
			_, err := classical.Fit(ctx, kind, many, classical.FitOptions{})
			return err
		}})
	}
	for _, kind := range []classical.Kind{classical.KindMarkovRenewal, classical.KindHawkes} {
		calls = append(calls, call{"Fit of " + string(kind) + " to 2,049 marks", "at most 2048", func() error {
			_, err := classical.Fit(ctx, kind, manyMarks(2049), classical.FitOptions{})
			return err
		}})
	}
	calls = append(calls, call{"Train on 200,000 marks", "200000 marks", func() error {
		_, err := neural.Train(ctx, neural.Config{}, many, nil, neural.TrainOptions{})
		return err
	}}, call{"race.Train on 200,000 marks", "200000 marks", func() error {
		_, err := race.Train(ctx, race.Config{}, many, nil, race.TrainOptions{})
		return err
	}}, call{"FitLookup with 2,000 histories of 60,000 marks", "too large a table", func() error {
		d := manyMarks(60_000)
		for i := range 2000 {
			d.Sequences = append(d.Sequences, tpp.Sequence{ArrivalTimes: []float64{0, 1, 2}, Marks: []int{i, i + 1, i + 2}})
		}
		_, err := classical.FitLookup(ctx, classical.LastMark, d, classical.FitOptions{})
		return err
	}})
	for _, c := range calls {
		if err := c.err(); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: got error %v, want one that says %q", c.name, err, c.reason)
		}
	}

	if p, err := live.Predict(m, &tpp.Sequence{}, 1); len(p) != 0 || err != nil {
		t.Errorf("Predict for a sequence without events: got %v and error %v", p, err)
	}
	if first := sequence.First(-1); first.Len() != 0 || new(tpp.Sequence).Start() != 0 {
		t.Errorf("the first −1 events are %v", first)
	}
	if got := classical.LookupKey(9).String(); got != "LookupKey(9)" {
		t.Errorf("an unknown lookup key is called %q", got)
	}
	next := m.NewState(0).Next(1)
	for _, mark := range []int{-1, 1} {
		if a, b := next.LogMark(1, mark), next.LogResolution(1, 1, mark); !math.IsInf(a, -1) || !math.IsInf(b, -1) {
			t.Errorf("an unknown mark %d has the log probabilities %v and %v", mark, a, b)
		}
	}
}

// manyMarks returns a dataset with a number of marks, of which three occur.
func manyMarks(n int) *tpp.Dataset {
	d := &tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{0, 10, 20}, Marks: []int{0, 1, 2}}}}
	for i := range n {
		d.MarkNames = append(d.MarkNames, fmt.Sprintf("f%d", i))
	}
	return d
}

// TestManyMarks checks that each kind of model takes as many marks as its documentation says, in bounded memory.
func TestManyMarks(t *testing.T) {
	d := manyMarks(tpp.MaxMarks)
	for _, kind := range []classical.Kind{classical.KindPoisson, classical.KindRenewal, classical.KindLookupMark, classical.KindLookupMarks3, classical.KindLookupSet, classical.KindContinuation} {
		m, err := classical.Fit(t.Context(), kind, d, classical.FitOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var file bytes.Buffer
		if err := m.Encode(&file); err != nil {
			t.Fatal(err)
		}
		if _, err := tpp.ReadModel(&file); err != nil {
			t.Errorf("%s: the model of %d marks cannot be read back: %v", kind, tpp.MaxMarks, err)
		}
	}
}

// TestLogMarkFarInTheTail checks that the log probabilities of the marks stay numbers, sum to 1 and agree with MarksAt however late
// the event comes, also where the densities of time and mark underflow.
func TestLogMarkFarInTheTail(t *testing.T) {
	data := &tpp.Dataset{MarkNames: []string{"a", "b"}}
	for range 8 {
		data.Sequences = append(data.Sequences, tpp.Sequence{ArrivalTimes: []float64{0, 5, 9, 30, 31, 47}, Marks: []int{0, 1, 0, 0, 1, 0}})
	}
	for _, kind := range classical.Kinds() {
		for _, perPair := range []bool{false, kind == classical.KindHawkes} {
			m, err := classical.Fit(t.Context(), kind, data, classical.FitOptions{DecayPerPair: perPair})
			if err != nil {
				t.Fatal(err)
			}
			state := m.NewState(0)
			if err := state.Observe(tpp.Event{Time: 0, Mark: 1}); err != nil {
				t.Fatal(err)
			}
			for _, elapsed := range []float64{0, 1, 1e6, 1e300, math.MaxFloat64} {
				next := state.Next(elapsed)
				for _, tau := range []float64{0, 1e-300, 1, 1e3, 1e9, 1e100, 1e307, math.MaxFloat64, math.Inf(1)} {
					shares := next.MarksAt(tau, nil)
					total := 0.0
					for mark, share := range shares {
						p := math.Exp(next.LogMark(tau, mark))
						if math.IsNaN(p) || math.Abs(p-share) > 1e-6 {
							t.Errorf("%s: %v after %v: mark %d has the probability %v, MarksAt says %v", kind, tau, elapsed, mark, p, share)
						}
						total += p
					}
					if math.Abs(total-1) > 1e-6 {
						t.Errorf("%s: %v after %v: the marks' probabilities sum to %v", kind, tau, elapsed, total)
					}
				}
			}
		}
	}
}

// TestHawkesMarksAtInfinity checks that the marks of an event of a Hawkes process that comes after all excitation has gone have the
// shares of the base intensities.
func TestHawkesMarksAtInfinity(t *testing.T) {
	data := &tpp.Dataset{MarkNames: []string{"a", "b"}, Sequences: []tpp.Sequence{{ArrivalTimes: []float64{0, 5, 9, 30, 31, 47}, Marks: []int{0, 1, 0, 0, 1, 0}}}}
	m, err := classical.FitHawkes(t.Context(), data, classical.FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	state := m.NewState(0)
	if err := state.Observe(tpp.Event{Time: 0, Mark: 1}); err != nil {
		t.Fatal(err)
	}
	base := m.BaseIntensity()
	for mark, mu := range base {
		want := mu / (base[0] + base[1])
		if got := math.Exp(state.Next(0).LogMark(math.Inf(1), mark)); math.Abs(got-want) > 1e-12 {
			t.Errorf("mark %d has the probability %v, want %v", mark, got, want)
		}
	}
}
