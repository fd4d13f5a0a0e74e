package live

import (
	"math"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
)

// TestQuantilesOfWhatIsUnlikely checks that quantiles of the time of an event do not depend on how likely it comes at all.
func TestQuantilesOfWhatIsUnlikely(t *testing.T) {
	times := make([]float64, 64)
	for i := range times {
		times[i] = math.Exp(float64(i) / 8)
	}
	var want [3]float64
	for i, probability := range []float64{1, 1e-3, 1e-9, 1e-12} {
		var e expectation
		e.reset([]tpp.ExpectedArrival{{Probability: probability, Parent: -1, Times: times}}, 1)
		for j, q := range []float64{0.05, 0.5, 0.95} {
			got := e.quantile(0, q*e.within(0, 1e6), 1e6)
			if i == 0 {
				want[j] = got
			} else if math.Abs(got-want[j]) > 1e-3*want[j] {
				t.Errorf("quantile %v of an event of probability %v: %v, want %v", q, probability, got, want[j])
			}
		}
	}
}
