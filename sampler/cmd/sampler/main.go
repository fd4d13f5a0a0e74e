// Command sampler samples traces of a serverless application into a dataset; sampler -h shows how.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/sampler"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

func main() { program.Main() }

const usage = `Usage: sampler -d APPLICATION -n REQUESTS -l SECONDS -u SECONDS [options]
       sampler mix LOW BURSTS -cold SHARE -o HIGH [options]     (sampler mix -h)
       sampler platform | zipkin [options]                      (sampler platform -h, sampler zipkin -h)
       sampler clean [PACKAGE...] [options]                     (sampler clean -h)

Deploys an application on the local platform, sends it requests at uniform random intervals, and writes the traces as a
dataset. Time is virtual: an hour of load takes seconds, and the same call writes the same file.

With -platform openwhisk it does so on an OpenWhisk, in real time: it deploys the functions into a package of their own,
sends them the same requests, fetches the traces from Zipkin, and removes what it has deployed. A collector must ship the
functions' spans there. Where all that is, is looked for in the options, the environment (OW_APIHOST, OW_AUTH,
OW_IGNORE_CERTS, TPPFAAS_ZIPKIN, TPPFAAS_COLLECTOR, TPPFAAS_ACTION_APIHOST), the configuration file, and .wskprops, in this
order; without any it is on this machine. Ctrl-C stops the sending and keeps what is complete. What was sent and has come
stands in OUTPUT.journal until the dataset is whole: with it -resume goes on, however the run ended. A trace that is not
complete is left out, and named; the exit status is then 1, unless -allow-incomplete is given.

Examples:
  sampler -d sequence -n 1000 -l 2 -u 6                            into data/sequence_n1000_l2_u6.json
  sampler -d tree_small -n 300 -l 0.3 -u 0.6 -r -o trees.json.gz   random durations, compressed
  sampler -d sequence -n 500 -l 0.1 -u 0.1 -b 50 -w 120            bursts of 50: many cold starts
  sampler -d tree_large -n 1000 -l 1 -u 2 -overheads standalone    as on one machine with Docker, not on a cluster
  sampler -d parallel_small -n 1000 -l 2 -u 6 -e 1 -m 2            one anomaly, two missing functions in each trace
  sampler -d path/to/my_application -n 100 -l 1 -u 2 -seed 7       an application of one's own
  sampler -platform openwhisk -d tree_small -n 50 -l 1 -u 2        into data/tree_small_n50_l1_u2_openwhisk.json
  sampler -platform openwhisk -d tree_small -n 50 -l 1 -u 2 -resume     goes on after a Ctrl-C

Applications: %s.

Exit status: 0 done, 1 failed or interrupted (no file is written, but on OpenWhisk one with what is complete), 2 called
wrongly.
`

var program = cli.Program{
	Command: cli.Command{
		Name: "sampler", Arguments: "-d APPLICATION -n REQUESTS -l SECONDS -u SECONDS", Summary: "sample traces of a serverless application into a dataset",
		Help: fmt.Sprintf(usage, strings.Join(apps.Embedded(), ", ")), Define: sample,
		Values: map[string][]string{"d": apps.Embedded(), "platform": {localPlatform, openWhiskPlatform}, "overheads": overheads()},
	},
	Commands: []cli.Command{
		{
			Name: "mix", Arguments: "LOW BURSTS -cold SHARE -o HIGH", Summary: "make the dataset of a high load of two others",
			Help: mixUsage, Define: mix,
		},
		{
			Name: "platform", Summary: "run an OpenWhisk-compatible platform on this machine",
			Help: platformUsage, Define: platform, Values: map[string][]string{"log": {"debug", "info", "warn", "error"}},
		},
		{
			Name: "zipkin", Summary: "run a Zipkin server over memory",
			Help: zipkinUsage, Define: zipkin,
		},
		{
			Name: "clean", Arguments: "[PACKAGE...]", Summary: "list what killed samplings have left on OpenWhisk, and remove it",
			Help: cleanUsage, Define: clean,
		},
	},
}

// The values of -platform.
const (
	localPlatform     = "local"
	openWhiskPlatform = "openwhisk"
)

// overheads lists the values of -overheads.
func overheads() (names []string) {
	for _, o := range sampler.AllOverheads() {
		names = append(names, string(o))
	}
	return names
}

// order is what the command line asks for.
type order struct {
	app    *apps.Application
	config sampler.Config
	output string // "" for a name of its own under data
	json   bool
	// overheads are those of the local platform.
	overheads sampler.Overheads
	whisk     *onOpenWhisk // nil for the local platform
}

func sample(fs *flag.FlagSet) cli.Run {
	parsed := sampleFlags(fs)
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		order, err := parsed(args)
		if err != nil {
			return err
		}
		return order.run(ctx, stdout, stderr)
	}
}

func (order order) run(ctx context.Context, stdout, stderr io.Writer) error {
	output := order.output
	if output == "" {
		if err := os.MkdirAll("data", 0o777); err != nil {
			return err
		}
		name := sampler.FileName(order.app.Name, order.config)
		switch {
		case order.whisk != nil:
			name = openWhiskName(order)
		case order.overheads != sampler.Cluster:
			name = fmt.Sprintf("%s_%s.json", strings.TrimSuffix(name, ".json"), order.overheads)
		}
		output = filepath.Join("data", name)
	}
	if err := atomicfile.Check(output); err != nil {
		return err
	}
	if order.whisk != nil {
		return order.whisk.sample(ctx, order, output, stdout, stderr)
	}

	begin := time.Now()
	target, err := sampler.NewLocalWith(sampler.LocalOptions{Overheads: order.overheads, Seed: order.config.Seed})
	if err != nil {
		return err
	}
	bar := progress.New(stderr, order.config.Requests, "requests")
	defer bar.Done()
	var result *sampler.Result
	err = atomicfile.Write(output, func(w io.Writer) error {
		file, err := newInOrder(w, dataset.FormatOf(output), sampler.MarkNames(order.app))
		if err != nil {
			return err
		}
		result, err = sampler.Collect(ctx, target, order.app, order.config, func(request int, s tpp.Sequence) error {
			defer bar.Add(1, "")
			return file.add(request, s)
		})
		if err != nil {
			return err
		}
		return file.writer.Close()
	})
	bar.Done()
	if err != nil {
		return err
	}
	return report(stdout, order, output, result, time.Since(begin))
}

// sampleFlags declares the options. What it returns checks everything that can be wrong about a call once they are parsed.
func sampleFlags(fs *flag.FlagSet) func(args []string) (order, error) {
	var o order
	application := fs.String("d", "", "the `application`: a folder with a graph.yaml, else the name of an embedded one")
	fs.IntVar(&o.config.Requests, "n", 0, "`requests` in all")
	least := fs.Float64("l", 0, "least `seconds` between two requests")
	most := fs.Float64("u", 0, "most `seconds` between two requests")
	fs.IntVar(&o.config.BatchSize, "b", 0, "`requests` in a batch (only with -w; without, there are no batches)")
	pause := fs.Float64("w", 0, "`seconds` of pause after a batch's last request, before the interval to the next")
	fs.IntVar(&o.config.Anomalies, "e", 0, "duration anomalies in each trace: `functions` that sleep 100 or 5 ms instead")
	fs.IntVar(&o.config.Missing, "m", 0, "missing `functions` in each trace: their successors are invoked in their place")
	fs.BoolVar(&o.config.RandomDurations, "r", false, "draw durations from each function's gamma distribution")
	fs.Uint64Var(&o.config.Seed, "seed", sampler.DefaultSeed, "`number` that determines everything random")
	fs.StringVar(&o.output, "o", "", "the `file` to write: JSON, by its name .jsonl or .csv, compressed if it ends in .gz (without: one in data/, named after the options)")
	fs.BoolVar(&o.json, "json", false, "print one JSON object instead of text")
	overheads := fs.String("overheads", string(sampler.Cluster), "`whose` overheads the local platform has: cluster, the Kubernetes cluster of the published traces; standalone, an OpenWhisk on one machine; local, sampler platform")
	platform := fs.String("platform", localPlatform, "`where` to sample: local, in virtual time, or openwhisk, in real time")
	whisk := newOnOpenWhisk(fs)
	return func(args []string) (order, error) {
		if err := noArguments(args); err != nil {
			return o, err
		}
		if err := o.check(fs, *application, *least, *most, *pause); err != nil {
			return o, err
		}
		o.overheads = sampler.Overheads(*overheads)
		if err := o.overheads.Validate(); err != nil {
			return o, cli.Usagef("-overheads: %v", err)
		}
		switch *platform {
		case localPlatform:
			return o, whisk.unused(fs)
		case openWhiskPlatform:
			if cli.IsSet(fs, "overheads") {
				return o, cli.Usagef("-overheads: only without -platform openwhisk: a real platform has its own")
			}
			o.whisk = whisk
			return o, whisk.check(fs)
		}
		return o, cli.Usagef("-platform: must be local or openwhisk, not %q", *platform)
	}
}

// noArguments refuses what stands beside the options.
func noArguments(args []string) error {
	if len(args) > 0 {
		return cli.Usagef("unexpected argument %q", args[0])
	}
	return nil
}

// flagOf tells which option sets a field of the config.
var flagOf = map[string]string{
	"Requests": "-n", "MinInterval": "-l", "MaxInterval": "-u", "BatchSize": "-b", "BatchPause": "-w",
	"Anomalies": "-e", "Missing": "-m",
}

func (o *order) check(fs *flag.FlagSet, application string, least, most, pause float64) error {
	var missing []string
	for _, name := range []string{"d", "n", "l", "u"} {
		if !cli.IsSet(fs, name) {
			missing = append(missing, "-"+name)
		}
	}
	if len(missing) > 0 {
		return cli.Usagef("%s not given (-h shows examples)", strings.Join(missing, ", "))
	}
	if cli.IsSet(fs, "o") && o.output == "" {
		return cli.Usagef("-o: the name of the file is empty")
	}
	for _, v := range []struct {
		name    string
		seconds float64
		to      *time.Duration
	}{{"l", least, &o.config.MinInterval}, {"u", most, &o.config.MaxInterval}, {"w", pause, &o.config.BatchPause}} {
		switch {
		case math.IsNaN(v.seconds) || math.IsInf(v.seconds, 0):
			return cli.Usagef("-%s: must be finite, not %v", v.name, v.seconds)
		case v.seconds < 0:
			return cli.Usagef("-%s: must not be negative, and is %v", v.name, v.seconds)
		case v.seconds > sampler.MaxSpan.Seconds():
			return cli.Usagef("-%s: %v seconds are more than a hundred years", v.name, v.seconds)
		}
		*v.to = time.Duration(math.Round(v.seconds * float64(time.Second)))
	}
	if least > most {
		return cli.Usagef("-l: must not be more than -u, and %v > %v", least, most)
	}
	if cli.IsSet(fs, "b") != cli.IsSet(fs, "w") {
		return cli.Usagef("-b and -w: only together, the requests in a batch and the seconds of pause after it")
	}
	if cli.IsSet(fs, "b") {
		if o.config.BatchSize <= 0 {
			return cli.Usagef("-b: must be positive, not %d", o.config.BatchSize)
		}
		if o.config.BatchPause <= 0 {
			return cli.Usagef("-w: must be positive, not %v", pause)
		}
	}
	app, err := apps.Load(application)
	if err != nil {
		return cli.Usagef("-d: %v", err)
	}
	o.app = app
	var wrong *sampler.ConfigError
	if err := o.config.Validate(app); errors.As(err, &wrong) {
		return cli.Usagef("%s: %s", flagOf[wrong.Field], wrong.Reason)
	} else if err != nil {
		return err
	}
	return nil
}

func report(w io.Writer, o order, file string, r *sampler.Result, took time.Duration) error {
	simulated := r.End.Sub(r.Start)
	if o.json {
		return json.NewEncoder(w).Encode(struct {
			File             string  `json:"file"`
			Application      string  `json:"application"`
			Sequences        int     `json:"sequences"`
			Events           int     `json:"events"`
			ColdStarts       int     `json:"cold_starts"`
			Functions        int     `json:"functions"`
			Seed             uint64  `json:"seed"`
			SimulatedSeconds float64 `json:"simulated_seconds"`
			LatenessSeconds  float64 `json:"lateness_seconds"`
			Seconds          float64 `json:"seconds"`
		}{
			file, o.app.Name, r.Sequences, r.Events, r.ColdStarts, len(o.app.Functions), o.config.Seed,
			simulated.Seconds(), r.Lateness.Seconds(), took.Seconds(),
		})
	}
	_, err := fmt.Fprintf(w, "%s: %d traces of %s, %d invocations, %.1f %% cold starts; %v of load in %.2f s\n",
		file, r.Sequences, o.app.Name, r.Events, 100*float64(r.ColdStarts)/float64(r.Events), simulated.Round(time.Second), took.Seconds())
	return err
}
