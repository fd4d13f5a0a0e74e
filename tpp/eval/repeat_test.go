package eval

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

func TestRepeatPairsSplits(t *testing.T) {
	d := tpptest.Chains(5, 60)
	var splits [2][]float64 // the first time of each training part that a candidate saw
	candidate := func(i int, key classical.LookupKey) Candidate {
		return Candidate{key.String(), func(_ context.Context, training, _ *tpp.Dataset, _ uint64) (tpp.Model, error) {
			splits[i] = append(splits[i], training.Sequences[0].ArrivalTimes[0])
			return classical.FitLookup(t.Context(), key, training, classical.FitOptions{})
		}}
	}
	seeds := []uint64{1, 2, 3}
	r, err := Repeat(t.Context(), d, seeds, []Candidate{candidate(0, classical.LastMark), candidate(1, classical.LastThreeMarks)}, EvaluateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range seeds {
		if splits[0][i] != splits[1][i] {
			t.Errorf("seed %d gave two splits", seeds[i])
		}
	}
	// Mean and standard deviation of three numbers, by hand.
	a, b := r.Candidates[0].Scores, r.Candidates[1].Scores
	byHand := func(x, y, z float64) (mean, std float64) {
		mean = (x + y + z) / 3
		return mean, math.Sqrt(((x-mean)*(x-mean) + (y-mean)*(y-mean) + (z-mean)*(z-mean)) / 2)
	}
	mean, std := byHand(a[0].MAE, a[1].MAE, a[2].MAE)
	if got := find(t, r.Candidates[0].Summary(), "mae"); !tpptest.Near(got.Mean, mean, 1e-12) || !tpptest.Near(got.Std, std, 1e-12) {
		t.Errorf("MAE is %+v, want %v ± %v", got, mean, std)
	}
	mean, std = byHand(a[0].MAE-b[0].MAE, a[1].MAE-b[1].MAE, a[2].MAE-b[2].MAE)
	if got := find(t, r.Differences(0, 1), "mae"); !tpptest.Near(got.Mean, mean, 1e-12) || !tpptest.Near(got.Std, std, 1e-12) {
		t.Errorf("the difference of MAE is %+v, want %v ± %v", got, mean, std)
	}
	if got := find(t, r.Differences(1, 1), "nll_resolution"); got.Mean != 0 || got.Std != 0 {
		t.Errorf("a candidate differs from itself by %+v", got)
	}
}

func find(t *testing.T, summaries []ScoreSummary, name string) ScoreSummary {
	t.Helper()
	for _, s := range summaries {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no score is called %s", name)
	return ScoreSummary{}
}

func TestRepeatErrors(t *testing.T) {
	d := tpptest.Chains(5, 20)
	broken := Candidate{"broken", func(context.Context, *tpp.Dataset, *tpp.Dataset, uint64) (tpp.Model, error) {
		return nil, errors.New("out of luck")
	}}
	if _, err := Repeat(t.Context(), d, []uint64{7}, []Candidate{broken}, EvaluateOptions{}); err == nil || err.Error() != "broken with seed 7: out of luck" {
		t.Errorf("got error %v", err)
	}
	if _, err := Repeat(t.Context(), d, nil, []Candidate{broken}, EvaluateOptions{}); err == nil || !strings.Contains(err.Error(), "at least one seed") {
		t.Errorf("got error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Repeat(ctx, d, []uint64{7}, []Candidate{broken}, EvaluateOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want the context's", err)
	}
}
