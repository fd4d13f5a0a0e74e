// Command accuracy trains models on datasets over several splits and prints their scores side by side: every model sees the
// same splits, and the differences between models are those on the same split. Published results stand beside them. Of datasets that
// were sampled with anomalies it also says how well each model tells them from normal traces.
//
//	go run ./bench/accuracy -splits 10 -o build/results.jsonl data/*.json.gz
//	go run ./bench/accuracy -from build/results.jsonl -markdown -picture build/accuracy.png
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/figure"
	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/eval"
)

const usage = `accuracy trains models on datasets over several splits, prints the means of their test scores, and compares them split by split.

Usage: accuracy DATASET... [OPTIONS]
       accuracy -from RESULTS [OPTIONS]

Examples:
  accuracy -splits 3 data/low_*.json.gz
  accuracy -splits 10 -models all -o results.jsonl -published published_results.csv recorded/*.json.gz
  accuracy -from results.jsonl,more.jsonl -markdown -picture accuracy.png
  accuracy -models race,lognormmix -splits 10 data/*.json.gz
  accuracy -models race -splits 5 -calibration-picture calibration.png data/low_*.json.gz
  accuracy -models lognormmix,lookup sequence_n300_l0.4_u0.7_e1.json.gz

"here" is, for each score, the better of the two recurrent models at their defaults, and "table" the best classical model. A model whose
name ends in +coldstart also knows which invocations so far have started cold, one in +starts how long those waited that have started. The graph of a "race" is that of the parents in the traces or,
where there are none, that of the embedded application which the functions are of, or else an estimate.

-calibration compares, on the test parts, when functions came with the distributions that were forecast for all events to come: coverage of
the 50 and 90 % intervals, and the largest distance of the distribution of their levels (PIT) from the uniform one, apart for events that
were expected as the next, the second, and the third or later. Results of a file that were made without it stay without it.

With -o each result is appended to a file as it comes, a line each; what the file has already is not trained again. Several runs may
write to one file, and -from reads several.

A dataset of a sampling with -e or -m, under the name that the sampler gave it, is also compared with the same sampling without anomalies,
which is read from the same folder or sampled in virtual time. Three numbers tell anomalies: late, by how long nothing has come; mark, by
what came; surprise, by what came when. AUC is the probability that of two traces, or gaps, the more suspicious one is the anomalous one.
False alarms are counted where 90 % of the anomalous traces are caught, and where the model says with probability 0.99 that an event
would have come by now.
`

func main() { cli.Main(run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return cli.Exit(stderr, "accuracy", compare(ctx, args, stdout, stderr))
}

// options are what the line says.
type options struct {
	datasets []string
	from     []string
	models   string // chooses names
	splits   []uint64
	// anySplit says that results of all splits are shown.
	anySplit                   bool
	output, published, picture string
	markdown                   bool
	workers                    int
	calibration                bool
	calibrationPicture         string
}

func parse(args []string, stdout io.Writer) (*options, error) {
	fs := cli.NewFlagSet("accuracy", stdout, usage)
	var o options
	splits := fs.Int("splits", 3, "number of `splits`")
	first := fs.Uint64("first", 1, "`seed` of the first split; those of the others follow")
	fs.StringVar(&o.models, "models", "lognormmix,truncnorm,lookup", "comma-separated `names` of models, or beginnings of several; all")
	fs.StringVar(&o.output, "o", "", "append results to `FILE`, JSON lines")
	from := fs.String("from", "", "print the results in comma-separated `FILES`; train nothing")
	fs.StringVar(&o.published, "published", "", "CSV `file` with published results")
	fs.BoolVar(&o.markdown, "markdown", false, "print Markdown")
	fs.StringVar(&o.picture, "picture", "", "draw a picture into `FILE`, a .png, .svg or .pdf")
	fs.BoolVar(&o.calibration, "calibration", false, "also print how well forecasts of all events to come are calibrated, of models that have their distributions")
	fs.StringVar(&o.calibrationPicture, "calibration-picture", "", "draw their PIT histograms into `FILE`, a .png, .svg or .pdf")
	fs.IntVar(&o.workers, "workers", 0, "`goroutines` that compute (without: as many as there are processors)")
	var err error
	if o.datasets, err = cli.Parse(fs, args); err != nil {
		return nil, err
	}
	if *from != "" {
		o.from = strings.Split(*from, ",")
	}
	switch {
	case len(o.from) == 0 && len(o.datasets) == 0:
		return nil, cli.Usagef("at least one dataset is needed, or -from")
	case len(o.from) > 0 && (len(o.datasets) > 0 || o.output != ""):
		return nil, cli.Usagef("-from trains nothing: it takes neither datasets nor -o")
	case *splits < 1:
		return nil, cli.Usagef("-splits: at least one is needed")
	case o.workers < 0:
		return nil, cli.Usagef("-workers: it must not be negative")
	case o.picture != "" && !figure.Writable(o.picture):
		return nil, cli.Usagef("-picture: %s must end in .png, .svg or .pdf", o.picture)
	}
	if o.calibrationPicture != "" {
		o.calibration = true
		if !figure.Writable(o.calibrationPicture) {
			return nil, cli.Usagef("-calibration-picture: %s must end in .png, .svg or .pdf", o.calibrationPicture)
		}
	}
	for i := range *splits {
		o.splits = append(o.splits, *first+uint64(i))
	}
	if len(o.from) > 0 {
		o.anySplit = !cli.IsSet(fs, "splits") && !cli.IsSet(fs, "first")
		if !cli.IsSet(fs, "models") {
			o.models = "all"
		}
	}
	return &o, nil
}

func names(all []eval.Candidate) []string {
	var out []string
	for _, c := range all {
		out = append(out, c.Name)
	}
	return out
}

func compare(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stdout)
	if err != nil {
		return err
	}
	var p *publishedResults
	if o.published != "" {
		if p, err = readPublished(o.published); err != nil {
			return err
		}
	}
	for _, picture := range []string{o.picture, o.calibrationPicture} {
		if picture == "" {
			continue
		}
		if err := atomicfile.Check(picture); err != nil {
			return err
		}
	}
	warn := func(message string) { fmt.Fprintln(stderr, "accuracy: "+message) }
	known := names(candidates(o.workers))
	var results []result
	if len(o.from) > 0 {
		if results, err = readResults(o.from, warn); err != nil {
			return err
		}
		slices.SortStableFunc(results, func(a, b result) int { return strings.Compare(a.Dataset, b.Dataset) })
		for _, r := range results {
			if !slices.Contains(known, r.Model) {
				known = append(known, r.Model) // of another version
			}
		}
	}
	models, err := choose(known, o.models)
	if err != nil {
		return err
	}
	if len(o.from) == 0 {
		if results, err = o.measure(ctx, models, stderr, warn); err != nil {
			return err
		}
	}
	results = slices.DeleteFunc(results, func(r result) bool {
		return !slices.Contains(models, r.Model) || !o.anySplit && !slices.Contains(o.splits, r.Split)
	})
	if len(results) == 0 {
		return errors.New("there are no results of these models and splits")
	}
	all, compared := compareAll(results, models)
	if o.picture != "" {
		if err := figure.Write(o.picture, sheet(all, compared, p)); err != nil {
			return err
		}
	}
	tables := tablesOf(all, compared, p)
	if o.calibration {
		calibrations := calibrationsOf(all, compared)
		if len(calibrations) == 0 {
			return errors.New("-calibration: no model here has distributions of all events to come, or none of its results tells their calibration")
		}
		if o.calibrationPicture != "" {
			if err := figure.Write(o.calibrationPicture, calibrationSheet(calibrations)); err != nil {
				return err
			}
		}
		tables = append(tables, calibrationTable(calibrations))
	}
	if o.markdown {
		return writeMarkdown(stdout, tables)
	}
	return writeText(stdout, tables)
}

// measure trains and scores what the results file does not have yet, and returns the results on the datasets, in their order.
func (o *options) measure(ctx context.Context, models []string, stderr io.Writer, warn func(string)) ([]result, error) {
	var before []result
	m := measurement{done: map[id]bool{}, trained: map[id]tpp.Model{}}
	m.splits, m.workers, m.calibrate = o.splits, o.workers, o.calibration
	for _, c := range candidates(o.workers) {
		if slices.Contains(models, c.Name) {
			m.models = append(m.models, c)
		}
	}
	if o.output != "" {
		var err error
		if m.journal, err = resultLines.Open(o.output, warn); err != nil {
			return nil, err
		}
		defer m.journal.Close()
	}
	for _, r := range m.journal.Results() {
		before = append(before, *r)
		m.done[r.id()] = true
	}
	m.show = progress.New(stderr, len(o.datasets)*len(m.splits)*len(m.models), "trainings")
	defer m.show.Done()
	place := map[[2]string]int{}
	for i, path := range o.datasets {
		name, fingerprint, err := m.dataset(ctx, path)
		if err != nil {
			return nil, err
		}
		if _, twice := place[[2]string{name, fingerprint}]; !twice {
			place[[2]string{name, fingerprint}] = i
		}
	}
	all := slices.DeleteFunc(append(before, m.fresh...), func(r result) bool {
		_, wanted := place[[2]string{r.Dataset, r.Fingerprint}]
		return !wanted
	})
	slices.SortStableFunc(all, func(a, b result) int {
		return place[[2]string{a.Dataset, a.Fingerprint}] - place[[2]string{b.Dataset, b.Fingerprint}]
	})
	return all, nil
}
