package main

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/figure"
	"github.com/tppfaas/tppfaas/prewarm/lab"
	"github.com/tppfaas/tppfaas/prewarm/lab/experiment"
)

const experimentUsage = `Usage: prewarm experiment NAME [OPTIONS]

Runs an experiment of the literature on the autoscaling of functions, in virtual time: a function that runs as replicas, a load that changes,
and policies that decide how many replicas there are. It prints the course of each run, what each change of the number of replicas has
brought, and all runs in a row each; -picture draws load, replicas, requests in flight, latency and answers 429 over time.

  a  sleep        users of a function that sleeps for 20 s; OpenFaaS Pro by requests in flight, and Community Edition, which never scales
  b  page-to-pdf  users of a function that takes one request at a time, and answers others with 429
  c  bcrypt       requests that need 80 ms of processor time each; OpenFaaS Pro by processor time, and Community Edition
  d  hpa          ten users under the horizontal pod autoscaler of Kubernetes, at 20 and at 40 percent
  e  queue        2000 asynchronous messages at once; OpenFaaS Pro by the length of the queue, and by requests in flight

Examples:
  prewarm experiment sleep -picture sleep.png
  prewarm experiment hpa -think 10s -picture hpa.svg
  prewarm experiment bcrypt -policy openfaas-pro:cpu:500:max=10 -policy hpa:50:request=1000:max=10 -policy kpa:1:1:max=10
  prewarm experiment queue -max-inflight 1 -queue-inflight 20 -json

Options change what the experiment does; without them it has the values of its description. -policy, which may be given several times,
takes the place of its policies: any of prewarm lab -h that scales.

-json prints an object for each interval of each run: experiment, policy, seed, from, to (seconds since the load began), load, wanted, ready,
in_flight, done, refused (each a second), mean, p95 (seconds).

Exit status: 0 done, 1 failed or interrupted, 2 called wrongly.
`

// experimentOptions are what the line says.
type experimentOptions struct {
	policies list
	seed     uint64
	every    time.Duration
	picture  string
	json     bool
	// changes set what the experiment says otherwise.
	changes []func(e *experiment.Experiment)
}

// duration and number declare an option that changes an experiment.
func (o *experimentOptions) duration(fs *flag.FlagSet, name, usage string, field func(e *experiment.Experiment) *time.Duration) {
	fs.Func(name, usage, func(s string) error {
		d, err := time.ParseDuration(s)
		o.changes = append(o.changes, func(e *experiment.Experiment) { *field(e) = d })
		return err
	})
}

func (o *experimentOptions) number(fs *flag.FlagSet, name, usage string, set func(e *experiment.Experiment, v float64)) {
	fs.Func(name, usage, func(s string) error {
		var v float64
		if err := json.Unmarshal([]byte(s), &v); err != nil {
			return cli.Usagef("%q is not a number", s)
		}
		o.changes = append(o.changes, func(e *experiment.Experiment) { set(e, v) })
		return nil
	})
}

func runExperiment(fs *flag.FlagSet) cli.Run {
	var o experimentOptions
	fs.Var(&o.policies, "policy", "`policy`, instead of those of the experiment")
	fs.Uint64Var(&o.seed, "seed", 1, "`seed` of everything random")
	fs.StringVar(&o.picture, "picture", "", "draw the course of the runs into `FILE`, a .png, .svg or .pdf")
	fs.BoolVar(&o.json, "json", false, "print an object for each interval")
	fs.DurationVar(&o.every, "every", 0, "`length` of the intervals that are printed (without: one that suits)")
	type experimentOf = *experiment.Experiment
	o.number(fs, "load", "`number` of users, requests a second or messages at the top", func(e experimentOf, v float64) { e.Load.Most = v })
	o.duration(fs, "ramp", "`time` in which the load goes up", func(e experimentOf) *time.Duration { return &e.Load.Ramp })
	o.duration(fs, "hold", "`time` for which it stays", func(e experimentOf) *time.Duration { return &e.Load.Hold })
	o.duration(fs, "down", "`time` in which it goes down", func(e experimentOf) *time.Duration { return &e.Load.Down })
	o.duration(fs, "tail", "`time` after the load until the end", func(e experimentOf) *time.Duration { return &e.Tail })
	o.duration(fs, "lead", "`time` from the beginning of the policy to that of the load", func(e experimentOf) *time.Duration { return &e.Lead })
	o.duration(fs, "think", "mean `time` of a user between an answer and the next request", func(e experimentOf) *time.Duration { return &e.Load.Think })
	o.duration(fs, "retry", "`time` after which a user who was refused tries again", func(e experimentOf) *time.Duration { return &e.Load.Retry })
	o.duration(fs, "sleep", "`time` that a request sleeps", func(e experimentOf) *time.Duration { return &e.Function.Sleep })
	o.duration(fs, "cpu", "processor `time` that a request needs", func(e experimentOf) *time.Duration { return &e.Function.CPU })
	o.duration(fs, "start", "`time` until a replica is initialised", func(e experimentOf) *time.Duration { return &e.Function.Start })
	o.duration(fs, "probe", "`time` between two looks at whether a replica is ready; 0 for at once", func(e experimentOf) *time.Duration { return &e.Function.Probe })
	o.number(fs, "cores", "`cores` of a replica; 0 for no limit", func(e experimentOf, v float64) { e.Function.Cores = v })
	o.number(fs, "max-inflight", "`requests` that a replica takes at once; 0 for no limit", func(e experimentOf, v float64) { e.Function.MaxInFlight = int(v) })
	o.number(fs, "queue-inflight", "`messages` that are sent at once", func(e experimentOf, v float64) { e.Queue.InFlight = int(v) })
	return func(ctx context.Context, args []string, stdout, _ io.Writer) error {
		if len(args) != 1 {
			return cli.Usagef("give the name of one experiment: %s", strings.Join(experiment.Names(), ", "))
		}
		e, err := experiment.New(args[0])
		if err != nil {
			return cli.Usagef("%v", err)
		}
		return o.run(ctx, e, stdout)
	}
}

func (o *experimentOptions) run(ctx context.Context, e *experiment.Experiment, stdout io.Writer) error {
	for _, change := range o.changes {
		change(e)
	}
	if len(o.policies) > 0 {
		e.Policies = nil
		for _, spec := range o.policies {
			e.Policies = append(e.Policies, expand(spec)...)
		}
	}
	if err := e.Validate(); err != nil {
		return cli.Usagef("%v", err)
	}
	switch {
	case o.every < 0:
		return cli.Usagef("-every: it must not be negative")
	case o.picture != "" && !figure.Writable(o.picture):
		return cli.Usagef("-picture: %s must end in .png, .svg or .pdf", o.picture)
	case o.picture != "":
		if err := atomicfile.Check(o.picture); err != nil {
			return err
		}
	}
	runs, err := e.Run(ctx, o.seed)
	if err != nil {
		return err
	}
	if o.picture != "" {
		if err := figure.Write(o.picture, experiment.Picture(e, runs)); err != nil {
			return err
		}
	}
	every := o.every
	if every == 0 {
		every = experiment.Every(runs)
	}
	if !o.json {
		return lab.WriteText(stdout, experiment.Tables(e, runs, every))
	}
	out := json.NewEncoder(stdout)
	for _, r := range runs {
		for _, row := range r.Rows(every) {
			line := struct {
				Experiment string `json:"experiment"`
				Policy     string `json:"policy"`
				Seed       uint64 `json:"seed"`
				experiment.Row
			}{e.Name, r.Policy, r.Seed, row}
			if err := out.Encode(line); err != nil {
				return err
			}
		}
	}
	return nil
}
