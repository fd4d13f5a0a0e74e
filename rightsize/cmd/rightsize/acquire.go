package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/rightsize/acquire"
	"github.com/tppfaas/tppfaas/rightsize/usagecsv"
)

var acquireCommand = cli.Command{
	Name: "acquire", Arguments: "-function NAME -o FILE -prometheus ADDRESS", Summary: "write down what a function used of CPU and memory, as CSV",
	Help: `Usage: rightsize acquire -function NAME -o FILE.csv -prometheus ADDRESS [-from TIME] [-to TIME] [options]
       rightsize acquire -function NAME -o FILE.csv -pods FILE|ADDRESS|- [-for TIME] [options]
       rightsize acquire -function NAME -o FILE.csv -process NUMBER|PROGRAM [-for TIME] [options]
       rightsize acquire -function NAME -o FILE.csv USAGE.csv... [-from TIME] [-to TIME]

Writes one CSV with the columns Time (ms since 1970), mem_usage (bytes) and cpu_usage (cores), and prints what is in it: samples, gaps, restarts, pods. Of
several containers at a time it has the largest values, since a limit holds for each of them.

-prometheus asks Prometheus for what cAdvisor measured of the pods NAME-… in -namespace, or by the PromQL of -memory-query and -cpu-query, in which
FUNCTION and NAMESPACE stand for theirs. -from and -to are a time like 2026-11-29T12:00:00Z, how long ago it was like 6h or 7d, or now.
-pods takes PodMetrics of Kubernetes' Metrics API: a file of what kubectl get --raw prints, one after the other, or an address that is asked at each -step.
-process looks at processes of this machine, with all that they started, at each -step: by numbers (1234,1235), or by a regular expression for the
whole name of their program. CSV files are put together: of one resource each, or of different times.

What -pods ADDRESS or - and -process find is written to FILE.csv.journal at once, and to FILE.csv after -for, or after Ctrl-C. The same line goes on with a journal that a
killed run has left; -append goes on with FILE.csv.

Examples:
  rightsize acquire -prometheus http://127.0.0.1:9090 -function qrcode -from 7d -o usage.csv
  rightsize acquire -prometheus https://prometheus.example.org -token-file token -function qrcode -from 2026-11-01T00:00:00Z -to 2026-11-15T00:00:00Z -step 30s -o usage.csv.gz
  rightsize acquire -process 1234 -function qrcode -step 1s -for 5m -o usage.csv
  kubectl proxy & rightsize acquire -pods http://127.0.0.1:8001 -function qrcode -o usage.csv
  while sleep 15; do kubectl get --raw /apis/metrics.k8s.io/v1beta1/namespaces/openfaas-fn/pods; done | rightsize acquire -pods - -function qrcode -o usage.csv
  rightsize acquire memory_usage.csv cpu_usage.csv -function qrcode -o usage.csv
`,
	Values: map[string][]string{"unit": {"s", "ms", "us", "ns"}},
	Define: runAcquire,
}

// acquireOptions are what the line says.
type acquireOptions struct {
	request                         acquire.Request
	access                          accessOptions
	output, from, to                string
	prometheus, pods, process, unit string
	namespace, container            string
	memoryQuery, cpuQuery           string
	rateWindow, timeout, duration   time.Duration
	proportional, appends, asJSON   bool
	fs                              *flag.FlagSet
	files                           []string
}

func runAcquire(fs *flag.FlagSet) cli.Run {
	o := &acquireOptions{fs: fs}
	o.access.define(fs)
	fs.StringVar(&o.request.Function, "function", "", "`name` of the function")
	fs.StringVar(&o.output, "o", "", "the CSV `file` to write; compressed if its name ends in .gz")
	fs.StringVar(&o.from, "from", "", "`time` of the first sample, or how long ago it was (Prometheus: 24h)")
	fs.StringVar(&o.to, "to", "", "`time` of the last sample, or how long ago it was (Prometheus: now)")
	fs.DurationVar(&o.request.Step, "step", 0, "`time` between two samples (without: 15s)")
	fs.DurationVar(&o.duration, "for", 0, "-pods ADDRESS and -process: `time` after which to end; without, Ctrl-C does")
	fs.StringVar(&o.prometheus, "prometheus", "", "`address` of a Prometheus")
	fs.StringVar(&o.pods, "pods", "", "`file` with PodMetrics, - for standard input, or the address of a Kubernetes API server or kubectl proxy")
	fs.StringVar(&o.process, "process", "", "`numbers` of processes, or a regular expression for the name of their program")
	fs.StringVar(&o.namespace, "namespace", "openfaas-fn", "`name` of the function's namespace in Kubernetes")
	fs.StringVar(&o.container, "container", "", "`name` of the function's container in its pods (without: the function's, or the only one)")
	fs.StringVar(&o.memoryQuery, "memory-query", acquire.DefaultMemoryQuery, "`PromQL` for the memory in bytes")
	fs.StringVar(&o.cpuQuery, "cpu-query", acquire.DefaultCPUQuery, "`PromQL` for the CPU in cores, or a counter of seconds, whose rate is then taken")
	fs.DurationVar(&o.rateWindow, "rate-window", 5*time.Minute, "`time` over which the rate of a counter is taken")
	fs.DurationVar(&o.timeout, "timeout", time.Minute, "`time` within which a question has to be answered")
	fs.BoolVar(&o.proportional, "pss", false, "-process: of memory that processes share count only their part; needs the right to look")
	fs.StringVar(&o.unit, "unit", "", "CSV files: `unit` of the times, where that is not plain")
	fs.BoolVar(&o.appends, "append", false, "-pods ADDRESS or - and -process: keep the samples that the output has")
	fs.BoolVar(&o.asJSON, "json", false, "print what is in the output as a JSON object")
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		o.files = args
		source, err := o.check()
		if err != nil {
			return err
		}
		defer source.close()
		return o.run(ctx, source, stdout, stderr)
	}
}

// chosen is the source that the line names.
type chosen struct {
	acquire.Source
	live  bool   // it looks at what is the case now
	name  string // for the journal; "" for what can be asked or read again
	close func()
}

// check returns the source, and what is wrong with the line.
func (o *acquireOptions) check() (*chosen, error) {
	var given []string
	for _, s := range []struct{ name, value string }{{"-prometheus", o.prometheus}, {"-pods", o.pods}, {"-process", o.process}, {"CSV files", strings.Join(o.files, " ")}} {
		if s.value != "" {
			given = append(given, s.name)
		}
	}
	switch {
	case len(given) == 0:
		return nil, cli.Usagef("where from? Give -prometheus, -pods, -process, or CSV files")
	case len(given) > 1:
		return nil, cli.Usagef("%s: give one of them", strings.Join(given, " and "))
	case o.request.Function == "":
		return nil, cli.Usagef("-function is missing: the name of the function")
	case o.output == "":
		return nil, cli.Usagef("-o is missing: the CSV file to write")
	case o.request.Step < 0 || o.request.Step > 0 && o.request.Step < time.Millisecond:
		return nil, cli.Usagef("-step: at least 1ms")
	case o.duration < 0 || o.timeout <= 0 || o.rateWindow <= 0:
		return nil, cli.Usagef("-for, -timeout and -rate-window: must be positive")
	}
	source, err := o.source()
	if err != nil {
		var usage *cli.UsageError
		var onPath *os.PathError
		if errors.As(err, &usage) || errors.As(err, &onPath) {
			return nil, err
		}
		return nil, cli.Usagef("%v", err)
	}
	for _, limit := range []struct {
		option string
		ok     bool
		use    string
	}{
		{"for", source.live, "-pods ADDRESS and -process"},
		{"append", source.name != "", "-pods ADDRESS or - and -process"},
		{"from", !source.live, "what has been measured before"},
		{"to", !source.live, "what has been measured before (use -for)"},
		{"pss", o.process != "", "-process"},
		{"unit", len(o.files) > 0, "CSV files"},
		{"memory-query", o.prometheus != "", "-prometheus"},
		{"cpu-query", o.prometheus != "", "-prometheus"},
		{"rate-window", o.prometheus != "", "-prometheus"},
		{"namespace", o.prometheus != "" || o.pods != "", "-prometheus and -pods"},
		{"container", o.prometheus != "" || o.pods != "", "-prometheus and -pods"},
	} {
		if cli.IsSet(o.fs, limit.option) && !limit.ok {
			source.close()
			return nil, cli.Usagef("-%s is for %s", limit.option, limit.use)
		}
	}
	if err := o.times(source.live, time.Now()); err != nil {
		source.close()
		return nil, err
	}
	if err := atomicfile.Check(o.output); err != nil {
		source.close()
		return nil, err
	}
	return source, nil
}

// source returns the source that the line names.
func (o *acquireOptions) source() (*chosen, error) {
	o.access.complete()
	c := &chosen{close: func() {}}
	var err error
	switch {
	case o.prometheus != "":
		c.Source, err = acquire.NewPrometheus(acquire.PrometheusOptions{
			Address: o.prometheus, Namespace: o.namespace, Container: o.container, MemoryQuery: o.memoryQuery, CPUQuery: o.cpuQuery,
			RateWindow: o.rateWindow, Timeout: o.timeout, Access: o.access.Access,
		})
	case o.pods != "":
		m := acquire.MetricsOptions{Namespace: o.namespace, Container: o.container, Timeout: o.timeout, Access: o.access.Access}
		switch {
		case o.pods == "-":
			m.Reader, m.Name = os.Stdin, "standard input"
			c.name = "pods -"
		case strings.HasPrefix(o.pods, "http://") || strings.HasPrefix(o.pods, "https://"):
			m.Address = o.pods
			c.live, c.name = true, "pods"
		default:
			f, err := os.Open(o.pods)
			if err != nil {
				return nil, fmt.Errorf("-pods: %w", err)
			}
			m.Reader, m.Name = f, o.pods
			c.close = func() { f.Close() }
		}
		c.Source, err = acquire.NewMetrics(m)
	case o.process != "":
		c.live, c.name = true, "process "+o.process
		p := acquire.ProcessOptions{Proportional: o.proportional}
		if p.PIDs, p.Pattern, err = parseProcess(o.process); err == nil {
			c.Source, err = acquire.NewProcesses(p)
		}
	default:
		c.Source = acquire.Files{Paths: o.files, Options: usagecsv.Options{Unit: o.unit}}
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// parseProcess reads the value of -process.
func parseProcess(text string) (pids []int, pattern *regexp.Regexp, err error) {
	if strings.Trim(text, "0123456789,") == "" {
		for _, number := range strings.Split(text, ",") {
			pid, err := strconv.Atoi(number)
			if err != nil {
				return nil, nil, fmt.Errorf("-process: %q is no list of numbers like 1234,1235", text)
			}
			pids = append(pids, pid)
		}
		return pids, nil, nil
	}
	pattern, err = regexp.Compile("^(?:" + text + ")$")
	if err != nil {
		return nil, nil, fmt.Errorf("-process: %w", err)
	}
	return nil, pattern, nil
}

// times sets the times of the request.
func (o *acquireOptions) times(isLive bool, now time.Time) (err error) {
	if isLive {
		if o.duration > 0 {
			o.request.To = now.Add(o.duration)
		}
		return nil
	}
	if o.prometheus != "" {
		if o.from == "" {
			o.from = "24h"
		}
		if o.to == "" {
			o.to = "now"
		}
	}
	if o.request.From, err = parseMoment(o.from, now); err != nil {
		return cli.Usagef("-from: %v", err)
	}
	if o.request.To, err = parseMoment(o.to, now); err != nil {
		return cli.Usagef("-to: %v", err)
	}
	if !o.request.To.IsZero() && o.request.To.Before(o.request.From) {
		return cli.Usagef("-to is before -from")
	}
	if o.prometheus != "" && o.request.To.After(now) {
		o.request.To = now // nothing is known of what is to come
	}
	return nil
}

// parseMoment reads a time: as such, or how long before now it was. "" is none.
func parseMoment(text string, now time.Time) (time.Time, error) {
	switch text {
	case "":
		return time.Time{}, nil
	case "now":
		return now, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	ago := strings.TrimPrefix(text, "-")
	if days, ok := strings.CutSuffix(ago, "d"); ok {
		if n, err := strconv.ParseFloat(days, 64); err == nil && n >= 0 && n <= 36_600 {
			return now.Add(-time.Duration(n * 24 * float64(time.Hour))), nil
		}
	}
	if d, err := time.ParseDuration(ago); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%q is no time: want one like 2026-11-29T12:00:00Z, how long ago it was like 6h or 7d, or now", text)
}

// run acquires, writes, and prints.
func (o *acquireOptions) run(ctx context.Context, source *chosen, stdout, stderr io.Writer) (err error) {
	show := progress.New(stderr, 0, "samples")
	defer show.Done()
	o.request.OnMessage = show.Print
	o.request.OnProgress = func(done, total int) {
		note := ""
		if total > 0 {
			note = fmt.Sprintf("of %d", total)
		}
		show.Set(done, note)
	}
	keep := &keeper{output: o.output}
	if source.name != "" {
		if keep, err = o.openKeeper(ctx, source.name, show); err != nil {
			return err
		}
		defer keep.close()
		o.request.OnSample = keep.add
	}
	result, failure := source.Acquire(ctx, o.request)
	show.Done()
	if result == nil {
		return failure
	}
	if err := usagecsv.WriteFile(o.output, result.Usage); err != nil {
		return err
	}
	if failure == nil || errors.Is(failure, context.Canceled) {
		if err := keep.remove(); err != nil {
			return err
		}
	}
	out := stdout
	if atomicfile.IsStdout(o.output) {
		out = stderr
	}
	s := summarise(o.output, result, errors.Is(failure, context.Canceled))
	write := s.writeText
	if o.asJSON {
		write = s.writeJSON
	}
	if err := write(out); err != nil {
		return err
	}
	if failure != nil {
		return fmt.Errorf("%d samples are kept in %s: %w", result.Usage.Len(), o.output, failure)
	}
	return nil
}
