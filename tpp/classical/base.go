package classical

import (
	"fmt"
	"hash/fnv"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
)

// classicalDescription is the JSON description in the file of a classical model.
type classicalDescription struct {
	tpp.ModelHeader
	// Components is the number of log-normal components of each distribution of a Renewal or MarkovRenewal.
	Components int `json:"components,omitempty"`
	// DecayPerPair is true if a Hawkes process has a decay for each pair of marks.
	DecayPerPair bool `json:"decay_per_pair,omitempty"`
	// Kernels is the number of kernels of a Hawkes process, if there are several.
	Kernels int `json:"kernels,omitempty"`
	// StandardErrors are those of the parameters of a Hawkes process, if they were computed.
	StandardErrors *hawkesErrorsDescription `json:"standard_errors,omitempty"`
	// Cells are the cells of a lookup table.
	Cells []cellDescription `json:"cells,omitempty"`
	// Tails are what a Continuation expects after each history.
	Tails []tailDescription `json:"tails,omitempty"`
}

// cellDescription holds the history that leads to a cell of a lookup table, and its number of gaps.
type cellDescription struct {
	Marks []int `json:"marks"` // the latest first
	Set   []int `json:"set,omitempty"`
	Gaps  int   `json:"gaps"`
}

func parseClassical(f *tpp.ModelFile) (*classicalDescription, error) {
	d := &classicalDescription{}
	if err := f.Describe(d); err != nil {
		return nil, err
	}
	if d.Components < 0 || d.Components > maxComponents {
		return nil, fmt.Errorf("description of the model: %d components", d.Components)
	}
	return d, nil
}

// vector returns a one-dimensional tensor of the values.
func vector(data ...float64) tpp.Tensor {
	return tpp.Tensor{Shape: []int{len(data)}, Data: data}
}

// asModel returns m as a Model, or nil if there is an error: a nil *Hawkes in a Model would not be nil.
func asModel[M tpp.Model](m M, err error) (tpp.Model, error) {
	if err != nil {
		return nil, err
	}
	return m, nil
}

// fileFingerprint returns a hash of the model's file, or 0 if the model is a zero value and cannot be written.
func fileFingerprint(m tpp.FileModel) uint64 {
	h := fnv.New64a()
	if err := m.Encode(h); err != nil {
		return 0
	}
	return h.Sum64()
}

// classical holds what all classical models have in common: the header of their file.
type classical struct{ head tpp.ModelHeader }

func newClassical(kind Kind, d *tpp.Dataset, opts FitOptions) classical {
	return classical{tpp.ModelHeader{
		Format: tpp.ModelFormat, Kind: string(kind), NumMarks: d.NumMarks(), Marks: slices.Clone(d.MarkNames),
		TimeUnit: opts.TimeUnit, Resolution: opts.Resolution,
	}}
}

// Kind returns the kind of the model, as in Fit and in model files.
func (c *classical) Kind() string { return c.head.Kind }

// MarkNames returns the names of the marks by index; empty for an unmarked model.
func (c *classical) MarkNames() []string { return c.head.Marks }

// CovariateNames returns nil: classical models use times and marks only.
func (c *classical) CovariateNames() []string { return nil }

// TimeUnit returns the name of the unit of all times.
func (c *classical) TimeUnit() string { return c.head.TimeUnit }

// Resolution returns the tick of the clock that measured the times, in the time unit.
func (c *classical) Resolution() float64 { return c.head.Resolution }

// gapFloor returns the shortest gap that the clock distinguishes from 0, half a tick.
func (c *classical) gapFloor() float64 { return c.head.Resolution / 2 }

// checkEnd returns an error unless 0 ≤ p < 1: some event must be possible.
func checkEnd(p float64) error {
	if !(p >= 0 && p < 1) {
		return fmt.Errorf("a probability of the end of %v", p)
	}
	return nil
}

// normalised returns the probabilities p divided by their sum. It returns an error if one is negative or if the sum
// differs from 1 by more than 1e-4, which is more than float32 rounding.
func normalised(p []float64) ([]float64, error) {
	total := 0.0
	for _, v := range p {
		if !(v >= 0) {
			return nil, fmt.Errorf("a probability of %v", v)
		}
		total += v
	}
	if math.Abs(total-1) > 1e-4 {
		return nil, fmt.Errorf("they sum to %v", total)
	}
	out := make([]float64, len(p))
	for i, v := range p {
		out[i] = v / total
	}
	return out, nil
}

// round32 rounds to float32, so that a model and the one read back from its file predict the same.
func round32(v float64) float64 { return float64(float32(v)) }

func roundAll32(values []float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = round32(v)
	}
	return out
}
