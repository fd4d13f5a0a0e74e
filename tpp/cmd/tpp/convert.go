package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

const convertUsage = `tpp convert reads a dataset of any format and writes it in the one that the ending of OUT asks for: .json (a document), .jsonl or
.ndjson (JSON lines, one sequence a line) or .csv (one event a line), and compressed if .gz follows. Written times are in
milliseconds. The format of IN is told by its content.

A CSV file begins with the names of its columns, which commas, semicolons or tabs separate: sequence (or trace, case, session, user,
id), time (or timestamp, ts, datetime, arrival_time, t), mark (or event, type, function, activity, action, item, label), wait_time,
init_time, parent, t_start, t_end, and covariate:NAME; other names are said by -sequence, -time, -mark and -covariates. Only the time
is needed; a file without a column of sequences is one sequence. A time is a number of -unit, or a time stamp such as
2021-05-12T15:05:14.775Z. All commands that read a dataset take these options.

Spans are read too, as Zipkin's JSON (version 2: a list of traces or of spans) and as OTLP in JSON (the Collector's file exporter:
{"resourceSpans": ...} on each line): a trace becomes a sequence. -spans says which spans are events, otherwise the first of these that finds one:
invocations (with activationId or faas.invocation_id, or servers and consumers with faas.name), server (of kind SERVER or CONSUMER), all.
-mark says what their marks are: name, service, service/name, or the key of an attribute; otherwise it is faas.name, or else the name of an
invocation and service/name of another span. Parents are the nearest events above. waitTimeMilli and initTimeMilli, from the collector of
this project, become wait and init times, and the start of such a span is the arrival. What was taken is said on standard error.

Files of any size are converted in the memory of one sequence (of spans: of the traces that are open at a time, and some 100 bytes for each
trace), but for a CSV file as IN without -grouped, and a pipe.

Usage: tpp convert IN -o OUT [OPTIONS]

Examples:
  tpp convert log.csv -o traces.json.gz -unit s -resolution 1ms
  tpp convert log.csv -o traces.json -sequence "Case ID" -time when -mark activity -sort
  tpp convert traces.json.gz -o traces.jsonl
  tpp convert traces.json.gz -o traces.csv
  tpp convert otlp.jsonl -o traces.json.gz -resolution 1ms
  tpp convert zipkin.json -o traces.json.gz -spans server -mark service
`

func convert(fs *flag.FlagSet) cli.Run {
	out := fs.String("o", "", "write the dataset to `OUT`")
	asJSON := fs.Bool("json", false, "print what was written as a JSON object")
	in := inputOptions(fs, true)
	return func(ctx context.Context, rest []string, stdout, stderr io.Writer) error {
		if err := positional(rest, "dataset"); err != nil {
			return err
		}
		if *out == "" {
			return cli.Usagef("-o OUT is missing")
		}
		if err := atomicfile.Check(*out); err != nil {
			return err
		}
		c := conversion{in: rest[0], format: dataset.FormatOf(*out), open: func() (*dataset.SequenceReader, error) { return in.open(rest[0]) }}
		c.warn = func(r *dataset.SequenceReader) error { return in.warn(rest[0], r, stderr) }
		c.show = progress.New(stderr, 0, "sequences")
		defer c.show.Done()
		if err := atomicfile.Write(*out, func(w io.Writer) error { return c.run(ctx, w) }); err != nil {
			return err
		}
		c.show.Done()
		stdout = messagesBeside(*out, stdout, stderr)
		if *asJSON {
			return printJSON(stdout, struct {
				Output    string         `json:"output"`
				Format    dataset.Format `json:"format"`
				Sequences int            `json:"sequences"`
				Events    int            `json:"events"`
				Marks     []string       `json:"marks"`
			}{*out, c.format, c.sequences, c.events, c.marks})
		}
		_, err := fmt.Fprintf(stdout, "%s: %d sequences, %d events, %d marks\n", *out, c.sequences, c.events, max(len(c.marks), 1))
		return err
	}
}

// conversion is one run of convert.
type conversion struct {
	in     string
	format dataset.Format
	open   func() (*dataset.SequenceReader, error)
	show   *progress.Progress
	warn   func(r *dataset.SequenceReader) error

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
		if err := c.warn(r); err != nil {
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
	c.show.Done()
	if err := c.warn(r); err != nil {
		return err
	}
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
