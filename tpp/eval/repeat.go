package eval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
)

// Candidate is a way to make a model, for comparison with others.
type Candidate struct {
	Name string
	// Fit makes the model from a training and a validation part. It takes the seed for everything random.
	Fit func(ctx context.Context, training, validation *tpp.Dataset, seed uint64) (tpp.Model, error)
}

// Repetition are the scores of candidates on the test parts of splits by several seeds. All candidates saw the same
// splits: on data with few outliers that rule the error, scores differ more between splits than between models, and only
// paired differences tell which model is better.
type Repetition struct {
	// Seeds are those of the splits; of a cross-validation the one of its folds.
	Seeds []uint64
	// Folds is the number of folds of a cross-validation, 0 for splits by Seeds.
	Folds int
	// Candidates are in the order in which they were given.
	Candidates []RepeatedScores
}

// RepeatedScores are the scores of one candidate by seed, in the order of the seeds, or by fold.
type RepeatedScores struct {
	Name   string
	Scores []Scores
}

// ScoreSummary is the mean of a score over seeds and its sample standard deviation (divided by n − 1; NaN for one seed).
type ScoreSummary struct {
	Name      string // as Scores.All names it
	Mean, Std float64
}

// MarshalJSON writes the summary with NaN and infinities as null.
func (s ScoreSummary) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Name string     `json:"name"`
		Mean jsonNumber `json:"mean"`
		Std  jsonNumber `json:"std"`
	}{s.Name, jsonNumber(s.Mean), jsonNumber(s.Std)})
}

// Repeat splits the dataset by each seed (see Dataset.Split), fits every candidate to the training part of each split,
// and scores it on the test part. The error names the candidate and the seed.
func Repeat(ctx context.Context, d *tpp.Dataset, seeds []uint64, candidates []Candidate, opts EvaluateOptions) (*Repetition, error) {
	if len(seeds) == 0 || len(candidates) == 0 {
		return nil, errors.New("repetition: it needs at least one seed and one candidate")
	}
	if d == nil {
		return nil, errors.New("repetition: no dataset")
	}
	r := &Repetition{Seeds: slices.Clone(seeds)}
	err := r.run(ctx, "repetition", len(seeds), candidates, opts, func(i int) (tpp.Parts, uint64, string) {
		training, validation, test := d.Split(seeds[i])
		return tpp.Parts{Training: training, Validation: validation, Test: test}, seeds[i], fmt.Sprintf("seed %d", seeds[i])
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// CrossValidate splits the dataset into k folds by the seed (see Dataset.Folds), fits every candidate to the training part of each fold, with the
// same seed, and scores it on the test part. The error names the candidate and the fold.
func CrossValidate(ctx context.Context, d *tpp.Dataset, k int, seed uint64, candidates []Candidate, opts EvaluateOptions) (*Repetition, error) {
	if len(candidates) == 0 {
		return nil, errors.New("cross-validation: it needs at least one candidate")
	}
	if d == nil {
		return nil, errors.New("cross-validation: no dataset")
	}
	folds, err := d.Folds(k, seed)
	if err != nil {
		return nil, fmt.Errorf("cross-validation: %w", err)
	}
	r := &Repetition{Seeds: []uint64{seed}, Folds: k}
	err = r.run(ctx, "cross-validation", k, candidates, opts, func(i int) (tpp.Parts, uint64, string) {
		return folds[i], seed, fmt.Sprintf("fold %d", i)
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// run fits and scores every candidate on n splits, of which split returns the parts, the seed, and the name in an error.
func (r *Repetition) run(ctx context.Context, what string, n int, candidates []Candidate, opts EvaluateOptions, split func(i int) (tpp.Parts, uint64, string)) error {
	r.Candidates = make([]RepeatedScores, len(candidates))
	for i, c := range candidates {
		if c.Fit == nil {
			return fmt.Errorf("%s: candidate %d, %q, has no Fit", what, i, c.Name)
		}
		r.Candidates[i].Name = c.Name
	}
	for at := range n {
		parts, seed, name := split(at)
		for i, c := range candidates {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("%s stopped: %w", what, err)
			}
			m, err := c.Fit(ctx, parts.Training, parts.Validation, seed)
			if err != nil {
				return fmt.Errorf("%s with %s: %w", c.Name, name, err)
			}
			scores, err := Evaluate(ctx, m, parts.Test, opts)
			if err != nil {
				return fmt.Errorf("%s with %s: test part: %w", c.Name, name, err)
			}
			r.Candidates[i].Scores = append(r.Candidates[i].Scores, scores)
		}
	}
	return nil
}

// Summary returns the mean and standard deviation of each score, in the order of Scores.All. Both are NaN for a score that
// is NaN for any seed.
func (r RepeatedScores) Summary() []ScoreSummary { return summarise(r.Scores, nil) }

// Differences returns the mean and standard deviation of candidate i's scores minus candidate j's, paired by seed.
func (r *Repetition) Differences(i, j int) []ScoreSummary {
	if n := len(r.Candidates); i < 0 || i >= n || j < 0 || j >= n {
		return nil
	}
	return summarise(r.Candidates[i].Scores, r.Candidates[j].Scores)
}

// summarise summarises scores, less others if there are any.
func summarise(scores, less []Scores) []ScoreSummary {
	var out []ScoreSummary
	var columns [][]float64
	for i, s := range scores {
		column := 0
		for name, value := range s.All() {
			if i == 0 {
				out = append(out, ScoreSummary{Name: name})
				columns = append(columns, nil)
			}
			columns[column] = append(columns[column], value)
			column++
		}
		if less == nil {
			continue
		}
		column = 0
		for _, value := range less[i].All() {
			columns[column][i] -= value
			column++
		}
	}
	for column, values := range columns {
		out[column].Mean, out[column].Std = meanAndStd(values)
	}
	return out
}

func meanAndStd(values []float64) (mean, std float64) {
	for _, v := range values {
		mean += v
	}
	mean /= float64(len(values))
	squares := 0.0
	for _, v := range values {
		squares += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(squares / float64(len(values)-1))
}
