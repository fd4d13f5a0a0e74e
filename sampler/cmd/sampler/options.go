package main

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/sampler"
)

// options are the options of a sampling.
type options struct {
	app    *apps.Application
	config sampler.Config
	output string // "" for a file under data, named after the options
	json   bool
	// overheads are those of the local platform.
	overheads sampler.Overheads
	// openWhisk are the options of a sampling on OpenWhisk, nil for one on the local platform.
	openWhisk *openWhiskOptions
}

// sampleFlags declares the options. What it returns checks everything that can be wrong about a call once they are parsed.
func sampleFlags(fs *flag.FlagSet) func(args []string) (options, error) {
	var o options
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
	openWhisk := newOpenWhiskOptions(fs)
	return func(args []string) (options, error) {
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
			return o, openWhisk.checkUnset(fs)
		case openWhiskPlatform:
			if cli.IsSet(fs, "overheads") {
				return o, cli.Usagef("-overheads: only without -platform openwhisk: a real platform has its own")
			}
			o.openWhisk = openWhisk
			return o, openWhisk.check(fs)
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

// flagOf maps the fields of the config to the options that set them.
var flagOf = map[string]string{
	"Requests": "-n", "MinInterval": "-l", "MaxInterval": "-u", "BatchSize": "-b", "BatchPause": "-w",
	"Anomalies": "-e", "Missing": "-m",
}

// check checks the options that all platforms have, and completes the config.
func (o *options) check(fs *flag.FlagSet, application string, least, most, pause float64) error {
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

// outputFile returns the name of the file to write. The file can be written: that is checked before hours of sampling.
func (o options) outputFile() (string, error) {
	output := o.output
	if output == "" {
		if err := os.MkdirAll("data", 0o777); err != nil {
			return "", fmt.Errorf("%w (-o writes elsewhere)", err)
		}
		name := sampler.FileName(o.app.Name, o.config)
		switch {
		case o.openWhisk != nil:
			name = o.openWhiskName()
		case o.overheads != sampler.Cluster:
			name = fmt.Sprintf("%s_%s.json", strings.TrimSuffix(name, ".json"), o.overheads)
		}
		output = filepath.Join("data", name)
	}
	return output, atomicfile.Check(output)
}

// openWhiskName returns the default name of a dataset that was sampled on OpenWhisk.
func (o options) openWhiskName() string {
	return strings.TrimSuffix(sampler.FileName(o.app.Name, o.config), ".json") + "_openwhisk.json"
}
