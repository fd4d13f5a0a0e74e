package race

import (
	"bytes"
	"context"
	"math"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
)

// twoSteps are sequences of two events, the second of which comes after about the given delay.
func twoSteps(delay float64) *tpp.Dataset {
	d := &tpp.Dataset{MarkNames: []string{"a", "b"}}
	for i := range 40 {
		d.Sequences = append(d.Sequences, tpp.Sequence{
			ArrivalTimes: []float64{0, delay * (1 + float64(i)/40)}, Marks: []int{0, 1}, Parents: []int{-1, 0},
		})
	}
	return d
}

// TestSilenceOfAnyLength checks that predictions are numbers, and probabilities from 0 to 1, however long nothing has come.
func TestSilenceOfAnyLength(t *testing.T) {
	m, err := Train(context.Background(), Config{}, twoSteps(100), nil, TrainOptions{Seed: 1, Epochs: 2, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	s := m.NewState(0)
	if err := s.Observe(tpp.Event{Time: 0, Mark: 0}); err != nil {
		t.Fatal(err)
	}
	over := false
	for exponent := -3; exponent <= 300; exponent++ {
		now := math.Pow(10, float64(exponent))
		next := s.Next(now)
		over = over || next.End == 1
		for _, within := range []float64{1e-9, 1, 1000, 1e12, math.Inf(1)} {
			if p := next.Within(within); !(p >= 0 && p <= 1) {
				t.Errorf("after 1e%d ms: probability %v of an event within %v ms", exponent, p, within)
			}
			if p := next.Time.CDF(within); !(p >= 0 && p <= 1) {
				t.Errorf("after 1e%d ms: distribution function %v at %v ms", exponent, p, within)
			}
		}
		for mark := range 2 {
			if v := next.LogResolution(1000, 1, mark); math.IsNaN(v) {
				t.Errorf("after 1e%d ms: log probability %v of mark %d", exponent, v, mark)
			}
			if v := next.Joint.LogProbMark(1000, mark); math.IsNaN(v) {
				t.Errorf("after 1e%d ms: log density %v of mark %d", exponent, v, mark)
			}
		}
		if v := next.Time.LogProb(1000); math.IsNaN(v) {
			t.Errorf("after 1e%d ms: log density %v", exponent, v)
		}
	}
	if !over {
		t.Error("no silence was so long that the sequence was over for certain")
	}
}

// TestModelOfHugeDelaysIsReadable checks that a model of delays that float32 does not hold can be read again.
func TestModelOfHugeDelaysIsReadable(t *testing.T) {
	m, err := Train(context.Background(), Config{}, twoSteps(1e300), nil, TrainOptions{Seed: 1, Epochs: 1, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := m.Encode(&file); err != nil {
		t.Fatal(err)
	}
	if _, err := tpp.ReadModel(&file); err != nil {
		t.Error(err)
	}
}
