package classical

import (
	"fmt"
	"hash/fnv"

	"github.com/tppfaas/tppfaas/tpp"
)

// classicalDescription is what the file of a classical model says beside its tensors.
type classicalDescription struct {
	tpp.ModelHeader
	// Components is the number of log-normal components of each distribution of a Renewal or MarkRenewal.
	Components int `json:"components,omitempty"`
	// DecayPerPair says that a Hawkes process has a decay for each pair of marks.
	DecayPerPair bool `json:"decay_per_pair,omitempty"`
	// Cells are those of a lookup table.
	Cells []cellDescription `json:"cells,omitempty"`
}

// cellDescription is the history that leads to a cell of a lookup table, and how many gaps it has.
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

// vector is a tensor of one dimension.
func vector(data ...float64) tpp.Tensor {
	return tpp.Tensor{Shape: []int{len(data)}, Data: data}
}

// model is what a constructor returns as a Model, nil if there is none.
func model[M tpp.Model](m M, err error) (tpp.Model, error) {
	if err != nil {
		return nil, err
	}
	return m, nil
}

// fileFingerprint is a hash of the model's file.
func fileFingerprint(m tpp.FileModel) uint64 {
	h := fnv.New64a()
	if err := m.Encode(h); err != nil {
		panic("tpp: a model that was fitted or read cannot be written: " + err.Error())
	}
	return h.Sum64()
}
