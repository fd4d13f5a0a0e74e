package main

import (
	"flag"
	"fmt"
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
	splitByTime   = "time"
)

var splits = []string{splitAtRandom, splitByTime}

// split says how a dataset is split into parts.
type split struct {
	how  string // splitAtRandom or splitByTime
	seed uint64 // of a random split
}

// splitOf returns the split of which a model has not seen the test part.
func splitOf(d *tpp.TrainingData) split {
	if d.ByTime {
		return split{splitByTime, d.Seed}
	}
	return split{splitAtRandom, d.Seed}
}

// flags declares the options of a command that takes a part of a dataset.
func (s *split) flags(fs *flag.FlagSet) {
	fs.StringVar(&s.how, "split", splitAtRandom, "`how` -part splits: random, by -seed; or time, by when sequences begin")
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
		return cli.Usagef("-seed is for -split random")
	}
	return nil
}

// parts returns the parts of a dataset.
func (s split) parts(d *tpp.Dataset) tpp.Parts {
	if s.how == splitByTime {
		return d.SplitByTime()
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

// String says how a dataset was split.
func (s split) String() string {
	if s.how == splitByTime {
		return "by time"
	}
	return fmt.Sprintf("seed %d", s.seed)
}
