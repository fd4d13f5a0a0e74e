package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/prewarm/report"
	"github.com/tppfaas/tppfaas/sampler/traces"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

const reportUsage = `Usage: prewarm report DATASET | TRACES | -zipkin ADDRESS [-o PAGE.html] [options]

Analyses the cold starts in recorded traces: how long invocations wait for cold and for warm containers, by function and by how many others
start; where in a composition cold starts are, and how much of them reaches the end of the request; how latency moves while containers
start; and what another keep-alive, or a rule at a price, would change: an estimate, from replaying the recorded arrivals.

Reads a dataset (of the sampler, or any that tpp reads), spans, what prewarm lab -traces writes, or fetches what a live platform has left in Zipkin.
Prints a summary; -o writes one page of HTML that needs nothing else: readable on a phone, printable, dark and light.

Examples:
  prewarm report traces.json.gz -o report.html
  prewarm report run.jsonl -policy keepalive:600 -o report.html       one policy of a run of the laboratory
  prewarm report -zipkin http://127.0.0.1:9411 -since 2h -o report.html
  prewarm report traces.json.gz -json                                 everything as one JSON object
  prewarm report traces.json.gz -memory 512 -lambda 10240 -keep 30,120,900
`

// reportOptions are what the line says.
type reportOptions struct {
	analyse report.Options
	read    dataset.ReadOptions
	fetch   traces.Options
	zipkin  string
	since   time.Duration
	keep    string
	output  string
	json    bool
}

// runReport is the subcommand report: it analyses the cold starts in traces.
func runReport(fs *flag.FlagSet) cli.Run {
	var o reportOptions
	fs.StringVar(&o.output, "o", "", "the HTML `file` to write")
	fs.BoolVar(&o.json, "json", false, "print everything as one JSON object instead of a summary")
	fs.Float64Var(&o.analyse.MemoryMB, "memory", 256, "memory of a container in `MB`")
	fs.Float64Var(&o.analyse.Lambda, "lambda", 2560, "price of a second of waiting, in `MB·s`")
	fs.StringVar(&o.keep, "keep", "0,60,300,600,1200,3600,inf", "keep-alives to try, in `seconds`, with commas between them; inf is for ever")
	fs.StringVar(&o.analyse.Only.App, "app", "", "only traces of a run with this `application`")
	fs.StringVar(&o.analyse.Only.Load, "load", "", "only traces of a run with this `load`")
	fs.StringVar(&o.analyse.Only.Policy, "policy", "", "only traces of a run with this `policy`")
	fs.StringVar(&o.analyse.Only.Seed, "seed", "", "only traces of a run with this `seed`")
	fs.StringVar(&o.zipkin, "zipkin", "", "`address` of a Zipkin server to fetch the traces from; with user and password better in TPPFAAS_ZIPKIN, and - here")
	fs.DurationVar(&o.since, "since", 24*time.Hour, "from Zipkin: traces that began within this `time` before now")
	fs.StringVar(&o.fetch.Service, "service", "", "from Zipkin: only traces in which this `service` takes part")
	fs.StringVar(&o.fetch.Query, "query", "", "from Zipkin: only traces with these `tags`: key, key=value, joined by \" and \"")
	fs.DurationVar(&o.fetch.Settle, "settle", time.Minute, "from Zipkin: leave out traces of which a span ended within this `time` before now")
	fs.BoolVar(&o.fetch.Insecure, "insecure", false, "from Zipkin: do not check the server's certificate")
	spans := fs.String("spans", "", "`which` spans are events: invocations, server or all (without: the first that finds one)")
	fs.StringVar(&o.read.Unit, "unit", "ms", "`unit` of the times in the file: ns, us, ms, s, min, h or d")
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		o.read.Spans = dataset.SpanRule(*spans)
		if err := o.check(fs, args); err != nil {
			return err
		}
		r, err := o.analyseTraces(ctx, args, stderr)
		if err != nil {
			return err
		}
		if r.Traces == 0 && o.analyse.Only != (report.Labels{}) && len(r.Missing) > 0 {
			return fmt.Errorf("%s: %s", o.analyse.Source, r.Missing[0])
		}
		if o.output != "" {
			if err := atomicfile.Write(o.output, r.WriteHTML); err != nil {
				return err
			}
		}
		if o.json {
			return r.WriteJSON(stdout)
		}
		if o.output != "" && atomicfile.IsStdout(o.output) {
			stdout = stderr
		}
		return r.WriteText(stdout)
	}
}

// analyseTraces reads or fetches the traces, and analyses them.
func (o *reportOptions) analyseTraces(ctx context.Context, args []string, stderr io.Writer) (*report.Report, error) {
	show := progress.New(stderr, 0, "traces")
	defer show.Done()
	o.analyse.OnProgress = func(traces int) { show.Set(traces, "") }
	b := report.NewBuilder(o.analyse)
	var err error
	if o.zipkin != "" {
		err = o.fetchInto(ctx, b, show)
	} else {
		err = b.ReadFile(ctx, args[0], o.read)
	}
	if err != nil {
		return nil, err
	}
	return b.Report(ctx)
}

// mostKept is the longest keep-alive in seconds, 100 years.
const mostKept = 100 * 366 * 86400

// check completes the options, and says what is wrong with them.
func (o *reportOptions) check(fs *flag.FlagSet, args []string) error {
	switch {
	case o.zipkin == "" && len(args) == 0:
		return cli.Usagef("the DATASET is missing (or -zipkin)")
	case o.zipkin != "" && len(args) > 0:
		return cli.Usagef("%s and -zipkin: give one of them", args[0])
	case len(args) > 1:
		return cli.Usagef("%q is left over on the line", args[1])
	case !(o.analyse.MemoryMB > 0 && o.analyse.MemoryMB <= math.MaxInt32):
		return cli.Usagef("-memory: must be positive, and at most %d", math.MaxInt32)
	case !(o.analyse.Lambda > 0 && o.analyse.Lambda <= math.MaxInt32):
		return cli.Usagef("-lambda: must be positive, and at most %d", math.MaxInt32)
	case o.read.Spans != "" && !slices.Contains(dataset.SpanRules(), o.read.Spans):
		return cli.Usagef("-spans: must be invocations, server or all, not %q", o.read.Spans)
	case !slices.Contains(dataset.TimeUnits(), o.read.Unit):
		return cli.Usagef("-unit: must be one of %s, not %q", strings.Join(dataset.TimeUnits(), ", "), o.read.Unit)
	case o.since <= 0 || o.fetch.Settle < 0:
		return cli.Usagef("-since must be positive, -settle must not be negative")
	case o.output != "" && len(args) == 1 && sameFile(o.output, args[0]):
		return cli.Usagef("-o is %s, the file that is read: that would be lost", o.output)
	}
	for _, text := range strings.Split(o.keep, ",") {
		k, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || !(k >= 0) || k > mostKept && !math.IsInf(k, 1) {
			return cli.Usagef("-keep: %q is no time in seconds, from 0 to %d or inf", text, int(mostKept))
		}
		o.analyse.Keep = append(o.analyse.Keep, k)
	}
	slices.Sort(o.analyse.Keep)
	o.analyse.Keep = slices.Compact(o.analyse.Keep)
	if o.zipkin != "" {
		address, from := o.zipkin, "-zipkin"
		if address == "-" {
			address, from = os.Getenv("TPPFAAS_ZIPKIN"), "TPPFAAS_ZIPKIN"
		}
		u, err := whisk.ParseAddress(address) // which may have a password, so it is not repeated
		if err != nil {
			return cli.Usagef("%s: %v", from, err)
		}
		o.fetch.Server = u
		o.analyse.Source = "Zipkin at " + whisk.DisplayAddress(u)
	} else {
		o.analyse.Source = args[0]
		for _, name := range []string{"since", "service", "query", "settle", "insecure"} {
			if cli.IsSet(fs, name) {
				return cli.Usagef("-%s is for -zipkin", name)
			}
		}
	}
	if o.output == "" {
		return nil
	}
	return atomicfile.Check(o.output)
}

// sameFile reports whether two names are those of one file that is there.
func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && first.Mode().IsRegular() && os.SameFile(first, second)
}

// fetchInto fetches traces from Zipkin into a temporary file, and adds them.
func (o *reportOptions) fetchInto(ctx context.Context, b *report.Builder, show *progress.Progress) error {
	o.fetch.OnProgress = func(n int, back time.Time) { show.Set(n, "back to "+back.UTC().Format("2006-01-02 15:04:05")) }
	o.fetch.OnMessage = show.Print
	o.fetch.Since = time.Now().Add(-o.since)
	spool, err := traces.Fetch(ctx, o.fetch)
	if err != nil {
		return err
	}
	defer spool.Close()
	if spool.Traces == 0 {
		text := fmt.Sprintf("%s has no trace that began in the last %v", o.analyse.Source, o.since)
		if spool.Unsettled > 0 {
			text += fmt.Sprintf(" but %d that may still be running (-settle 0 takes them)", spool.Unsettled)
		}
		return errors.New(text)
	}
	o.read.Name, o.read.Unit = o.analyse.Source, ""
	return b.Read(ctx, spool, o.read)
}
