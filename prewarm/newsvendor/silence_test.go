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
		p := newPredictor(prewarm.Platform{}, 0)
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
			p.chances, p.lost = p.chances[:0], make([]bool, len(trace.expected))
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

// TestAlternativesThatAModelHoldsApart: each run of function 0 calls 1 or 2, which a table knows. A model that expects both, each by itself, expects one of
// them all the same; and none once one has come.
func TestAlternativesThatAModelHoldsApart(t *testing.T) {
	table := newTable(withFunctions(branches(7, 3, 0), 4))
	app := &application{certain: table.certain, groups: table.groups}
	trace := &trace{invocations: []invocation{{mark: 0, caller: -1, ended: math.NaN()}}}
	expect := func(one, two float64) {
		trace.expected = trace.expected[:0]
		for i, p := range []float64{one, two} {
			trace.expected = append(trace.expected, expected{mark: int32(i + 1), cause: 0, parent: -1, slot: int32(i), probability: p, gap: timesBetween(1, 2)})
		}
		app.normalise(trace)
	}
	expect(0.6, 0.15)
	if one, two := trace.expected[0].probability, trace.expected[1].probability; math.Abs(one-0.8) > 1e-9 || math.Abs(two-0.2) > 1e-9 {
		t.Errorf("they are expected with probabilities %v and %v, want 0.8 and 0.2", one, two)
	}
	p := newPredictor(prewarm.Platform{}, 0)
	p.lost = make([]bool, len(trace.expected))
	p.chances = append(p.chances, 0.08, 0.02) // nearly all times have passed
	p.silence(trace, 1)
	if sum := p.chances[0] + p.chances[1]; math.Abs(sum-1) > 1e-9 {
		t.Errorf("after a long silence one of them comes with probability %v", sum)
	}
	trace.invocations = append(trace.invocations, invocation{mark: 1, caller: 0, ended: math.NaN()})
	expect(0, 0.02)
	if two := trace.expected[1].probability; two > 0.03 {
		t.Errorf("the other one is expected with probability %v", two)
	}
}

// withFunctions gives a history functions.
func withFunctions(h *history, n int) *history {
	h.app = &prewarm.Recording{Functions: make([]int, n)}
	return h
}
