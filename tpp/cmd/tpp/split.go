package main

import (
	"cmp"
	"flag"
	"fmt"
	"iter"
	"slices"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp"
)

// parts are the parts of a dataset, and all of it.
var parts = []string{"all", "train", "validation", "test"}

func validPart(part string) bool { return slices.Contains(parts, part) }

// The ways to split a dataset.
const (
	splitAtRandom = "random"
	splitByTime   = tpp.SplitByTime
	splitByHash   = tpp.SplitByHash
)

var splits = []string{splitAtRandom, splitByTime, splitByHash}

// split says how a dataset is split into parts.
type split struct {
	how  string // one of splits
	seed uint64 // but of one by time
}

// splitOf returns the split of which a model has not seen the test part.
func splitOf(d *tpp.TrainingData) split {
	return split{cmp.Or(d.SplitBy, splitAtRandom), d.Seed}
}

// flags declares the options of a command that takes a part of a dataset.
func (s *split) flags(fs *flag.FlagSet) {
	fs.StringVar(&s.how, "split", splitAtRandom, "`how` -part splits: random, by -seed; time, by when sequences begin; or hash, of -seed and the number of each sequence, as with -stream")
	fs.Uint64Var(&s.seed, "seed", 1, "`seed` of the split")
}

// check checks the options of a command that takes a part.
func (s *split) check(fs *flag.FlagSet, part string) error {
	if !slices.Contains(splits, s.how) {
		return cli.Usagef("-split is %q, it must be %s", s.how, oneOf(splits))
	}
	for _, name := range []string{"seed", "split"} {
		if cli.IsSet(fs, name) && (part == "all" || part == "") {
			return cli.Usagef("-%s needs -part train, validation or test", name)
		}
	}
	if cli.IsSet(fs, "seed") && s.how == splitByTime {
		return cli.Usagef("-seed is for -split random and hash")
	}
	return nil
}

// name returns the split as a model's file names it.
func (s split) name() string {
	if s.how == splitAtRandom {
		return ""
	}
	return s.how
}

// parts returns the parts of a dataset.
func (s split) parts(d *tpp.Dataset) tpp.Parts {
	switch s.how {
	case splitByTime:
		return d.SplitByTime()
	case splitByHash:
		return d.SplitByHash(s.seed)
	}
	training, validation, test := d.Split(s.seed)
	return tpp.Parts{Training: training, Validation: validation, Test: test}
}

// part returns a part of a dataset, or all of it.
func (s split) part(d *tpp.Dataset, part string) *tpp.Dataset {
	p := s.parts(d)
	switch part {
	case "train":
		return p.Training
	case "validation":
		return p.Validation
	case "test":
		return p.Test
	}
	return d
}

// streams reports whether a part of a file is found without reading the whole file into memory.
func (s split) streams(f *inputFile) bool { return s.how == splitByHash && f.regular }

// keep returns which sequences, by their numbers, are in a part of a split by hash, or in all of a dataset.
func (s split) keep(part string) func(i int) bool {
	of, ok := map[string]tpp.Part{"train": tpp.TrainingPart, "validation": tpp.ValidationPart, "test": tpp.TestPart}[part]
	return func(i int) bool { return !ok || tpp.PartByHash(s.seed, i) == of }
}

// kept yields the sequences whose numbers are kept, and errors.
func kept(sequences iter.Seq2[*tpp.Sequence, error], keep func(i int) bool) iter.Seq2[*tpp.Sequence, error] {
	return func(yield func(*tpp.Sequence, error) bool) {
		i := -1
		for s, err := range sequences {
			i++
			if (err != nil || keep(i)) && !yield(s, err) {
				return
			}
		}
	}
}

// String says how a dataset was split.
func (s split) String() string {
	if s.how == splitByTime {
		return "by time"
	}
	if s.how == splitByHash {
		return fmt.Sprintf("by hash, seed %d", s.seed)
	}
	return fmt.Sprintf("seed %d", s.seed)
}
