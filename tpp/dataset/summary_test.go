package dataset

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/tpp"
)

func TestSummary(t *testing.T) {
	var m Summary
	m.Add(&tpp.Sequence{
		ArrivalTimes: []float64{10, 10, 14.5}, Marks: []int{2, 0, 2}, InitTimes: []float64{5, 0, 0},
		Covariates: map[string][]float64{"x": {1, 2, 6}}, TEnd: new(20.0),
	})
	m.Add(&tpp.Sequence{ArrivalTimes: []float64{-3}, Parents: []int{-1}, TStart: new(-4.0), Covariates: map[string][]float64{"a": {1}, "x": {-5}}})
	m.Add(&tpp.Sequence{ArrivalTimes: []float64{0, 1}, WaitTimes: []float64{1, 1}})
	m.sample, m.sorted = nil, false
	want := Summary{
		Sequences: 3, Events: 6, ShortestSequence: 1, LongestSequence: 3, MarkCounts: []int{4, 0, 2}, First: -3, Last: 14.5,
		Gaps: 3, ZeroGaps: 1, MinGap: 0, MeanGap: 5.5 / 3, MaxGap: 4.5, FractionalTimes: 1, WithWaitTimes: 1,
		WithInitTimes: 1, ColdStarts: 1, ColdStartable: 3, WithParents: 1, WithTStart: 1, WithTEnd: 1,
		Covariates: []CovariateSummary{{"a", 1, 1, 1, 1, 1}, {"x", 2, 4, -5, 1, 6}},
	}
	if math.Abs(m.MeanGap-want.MeanGap) > 1e-12 {
		t.Errorf("mean gap %v", m.MeanGap)
	}
	m.MeanGap = want.MeanGap
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got %+v\nwant %+v", m, want)
	}
	var empty Summary
	if !math.IsNaN(empty.GapQuantile(0.5)) {
		t.Error("an empty dataset has a median gap")
	}
}

func TestGapQuantilesCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times := rapid.SliceOfN(rapid.Float64Range(0, 100), 2, 50).Draw(t, "times")
		slices.Sort(times)
		s := tpp.Sequence{ArrivalTimes: times}
		var m Summary
		m.Add(&s)
		p := rapid.Float64Range(0, 1).Draw(t, "p")
		q := m.GapQuantile(p)
		below, upTo := 0, 0
		for _, gap := range s.InterTimes() {
			if gap < q {
				below++
			}
			if gap <= q {
				upTo++
			}
		}
		n := float64(len(times) - 1)
		if float64(upTo) < p*n-1e-9 || float64(below) > p*n+1e-9 {
			t.Fatalf("quantile %v at %v: %d below, %d up to it, of %v", q, p, below, upTo, n)
		}
	})
}

func TestGapQuantilesOfASample(t *testing.T) {
	var m Summary
	const n = 3 * summarySample
	for i := range n {
		m.addGap(float64(i) / n)
	}
	for _, p := range []float64{0, 0.01, 0.5, 0.99, 1} {
		// Five standard deviations of a share in a sample.
		if q, allowed := m.GapQuantile(p), 5*math.Sqrt(p*(1-p)/summarySample)+2./n; math.Abs(q-p) > allowed {
			t.Errorf("quantile %v at %v, allowed ±%v", q, p, allowed)
		}
	}
	if m.GapSample() != summarySample || m.Gaps != n {
		t.Errorf("%d gaps kept of %d", m.GapSample(), m.Gaps)
	}
}
