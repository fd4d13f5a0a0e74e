package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/sampler/traces"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

const collectUsage = `Usage: sampler collect -o FILE [options]

Fetches the traces that a Zipkin server has, whoever has sent the requests, and writes them as a dataset, in the order in which they began:
the way in for functions of your own. Each trace is a sequence; which spans are its events is found out as by tpp convert (tpp convert -h
says how), and said. Nothing is deployed or invoked.

Traces that began since -since are asked for window by window, so that no limit of the server cuts them. Those one of whose spans ended
within -settle before now may not be complete, and are left out. The file is written when all has come: after an error or Ctrl-C there is
none, or the old one. User and password may stand in the address, better in TPPFAAS_ZIPKIN: https://USER:PASSWORD@zipkin.example.com.

Examples:
  sampler collect -o traces.json.gz                                       of the last 24 hours, from the Zipkin on this machine
  sampler collect -zipkin http://zipkin:9411 -service shop -since 168h -o traces.json.gz
  sampler collect -query "faas.coldstart=true" -since 2026-11-01T00:00:00Z -o cold.json.gz
  sampler collect -spans server -mark service -o services.csv             any service, not only functions
`

// defaultZipkin is where sampler zipkin listens.
const defaultZipkin = "http://127.0.0.1:9411"

// moment is an option that takes a time stamp, or how long ago it is.
type moment struct{ at func(now time.Time) time.Time }

func (m *moment) String() string { return "" }

func (m *moment) Set(text string) error {
	if ago, err := time.ParseDuration(text); err == nil {
		if ago < 0 {
			return errors.New("must not be negative")
		}
		m.at = func(now time.Time) time.Time { return now.Add(-ago) }
		return nil
	}
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02"} {
		if at, err := time.Parse(form, text); err == nil {
			m.at = func(time.Time) time.Time { return at }
			return nil
		}
	}
	return fmt.Errorf("%q is neither a duration like 24h nor a time like 2026-11-28T12:00:00Z", text)
}

// collection are the options of collect.
type collection struct {
	fetch        traces.Options
	read         dataset.ReadOptions
	since, until moment
	output       string
	json         bool
}

// collect is the subcommand collect: it fetches traces and writes them as a dataset.
func collect(fs *flag.FlagSet) cli.Run {
	o := collection{since: moment{func(now time.Time) time.Time { return now.Add(-24 * time.Hour) }}, until: moment{func(now time.Time) time.Time { return now }}}
	given := fs.String("zipkin", "", "`address` of the Zipkin server (without: TPPFAAS_ZIPKIN, or "+defaultZipkin+")")
	fs.BoolVar(&o.fetch.Insecure, "insecure", false, "do not check the server's certificate")
	fs.StringVar(&o.fetch.Service, "service", "", "only traces in which this `service` takes part")
	fs.StringVar(&o.fetch.Query, "query", "", "only traces with these `tags`, as in Zipkin's page: key, key=value, joined by \" and \"")
	fs.Var(&o.since, "since", "only traces that began after this `time`, 2026-11-28T12:00:00Z, or so long ago, 24h (without: 24h)")
	fs.Var(&o.until, "until", "only traces that began before this `time`, or so long ago (without: now)")
	fs.DurationVar(&o.fetch.Settle, "settle", time.Minute, "leave out traces of which a span ended within this `time` before now; 0 takes all")
	fs.DurationVar(&o.fetch.Timeout, "timeout", 30*time.Second, "longest `time` for an answer")
	fs.DurationVar(&o.fetch.Patience, "patience", 2*time.Minute, "longest `time` for which a request is repeated that fails")
	spans := fs.String("spans", "", "`which` spans are events: invocations, server or all (without: the first that finds one)")
	fs.StringVar(&o.read.MarkColumn, "mark", "", "what the `marks` are: name, service, service/name or the key of a tag (without: the function, or service/name)")
	resolution := fs.Duration("resolution", 0, "`tick` of the clock, such as 1ms: round times to it (without: as they are, to the microsecond)")
	fs.StringVar(&o.output, "o", "", "the `file` to write: JSON, by its name .jsonl or .csv, compressed if it ends in .gz")
	fs.BoolVar(&o.json, "json", false, "print one JSON object instead of text")
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		if err := noArguments(args); err != nil {
			return err
		}
		address, from := *given, "-zipkin"
		if !cli.IsSet(fs, "zipkin") {
			address, from = cmp.Or(os.Getenv("TPPFAAS_ZIPKIN"), defaultZipkin), "TPPFAAS_ZIPKIN"
		}
		u, err := whisk.ParseAddress(address) // which may have a password, so it is not repeated
		if err != nil {
			return cli.Usagef("%s: %v", from, err)
		}
		o.fetch.Server = u
		o.read.Spans = dataset.SpanRule(*spans)
		now := time.Now()
		o.fetch.Since, o.fetch.Until = o.since.at(now), o.until.at(now)
		switch {
		case o.output == "":
			return cli.Usagef("-o not given: the file to write")
		case *spans != "" && !slices.Contains(dataset.SpanRules(), o.read.Spans):
			return cli.Usagef("-spans: must be invocations, server or all, not %q", *spans)
		case *resolution < 0 || o.fetch.Settle < 0:
			return cli.Usagef("-resolution and -settle: must not be negative")
		case o.fetch.Timeout <= 0 || o.fetch.Patience <= 0:
			return cli.Usagef("-timeout and -patience: must be positive")
		case !o.fetch.Since.Before(o.fetch.Until) || !o.fetch.Since.Before(now):
			return cli.Usagef("-since: must be before -until and before now")
		}
		o.read.Resolution = float64(*resolution) / float64(time.Millisecond)
		if err := atomicfile.Check(o.output); err != nil {
			return err
		}
		if err := o.run(ctx, stdout, stderr); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("%s is not written: %w", o.output, ctx.Err())
			}
			return err
		}
		return nil
	}
}

// run fetches the traces into a temporary file, reads them from there, and writes the dataset.
func (o *collection) run(ctx context.Context, stdout, stderr io.Writer) error {
	show := progress.New(stderr, 0, "traces")
	defer show.Done()
	o.fetch.OnProgress = func(n int, back time.Time) {
		show.Set(n, "back to "+back.UTC().Format("2006-01-02 15:04:05"))
	}
	o.fetch.OnMessage = show.Print
	spool, err := traces.Fetch(ctx, o.fetch)
	if err != nil {
		return err
	}
	defer spool.Close()
	show.Done()
	if spool.Traces == 0 {
		return o.nothing(spool.Result)
	}
	return o.convert(ctx, spool, spool.Result, stdout, stderr)
}

// nothing is the error of a server that has no trace that was asked for.
func (o *collection) nothing(result traces.Result) error {
	what := "no trace"
	if o.fetch.Service != "" || o.fetch.Query != "" {
		what = "no such trace"
	}
	text := fmt.Sprintf("Zipkin at %s has %s that began between %s and %s",
		whisk.DisplayAddress(o.fetch.Server), what, o.fetch.Since.UTC().Format(time.RFC3339), o.fetch.Until.UTC().Format(time.RFC3339))
	if result.Unsettled > 0 {
		text += fmt.Sprintf(" but %d that may still be running (-settle 0 takes them)", result.Unsettled)
	}
	return errors.New(text)
}

// byFirstArrival compares sequences by when they began.
func byFirstArrival(a, b tpp.Sequence) int { return cmp.Compare(a.ArrivalTimes[0], b.ArrivalTimes[0]) }

// convert reads the traces and writes the dataset.
func (o *collection) convert(ctx context.Context, spool io.Reader, result traces.Result, stdout, stderr io.Writer) error {
	source := "Zipkin at " + whisk.DisplayAddress(o.fetch.Server)
	r, err := dataset.NewSequenceReader(spool, o.read)
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	defer r.Close()
	d, err := r.ReadAll(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	for _, w := range r.Warnings() {
		if w.Kind == dataset.WarningEmpty {
			return fmt.Errorf("%s %s", source, w.Text)
		}
		if w.Kind != dataset.WarningTick { // calls within one machine may be that fast
			fmt.Fprintf(stderr, "warning: %s %s\n", source, w.Text)
		}
	}
	fmt.Fprintf(stderr, "%s: %s\n", source, r.Choices())
	if result.Unsettled > 0 {
		fmt.Fprintf(stderr, "%d traces are left out: spans may still come (-settle)\n", result.Unsettled)
	}
	slices.SortStableFunc(d.Sequences, byFirstArrival)
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := dataset.WriteFile(o.output, d); err != nil {
		return err
	}
	cold := 0
	for _, s := range d.Sequences {
		for _, init := range s.InitTimes {
			if init > 0 {
				cold++
			}
		}
	}
	if o.json {
		return json.NewEncoder(stdout).Encode(struct {
			File       string   `json:"file"`
			Sequences  int      `json:"sequences"`
			Events     int      `json:"events"`
			ColdStarts int      `json:"cold_starts"`
			Marks      []string `json:"marks"`
			Unsettled  int      `json:"unsettled"`
			Requests   int      `json:"requests"`
		}{o.output, len(d.Sequences), d.NumEvents(), cold, d.MarkNames, result.Unsettled, result.Requests})
	}
	_, err = fmt.Fprintf(stdout, "%s: %d traces, %d events, %d marks\n", o.output, len(d.Sequences), d.NumEvents(), len(d.MarkNames))
	return err
}
