// Command accuracy trains models on datasets over several splits and prints their scores side by side: every model sees the
// same splits, so the rows of a dataset can be compared. With a file of published results their rows stand beside ours.
//
//	go run ./bench/accuracy -splits 10 data/*.json.gz
package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/neural"
)

const usage = `accuracy trains models on datasets over several splits and prints the means of their test scores.

Usage: accuracy DATASET... [OPTIONS]

Examples:
  accuracy -splits 3 data/low_*.json.gz
  accuracy -models lognormmix,paper-lognormmix,lookup -published published_results.csv recorded/high_sequence_det.json.gz
`

func recurrent(cfg neural.Config, opts neural.TrainOptions) func(context.Context, *tpp.Dataset, *tpp.Dataset, uint64) (tpp.Model, error) {
	return func(ctx context.Context, training, validation *tpp.Dataset, seed uint64) (tpp.Model, error) {
		opts.Seed = seed
		return neural.Train(ctx, cfg, training, validation, opts)
	}
}

// candidates returns all that can be compared.
func candidates() []eval.Candidate {
	out := []eval.Candidate{
		{Name: "lognormmix", Fit: recurrent(neural.Config{}, neural.TrainOptions{})},
		{Name: "truncnorm", Fit: recurrent(neural.Config{Kind: neural.TruncNorm}, neural.TrainOptions{})},
		{Name: "paper-lognormmix", Fit: recurrent(neural.PaperConfig(neural.LogNormMix), neural.PaperTraining(neural.LogNormMix))},
		{Name: "paper-truncnorm", Fit: recurrent(neural.PaperConfig(neural.TruncNorm), neural.PaperTraining(neural.TruncNorm))},
	}
	for _, kind := range classical.Kinds() {
		out = append(out, eval.Candidate{Name: string(kind), Fit: func(ctx context.Context, training, _ *tpp.Dataset, _ uint64) (tpp.Model, error) {
			return classical.Fit(ctx, kind, training, classical.FitOptions{})
		}})
	}
	return out
}

func main() { cli.Main(run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return cli.Exit(stderr, "accuracy", compare(ctx, args, stdout, stderr))
}

func compare(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := cli.NewFlagSet("accuracy", stdout, usage)
	splits := fs.Int("splits", 3, "number of `splits`, with the seeds 1, 2, …")
	models := fs.String("models", "lognormmix,truncnorm,lookup", "comma-separated beginnings of the `names` of models")
	published := fs.String("published", "", "CSV `file` with published results")
	paths, err := cli.Parse(fs, args)
	if err != nil {
		return err
	}
	if len(paths) == 0 || *splits < 1 {
		return cli.Usagef("at least one dataset and one split are needed")
	}
	var rows []publishedRow
	if *published != "" {
		if rows, err = readPublished(*published); err != nil {
			return err
		}
	}
	for _, path := range paths {
		if err := compareOn(ctx, path, *splits, strings.Split(*models, ","), rows, stdout); err != nil {
			return err
		}
	}
	return nil
}

// columns are the scores that are printed, with their decimals.
var columns = []struct {
	name     string
	decimals int
}{{"nll_time", 3}, {"nll_mark", 3}, {"nll", 3}, {"nll_resolution", 3}, {"mae", 1}, {"accuracy", 4}}

func compareOn(ctx context.Context, path string, splits int, models []string, rows []publishedRow, stdout io.Writer) error {
	data, err := dataset.ReadFile(path)
	if err != nil {
		return err
	}
	var chosen []eval.Candidate
	for _, c := range candidates() {
		if slices.ContainsFunc(models, func(m string) bool { return strings.HasPrefix(c.Name, m) }) {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		return cli.Usagef("-models %s names no model", strings.Join(models, ","))
	}
	seconds := timed(chosen)
	var seeds []uint64
	for i := range splits {
		seeds = append(seeds, uint64(i+1))
	}
	repetition, err := eval.Repeat(ctx, data, seeds, chosen, eval.EvaluateOptions{})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	fmt.Fprintf(stdout, "%s, mean ± standard deviation over %d splits\n", name, splits)
	tw := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprint(tw, "model")
	for _, c := range columns {
		fmt.Fprint(tw, "\t", c.name)
	}
	fmt.Fprintln(tw, "\tseconds")
	for i, c := range repetition.Candidates {
		fmt.Fprint(tw, c.Name)
		summary := c.Summary()
		for _, column := range columns {
			s := summary[slices.IndexFunc(summary, func(s eval.ScoreSummary) bool { return s.Name == column.name })]
			fmt.Fprint(tw, "\t", spread(s, column.decimals))
		}
		fmt.Fprintf(tw, "\t%.1f\n", seconds[i]/float64(splits))
	}
	for _, r := range rows {
		if r.dataset == name {
			fmt.Fprintf(tw, "published %s\t%s\t%s\t%s\t\t%s\t%s\t%s\n", r.model, r.timeNLL, r.markNLL, r.total, r.mae, r.accuracy, r.seconds)
		}
	}
	fmt.Fprintln(tw)
	return tw.Flush()
}

// timed wraps the candidates so that the seconds of their fits add up in what it returns.
func timed(chosen []eval.Candidate) []float64 {
	seconds := make([]float64, len(chosen))
	for i := range chosen {
		fit := chosen[i].Fit
		chosen[i].Fit = func(ctx context.Context, training, validation *tpp.Dataset, seed uint64) (tpp.Model, error) {
			start := time.Now()
			defer func() { seconds[i] += time.Since(start).Seconds() }()
			return fit(ctx, training, validation, seed)
		}
	}
	return seconds
}

func spread(s eval.ScoreSummary, decimals int) string {
	if math.IsNaN(s.Mean) || math.IsInf(s.Mean, 0) {
		return "–"
	}
	text := strconv.FormatFloat(s.Mean, 'f', decimals, 64)
	if !math.IsNaN(s.Std) {
		text += " ± " + strconv.FormatFloat(s.Std, 'f', decimals, 64)
	}
	return text
}

// publishedRow is a row of published results as its file has it, without the cold-start feature.
type publishedRow struct {
	dataset, model, timeNLL, markNLL, total, accuracy, mae, seconds string
}

func readPublished(path string) ([]publishedRow, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var rows []publishedRow
	for _, r := range records[min(1, len(records)):] {
		if len(r) < 13 {
			return nil, fmt.Errorf("%s: a row of %d columns, want 13", path, len(r))
		}
		if r[2] != "False" {
			continue
		}
		row := publishedRow{dataset: r[0], model: r[1], timeNLL: r[4], markNLL: r[5], total: r[6], accuracy: r[8], mae: r[9], seconds: r[12]}
		if row.model == "TruncNorm" {
			row.timeNLL, row.total = "–", "–" // there they hold the absolute error
		}
		rows = append(rows, row)
	}
	return rows, nil
}
