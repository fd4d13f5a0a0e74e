package main

import (
	"context"
	"flag"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/rightsize"
	"github.com/tppfaas/tppfaas/rightsize/recommend"
	"github.com/tppfaas/tppfaas/rightsize/report"
	"github.com/tppfaas/tppfaas/rightsize/usagecsv"
)

var reportCommand = cli.Command{
	Name: "report", Arguments: "USAGE.csv… [-o PAGE.html]", Summary: "show usage, forecasts and recommended limits as a page of HTML",
	Help: `Usage: rightsize report USAGE.csv… [-o PAGE.html] [options]

Shows what functions used, what is forecast, which limits are recommended, and what recommenders would have done with this usage. Each file is the
usage of a function, which is called as the file; rightsize acquire puts files of one resource each together. Prints a summary; -o writes one page of
HTML that needs nothing else: readable on a phone, printable, dark and light.

Examples:
  rightsize report usage.csv -o report.html
  rightsize report data/usage_*.csv.gz -recommender krr -o report.html
  rightsize report usage.csv -json                                          everything as one JSON object
`,
	Values: map[string][]string{"recommender": recommenderKinds(), "base": recommenderKinds(), "runtime": recommend.Runtimes()},
	Define: runReport,
}

// runReport is the subcommand report.
func runReport(fs *flag.FlagSet) cli.Run {
	var o report.Options
	output := fs.String("o", "", "the HTML `file` to write")
	asJSON := fs.Bool("json", false, "print everything as one JSON object instead of a summary")
	fs.StringVar(&o.Recommender, "recommender", "forecast", "the recommender whose limits are shown: "+recommenderNames())
	fs.StringVar(&o.Base, "base", "krr", "the recommender that others are compared with")
	fs.BoolVar(&o.Fast, "fast", false, "forecast by the last value and the residuals of a week alone, rather than by what did best so far")
	fs.StringVar(&o.Runtime, "runtime", "", "`what` the functions are written in, for a hint at the heap: "+strings.Join(recommend.Runtimes(), ", "))
	fs.IntVar(&o.Settings.MaxChanges, "max-changes", 0, "how often recommenders may change limits in 24 h (0: 6)")
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		switch {
		case len(args) == 0:
			return cli.Usagef("a file of usage is missing")
		case o.Settings.MaxChanges < 0:
			return cli.Usagef("-max-changes must not be negative")
		}
		if o.Runtime != "" && !slices.Contains(recommend.Runtimes(), o.Runtime) {
			return cli.Usagef("-runtime: must be one of %s, not %q", strings.Join(recommend.Runtimes(), ", "), o.Runtime)
		}
		for _, name := range []string{o.Recommender, o.Base} {
			if err := checkRecommender(name); err != nil {
				return err
			}
		}
		if *output != "" {
			if err := atomicfile.Check(*output); err != nil {
				return err
			}
		}
		usages := make([]*rightsize.Usage, len(args))
		for i, file := range args {
			var err error
			if usages[i], err = usagecsv.ReadFiles(ctx, []string{file}, usagecsv.Options{Function: functionOf(file)}); err != nil {
				return err
			}
		}
		o.Source = strings.Join(args, ", ")
		show := progress.New(stderr, 0, "parts")
		defer show.Done()
		o.OnProgress = func(done, _ int) { show.Set(done, "") }
		r, err := report.New(ctx, usages, o)
		if err != nil {
			return err
		}
		show.Done()
		if *output != "" {
			if err := atomicfile.Write(*output, r.WriteHTML); err != nil {
				return err
			}
		}
		if *asJSON {
			return r.WriteJSON(stdout)
		}
		if *output != "" && atomicfile.IsStdout(*output) {
			stdout = stderr
		}
		return r.WriteText(stdout)
	}
}

// functionOf returns the name of a function from that of its file: usage_qrcode.csv.gz is that of qrcode.
func functionOf(file string) string {
	name, _, _ := strings.Cut(filepath.Base(file), ".")
	return strings.TrimPrefix(name, "usage_")
}
