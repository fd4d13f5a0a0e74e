package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

const convertUsage = `tpp convert reads a dataset of any format and writes it in the one that the ending of OUT asks for: .json (a document), .jsonl or
.ndjson (JSON lines, one sequence a line) or .csv (one event a line), and compressed if .gz follows. Written times are in
milliseconds. The format of IN is told by its content.

A CSV file begins with the names of its columns, which commas, semicolons or tabs separate: sequence (or trace, case, session, id),
time (or timestamp, arrival_time, t), mark (or event, type, function, activity, label), wait_time, init_time, parent, t_start, t_end,
and covariate:NAME. Only the time is needed. A time is a number of -unit, or a time stamp such as 2021-05-12T15:05:14.775Z.

Files of any size are converted in the memory of one sequence, but for a CSV file as IN without -grouped, and a pipe.

Usage: tpp convert IN -o OUT [OPTIONS]

Examples:
  tpp convert log.csv -o traces.json.gz -unit s -resolution 1ms
  tpp convert log.csv -o traces.json -sequence "Case ID" -time when -mark activity -sort
  tpp convert traces.json.gz -o traces.jsonl
  tpp convert traces.json.gz -o traces.csv
`

// resolution is an option that takes a duration such as 1ms or 10us, or a number of milliseconds.
type resolution struct{ ms *float64 }

func (r resolution) String() string {
	if r.ms == nil || *r.ms == 0 {
		return ""
	}
	return strconv.FormatFloat(*r.ms, 'g', -1, 64) + "ms"
}

func (r resolution) Set(text string) error {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		d, derr := time.ParseDuration(text)
		if derr != nil {
			return fmt.Errorf("%q is not a duration like 1ms", text)
		}
		v = float64(d) / float64(time.Millisecond)
	}
	if !(v > 0) || v > 1e300 {
		return fmt.Errorf("%s is not above 0", text)
	}
	*r.ms = v
	return nil
}

// csvOptions are the options that say something about a CSV file alone.
var csvOptions = []string{"sequence", "time", "mark", "covariates", "grouped"}

// readOptions declares the options about reading a dataset. What it returns must be called once they are parsed.
func readOptions(fs *flag.FlagSet) func() (dataset.ReadOptions, error) {
	var opts dataset.ReadOptions
	fs.StringVar(&opts.Unit, "unit", "ms", "`unit` of a time in the file that is a number: ns, us, ms, s, min or h")
	fs.Var(resolution{&opts.Resolution}, "resolution", "`tick` of the clock, such as 1ms: round times to it")
	fs.BoolVar(&opts.Sort, "sort", false, "put the events of each sequence in the order of their times, instead of an error")
	fs.StringVar(&opts.SequenceColumn, "sequence", "", "CSV: `column` with the name of the sequence")
	fs.StringVar(&opts.TimeColumn, "time", "", "CSV: `column` with the time")
	fs.StringVar(&opts.MarkColumn, "mark", "", "CSV: `column` with the mark")
	covariates := fs.String("covariates", "", "CSV: further `columns` that are covariates, separated by commas")
	grouped := fs.Bool("grouped", false, "CSV: the lines of a sequence stand together: hold one sequence in memory, not all")
	return func() (dataset.ReadOptions, error) {
		if !slices.Contains(dataset.TimeUnits(), opts.Unit) {
			return opts, cli.Usagef("-unit is %q, it must be one of %s", opts.Unit, strings.Join(dataset.TimeUnits(), ", "))
		}
		if *covariates != "" {
			opts.CovariateColumns = strings.Split(*covariates, ",")
		}
		opts.Scattered = !*grouped
		return opts, nil
	}
}

// openDataset opens a dataset and refuses options that mean nothing to its format.
func openDataset(fs *flag.FlagSet, path string, opts dataset.ReadOptions) (*dataset.SequenceReader, error) {
	r, err := dataset.OpenSequences(path, opts)
	if err != nil {
		return nil, err
	}
	for _, name := range csvOptions {
		if r.Format() != dataset.FormatCSV && cli.IsSet(fs, name) {
			r.Close()
			return nil, cli.Usagef("%s is no CSV file: -%s means nothing to it", path, name)
		}
	}
	return r, nil
}

func convert(fs *flag.FlagSet) cli.Run {
	out := fs.String("o", "", "write the dataset to `OUT`")
	asJSON := fs.Bool("json", false, "print what was written as a JSON object")
	parsed := readOptions(fs)
	return func(ctx context.Context, rest []string, stdout, stderr io.Writer) error {
		if err := positional(rest, "dataset"); err != nil {
			return err
		}
		opts, err := parsed()
		if err != nil {
			return err
		}
		if *out == "" {
			return cli.Usagef("-o OUT is missing")
		}
		if err := atomicfile.Check(*out); err != nil {
			return err
		}
		c := conversion{in: rest[0], format: dataset.FormatOf(*out), open: func() (*dataset.SequenceReader, error) { return openDataset(fs, rest[0], opts) }}
		c.show = progress.New(stderr, 0, "sequences")
		defer c.show.Done()
		if err := atomicfile.Write(*out, func(w io.Writer) error { return c.run(ctx, w) }); err != nil {
			return err
		}
		c.show.Done()
		if *asJSON {
			return printJSON(stdout, struct {
				Output    string         `json:"output"`
				Format    dataset.Format `json:"format"`
				Sequences int            `json:"sequences"`
				Events    int            `json:"events"`
				Marks     []string       `json:"marks"`
			}{*out, c.format, c.sequences, c.events, c.marks})
		}
		_, err = fmt.Fprintf(stdout, "%s: %d sequences, %d events, %d marks\n", *out, c.sequences, c.events, max(len(c.marks), 1))
		return err
	}
}

// conversion is one run of convert.
type conversion struct {
	in     string
	format dataset.Format
	open   func() (*dataset.SequenceReader, error)
	show   *progress.Progress

	sequences, events int
	marks             []string
}

func (c *conversion) run(ctx context.Context, w io.Writer) error {
	info, err := os.Stat(c.in)
	if err != nil {
		return err
	}
	r, err := c.open()
	if err != nil {
		return err
	}
	defer r.Close()
	if !info.Mode().IsRegular() && (r.Format() == dataset.FormatJSON || c.format == dataset.FormatCSV) {
		// These are read twice, for the names of the marks or for the columns, which a pipe cannot be.
		d, err := r.ReadAll(ctx)
		if err != nil {
			return err
		}
		c.sequences, c.events, c.marks = len(d.Sequences), d.NumEvents(), d.MarkNames
		return dataset.Encode(w, d, c.format)
	}
	sw, err := dataset.NewSequenceWriter(w, c.format)
	if err != nil {
		return err
	}
	if c.format == dataset.FormatCSV {
		if err := c.findColumns(ctx, sw); err != nil {
			return err
		}
	}
	for s, err := range r.All(ctx) {
		if err != nil {
			return err
		}
		if err := sw.Write(s, r.MarkNames()); err != nil {
			return err
		}
		c.sequences++
		c.events += s.Len()
		c.show.Set(c.sequences, "")
	}
	c.marks = r.MarkNames()
	return sw.Close()
}

// findColumns reads the dataset once to know which columns its CSV file needs.
func (c *conversion) findColumns(ctx context.Context, sw *dataset.SequenceWriter) error {
	r, err := c.open()
	if err != nil {
		return err
	}
	defer r.Close()
	n := 0
	for s, err := range r.All(ctx) {
		if err != nil {
			return err
		}
		sw.Columns.Add(s)
		n++
		c.show.Set(n, "looking for columns")
	}
	return nil
}
