package live

import (
	"fmt"
	"math"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

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
