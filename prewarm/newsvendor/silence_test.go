package newsvendor

import (
	"math"
	"testing"

	"github.com/tppfaas/tppfaas/prewarm"
)

// TestNeverDoesNotGrowWithSilence: a model leaves a tenth over for that nothing comes. Where one of two was always called, one of them still must
// come however long nothing is heard; where not, it becomes less likely.
func TestNeverDoesNotGrowWithSilence(t *testing.T) {
	for _, certain := range []bool{true, false} {
		app := &application{certain: [][]bool{{false, certain, certain}, make([]bool, 3), make([]bool, 3)}}
		p := newPredictor(prewarm.Platform{})
		trace := &trace{invocations: []invocation{{mark: 0, ended: math.NaN()}}}
		for mark := int32(1); mark <= 2; mark++ {
			trace.expected = append(trace.expected, expected{mark: mark, cause: 0, parent: -1, probability: 0.45, gap: timesBetween(1, 2)})
		}
		app.normalise(trace)
		if sum := trace.expected[0].probability + trace.expected[1].probability; certain != (math.Abs(sum-1) < 1e-9) {
			t.Errorf("certain: %v, but one of them comes with probability %v", certain, sum)
		}
		for i := range trace.expected {
			trace.expected[i].probability = 0.45 // silence alone sets it right too
		}
		want := []float64{0.9, 0.45 * 2 * 0.1 / (0.45*2*0.1 + 0.1)}
		if certain {
			want = []float64{1, 1}
		}
		for i, left := range []float64{1, 0.1} { // the share of the times that has not passed
			p.chances = p.chances[:0]
			for _, e := range trace.expected {
				p.chances = append(p.chances, e.probability*left)
			}
			p.silence(trace, 1)
			if got := p.chances[0] + p.chances[1]; math.Abs(got-want[i]) > 1e-9 {
				t.Errorf("certain: %v, with %v of the times left: one of them comes with probability %v, want %v", certain, left, got, want[i])
			}
		}
	}
}
