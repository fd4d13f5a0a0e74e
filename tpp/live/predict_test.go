package live

import (
	"fmt"
	"math"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/modeltest"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// TestModelsThatAreToldStarts checks that a model which has to be told when events start is refused where nobody tells it.
func TestModelsThatAreToldStarts(t *testing.T) {
	d := tpptest.Calls(3, 40)
	m := modeltest.Race(t, race.Config{Regime: race.Starts}, d)
	for name, call := range map[string]func() error{
		"predict":    func() error { _, err := Predict(m, &d.Sequences[0], 1); return err },
		"simulate":   func() error { _, err := Simulate(t.Context(), m, 1, SimulateOptions{}); return err },
		"forecast":   func() error { _, err := NewForecast(t.Context(), m.NewState(0), 0, 10, ForecastOptions{}); return err },
		"forecaster": func() error { _, err := NewForecaster[int](m, ForecasterOptions{}); return err },
	} {
		if err := call(); err == nil || err.Error() != name+": the model has to be told when events start, which only the evaluation of a dataset does" {
			t.Errorf("%s: got error %v", name, err)
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
