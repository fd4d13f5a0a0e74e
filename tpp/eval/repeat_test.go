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

// TestCrossValidate checks that candidates see the same folds, that each sequence is tested once, and that errors name the fold.
func TestCrossValidate(t *testing.T) {
	d := tpptest.Chains(5, 60)
	var first []float64 // of each training part
	fit := func(_ context.Context, training, _ *tpp.Dataset, seed uint64) (tpp.Model, error) {
		if seed != 7 {
			t.Errorf("the seed is %d", seed)
		}
		first = append(first, training.Sequences[0].ArrivalTimes[0]+float64(len(training.Sequences)))
		return classical.FitLookup(t.Context(), classical.LastMark, training, classical.FitOptions{})
	}
	r, err := CrossValidate(t.Context(), d, 4, 7, []Candidate{{"a", fit}, {"b", fit}}, EvaluateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sequences := 0
	for i, s := range r.Candidates[0].Scores {
		sequences += s.Sequences
		if first[2*i] != first[2*i+1] {
			t.Errorf("fold %d is two for two candidates", i)
		}
	}
	if r.Folds != 4 || len(r.Candidates[1].Scores) != 4 || sequences != 60 {
		t.Errorf("%d folds, %d sequences were tested", r.Folds, sequences)
	}
	failing := func(context.Context, *tpp.Dataset, *tpp.Dataset, uint64) (tpp.Model, error) {
		return nil, errors.New("no fit")
	}
	for want, err := range map[string]error{
		"bad with fold 0: no fit":    second(CrossValidate(t.Context(), d, 4, 7, []Candidate{{"bad", failing}}, EvaluateOptions{})),
		"61 folds of 60 sequences":   second(CrossValidate(t.Context(), d, 61, 7, []Candidate{{"a", fit}}, EvaluateOptions{})),
		"at least one candidate":     second(CrossValidate(t.Context(), d, 4, 7, nil, EvaluateOptions{})),
		"cross-validation: no data":  second(CrossValidate(t.Context(), nil, 4, 7, []Candidate{{"a", fit}}, EvaluateOptions{})),
		"candidate 0, \"a\", has no": second(CrossValidate(t.Context(), d, 4, 7, []Candidate{{Name: "a"}}, EvaluateOptions{})),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func second[T any](_ T, err error) error { return err }
