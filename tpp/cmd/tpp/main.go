// Command tpp trains models of event sequences, evaluates them, and predicts with them. It is thin over package tpp.
package main

import (
	"io"
	"os"
	"path/filepath"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

var program = cli.Program{
	Command: cli.Command{
		Name: "tpp", Summary: "train models of event sequences, evaluate them, and predict with them",
		Help: `tpp models event sequences: when does the next event come, and of which kind?

Usage: tpp COMMAND ARGUMENTS [OPTIONS]

Examples:
  tpp train traces.json.gz -o model.safetensors -seed 1
  tpp evaluate model.safetensors traces.json.gz -part test -seed 1
  tpp predict model.safetensors traces.json.gz -sequence 3

Exit status: 0 done, 1 failed, 2 called wrongly.
`,
	},
	Commands: []cli.Command{
		{
			Name: "train", Arguments: "DATASET -o MODEL", Summary: "fit a model to a dataset and score it on a part kept aside",
			Help: trainUsage, Define: train, Values: trainValues,
		},
		{
			Name: "tune", Arguments: "DATASET", Summary: "search for good options of train",
			Help: tuneUsage, Define: tuneCommand, Values: trainValues,
		},
		{
			Name: "evaluate", Arguments: "MODEL... DATASET...", Summary: "score models on datasets",
			Help: evaluateUsage, Define: evaluate, Values: map[string][]string{"part": parts, "split": splits, "unit": dataset.TimeUnits(), "spans": spanRules},
		},
		{
			Name: "predict", Arguments: "MODEL DATASET", Summary: "what a model says after each event of a sequence",
			Help: predictUsage, Define: predict, Values: map[string][]string{"unit": dataset.TimeUnits(), "spans": spanRules},
		},
		{
			Name: "intensity", Arguments: "MODEL DATASET", Summary: "the rate at which a model expects events, over the time of a sequence",
			Help: intensityUsage, Define: intensity, Values: map[string][]string{"unit": dataset.TimeUnits(), "spans": spanRules},
		},
		{
			Name: "define", Arguments: "PARAMETERS -o MODEL", Summary: "a model of a process whose parameters are known",
			Help: defineUsage, Define: define,
		},
		{
			Name: "sample", Arguments: "MODEL -o DATASET", Summary: "draw sequences from a model",
			Help: sampleUsage, Define: sample, Values: map[string][]string{"unit": dataset.TimeUnits(), "spans": spanRules},
		},
		{
			Name: "plot", Arguments: "MODEL DATASET -o PICTURE", Summary: "a sequence with the predictions at each step, densities, calibration, a training",
			Help: plotUsage, Define: plotSequence, Values: map[string][]string{"what": pictures, "part": parts, "split": splits, "unit": dataset.TimeUnits(), "spans": spanRules},
		},
		{
			Name: "convert", Arguments: "DATASET -o DATASET", Summary: "a dataset, or spans, into JSON, JSON lines or CSV",
			Help: convertUsage, Define: convert, Values: map[string][]string{"unit": dataset.TimeUnits(), "spans": spanRules},
		},
		{
			Name: "inspect", Arguments: "FILE...", Summary: "what is in datasets and models",
			Help: inspectUsage, Define: inspect, Values: map[string][]string{"unit": dataset.TimeUnits(), "spans": spanRules},
		},
	},
}

func main() { program.Main() }

// positional checks how many arguments stand beside the options.
func positional(args []string, names ...string) error {
	if len(args) < len(names) {
		return cli.Usagef("the %s is missing", names[len(args)])
	}
	if len(args) > len(names) {
		return cli.Usagef("%q is left over on the line", args[len(names)])
	}
	return nil
}

// messagesBeside returns where messages about an output file go: to stdout, unless that is the output.
func messagesBeside(output string, stdout, stderr io.Writer) io.Writer {
	if atomicfile.IsStdout(output) {
		return stderr
	}
	return stdout
}

// notRead returns an error if the output file of an option is one of the files that the command reads, or writes too: they would be lost.
// Devices and pipes may be both.
func notRead(option, output string, others ...string) error {
	info, err := os.Stat(output)
	for _, other := range others {
		if output == "" || other == "" {
			continue
		}
		if err != nil { // there is no such file yet
			if target(output) == target(other) {
				return cli.Usagef("-%s and another file of this command are both %s", option, other)
			}
			continue
		}
		if second, err := os.Stat(other); err == nil && info.Mode().IsRegular() && os.SameFile(info, second) {
			return cli.Usagef("-%s is %s, another file of this command: that would be lost", option, other)
		}
	}
	return nil
}

// target returns the whole name, without links, of a file that may not exist yet.
func target(path string) string {
	for range 40 { // as many links as Linux follows
		link, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(link) {
			link = filepath.Join(filepath.Dir(path), link)
		}
		path = link
	}
	folder, name := filepath.Split(path)
	if real, err := filepath.EvalSymlinks(filepath.Clean(folder)); err == nil {
		path = filepath.Join(real, name)
	}
	if whole, err := filepath.Abs(path); err == nil {
		return whole
	}
	return filepath.Clean(path)
}
