package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/eval"
)

const evaluateUsage = `tpp evaluate scores models on datasets, each model on each dataset. Files are told apart by their content. Functions are matched
by name: the files of one application may number them differently. A dataset may be larger than memory (with -part all; a CSV file with
-grouped too). Of the dataset that a model was trained on, which it knows by the fingerprint in the model's file, only the test part is
scored: the model has seen the rest. -part chooses another part.

Usage: tpp evaluate MODEL... DATASET... [OPTIONS]

Examples:
  tpp evaluate model.safetensors traces.json.gz
  tpp evaluate model.safetensors traces.json.gz -part all             what it was trained on as well
  tpp evaluate a.safetensors b.safetensors monday.json tuesday.json -json
  tpp evaluate model.safetensors traces.jsonl -all -confusion -otd 5
  tpp evaluate race.safetensors traces.json.gz -calibration            of forecasts of all events to come
  tpp evaluate a.safetensors b.safetensors traces.json -horizon auto   all events to come, not only the next
  tpp evaluate a.safetensors traces.json -horizon 5000 -tolerance 500 -prefix 3 -prefix-step 2

Scores, per event: nll_time and nll_mark, the negative log likelihoods of gap and mark; nll, their sum less the final survivals;
nll_resolution, mark and gap at the clock's resolution; mae and rmse of the median gap in ms; accuracy of the likeliest mark.
With -all and -json also: nll_sequence, nll per sequence; nll_end, of whether the sequence goes on; crps of the gap in ms; macro_f1
and ece (calibration) of the likeliest mark; coverage_50 and coverage_90, the share of gaps in the 50 and 90 % intervals; ks and
ks_pvalue of the rescaled times. A dash (null in JSON) is a score that the model does not have.

Scores of forecasts of all events to come, with -horizon: t_map, the temporal mean average precision up to the horizon (0 to 1, higher
is better), and otd, the optimal-transport distance of the next events in ms (lower is better), both as in the HoTPP benchmark; with -otd
alone, otd. Forecasts are made after each event of a sequence, or after those that -prefix and -prefix-step choose, by models that continue
a sequence themselves, and for others by taking the median gap and the likeliest function of each next event as if it had come.

-calibration compares, after each event, when each function came next with the distribution that was forecast for it, apart for events
that were expected as the next one, the second, and the third or later: how many were expected and came, the shares in their 50 and 90 %
intervals, and how far the distribution of their levels (PIT) is from the uniform one. The dataset has to fit into memory.
`

// result is the scores of a model on a dataset, as printed for machines.
type result struct {
	Model, Dataset, Kind string
	Part                 string // of the dataset
	Scores               eval.Scores
	Confusion            *eval.Confusion
	Forecasts            *eval.ForecastOptions // by which forecasts were scored, nil if none
	Calibration          *calibration          // nil if it was not asked for
	Trained              bool                  // epochs and seconds are those of a training
	Epochs               int
	Seconds              float64
	note                 string // what of the dataset was scored, for people
}

// MarshalJSON writes the scores beside the names, the confusion table, the options of forecasts and the calibration where they were asked for,
// and epochs and seconds where there was a training.
func (r result) MarshalJSON() ([]byte, error) {
	head, err := json.Marshal(struct {
		Model   string `json:"model"`
		Dataset string `json:"dataset"`
		Kind    string `json:"kind"`
		Part    string `json:"part"`
	}{r.Model, r.Dataset, r.Kind, r.Part})
	if err != nil {
		return nil, err
	}
	scores, err := json.Marshal(r.Scores)
	if err != nil {
		return nil, err
	}
	out := append(head[:len(head)-1], ',')
	out = append(out, scores[1:len(scores)-1]...)
	if r.Confusion != nil {
		confusion, err := json.Marshal(r.Confusion)
		if err != nil {
			return nil, err
		}
		out = append(append(out, `,"confusion":`...), confusion...)
	}
	if r.Forecasts != nil {
		options, err := json.Marshal(describeForecasts(r.Forecasts))
		if err != nil {
			return nil, err
		}
		out = append(append(out, `,"forecasts":`...), options...)
	}
	if r.Calibration != nil && r.Calibration.has {
		arrivals, err := json.Marshal(r.Calibration.arrivals)
		if err != nil {
			return nil, err
		}
		out = append(append(out, `,"calibration":`...), arrivals...)
	}
	if r.Trained {
		out = fmt.Appendf(out, `,"epochs":%d,"seconds":%.3f`, r.Epochs, r.Seconds)
	}
	return append(out, '}'), nil
}

// evaluation is what the command line asks for.
type evaluation struct {
	part      string
	split     split
	opts      eval.EvaluateOptions
	horizon   string // a number, auto, or empty
	in        *input
	asJSON    bool
	all       bool
	confusion bool
	calibrate bool
}

func evaluate(fs *flag.FlagSet) cli.Run {
	var e evaluation
	fs.StringVar(&e.part, "part", "", "`part` of each dataset: all, or train, validation or test of the split by -seed (default: test of the dataset that the model was trained on, all of others)")
	e.split.flags(fs)
	fs.BoolVar(&e.asJSON, "json", false, "print one JSON object for each model and dataset")
	fs.BoolVar(&e.all, "all", false, "print all scores")
	fs.BoolVar(&e.confusion, "confusion", false, "print which function came where which was predicted")
	fs.BoolVar(&e.calibrate, "calibration", false, "print how well forecasts of all events to come are calibrated, of models that have their distributions (race)")
	e.forecastFlags(fs)
	fs.Float64Var(&e.opts.Resolution, "resolution", 0, "tick of the clock in `ms` (default: the model's own)")
	e.in = inputOptions(fs, true)
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		return e.run(ctx, fs, args, stdout, stderr)
	}
}

func (e *evaluation) run(ctx context.Context, fs *flag.FlagSet, rest []string, stdout, stderr io.Writer) error {
	switch {
	case e.part != "" && !validPart(e.part):
		return cli.Usagef("-part is %q, it must be all, train, validation or test", e.part)
	case cli.IsSet(fs, "resolution") && !(e.opts.Resolution > 0) || math.IsInf(e.opts.Resolution, 0):
		return cli.Usagef("-resolution is %v, it must be above 0", e.opts.Resolution)
	case len(rest) < 2:
		return cli.Usagef("evaluate takes at least one model and one dataset")
	}
	if err := e.split.check(fs, e.part); err != nil {
		return err
	}
	if err := e.setForecasts(fs); err != nil {
		return err
	}
	models, datasets, err := tellApart(rest)
	defer func() {
		for _, f := range datasets {
			f.Close()
		}
	}()
	if err != nil {
		return err
	}
	if len(models) == 0 || len(datasets) == 0 {
		for _, f := range datasets {
			// A broken model is taken for a dataset: then that is what is wrong.
			if _, err := e.in.reader(f, nil); err != nil {
				return err
			}
		}
		return fmt.Errorf("among the files are %d models and %d datasets: at least one of each is needed", len(models), len(datasets))
	}
	var results []result
	for _, f := range datasets {
		of, err := e.scoreDataset(ctx, f, models, stderr)
		if err != nil {
			return err
		}
		for _, r := range of {
			if e.asJSON {
				if err := printJSON(stdout, r); err != nil {
					return err
				}
			}
		}
		results = append(results, of...)
	}
	if e.asJSON {
		return nil
	}
	if e.all {
		err = printAll(stdout, results)
	} else {
		err = printTable(stdout, results, "")
	}
	if err == nil {
		err = printForecastNotes(stdout, results)
	}
	for _, r := range results {
		if err == nil && r.note != "" {
			_, err = fmt.Fprintf(stdout, "\n%s\n", r.note)
		}
	}
	if err == nil && e.confusion {
		err = printConfusion(stdout, results)
	}
	if err == nil && e.calibrate {
		err = printCalibration(stdout, results)
	}
	return err
}

// namedModel is a model with the name of its file.
type namedModel struct {
	path string
	tpp.Model
	data *tpp.TrainingData // nil if the file does not say
}

// scoreDataset scores all models on one dataset. It is read as a whole if a part of it is asked for, or if it is a pipe that cannot be
// read again; else once for each model, as a stream, so that it may be larger than memory.
func (e *evaluation) scoreDataset(ctx context.Context, f *inputFile, models []namedModel, stderr io.Writer) ([]result, error) {
	remembers := e.part == "" && slices.ContainsFunc(models, func(m namedModel) bool { return m.data != nil })
	var whole *tpp.Dataset
	warnings := stderr // they are about the dataset alone: once is enough
	read := func() (err error) {
		if whole == nil {
			e.in.opts.Tick = cmp.Or(e.opts.Resolution, tickOf(models[0].Model))
			whole, err = e.readWhole(ctx, f, warnings)
			warnings = io.Discard
		}
		return err
	}
	auto := e.horizon == autoHorizon
	if e.part != "" && e.part != "all" && !e.split.streams(f) || e.calibrate || !f.regular && (len(models) > 1 || remembers || auto) {
		if err := read(); err != nil {
			return nil, err
		}
	}
	opts := e.opts
	fingerprint := ""
	if remembers || auto {
		about, err := e.survey(ctx, f, whole, auto)
		if err != nil {
			return nil, err
		}
		fingerprint = about.fingerprint
		if auto {
			opts.Forecasts.Horizon = about.horizon
		}
	}
	var results []result
	for _, m := range models {
		part, how, trained := cmp.Or(e.part, "all"), e.split, false
		if remembers && m.data != nil && m.data.Fingerprint == fingerprint {
			trained = true
			if m.data.Split {
				part, how = "test", splitOf(m.data)
			}
		}
		if part != "all" && !how.streams(f) {
			if err := read(); err != nil {
				return nil, err
			}
		}
		var d *eval.Diagnostics
		var err error
		if whole != nil {
			d, err = eval.Diagnose(ctx, m.Model, how.part(whole, part), opts)
		} else {
			d, err = e.stream(ctx, f, m.Model, opts, how.keep(part), warnings)
			warnings = io.Discard
		}
		if err != nil {
			return nil, fmt.Errorf("%s on %s: %w", m.path, f.path, err)
		}
		r := result{Model: m.path, Dataset: f.path, Kind: m.Kind(), Part: part, Scores: d.Scores}
		if e.part == "" && m.data != nil {
			r.note = partNote(r, how, trained)
		}
		if e.confusion {
			r.Confusion = d.Confusion
		}
		if e.calibrate {
			if r.Calibration, err = calibrate(ctx, m.Model, how.part(whole, part)); err != nil {
				return nil, fmt.Errorf("%s on %s: %w", m.path, f.path, err)
			}
		}
		if opts.Forecasts.Horizon > 0 || opts.Forecasts.NextEvents > 0 {
			r.Forecasts = &d.Forecasts
		}
		results = append(results, r)
	}
	return results, nil
}

// partNote says what of a dataset was scored and why, where the command line does not say it.
func partNote(r result, how split, trained bool) string {
	switch {
	case r.Part == "test":
		return fmt.Sprintf("%s: the test part (%s), as %s was trained on the rest", r.Dataset, how, r.Model)
	case trained:
		return fmt.Sprintf("%s: all of it, which %s was trained on", r.Dataset, r.Model)
	}
	return fmt.Sprintf("%s: all of it, as its fingerprint is not that of the data that %s was trained on", r.Dataset, r.Model)
}

// readWhole reads a dataset from its beginning.
func (e *evaluation) readWhole(ctx context.Context, f *inputFile, stderr io.Writer) (*tpp.Dataset, error) {
	if err := f.rewind(); err != nil {
		return nil, err
	}
	r, err := e.in.reader(f, nil)
	if err != nil {
		return nil, err
	}
	d, err := r.ReadAll(ctx)
	if err != nil {
		return nil, err
	}
	return d, e.in.warn(f.path, r, stderr)
}

// stream scores the sequences of a file whose numbers are kept, one by one.
func (e *evaluation) stream(ctx context.Context, f *inputFile, m tpp.Model, opts eval.EvaluateOptions, keep func(i int) bool, stderr io.Writer) (*eval.Diagnostics, error) {
	if err := f.rewind(); err != nil {
		return nil, err
	}
	unnamed := *f
	unnamed.path = "" // the caller names it
	e.in.opts.Tick = cmp.Or(e.opts.Resolution, tickOf(m))
	r, err := e.in.reader(&unnamed, m.MarkNames())
	if err != nil {
		return nil, err
	}
	sequences := r.All(ctx)
	if !f.regular && r.Format() == dataset.FormatJSON {
		// The names of the marks may stand at the end of the document.
		d, err := r.ReadAll(ctx)
		if err != nil {
			return nil, err
		}
		sequences = sequencesIn(d)
	}
	d, err := eval.DiagnoseStream(ctx, m, kept(sequences, keep), m.MarkNames(), opts)
	if err != nil && len(m.MarkNames()) == 0 {
		return nil, fmt.Errorf("the model knows no marks: %w", err)
	}
	if err != nil {
		return nil, err
	}
	return d, e.in.warn(f.path, r, stderr)
}

// sequencesIn yields the sequences of a dataset.
func sequencesIn(d *tpp.Dataset) iter.Seq2[*tpp.Sequence, error] {
	return func(yield func(*tpp.Sequence, error) bool) {
		for i := range d.Sequences {
			if !yield(&d.Sequences[i], nil) {
				return
			}
		}
	}
}

// tellApart sorts files into models, which it reads, and datasets, which stay open, by their content.
func tellApart(paths []string) (models []namedModel, datasets []*inputFile, err error) {
	for _, path := range paths {
		f, err := openInput(path)
		if err != nil {
			return nil, datasets, err
		}
		if !f.model {
			datasets = append(datasets, f)
			continue
		}
		m, data, err := f.readModel()
		f.Close()
		if err != nil {
			return nil, datasets, err
		}
		models = append(models, namedModel{path, m, data})
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
	fmt.Fprint(tw, "nll_time\tnll_mark\tnll\tnll_resolution\tmae\trmse\taccuracy")
	withHorizon, withForecasts := forecastColumns(results)
	if withHorizon {
		fmt.Fprint(tw, "\tt_map")
	}
	if withForecasts {
		fmt.Fprint(tw, "\totd")
	}
	fmt.Fprintln(tw)
	for _, r := range results {
		fmt.Fprintf(tw, "%s\t", r.Model)
		if withDataset {
			fmt.Fprintf(tw, "%s\t%d\t", r.Dataset, r.Scores.Events)
		}
		s := r.Scores
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s", number(s.NLLTime, 4), number(s.NLLMark, 4), number(s.NLL, 4),
			number(s.NLLResolution, 4), number(s.MAE, 2), number(s.RMSE, 2), number(s.Accuracy, 4))
		if withHorizon {
			fmt.Fprintf(tw, "\t%s", number(s.TMAP, decimalsOf("t_map")))
		}
		if withForecasts {
			fmt.Fprintf(tw, "\t%s", number(s.OTD, decimalsOf("otd")))
		}
		fmt.Fprintln(tw)
	}
	if note != "" {
		fmt.Fprintln(tw, note)
	}
	return tw.Flush()
}

// printAll prints all scores, a row for each: too many for the columns of a terminal.
func printAll(w io.Writer, results []result) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name string, value func(result) string) {
		fmt.Fprint(tw, name)
		for _, r := range results {
			fmt.Fprintf(tw, "\t%s", value(r))
		}
		fmt.Fprintln(tw)
	}
	row("model", func(r result) string { return r.Model })
	row("dataset", func(r result) string { return r.Dataset })
	row("kind", func(r result) string { return r.Kind })
	row("part", func(r result) string { return r.Part })
	row("sequences", func(r result) string { return strconv.Itoa(r.Scores.Sequences) })
	row("events", func(r result) string { return strconv.Itoa(r.Scores.Events) })
	for name := range results[0].Scores.All() {
		row(name, func(r result) string {
			for other, value := range r.Scores.All() {
				if other == name {
					return number(value, decimalsOf(name))
				}
			}
			return ""
		})
	}
	return tw.Flush()
}

// decimalsOf returns the number of decimals with which a score is printed: fewer for times in ms.
func decimalsOf(name string) int {
	switch name {
	case "mae", "rmse", "crps", "otd", "nll_sequence":
		return 2
	}
	return 4
}

func printConfusion(w io.Writer, results []result) error {
	for _, r := range results {
		fmt.Fprintf(w, "\n%s on %s\n", r.Model, r.Dataset)
		if err := r.Confusion.WriteText(w); err != nil {
			return err
		}
	}
	return nil
}

// number returns a score for people; a dash stands for one that the model does not have.
func number(v float64, decimals int) string {
	if math.IsNaN(v) {
		return "–"
	}
	if math.IsInf(v, 1) {
		return "∞"
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}
