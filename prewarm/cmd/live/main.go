//go:build unix

// Command live shows on this machine, in real time, what warming containers ahead brings; live -h shows how.
package main

import (
	"context"
	"flag"
	"io"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/figure"
)

func main() { program.Main() }

const usage = `Usage: live [options]

Sends the same requests to an application twice, without and with a controller that warms containers ahead, on this machine in real time: the
local platform with a process for each container, whose starts take as long as on a standalone OpenWhisk or on a cluster, the collector, Zipkin,
and prewarm serve. It prints a line for each request as its trace is complete, and in the end what the controller has brought. Each part is a
program of its own, and none is left behind; they are those beside this one (make prewarm-live builds all).

In the first run the controller looks on and learns, in the second it acts: that is how one begins on a platform of one's own. It knows nothing
before, unless -model gives it a trained model.

Requests come every -every, 10 % more or less, and are announced to the controller; a container that is idle for -idle is removed.

Examples:
  live                                          tree_small, twelve minutes
  live -app checkout -starts standalone -n 50 -idle 9s -policy newsvendor:5120:waits=every
  live -app checkout -starts standalone -n 100 -skip 50 -every 9s -idle 6500ms -policy newsvendor:6200:waits=every:start=300
  live -n 10 -every 5s -idle 2500ms -starts standalone    a short form
`

var program = cli.Program{Command: cli.Command{
	Name: "live", Summary: "show on this machine, in real time, what warming containers ahead brings", Help: usage, Define: define,
	Values: map[string][]string{"app": apps.Embedded(), "starts": {"local", "standalone", "cluster"}},
}}

// options are those of the command.
type options struct {
	app, starts, policy, model string
	requests, skip             int
	every, idle                time.Duration
	atOnce                     int
	seed                       uint64
	output, picture            string
	renew, json                bool
}

func define(fs *flag.FlagSet) cli.Run {
	var o options
	fs.StringVar(&o.app, "app", "tree_small", "`application`")
	fs.StringVar(&o.starts, "starts", "cluster", "starts take as long as on this `platform`: local, standalone (0.27 s) or cluster (2 s, more under load)")
	fs.IntVar(&o.atOnce, "starts-at-once", 0, "so many `starts` go at full speed at the same time; 0: as many as on the platform of -starts")
	fs.StringVar(&o.policy, "policy", "newsvendor:2560", "`policy` of the controller")
	fs.StringVar(&o.model, "model", "", "`file` with a trained model for the controller; without, it learns all by itself")
	fs.IntVar(&o.requests, "n", 30, "`requests`, without and with the controller each")
	fs.IntVar(&o.skip, "skip", 5, "the first `requests` do not count: the controller hears the first one when it comes, and learns how long warm-ups take")
	fs.DurationVar(&o.every, "every", 12*time.Second, "a request comes after this `time`, 10 % more or less")
	fs.DurationVar(&o.idle, "idle", 6*time.Second, "the platform removes a container that was idle for this `time`")
	fs.BoolVar(&o.renew, "renew", true, "the controller renews the idle time of containers where that is worth their memory")
	fs.Uint64Var(&o.seed, "seed", 1, "`seed` of the requests")
	fs.StringVar(&o.output, "o", "", "write the two datasets into this `folder`, as without.json and with.json")
	fs.StringVar(&o.picture, "picture", "", "draw both runs into `FILE`, a .png, .svg or .pdf")
	fs.BoolVar(&o.json, "json", false, "print one JSON object for each request and for each of both runs instead of the table")
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		if err := o.check(args); err != nil {
			return err
		}
		return run(ctx, &o, stdout, stderr)
	}
}

func (o *options) check(args []string) error {
	switch {
	case len(args) > 0:
		return cli.Usagef("there are no arguments, and %q is one", args[0])
	case o.requests <= o.skip || o.skip < 0:
		return cli.Usagef("-n and -skip: of %d requests %d do not count", o.requests, o.skip)
	case o.every < 100*time.Millisecond || o.idle <= 0:
		return cli.Usagef("-every and -idle: must be positive, -every at least 100ms")
	}
	if o.picture != "" && !figure.Writable(o.picture) {
		return cli.Usagef("-picture: %s must end in .png, .svg or .pdf", o.picture)
	}
	if _, err := apps.Load(o.app); err != nil {
		return cli.Usagef("-app: %v", err)
	}
	return nil
}
