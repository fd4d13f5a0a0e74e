// Command tpp trains models of event sequences, evaluates them, and predicts with them. It is thin over package tpp.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/tppfaas/tppfaas/internal/cli"
)

const usage = `tpp models event sequences: when does the next event come, and of which kind?

Usage: tpp COMMAND ARGUMENTS [OPTIONS]

Commands:
  train DATASET -o MODEL          fit a model to a dataset and score it on a part kept aside
  evaluate MODEL... DATASET...    score models on datasets
  predict MODEL DATASET           what a model says after each event of a sequence
  sample MODEL -o DATASET         draw sequences from a model
  plot MODEL DATASET -o PICTURE   a sequence with the predictions at each step, densities, calibration, a training
  convert DATASET -o DATASET      JSON, JSON lines or CSV into another of them
  inspect FILE...                 what is in datasets and models

Examples:
  tpp train traces.json.gz -o model.safetensors -seed 1
  tpp evaluate model.safetensors traces.json.gz -part test -seed 1
  tpp predict model.safetensors traces.json.gz -sequence 3

"tpp COMMAND -h" explains a command. Exit status: 0 done, 1 failed, 2 called wrongly.
`

// command runs on the arguments behind its name. What it returns becomes one line and the exit status.
type command func(ctx context.Context, args []string, stdout, stderr io.Writer) error

var commands = map[string]command{
	"train":    train,
	"evaluate": evaluate,
	"predict":  predict,
	"sample":   sample,
	"plot":     plotSequence,
	"convert":  convert,
	"inspect":  inspect,
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		return cli.Exit(stderr, "tpp", cli.Usagef("a command is missing: train, evaluate, predict, sample, plot, convert or inspect (-h explains them)"))
	}
	switch args[0] {
	case "-h", "-help", "--help", "help":
		fmt.Fprint(stdout, usage)
		return cli.OK
	}
	c, ok := commands[args[0]]
	if !ok {
		return cli.Exit(stderr, "tpp", cli.Usagef("unknown command %q: it is train, evaluate, predict, sample, plot, convert or inspect (-h explains them)", args[0]))
	}
	return cli.Exit(stderr, "tpp "+args[0], c(ctx, args[1:], stdout, stderr))
}

func main() { cli.Main(run) }

// positional parses the line and checks how many arguments stand beside the options.
func positional(fs *flag.FlagSet, args []string, names ...string) ([]string, error) {
	rest, err := cli.Parse(fs, args)
	if err != nil {
		return nil, err
	}
	if len(rest) < len(names) {
		return nil, cli.Usagef("the %s is missing", names[len(rest)])
	}
	if len(rest) > len(names) {
		return nil, cli.Usagef("%q is left over on the line", rest[len(names)])
	}
	return rest, nil
}
