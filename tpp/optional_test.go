package tpp_test

import (
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

// TestNear compares how sure a prediction is of its time with probabilities by hand: of four equally likely times 10, 20, 30, 40 the
// distribution function is 1/8, 3/8, 5/8, 7/8, and nothing lies outside.
func TestNear(t *testing.T) {
	quarters := []float64{10, 20, 30, 40}
	for _, test := range []struct {
		name            string
		time, tolerance float64
		times           []float64
		want            float64
	}{
		{"nothing is said of the time", 25, 1, nil, 1},
		{"half way to the neighbours", 25, 5, quarters, 0.25},
		{"up to the last", 30, 10, quarters, 1 - 0.375},
		{"as far as all", 25, 15, quarters, 1},
		{"far away from all", 100, 10, quarters, 0},
		{"one time, which is the right one", 7, 0, []float64{7}, 1},
		{"the same time four times", 7, 0, []float64{7, 7, 7, 7}, 1},
	} {
		e := tpp.PredictedEvent{Time: test.time, Times: test.times, Probability: 1}
		if got := e.Near(test.tolerance); !tpptest.Near(got, test.want, 1e-9) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
