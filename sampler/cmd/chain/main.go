//go:build unix

// Command chain samples an application through the whole chain on this machine in real time; chain -h shows how.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tppfaas/tppfaas/internal/chain"
	"github.com/tppfaas/tppfaas/internal/cli"
)

func main() { program.Main() }

const usage = `Usage: chain [options] [-- SAMPLER OPTIONS]

Runs the whole chain on this machine in real time: the local platform with a process for each container, the collector, a Zipkin server,
and the sampler, which deploys an application, sends it requests and writes the traces as a dataset. No process is left behind.
What stands after -- goes to the sampler (sampler -h), without it 50 requests of tree_small.

The programs sampler and collector are those beside this one; make chain builds all three.

Examples:
  chain
  chain -- -d sequence -n 20 -l 1 -u 2 -o sequence.json
  chain -zipkin http://127.0.0.1:9411        a Zipkin server that is there already
`

var program = cli.Program{Command: cli.Command{
	Name: "chain", Arguments: "[-- SAMPLER OPTIONS]", Summary: "sample an application through the whole chain on this machine, in real time",
	Help: usage, Define: sample,
}}

func sample(fs *flag.FlagSet) cli.Run {
	var options chain.Options
	fs.StringVar(&options.Zipkin, "zipkin", "", "`URL` of a Zipkin server (without: the built-in one)")
	fs.IntVar(&options.MemoryMB, "memory", 8192, "the platform's memory for containers in `MiB`")
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		return run(ctx, options, args, stdout, stderr)
	}
}

// run starts the chain, samples over it with the options of sampler, and stops it.
func run(ctx context.Context, options chain.Options, sampling []string, stdout, stderr io.Writer) (err error) {
	if len(sampling) == 0 {
		sampling = []string{"-d", "tree_small", "-n", "50", "-l", "0.4", "-u", "0.7", "-o", filepath.Join("build", "chain.json.gz")}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	options.Sampler = filepath.Join(filepath.Dir(self), "sampler")
	options.Collector = filepath.Join(filepath.Dir(self), "collector")
	if options.Dir, err = os.MkdirTemp("", "tppfaas-chain-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(options.Dir)) }()

	fmt.Fprintln(stderr, "starting the platform, the collector and Zipkin")
	c, err := chain.Start(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	fmt.Fprintf(stderr, "platform %s, collector %s, Zipkin %s\n", c.APIHost, c.CollectorURL, c.ZipkinURL)

	return chain.Run(ctx, options.Sampler, append([]string{"-platform", "openwhisk"}, sampling...), append(os.Environ(), c.Env()...), stdout, stderr)
}
