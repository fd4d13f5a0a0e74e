// Command sampler samples traces of a serverless application into a dataset; sampler -h shows how.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/sampler"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

func main() { program.Main() }

const usage = `Usage: sampler -d APPLICATION -n REQUESTS -l SECONDS -u SECONDS [options]
       sampler mix LOW BURSTS -cold SHARE -o HIGH [options]     (sampler mix -h)
       sampler collect -o FILE [options]                        (sampler collect -h)
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
			Name: "collect", Arguments: "-o FILE", Summary: "make a dataset of the traces that a Zipkin server has",
			Help: collectUsage, Define: collect, Values: map[string][]string{"spans": spanRules()},
		},
		{
			Name: "platform", Summary: "run an OpenWhisk-compatible platform on this machine",
			Help: platformUsage, Define: platform, Values: map[string][]string{"log": {"debug", "info", "warn", "error"}, "starts": {"local", "standalone", "cluster"}},
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

// spanRules lists the values of -spans.
func spanRules() (names []string) {
	for _, r := range dataset.SpanRules() {
		names = append(names, string(r))
	}
	return names
}

// sample is the command without a subcommand: it samples an application on one of the platforms.
func sample(fs *flag.FlagSet) cli.Run {
	parsed := sampleFlags(fs)
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		o, err := parsed(args)
		if err != nil {
			return err
		}
		output, err := o.outputFile()
		if err != nil {
			return err
		}
		if o.openWhisk != nil {
			return sampleOpenWhisk(ctx, o, output, stdout, stderr)
		}
		return sampleLocal(ctx, o, output, stdout, stderr)
	}
}
