// Command transfer trains models on simulated datasets and evaluates them on recorded ones of the same name, and the other way
// round: how far apart are the two worlds for a model?
//
//	go run ./bench/transfer -ours data recorded/low_*.json.gz recorded/high_*.json.gz
//
// The recorded datasets are not in this repository.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/neural"
)

const usage = `Usage: transfer RECORDED... [options]

For each recorded dataset and the simulated one of the same name: trains a model on the training part of either, and scores both on the
test parts of either. A model that was trained in the other world has seen nothing of this one.

Examples:
  transfer recorded/low_sequence_det.json.gz
  transfer -epochs 50 -ours data recorded/low_*.json.gz
`

func main() { cli.Main(run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return cli.Exit(stderr, "transfer", transfer(ctx, args, stdout))
}

func transfer(ctx context.Context, args []string, stdout io.Writer) error {
	fs := cli.NewFlagSet("transfer", stdout, usage)
	ours := fs.String("ours", "data", "the `folder` of the simulated datasets")
	epochs := fs.Int("epochs", 0, "`passes` over the training part (without: those of tpp train)")
	seed := fs.Uint64("seed", 1, "`number` of the split and the training")
	paths, err := cli.Parse(fs, args)
	if err != nil {
		return err
	}
	if len(paths) == 0 || *epochs < 0 {
		return cli.Usagef("give at least one RECORDED dataset, and epochs that are not negative")
	}
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tevaluated on\ttrained on\tnll_resolution\tmae\taccuracy\t")
	for _, path := range paths {
		name := filepath.Base(path)
		twin := filepath.Join(*ours, name)
		if _, err := os.Stat(twin); err != nil {
			return fmt.Errorf("no simulated dataset for %s: %w", path, err)
		}
		var worlds [2]world
		for i, file := range []string{path, twin} {
			if worlds[i], err = train(ctx, file, *epochs, *seed); err != nil {
				return err
			}
		}
		names := [2]string{"recorded", "simulated"}
		for to, on := range worlds {
			for _, from := range [2]int{to, 1 - to} {
				s, err := eval.Evaluate(ctx, worlds[from].model, on.test, eval.EvaluateOptions{})
				if err != nil {
					return fmt.Errorf("%s, trained on %s, evaluated on %s: %w", name, names[from], names[to], err)
				}
				fmt.Fprintf(t, "%s\t%s\t%s\t%.3f\t%.1f\t%.4f\t\n", name, names[to], names[from], s.NLLResolution, s.MAE, s.Accuracy)
			}
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// world is a dataset's test part, and a model of its training part.
type world struct {
	model tpp.Model
	test  *tpp.Dataset
}

func train(ctx context.Context, path string, epochs int, seed uint64) (world, error) {
	d, err := dataset.ReadFile(path)
	if err != nil {
		return world{}, err
	}
	training, validation, test := d.Split(seed)
	m, err := neural.Train(ctx, neural.Config{}, training, validation, neural.TrainOptions{Seed: seed, MaxEpochs: epochs})
	if err != nil {
		return world{}, fmt.Errorf("training on %s: %w", path, err)
	}
	return world{m, test}, nil
}
