package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/figure"
	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/rightsize"
	"github.com/tppfaas/tppfaas/rightsize/backtest"
	"github.com/tppfaas/tppfaas/rightsize/recommend"
	"github.com/tppfaas/tppfaas/rightsize/synthetic"
	"github.com/tppfaas/tppfaas/rightsize/usagecsv"
)

var backtestCommand = cli.Command{
	Name: "backtest", Arguments: "USAGE.csv...|-synthetic all", Summary: "compare what recommenders of limits would have done",
	Help: backtestUsage(), Define: runBacktest,
	Values: map[string][]string{"recommender": recommenderKinds(), "synthetic": append([]string{"all"}, kindsOfSeries()...)},
}

// backtestUsage returns the help of rightsize backtest.
func backtestUsage() string {
	return `Usage: rightsize backtest USAGE.csv... [OPTIONS]
       rightsize backtest -synthetic KIND[,KIND] [OPTIONS]

Has each recommender see usage sample by sample and set limits from then on, and prints what that would have reserved, and how often memory
would have been above the limit. A file is a function (see rightsize acquire); made series have a seed each. The first day sets no limits; what is set
then is 1.2 times its maximum. Floors are equal for all, and values are not rounded. Nothing in a series changes by what happens.

Examples:
  rightsize backtest usage.csv
  rightsize backtest usage.csv -warmup 1h -recommender krr,vpa -json
  rightsize backtest -synthetic all -seed 101 -seeds 6 -picture backtest.png
  rightsize backtest -synthetic daily,leak -in-place

Recommenders:
` + list(recommend.Kinds()) + `
Series:
` + list(synthetic.Kinds()) + `
Columns: memory limit over time (reserved) in GiB, and to that of the base, with 95 % intervals over seeds (Student's t); memory request over time; kills,
maximal runs of samples above the memory limit, in all seeds together; minutes in these; changes a day, each of which restarts the container; CPU request
over time in cores; share of the time in which CPU usage is above the CPU limit.

-json prints an object for each series, seed and recommender: series, seed, recommender, days, reserved, requested, kills, over, changes, cpu, throttled.

Exit status: 0 done, 1 failed or interrupted, 2 called wrongly.
`
}

// list writes names and what they are.
func list(kinds [][2]string) string {
	var b strings.Builder
	for _, k := range kinds {
		fmt.Fprintf(&b, "  %-10s %s\n", k[0], k[1])
	}
	return b.String()
}

func kindsOfSeries() []string { return names(synthetic.Kinds()) }

func names(kinds [][2]string) []string {
	var out []string
	for _, k := range kinds {
		out = append(out, k[0])
	}
	return out
}

// choose returns the words of a list with commas, which must be among those known; "all" is all of them.
func choose(option, text string, known []string) ([]string, error) {
	if text == "all" {
		return known, nil
	}
	var out []string
	for word := range strings.SplitSeq(text, ",") {
		switch {
		case !slices.Contains(known, word):
			return nil, cli.Usagef("-%s: %q is none of all, %s", option, word, strings.Join(known, ", "))
		case slices.Contains(out, word):
			return nil, cli.Usagef("-%s: %s is given twice", option, word)
		}
		out = append(out, word)
	}
	return out, nil
}

// Bounds that keep a slip of the hand from filling the memory.
const mostSeeds = 10_000

type backtestOptions struct {
	kinds, recommenders string
	base                string
	first               uint64
	seeds, workers      int
	options             backtest.Options
	restart, inPlace    bool
	json, markdown      bool
	picture             string
	series              synthetic.Options
}

func runBacktest(fs *flag.FlagSet) cli.Run {
	var o backtestOptions
	fs.StringVar(&o.kinds, "synthetic", "", "made series of these `kinds`, or all, instead of files")
	fs.Uint64Var(&o.first, "seed", 1, "`seed` of the first made series; those of the others follow")
	fs.IntVar(&o.seeds, "seeds", 6, "`number` of made series of each kind")
	fs.DurationVar(&o.series.Length, "length", 0, "`length` of made series (240h)")
	fs.DurationVar(&o.series.Step, "step", 0, "`time` between samples of made series (1m)")
	fs.StringVar(&o.recommenders, "recommender", "all", "`recommenders`, with commas")
	fs.StringVar(&o.base, "base", "krr", "the `recommender` to compare with")
	fs.DurationVar(&o.options.Warmup, "warmup", backtest.DefaultWarmup, "`time` that sets no limits and is not scored")
	fs.BoolVar(&o.restart, "restart", false, fmt.Sprintf("a change restarts the container: at most %d a day by forecast (as without)", recommend.RestartChanges))
	fs.BoolVar(&o.inPlace, "in-place", false, fmt.Sprintf("a change is made while the container runs: at most %d a day by forecast", recommend.InPlaceChanges))
	fs.BoolVar(&o.json, "json", false, "print an object for each run")
	fs.BoolVar(&o.markdown, "markdown", false, "print Markdown")
	fs.StringVar(&o.picture, "picture", "", "draw reserved memory and kills into `FILE`, a .png, .svg or .pdf")
	fs.IntVar(&o.workers, "workers", 0, "`series` at once (without: as many as there are processors)")
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		m, err := o.matrix(ctx, fs, args)
		if err != nil {
			return err
		}
		show := progress.New(stderr, len(m.Series)*len(m.Recommenders), "runs")
		m.Progress = func(done int) { show.Set(done, "") }
		cells, err := backtest.Run(ctx, *m)
		show.Done()
		if err != nil {
			return err
		}
		return o.write(cells, stdout)
	}
}

// matrix returns what is to be run.
func (o *backtestOptions) matrix(ctx context.Context, fs *flag.FlagSet, files []string) (*backtest.Matrix, error) {
	switch {
	case len(files) == 0 && o.kinds == "":
		return nil, cli.Usagef("files of usage, please, or -synthetic")
	case len(files) > 0 && o.kinds != "":
		return nil, cli.Usagef("files of usage or -synthetic, not both")
	case o.seeds < 1 || o.seeds > mostSeeds:
		return nil, cli.Usagef("-seeds: from 1 to %d", mostSeeds)
	case o.workers < 0:
		return nil, cli.Usagef("-workers: it must not be negative")
	case cli.IsSet(fs, "length") && o.series.Length <= 0, cli.IsSet(fs, "step") && o.series.Step <= 0:
		return nil, cli.Usagef("-length and -step: they must be positive")
	case o.options.Warmup <= 0:
		return nil, cli.Usagef("-warmup: it must be positive")
	case o.json && o.markdown:
		return nil, cli.Usagef("-json and -markdown: only one of them")
	case o.picture != "" && !figure.Writable(o.picture):
		return nil, cli.Usagef("-picture: %s must end in .png, .svg or .pdf", o.picture)
	}
	var err error
	if o.options.MaxChanges, err = changes(o.restart, o.inPlace); err != nil {
		return nil, err
	}
	if o.picture != "" {
		if err := atomicfile.Check(o.picture); err != nil {
			return nil, err
		}
	}
	m := &backtest.Matrix{Options: o.options, Workers: o.workers}
	if m.Recommenders, err = choose("recommender", o.recommenders, recommenderKinds()); err != nil {
		return nil, err
	}
	if !slices.Contains(recommenderKinds(), o.base) {
		return nil, cli.Usagef("-base: %q is none of %s", o.base, recommenderNames())
	}
	if cli.IsSet(fs, "base") && !slices.Contains(m.Recommenders, o.base) {
		return nil, cli.Usagef("-base: %s is not among -recommender %s", o.base, o.recommenders)
	}
	if o.kinds != "" {
		kinds, err := choose("synthetic", o.kinds, kindsOfSeries())
		if err != nil {
			return nil, err
		}
		if _, err := synthetic.New(kinds[0], o.first, o.series); err != nil {
			return nil, cli.Usagef("%v", err)
		}
		m.Series = backtest.Synthetic(kinds, o.first, o.seeds, o.series)
		return m, nil
	}
	for _, file := range files {
		m.Series = append(m.Series, backtest.Series{Name: seriesName(file), Usage: func() (*rightsize.Usage, error) {
			return usagecsv.ReadFiles(ctx, []string{file}, usagecsv.Options{})
		}})
	}
	for i, s := range m.Series {
		for _, before := range m.Series[:i] {
			if before.Name == s.Name {
				m.Series[i].Name = files[i]
			}
		}
	}
	return m, nil
}

// changes returns how many changes a day are allowed.
func changes(restart, inPlace bool) (int, error) {
	switch {
	case restart && inPlace:
		return 0, cli.Usagef("-restart and -in-place: only one of them")
	case inPlace:
		return recommend.InPlaceChanges, nil
	}
	return recommend.RestartChanges, nil
}

// seriesName is what a file is called in tables.
func seriesName(file string) string {
	name := strings.TrimSuffix(filepath.Base(file), ".gz")
	return strings.TrimSuffix(name, filepath.Ext(name))
}

func (o *backtestOptions) write(cells []backtest.Cell, stdout io.Writer) error {
	comparisons := backtest.Compare(cells, o.base)
	if o.picture != "" {
		if err := figure.Write(o.picture, backtest.Picture(comparisons)); err != nil {
			return err
		}
	}
	if o.json {
		encoder := json.NewEncoder(stdout)
		for _, c := range cells {
			if err := encoder.Encode(c); err != nil {
				return err
			}
		}
		return nil
	}
	for i, c := range comparisons {
		if i > 0 {
			fmt.Fprintln(stdout)
		}
		if o.markdown {
			if _, err := io.WriteString(stdout, c.Markdown()); err != nil {
				return err
			}
		} else if err := c.Text(stdout); err != nil {
			return err
		}
	}
	return nil
}

// openFile opens a file, or returns standard input for "-".
func openFile(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(os.Stdin), nil
	}
	f, err := os.Open(path)
	var failed *os.PathError
	if errors.As(err, &failed) {
		return nil, fmt.Errorf("read %s: %w", path, failed.Err)
	}
	return f, err
}
