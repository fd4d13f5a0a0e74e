package figure

import (
	"testing"

	"github.com/tppfaas/tppfaas/internal/starts"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/live"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// TestTimelineTellsStarts checks that a timeline draws what live.Predict says, in every regime of a race, also from a later event on.
func TestTimelineTellsStarts(t *testing.T) {
	d, err := dataset.ReadFile("../../tpp/testdata/tree_small.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	for _, regime := range race.Regimes() {
		m, err := race.Train(t.Context(), race.Config{Regime: regime, ContextSize: 8, Components: 8}, d.Subset([]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}), nil, race.TrainOptions{Epochs: 2})
		if err != nil {
			t.Fatal(err)
		}
		s, err := starts.Seen(m, &d.Sequences[20])
		if err != nil {
			t.Fatal(err)
		}
		want, err := live.Predict(m, &d.Sequences[20], 1)
		if err != nil {
			t.Fatal(err)
		}
		first, end := 2, s.Len()-1
		tl, _, err := newTimeline(m, s, first, end)
		if err != nil {
			t.Fatal(err)
		}
		if len(tl.steps) != end-1-first { // nothing is drawn after the last one
			t.Fatalf("%s: %d rows, want %d", regime, len(tl.steps), end-1-first)
		}
		for i, step := range tl.steps {
			if p := want[first+i]; step.lower != step.from+p.Lower || step.upper != step.from+p.Upper || step.from != s.ArrivalTimes[first+i]-s.ArrivalTimes[first] {
				t.Errorf("%s: row %d from %v has the interval from %v to %v, predicted is %+v", regime, i, step.from, step.lower, step.upper, p)
			}
		}
		if regime != race.Starts {
			continue
		}
		silent := &tpp.Dataset{MarkNames: d.MarkNames, Sequences: []tpp.Sequence{d.Sequences[20]}}
		silent.Sequences[0].WaitTimes = nil
		if _, err := Timeline(m, &silent.Sequences[0], 0, 5, ""); err == nil {
			t.Errorf("%s: a sequence without starts is drawn", regime)
		}
		if _, err := Density(t.Context(), m, silent, AfterAnyMark, 1, ""); err == nil {
			t.Errorf("%s: gaps without starts are drawn", regime)
		}
		if _, err := Density(t.Context(), m, d, AfterAnyMark, 1, ""); err != nil {
			t.Errorf("%s: %v", regime, err)
		}
	}
}
