package tpp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp/dist"
)

// clockwork is a model for tests: exponential gaps of rate 1/10, and mark m with probability (m+1)/6.
type clockwork struct{}

func (clockwork) Kind() string             { return "clockwork" }
func (clockwork) MarkNames() []string      { return []string{"a", "b", "c"} }
func (clockwork) CovariateNames() []string { return nil }
func (clockwork) NewState(float64) State   { return clockwork{} }
func (clockwork) Observe(e Event) error {
	if e.Time == 666 {
		return errors.New("not that one")
	}
	return nil
}
func (clockwork) Clone() State { return clockwork{} }
func (clockwork) Next(float64) *Next {
	return &Next{Time: dist.Exponential{Rate: 0.1}, Marks: []float64{1. / 6, 2. / 6, 3. / 6}}
}

func TestEvaluateByHand(t *testing.T) {
	d := &Dataset{
		MarkNames: []string{"c", "b", "a"}, // another order than the model's
		Sequences: []Sequence{
			{ArrivalTimes: []float64{100, 105, 125}, Marks: []int{0, 1, 2}}, // gaps 5 to b, 20 to a
			{ArrivalTimes: []float64{3}, Marks: []int{0}, TStart: new(1.0), TEnd: new(13.0)},
			{ArrivalTimes: []float64{50}, Marks: []int{1}},
		},
	}
	got, err := Evaluate(t.Context(), clockwork{}, d, EvaluateOptions{Resolution: 2})
	if err != nil {
		t.Fatal(err)
	}
	nllTime := (3*math.Log(10) + 0.5 + 2 + 0.2) / 3
	nllMark := -(math.Log(2./6) + math.Log(1./6) + math.Log(3./6)) / 3
	cell := func(gap float64) float64 { return math.Log(math.Exp(-0.1*(gap-1)) - math.Exp(-0.1*(gap+1))) }
	median := 10 * math.Ln2
	cdf := func(t float64) float64 { return 1 - math.Exp(-0.1*max(t, 0)) }
	// The exponential's CRPS is known: y + 2 exp(−λy)/λ − 3/(2λ).
	crps := func(y float64) float64 { return y + 20*math.Exp(-0.1*y) - 15 }
	// The share of the tick of 2 around each gap below the upper bound of the 50 % interval, 1 for 5 and 2, some for 20.
	cut := -10 * math.Log(0.25)
	if cut > 19 || cut < 6 {
		t.Fatal("the upper quartile should be between the ticks of 5 and 20")
	}
	// Of 2, [1, 3] has F from 0.095 to 0.259 and 0.25 between: so the part above a quarter is inside.
	inside2 := (cdf(3) - 0.25) / (cdf(3) - cdf(1))
	want := Scores{
		Sequences: 3, Events: 3, NLLTime: nllTime, NLLMark: nllMark, NLL: nllTime + nllMark + 1./3,
		NLLResolution: nllMark - (cell(5)+cell(20)+cell(2))/3,
		NLLSequence:   nllTime + nllMark + 1./3, // as many sequences as events
		NLLEnd:        math.NaN(),
		MAE:           ((median - 5) + (20 - median) + (median - 2)) / 3,
		RMSE:          math.Sqrt(((median-5)*(median-5) + (20-median)*(20-median) + (median-2)*(median-2)) / 3),
		CRPS:          (crps(5) + crps(20) + crps(2)) / 3,
		Accuracy:      1. / 3,
		MacroF1:       (0 + 0 + 2./4) / 3, // c came once and was predicted three times
		ECE:           0.5 - 1./3,         // c was predicted with 0.5 each time
		Coverage50:    (1 + inside2) / 3,
		Coverage90:    1,
		KS:            got.KS, KSPValue: got.KSPValue, // drawn within the ticks, see TestRescaledTimes
		OTD: math.NaN(),
	}
	tolerance := map[string]float64{"CRPS": 1e-3}
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range g.NumField() {
		name := g.Type().Field(i).Name
		if g.Field(i).CanFloat() && !same(g.Field(i).Float(), w.Field(i).Float(), max(tolerance[name], 1e-12)) || g.Field(i).CanInt() && !g.Field(i).Equal(w.Field(i)) {
			t.Errorf("%s is %v, want %v", name, g.Field(i), w.Field(i))
		}
	}
}

// same is near, for scores that a model may not have.
func same(a, b, tolerance float64) bool {
	return math.IsNaN(a) && math.IsNaN(b) || near(a, b, tolerance)
}

func TestEvaluateDoesNotDependOnWorkers(t *testing.T) {
	d := randomDataset(rand.New(rand.NewPCG(1, 1)), 40, 3)
	d.MarkNames = []string{"a", "b", "c"}
	want, err := Evaluate(t.Context(), clockwork{}, d, EvaluateOptions{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Evaluate(t.Context(), clockwork{}, d, EvaluateOptions{Workers: 7}); fmt.Sprint(got) != fmt.Sprint(want) || err != nil {
		t.Errorf("7 workers score %+v (error %v), one %+v", got, err, want)
	}
}

func TestEvaluateErrors(t *testing.T) {
	unknown := &Dataset{MarkNames: []string{"a", "z"}, Sequences: []Sequence{{ArrivalTimes: []float64{1}, Marks: []int{0}}, {ArrivalTimes: []float64{1, 2}, Marks: []int{0, 1}}}}
	refused := &Dataset{MarkNames: []string{"a"}, Sequences: []Sequence{{ArrivalTimes: []float64{1}}, {ArrivalTimes: []float64{1, 666}}}}
	for _, c := range []struct {
		data   *Dataset
		reason string
	}{
		{unknown, `sequence 1: event 1 has mark "z", which the model does not know`},
		{refused, "sequence 1: event 1: not that one"},
	} {
		if _, err := Evaluate(t.Context(), clockwork{}, c.data, EvaluateOptions{}); err == nil || err.Error() != c.reason {
			t.Errorf("got error %v, want %s", err, c.reason)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Evaluate(ctx, clockwork{}, refused, EvaluateOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want the context's", err)
	}
}

func TestScoresWithoutEventsAreNull(t *testing.T) {
	lone := &Dataset{MarkNames: []string{"a"}, Sequences: []Sequence{{ArrivalTimes: []float64{1}}}}
	got, err := Evaluate(t.Context(), clockwork{}, lone, EvaluateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"sequences":1,"events":0,"nll_time":null`) {
		t.Errorf("got %s", text)
	}
}

func TestPredict(t *testing.T) {
	s := &Sequence{ArrivalTimes: []float64{1, 2}, Marks: []int{0, 1}}
	got, err := Predict(clockwork{}, s, 2)
	if err != nil {
		t.Fatal(err)
	}
	want := Prediction{
		Event: 1, Median: 10 * math.Ln2, Lower: -10 * math.Log(0.95), Upper: -10 * math.Log(0.05),
		Marks: []MarkProbability{{2, "c", 0.5}, {1, "b", 1. / 3}},
	}
	if len(got) != 2 || fmt.Sprintf("%.9v", got[1]) != fmt.Sprintf("%.9v", want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestLookupCounts(t *testing.T) {
	d := &Dataset{MarkNames: []string{"a", "b", "c"}, Sequences: []Sequence{
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
		l, err := FitLookup(c.key, d, 1)
		if err != nil {
			t.Fatal(err)
		}
		state := l.NewState(0)
		for i, m := range c.history {
			if err := state.Observe(Event{Time: float64(i), Mark: m}); err != nil {
				t.Fatal(err)
			}
		}
		next := state.Next(0)
		if got := dist.Median(next.Time); !near(got, c.median, 1e-9) {
			t.Errorf("%s after %v: median %v, want %v", l.Kind(), c.history, got, c.median)
		}
		if got := next.LikeliestMark(); got != c.likeliest || !near(next.Marks[got], c.probability, 1e-12) {
			t.Errorf("%s after %v: marks %v, want %d with %v", l.Kind(), c.history, next.Marks, c.likeliest, c.probability)
		}
	}
	if _, err := FitLookup(LastMark, &Dataset{}, 1); err == nil {
		t.Error("a table of nothing was fitted")
	}
}

func TestStatesRefuseBadEvents(t *testing.T) {
	d := chains(8, 20)
	recurrent := train(t, d, TrainOptions{MaxEpochs: 1})
	table, err := FitLookup(LastMarkAndSet, d, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []Model{recurrent, table} {
		state := m.NewState(0)
		if err := state.Observe(Event{Time: 100, Mark: 1}); err != nil {
			t.Fatal(err)
		}
		before := fmt.Sprint(dist.Median(state.Next(0).Time), state.Next(0).Marks)
		for _, e := range []Event{{Time: 99, Mark: 0}, {Time: 101, Mark: 3}, {Time: 101, Mark: -1}, {Time: math.NaN(), Mark: 0}} {
			if err := state.Observe(e); err == nil {
				t.Errorf("%s: event %+v was observed", m.Kind(), e)
			}
		}
		if after := fmt.Sprint(dist.Median(state.Next(0).Time), state.Next(0).Marks); after != before {
			t.Errorf("%s: refused events changed the state from %s to %s", m.Kind(), before, after)
		}
		clone := state.Clone()
		if err := state.Observe(Event{Time: 101, Mark: 2}); err != nil {
			t.Fatal(err)
		}
		if after := fmt.Sprint(dist.Median(clone.Next(0).Time), clone.Next(0).Marks); after != before {
			t.Errorf("%s: a clone changed with the state it was taken from", m.Kind())
		}
	}
}
