package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/internal/starts"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// repeatTraining trains on several splits, beside a table of the last mark on the same ones, and prints means and standard
// deviations of the scores on the test parts.
func repeatTraining(ctx context.Context, o *trainOrder, data *tpp.Dataset, stdout, stderr io.Writer) error {
	if o.kind == race.Kind {
		if err := o.chooseGraph(data, stderr); err != nil {
			return err
		}
	}
	show := progress.New(stderr, max(o.repeat, o.folds), "trainings")
	defer show.Done()
	candidates := []eval.Candidate{{Name: o.kind, Fit: func(ctx context.Context, training, validation *tpp.Dataset, seed uint64) (tpp.Model, error) {
		defer show.Add(1, "")
		if isClassical(o.kind) {
			return classical.Fit(ctx, classical.Kind(o.kind), training, o.fit)
		}
		m, err := o.trainNetwork(ctx, training, validation, seed, nil)
		if err != nil {
			return nil, err
		}
		return m, nil
	}}}
	if o.kind != string(classical.KindLookupMark) {
		candidates = append(candidates, eval.Candidate{Name: string(classical.KindLookupMark), Fit: func(ctx context.Context, training, _ *tpp.Dataset, _ uint64) (tpp.Model, error) {
			return o.fitTable(ctx, training)
		}})
	}
	var r *eval.Repetition
	var err error
	over := fmt.Sprintf("the %d folds of seed %d", o.folds, o.opts.Seed)
	if o.folds > 0 {
		r, err = eval.CrossValidate(ctx, data, o.folds, o.opts.Seed, candidates, eval.EvaluateOptions{})
	} else {
		seeds := make([]uint64, o.repeat)
		for i := range seeds {
			seeds[i] = o.opts.Seed + uint64(i)
		}
		over = fmt.Sprintf("the splits of seeds %d to %d", seeds[0], seeds[len(seeds)-1])
		r, err = eval.Repeat(ctx, data, seeds, candidates, eval.EvaluateOptions{})
	}
	if err != nil {
		return fmt.Errorf("%s: %w", o.dataset, err)
	}
	show.Done()
	if o.json {
		return printRepeatJSON(stdout, o.dataset, r)
	}
	fmt.Fprintf(stdout, "%s: test scores, mean ± standard deviation over %s\n", filepath.Base(o.dataset), over)
	return printRepeat(stdout, r)
}

// fitTable fits the table whose scores stand beside those of the model. It takes the times that the model takes.
func (o *trainOrder) fitTable(ctx context.Context, training *tpp.Dataset) (tpp.Model, error) {
	opts := classical.FitOptions{Resolution: o.tick()}
	if o.kind != race.Kind || o.race.Regime != race.OnlyStarts {
		return classical.Fit(ctx, classical.KindLookupMark, training, opts)
	}
	training, err := starts.SeenDataset(tableOfStarts{}, training)
	if err != nil {
		return nil, err
	}
	table, err := classical.FitLookup(ctx, classical.LastMark, training, opts)
	if err != nil {
		return nil, err
	}
	return tableOfStarts{table}, nil
}

// tableOfStarts is a table that was fitted to the times of starts.
type tableOfStarts struct{ tpp.Clocked }

// TimesAreStarts reports that they are.
func (tableOfStarts) TimesAreStarts() bool { return true }

// repeatReport is the repeated scores of a kind of model for machines.
type repeatReport struct {
	Dataset string              `json:"dataset"`
	Kind    string              `json:"kind"`
	Seeds   []uint64            `json:"seeds"`
	Folds   int                 `json:"folds,omitempty"` // of a cross-validation
	Scores  []eval.ScoreSummary `json:"scores"`
}

func printRepeatJSON(w io.Writer, dataset string, r *eval.Repetition) error {
	for _, c := range r.Candidates {
		if err := json.NewEncoder(w).Encode(repeatReport{dataset, c.Name, r.Seeds, r.Folds, c.Summary()}); err != nil {
			return err
		}
	}
	return nil
}

// printRepeat prints a line a score that some model has, a column a model.
func printRepeat(w io.Writer, r *eval.Repetition) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(tw, "score")
	var summaries [][]eval.ScoreSummary
	for _, c := range r.Candidates {
		fmt.Fprintf(tw, "\t%s", c.Name)
		summaries = append(summaries, c.Summary())
	}
	fmt.Fprintln(tw)
	for i, s := range summaries[0] {
		if !slices.ContainsFunc(summaries, func(of []eval.ScoreSummary) bool { return !math.IsNaN(of[i].Mean) }) {
			continue
		}
		fmt.Fprint(tw, s.Name)
		for _, of := range summaries {
			if math.IsNaN(of[i].Mean) {
				fmt.Fprint(tw, "\t–")
				continue
			}
			fmt.Fprintf(tw, "\t%s ± %s", number(of[i].Mean, 4), number(of[i].Std, 4))
		}
		fmt.Fprintln(tw)
	}
	return tw.Flush()
}
