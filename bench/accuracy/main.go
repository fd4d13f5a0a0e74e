// Command accuracy trains models on datasets over several splits and prints their scores side by side: every model sees the
// same splits, so the rows of a dataset can be compared. With a file of published results their rows stand beside ours.
//
//	go run ./bench/accuracy -splits 10 -published ../shared/reference/published_results.csv ../shared/data/*.json.gz
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
)

const usage = `accuracy trains models on datasets over several splits and prints the means of their test scores.

Usage: accuracy DATASET... [OPTIONS]

Examples:
  accuracy -splits 3 ../shared/data/low_*.json.gz
  accuracy -models lognormmix,paper-lognormmix,lookup -published published_results.csv ../shared/data/high_sequence_det.json.gz
`

// fitter makes a model of the training and validation parts.
type fitter func(ctx context.Context, training, validation *tpp.Dataset, seed uint64) (tpp.Model, error)

func recurrent(cfg tpp.Config, opts tpp.TrainOptions) fitter {
	return func(ctx context.Context, training, validation *tpp.Dataset, seed uint64) (tpp.Model, error) {
		opts.Seed = seed
		return tpp.Train(ctx, cfg, training, validation, opts)
	}
}

func lookup(key tpp.LookupKey) fitter {
	return func(_ context.Context, training, _ *tpp.Dataset, _ uint64) (tpp.Model, error) {
		return tpp.FitLookup(key, training, 1)
	}
}

var fitters = []struct {
	name string
	fit  fitter
}{
	{"lognormmix", recurrent(tpp.Config{}, tpp.TrainOptions{})},
	{"truncnorm", recurrent(tpp.Config{Kind: tpp.TruncNorm}, tpp.TrainOptions{})},
	{"paper-lognormmix", recurrent(tpp.PaperConfig(tpp.LogNormMix), tpp.PaperTraining(tpp.LogNormMix))},
	{"paper-truncnorm", recurrent(tpp.PaperConfig(tpp.TruncNorm), tpp.PaperTraining(tpp.TruncNorm))},
	{"lookup-mark", lookup(tpp.LastMark)},
	{"lookup-marks3", lookup(tpp.LastThreeMarks)},
	{"lookup-set", lookup(tpp.LastMarkAndSet)},
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

func compareOn(ctx context.Context, path string, splits int, models []string, rows []publishedRow, stdout io.Writer) error {
	data, err := tpp.ReadFile(path)
	if err != nil {
		return err
	}
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	fmt.Fprintf(stdout, "%s, mean ± standard deviation over %d splits\n", name, splits)
	tw := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "model\tnll_time\tnll_mark\tnll\tnll_resolution\tmae\taccuracy\tseconds")
	for _, f := range fitters {
		if !slices.ContainsFunc(models, func(m string) bool { return strings.HasPrefix(f.name, m) }) {
			continue
		}
		var all []tpp.Scores
		start := time.Now()
		for seed := range splits {
			training, validation, test := data.Split(uint64(seed + 1))
			m, err := f.fit(ctx, training, validation, uint64(seed+1))
			if err != nil {
				return fmt.Errorf("%s: %s: %w", path, f.name, err)
			}
			s, err := tpp.Evaluate(ctx, m, test, tpp.EvaluateOptions{})
			if err != nil {
				return fmt.Errorf("%s: %s: %w", path, f.name, err)
			}
			all = append(all, s)
		}
		seconds := time.Since(start).Seconds() / float64(splits)
		column := func(get func(tpp.Scores) float64, decimals int) string { return spread(all, get, decimals) }
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.1f\n", f.name,
			column(func(s tpp.Scores) float64 { return s.NLLTime }, 3), column(func(s tpp.Scores) float64 { return s.NLLMark }, 3),
			column(func(s tpp.Scores) float64 { return s.NLL }, 3), column(func(s tpp.Scores) float64 { return s.NLLResolution }, 3),
			column(func(s tpp.Scores) float64 { return s.MAE }, 1), column(func(s tpp.Scores) float64 { return s.Accuracy }, 4), seconds)
	}
	for _, r := range rows {
		if r.dataset == name {
			fmt.Fprintf(tw, "published %s\t%s\t%s\t%s\t\t%s\t%s\t%s\n", r.model, r.timeNLL, r.markNLL, r.total, r.mae, r.accuracy, r.seconds)
		}
	}
	fmt.Fprintln(tw)
	return tw.Flush()
}

func spread(all []tpp.Scores, get func(tpp.Scores) float64, decimals int) string {
	mean, ss := 0.0, 0.0
	for _, s := range all {
		mean += get(s) / float64(len(all))
	}
	for _, s := range all {
		ss += (get(s) - mean) * (get(s) - mean)
	}
	if math.IsNaN(mean) || math.IsInf(mean, 0) {
		return "–"
	}
	text := strconv.FormatFloat(mean, 'f', decimals, 64)
	if len(all) > 1 {
		text += " ± " + strconv.FormatFloat(math.Sqrt(ss/float64(len(all)-1)), 'f', decimals, 64)
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
