// Command models trains the models in models/: a race and a LogNormMix for each dataset in data/.
//
//	go run ./bench/models -o models
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/internal/simd"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

const usage = `Usage: models [OPTIONS] [DATASET...]

Trains the models of this repository, one of each kind for every dataset that has a card, and writes a card for each that says what it
was trained on, how good it is, and what it has never seen. The same data give the same bytes on every processor that has the
kernels, whatever the number of workers. Each model is written as soon as it is trained: what is interrupted goes on with -changed.

Examples:
  models                                all of them, into models/
  models low_tree_small_det             those of one dataset
  models -changed                       where there is none yet, or the dataset is another one than it was trained on; and all cards
  models -kernels portable -o build/models -kind race
`

func main() { cli.Main(run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return cli.Exit(stderr, "models", write(ctx, args, stdout, stderr))
}

// order is what the command line asks for.
type order struct {
	data, folder string
	kinds        []kind
	changed      bool
	options      options
}

func write(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o := order{kinds: kinds}
	fs := cli.NewFlagSet("models", stdout, usage)
	fs.StringVar(&o.folder, "o", "models", "the `folder` to write into")
	fs.StringVar(&o.data, "data", "data", "the `folder` of the datasets")
	fs.BoolVar(&o.changed, "changed", false, "keep the models that were trained on the datasets as they are now, and renew their cards alone")
	fs.IntVar(&o.options.workers, "workers", 0, "`goroutines` that compute (0: one a processor); the models do not depend on it")
	fs.IntVar(&o.options.epochs, "epochs", 0, "`passes` over the training part (0: those of tpp train)")
	only := fs.String("kind", "", "only the models of this `kind`: race or lognormmix")
	kernels := fs.String("kernels", defaultKernels, "the `kernels` that compute, by which the bytes differ: avx512, avx2 or portable")
	wanted, err := cli.Parse(fs, args)
	if err != nil {
		return err
	}
	if o.options.workers < 0 || o.options.epochs < 0 {
		return cli.Usagef("-workers and -epochs must not be negative")
	}
	if *only != "" {
		i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == *only })
		if i < 0 {
			return cli.Usagef("-kind is %q, it must be race or lognormmix", *only)
		}
		o.kinds = kinds[i : i+1]
	}
	restore, err := simd.Use(*kernels)
	if err != nil {
		return cli.Usagef("%v", err)
	}
	defer restore()
	names, err := datasets(o.data)
	if err != nil {
		return err
	}
	for _, name := range wanted {
		if !slices.Contains(names, name) {
			return cli.Usagef("%s is no dataset in %s with a card", name, o.data)
		}
	}
	if len(wanted) > 0 {
		names = wanted
	}
	if err := os.MkdirAll(o.folder, 0o777); err != nil {
		return err
	}
	return o.run(ctx, names, stderr)
}

// datasets returns the names of the datasets in a folder that have a card.
func datasets(folder string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*"+dataSuffix))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), dataSuffix)
		if _, err := os.Stat(filepath.Join(folder, name+".md")); err == nil {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s has no dataset with a card", folder)
	}
	return names, nil
}

const (
	dataSuffix  = ".json.gz"
	modelSuffix = ".safetensors"
)

func (o *order) run(ctx context.Context, names []string, stderr io.Writer) error {
	show := progress.New(stderr, len(names)*len(o.kinds), "models")
	defer show.Done()
	for i, name := range names {
		data, err := dataset.ReadFile(filepath.Join(o.data, name+dataSuffix))
		if err != nil {
			return err
		}
		for j, k := range o.kinds {
			done := i*len(o.kinds) + j
			report := func(epoch, most int) { show.Set(done, fmt.Sprintf("%s.%s, epoch %d of %d", name, k.name, epoch, most)) }
			line, err := o.make(ctx, name, k, data, report)
			if err != nil {
				return err
			}
			show.Set(done+1, "")
			if line != "" {
				show.Print(line)
			}
		}
	}
	return nil
}

// make writes a model's file, its card and its row in the index, and returns a line about them. A model that is asked for only if something
// has changed, and is as it should be, is not trained anew; its card is then renewed alone.
func (o *order) make(ctx context.Context, name string, k kind, data *tpp.Dataset, report func(epoch, most int)) (string, error) {
	base := filepath.Join(o.folder, name+"."+k.name)
	training, validation, test := data.Split(seed)
	from := tpp.TrainingData{
		Name: name + dataSuffix, Fingerprint: data.Fingerprint(), Sequences: len(data.Sequences), Split: true, Seed: seed,
	}
	before, _ := os.ReadFile(base + modelSuffix)
	m := o.current(base, from)
	kept := m != nil
	if !kept {
		var err error
		if m, err = k.train(ctx, training, validation, o.options, report); err != nil {
			return "", fmt.Errorf("%s: %w", base, err)
		}
	}
	c, err := newCard(ctx, name, k, m, from, data, test)
	if err != nil {
		return "", fmt.Errorf("%s: %w", base, err)
	}
	if !kept {
		if err := tpp.WriteTrainedModelFile(base+modelSuffix, m, from); err != nil {
			return "", err
		}
	}
	if err := writeText(base+".md", c.text()); err != nil {
		return "", err
	}
	now, err := os.ReadFile(base + modelSuffix)
	if err != nil {
		return "", err
	}
	if err := updateIndex(o.folder, c.key(), c.row(len(now))); err != nil || kept {
		return "", err
	}
	return fmt.Sprintf("%s%s: %s, nll_resolution %s, %s", base, modelSuffix, size(len(now)), c.scores[0].text(), since(before, now)), nil
}

// current returns the model of a file if it need not be trained anew: only what has changed is asked for, it was trained on the data, and its
// card says by these kernels. Otherwise it returns nil.
func (o *order) current(base string, from tpp.TrainingData) model {
	if !o.changed {
		return nil
	}
	card, err := os.ReadFile(base + ".md")
	if err != nil || !strings.Contains(string(card), madeWith()) {
		return nil
	}
	m, of, err := tpp.ReadTrainedModelFile(base + modelSuffix)
	if err != nil || of == nil || *of != from {
		return nil
	}
	trained, _ := m.(model)
	return trained
}

// since says what became of a file.
func since(before, now []byte) string {
	switch {
	case before == nil:
		return "new"
	case string(before) == string(now):
		return "the same bytes as before"
	}
	return "other bytes than before"
}
