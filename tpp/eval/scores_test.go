package eval

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

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

func TestEvaluateByHand(t *testing.T) {
	d := &tpp.Dataset{
		MarkNames: []string{"c", "b", "a"}, // another order than the model's
		Sequences: []tpp.Sequence{
			{ArrivalTimes: []float64{100, 105, 125}, Marks: []int{0, 1, 2}}, // gaps 5 to b, 20 to a
			{ArrivalTimes: []float64{3}, Marks: []int{0}, TStart: new(1.0), TEnd: new(13.0)},
			{ArrivalTimes: []float64{50}, Marks: []int{1}},
		},
	}
	got, err := Evaluate(t.Context(), tpptest.Clockwork{}, d, EvaluateOptions{Resolution: 2})
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
		TMAP: math.NaN(), OTD: math.NaN(),
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
	return math.IsNaN(a) && math.IsNaN(b) || tpptest.Near(a, b, tolerance)
}

func TestEvaluateDoesNotDependOnWorkers(t *testing.T) {
	d := tpptest.RandomDataset(rand.New(rand.NewPCG(1, 1)), 40, 3)
	d.MarkNames = []string{"a", "b", "c"}
	want, err := Evaluate(t.Context(), tpptest.Clockwork{}, d, EvaluateOptions{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Evaluate(t.Context(), tpptest.Clockwork{}, d, EvaluateOptions{Workers: 7}); fmt.Sprint(got) != fmt.Sprint(want) || err != nil {
		t.Errorf("7 workers score %+v (error %v), one %+v", got, err, want)
	}
}

func TestEvaluateErrors(t *testing.T) {
	unknown := &tpp.Dataset{MarkNames: []string{"a", "z"}, Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1}, Marks: []int{0}}, {ArrivalTimes: []float64{1, 2}, Marks: []int{0, 1}}}}
	refused := &tpp.Dataset{MarkNames: []string{"a"}, Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1}}, {ArrivalTimes: []float64{1, 666}}}}
	for _, c := range []struct {
		data   *tpp.Dataset
		reason string
	}{
		{unknown, `sequence 1: event 1 has mark "z", which the model does not know`},
		{refused, "sequence 1: event 1: not that one"},
	} {
		if _, err := Evaluate(t.Context(), tpptest.Clockwork{}, c.data, EvaluateOptions{}); err == nil || err.Error() != c.reason {
			t.Errorf("got error %v, want %s", err, c.reason)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Evaluate(ctx, tpptest.Clockwork{}, refused, EvaluateOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want the context's", err)
	}
}

func TestScoresWithoutEventsAreNull(t *testing.T) {
	lone := &tpp.Dataset{MarkNames: []string{"a"}, Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1}}}}
	got, err := Evaluate(t.Context(), tpptest.Clockwork{}, lone, EvaluateOptions{})
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
