package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"text/tabwriter"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp"
)

const evaluateUsage = `tpp evaluate scores models on datasets, each model on each dataset. Files are told apart by their content. Functions are matched
by name: the files of one application may number them differently.

Usage: tpp evaluate MODEL... DATASET... [OPTIONS]

Examples:
  tpp evaluate model.safetensors traces.json.gz
  tpp evaluate model.safetensors traces.json.gz -part test -seed 1    what train kept aside with that seed
  tpp evaluate a.safetensors b.safetensors monday.json tuesday.json -json

Scores, per event: nll_time and nll_mark, the negative log likelihoods of gap and mark; nll, their sum less the final survivals;
nll_resolution, mark and gap at the clock's resolution of 1 ms; mae and rmse of the median gap in ms; accuracy of the likeliest mark.
`

// result is the scores of a model on a dataset, as printed for machines.
type result struct {
	Model, Dataset, Kind string
	Scores               tpp.Scores
	Epochs               int
	Seconds              float64
}

// MarshalJSON writes the scores beside the names. Epochs and seconds are written where there was a training.
func (r result) MarshalJSON() ([]byte, error) {
	head, err := json.Marshal(struct {
		Model   string `json:"model"`
		Dataset string `json:"dataset"`
		Kind    string `json:"kind"`
	}{r.Model, r.Dataset, r.Kind})
	if err != nil {
		return nil, err
	}
	scores, err := json.Marshal(r.Scores)
	if err != nil {
		return nil, err
	}
	out := append(head[:len(head)-1], ',')
	out = append(out, scores[1:len(scores)-1]...)
	if r.Epochs > 0 {
		out = fmt.Appendf(out, `,"epochs":%d,"seconds":%.3f`, r.Epochs, r.Seconds)
	}
	return append(out, '}'), nil
}

func evaluate(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := cli.NewFlagSet("evaluate", stdout, evaluateUsage)
	part := fs.String("part", "all", "`part` of each dataset: all, or train, validation or test of the split by -seed")
	seed := fs.Uint64("seed", 1, "`seed` of the split")
	asJSON := fs.Bool("json", false, "print one JSON object for each model and dataset")
	rest, err := cli.Parse(fs, args)
	if err != nil {
		return err
	}
	if !validPart(*part) {
		return cli.Usagef("-part is %q, it must be all, train, validation or test", *part)
	}
	if cli.IsSet(fs, "seed") && *part == "all" {
		return cli.Usagef("-seed needs -part train, validation or test")
	}
	if len(rest) < 2 {
		return cli.Usagef("evaluate takes at least one model and one dataset")
	}
	models, datasets, err := tellApart(rest)
	if err != nil {
		return err
	}
	if len(models) == 0 || len(datasets) == 0 {
		return fmt.Errorf("among the files are %d models and %d datasets: at least one of each is needed", len(models), len(datasets))
	}
	var results []result
	for _, dp := range datasets {
		data, err := tpp.ReadFile(dp)
		if err != nil {
			return err
		}
		data = partOf(data, *part, *seed)
		for _, mp := range models {
			model, err := tpp.ReadModelFile(mp)
			if err != nil {
				return err
			}
			scores, err := tpp.Evaluate(ctx, model, data, tpp.EvaluateOptions{})
			if err != nil {
				return fmt.Errorf("%s on %s: %w", mp, dp, err)
			}
			r := result{Model: mp, Dataset: dp, Kind: model.Kind(), Scores: scores}
			if *asJSON {
				if err := printJSON(stdout, r); err != nil {
					return err
				}
			}
			results = append(results, r)
		}
	}
	if *asJSON {
		return nil
	}
	return printTable(stdout, results, "")
}

func validPart(part string) bool {
	switch part {
	case "all", "train", "validation", "test":
		return true
	}
	return false
}

func partOf(d *tpp.Dataset, part string, seed uint64) *tpp.Dataset {
	training, validation, test := d.Split(seed)
	switch part {
	case "train":
		return training
	case "validation":
		return validation
	case "test":
		return test
	}
	return d
}

// tellApart sorts files into models and datasets: a dataset is JSON or gzipped, a model is neither.
func tellApart(paths []string) (models, datasets []string, err error) {
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return nil, nil, err
		}
		head, err := bufio.NewReader(f).Peek(64)
		f.Close()
		if err != nil && err != io.EOF {
			return nil, nil, err
		}
		if bytes.HasPrefix(head, []byte{0x1f, 0x8b}) || bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("{")) {
			datasets = append(datasets, path)
		} else {
			models = append(models, path)
		}
	}
	return models, datasets, nil
}

// printTable prints results for people, and under them a note if there is one.
func printTable(w io.Writer, results []result, note string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	withDataset := results[0].Dataset != ""
	fmt.Fprint(tw, "model\t")
	if withDataset {
		fmt.Fprint(tw, "dataset\tevents\t")
	}
	fmt.Fprintln(tw, "nll_time\tnll_mark\tnll\tnll_resolution\tmae\trmse\taccuracy")
	for _, r := range results {
		fmt.Fprintf(tw, "%s\t", r.Model)
		if withDataset {
			fmt.Fprintf(tw, "%s\t%d\t", r.Dataset, r.Scores.Events)
		}
		s := r.Scores
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", number(s.NLLTime, 4), number(s.NLLMark, 4), number(s.NLL, 4),
			number(s.NLLResolution, 4), number(s.MAE, 2), number(s.RMSE, 2), number(s.Accuracy, 4))
	}
	if note != "" {
		fmt.Fprintln(tw, note)
	}
	return tw.Flush()
}

// number is a score for people; a dash stands for one that the model does not have.
func number(v float64, decimals int) string {
	if math.IsNaN(v) {
		return "–"
	}
	if math.IsInf(v, 1) {
		return "∞"
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}
