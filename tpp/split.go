package tpp

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"

	streams "github.com/tppfaas/tppfaas/internal/seed"
)

// Parts are the parts into which a dataset is split. They share the events with it, and in each the sequences keep their order.
type Parts struct {
	// Training is fitted to, Validation decides when to stop and which options are best, Test scores what came out. Any of them may be empty.
	Training, Validation, Test *Dataset
}

// SplitByTime splits the sequences by when their observation begins: the training part has the earliest 60 %, the validation part the next 20 %, the
// test part the latest. It shows how a model that is fitted now does later, if what it models changes. Of sequences that begin at the same time the
// ones that stand first go first. Sequences are not cut: one that begins before the test part may reach into its time.
func (d *Dataset) SplitByTime() Parts {
	n := len(d.Sequences)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(d.Sequences[a].Start(), d.Sequences[b].Start()) })
	a, b := splitSizes(n)
	return d.partsOf(order[:a], order[a:b], order[b:])
}

// Part is a part of a dataset.
type Part int

// The parts of a dataset.
const (
	TrainingPart Part = iota
	ValidationPart
	TestPart
)

// PartByHash returns the part to which SplitByHash gives the sequence with an index.
func PartByHash(seed uint64, index int) Part {
	switch u := streams.Hash(seed, uint64(index)) / (1 << 32); { // its upper half
	case u < 6*(1<<32)/10:
		return TrainingPart
	case u < 8*(1<<32)/10:
		return ValidationPart
	}
	return TestPart
}

// SplitByHash splits the sequences by a hash of the seed and their index: each goes to the training part with probability 60 %, and with 20 % to each
// of the others. Unlike Split it says of each sequence alone where it goes, so that data can be split that do not fit in memory; the sizes of the
// parts are left to chance.
func (d *Dataset) SplitByHash(seed uint64) Parts {
	var indices [3][]int
	for i := range d.Sequences {
		part := PartByHash(seed, i)
		indices[part] = append(indices[part], i)
	}
	return d.partsOf(indices[TrainingPart], indices[ValidationPart], indices[TestPart])
}

// Folds splits the sequences at random into k folds of equal sizes, give or take one, and returns k times the parts of a cross-validation: with fold
// i as the test part, the fold after it, going round, as the validation part, and all others as the training part. So each sequence is tested once,
// and five folds give parts of the sizes that Split gives. The same seed gives the same folds. It returns an error unless there are 3 to as many
// folds as sequences.
func (d *Dataset) Folds(k int, seed uint64) ([]Parts, error) {
	n := len(d.Sequences)
	if k < 3 || k > n {
		return nil, fmt.Errorf("%d folds of %d sequences: there must be from 3 folds to one for each sequence", k, n)
	}
	order := shuffled(n, seed, 0xf01d_5911)
	fold := func(i int) []int { return order[n*i/k : n*(i+1)/k] }
	out := make([]Parts, k)
	for i := range out {
		next := (i + 1) % k
		var training []int
		for j := range k {
			if j != i && j != next {
				training = append(training, fold(j)...)
			}
		}
		out[i] = d.partsOf(training, slices.Clone(fold(next)), slices.Clone(fold(i)))
	}
	return out, nil
}

// shuffled returns the numbers below n in an order that the seed draws from a stream.
func shuffled(n int, seed, stream uint64) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	rng := rand.New(rand.NewPCG(seed, stream))
	rng.Shuffle(n, func(i, j int) { order[i], order[j] = order[j], order[i] })
	return order
}

// splitSizes returns where the validation and the test part of n sequences begin.
func splitSizes(n int) (validation, test int) {
	validation = max(n*6/10, min(n, 1))
	return validation, validation + n*2/10
}

// partsOf returns the parts with the sequences of the given indices, which it sorts.
func (d *Dataset) partsOf(training, validation, test []int) Parts {
	for _, indices := range [][]int{training, validation, test} {
		slices.Sort(indices)
	}
	return Parts{d.Subset(training), d.Subset(validation), d.Subset(test)}
}
