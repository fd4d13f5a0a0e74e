package eval

import (
	"math"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// TestCRPSOfNothing checks that what has no score is NaN, and that no distribution or number panics.
func TestCRPSOfNothing(t *testing.T) {
	odd := []float64{math.NaN(), math.Inf(-1), -1, 0, math.SmallestNonzeroFloat64, 0.5, 1e300, math.Inf(1)}
	for _, d := range []dist.Distribution{
		nil, dist.Conditional{}, &dist.Empirical{}, dist.ExpHawkes{}, dist.Exponential{}, dist.LogNormMix{}, &dist.LogNormMix{}, dist.Point{}, dist.Shifted{},
		dist.Exponential{Rate: math.NaN()}, dist.Exponential{Rate: 1}, dist.Point{Value: 3}, &dist.LogNormMix{LogWeights: []float64{0}, Mu: []float64{1}, Sigma: []float64{1}},
	} {
		v, ok := d.(interface{ Validate() error })
		valid := d != nil && (!ok || v.Validate() == nil)
		for _, y := range odd {
			for _, horizon := range odd {
				want := !valid || !(y >= 0) || !(horizon >= 0)
				if got := CRPS(d, y, horizon); math.IsNaN(got) != want {
					t.Errorf("%T: the score of %v up to %v is %v", d, y, horizon, got)
				}
			}
		}
	}
}

// TestDistanceOfNothing checks that lists without events, and events at no time, do not panic.
func TestDistanceOfNothing(t *testing.T) {
	if d := Distance(nil, nil, math.NaN()); d != 0 {
		t.Errorf("the distance of two empty lists is %v", d)
	}
	for _, edit := range []float64{math.NaN(), -1, 0, math.Inf(1)} {
		for _, a := range [][]tpp.Event{nil, {{Time: math.NaN(), Mark: -1}}, {{Time: math.Inf(1)}, {Time: math.NaN()}}} {
			Distance(a, []tpp.Event{{Time: 1}}, edit)
			Distance([]tpp.Event{{Time: 1}}, a, edit)
		}
	}
	if short, shared := ShortNames(nil); len(short) != 0 || shared != "" {
		t.Errorf("short names of none: %q, %q", short, shared)
	}
	ShortNames([]string{"", "a-"})
}
