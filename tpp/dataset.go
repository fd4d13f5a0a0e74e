package tpp

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// Dataset is a set of sequences over the same marks.
type Dataset struct {
	Sequences []Sequence
	// MarkNames names the marks by their index. Empty means an unmarked dataset: every event has mark 0.
	MarkNames []string
}

// NumMarks is the number of marks, 1 for an unmarked dataset.
func (d *Dataset) NumMarks() int { return max(len(d.MarkNames), 1) }

// NumEvents is the number of events in all sequences.
func (d *Dataset) NumEvents() int {
	n := 0
	for i := range d.Sequences {
		n += d.Sequences[i].Len()
	}
	return n
}

// Validate checks every sequence, and that no two marks share a name. The error names the sequence by its index.
func (d *Dataset) Validate() error {
	seen := make(map[string]int, len(d.MarkNames))
	for i, name := range d.MarkNames {
		if first, ok := seen[name]; ok {
			return fmt.Errorf("mapping: marks %d and %d are both called %q", first, i, name)
		}
		seen[name] = i
	}
	for i := range d.Sequences {
		if err := d.Sequences[i].Validate(d.NumMarks()); err != nil {
			return fmt.Errorf("sequence %d: %w", i, err)
		}
	}
	return nil
}

// Subset is the dataset of the sequences with the given indices, in that order. It shares their events.
func (d *Dataset) Subset(indices []int) *Dataset {
	sub := &Dataset{MarkNames: d.MarkNames, Sequences: make([]Sequence, len(indices))}
	for i, j := range indices {
		sub.Sequences[i] = d.Sequences[j]
	}
	return sub
}

// Split deals the sequences at random into a training part of 60 %, a validation part of 20 %, and a test part with
// the rest, as the paper does (TppFaaS, section V). The same seed gives the same split; within a part the sequences
// keep their order. Of one sequence training gets it, of two training and test get one each; other parts are then empty.
func (d *Dataset) Split(seed uint64) (train, validation, test *Dataset) {
	n := len(d.Sequences)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	rng := rand.New(rand.NewPCG(seed, 0x5eed_5911))
	rng.Shuffle(n, func(i, j int) { order[i], order[j] = order[j], order[i] })
	a := max(n*6/10, min(n, 1))
	b := a + n*2/10
	parts := [3][]int{order[:a], order[a:b], order[b:]}
	for _, p := range parts {
		slices.Sort(p)
	}
	return d.Subset(parts[0]), d.Subset(parts[1]), d.Subset(parts[2])
}

// WithMarks is the dataset with its marks renumbered to the given names, as a model knows them: files of one
// application differ in the order of their marks, and functions are matched by name. It shares everything but the
// marks. A mark that occurs in a sequence but not in names is an error; a name that no sequence uses is none.
func (d *Dataset) WithMarks(names []string) (*Dataset, error) {
	if slices.Equal(d.MarkNames, names) {
		return d, nil
	}
	if len(d.MarkNames) == 0 || len(names) == 0 {
		if d.NumMarks() == 1 && len(names) <= 1 {
			return &Dataset{Sequences: d.Sequences, MarkNames: names}, nil
		}
		return nil, fmt.Errorf("the dataset has %d named marks, the model %d", len(d.MarkNames), len(names))
	}
	index := make(map[string]int, len(names))
	for i, name := range names {
		index[name] = i
	}
	out := &Dataset{MarkNames: names, Sequences: make([]Sequence, len(d.Sequences))}
	for i, s := range d.Sequences {
		marks := make([]int, s.Len())
		for j := range marks {
			name := d.MarkNames[s.Mark(j)]
			m, ok := index[name]
			if !ok {
				return nil, fmt.Errorf("sequence %d: event %d has mark %q, which the model does not know", i, j, name)
			}
			marks[j] = m
		}
		s.Marks = marks
		out.Sequences[i] = s
	}
	return out, nil
}
