package tpp

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/safetensors"
)

// classicalDescription is what the file of a classical model says beside its tensors.
type classicalDescription struct {
	header
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

func parseClassical(description []byte) (*classicalDescription, error) {
	d := &classicalDescription{}
	if err := json.Unmarshal(description, d); err != nil {
		return nil, fmt.Errorf("description of the model: %w", err)
	}
	if d.Components < 0 || d.Components > maxSize {
		return nil, fmt.Errorf("description of the model: %d components", d.Components)
	}
	return d, nil
}

// vector is a tensor of one dimension.
func vector(data ...float64) safetensors.Tensor {
	return safetensors.Tensor{Shape: []int{len(data)}, Data: data}
}

// WriteFile writes the model as one safetensors file. It is replaced only when the new one is whole.
func (m *Poisson) WriteFile(path string) error { return atomicfile.Write(path, m.Encode) }

// Encode writes the model in the form of WriteFile to w.
func (m *Poisson) Encode(w io.Writer) error {
	return writeModel(w, classicalDescription{header: m.head}, map[string]safetensors.Tensor{
		"rate": vector(m.rate), "marks": vector(m.marks...), "end": vector(m.end),
	})
}

func readPoisson(h header, _ []byte, t *tensorReader) (Model, error) {
	rate, marks, end := t.takeOne("rate"), t.take("marks", h.NumMarks), t.takeOne("end")
	if err := t.finish(); err != nil {
		return nil, err
	}
	return model(newPoisson(classical{h}, rate, marks, end))
}

// model is what a constructor returns as a Model, nil if there is none.
func model[M Model](m M, err error) (Model, error) {
	if err != nil {
		return nil, err
	}
	return m, nil
}

// WriteFile writes the model as one safetensors file. It is replaced only when the new one is whole.
func (m *Renewal) WriteFile(path string) error { return atomicfile.Write(path, m.Encode) }

// Encode writes the model in the form of WriteFile to w.
func (m *Renewal) Encode(w io.Writer) error {
	p := &m.parameters
	return writeModel(w, classicalDescription{header: m.head, Components: len(p.weights)}, map[string]safetensors.Tensor{
		"weight": vector(p.weights...), "mu": vector(p.mu...), "sigma": vector(p.sigma...),
		"marks": vector(p.marks...), "end": vector(p.end),
	})
}

func readRenewal(h header, description []byte, t *tensorReader) (Model, error) {
	d, err := parseClassical(description)
	if err != nil {
		return nil, err
	}
	k := d.Components
	p := renewalParameters{
		weights: t.take("weight", k), mu: t.take("mu", k), sigma: t.take("sigma", k),
		marks: t.take("marks", h.NumMarks), end: t.takeOne("end"),
	}
	if err := t.finish(); err != nil {
		return nil, err
	}
	return model(newRenewal(classical{h}, p))
}

// WriteFile writes the model as one safetensors file. It is replaced only when the new one is whole.
func (m *MarkRenewal) WriteFile(path string) error { return atomicfile.Write(path, m.Encode) }

// Encode writes the model in the form of WriteFile to w.
func (m *MarkRenewal) Encode(w io.Writer) error {
	n, p := m.head.NumMarks, &m.parameters
	mixtures := []int{n + 1, n, p.components}
	return writeModel(w, classicalDescription{header: m.head, Components: p.components}, map[string]safetensors.Tensor{
		"transition": {Shape: []int{n + 1, n + 1}, Data: p.transition},
		"weight":     {Shape: mixtures, Data: p.weights},
		"mu":         {Shape: mixtures, Data: p.mu},
		"sigma":      {Shape: mixtures, Data: p.sigma},
	})
}

func readMarkRenewal(h header, description []byte, t *tensorReader) (Model, error) {
	d, err := parseClassical(description)
	if err != nil {
		return nil, err
	}
	n, k := h.NumMarks, d.Components
	p := markRenewalParameters{
		transition: t.take("transition", n+1, n+1),
		weights:    t.take("weight", n+1, n, k), mu: t.take("mu", n+1, n, k), sigma: t.take("sigma", n+1, n, k),
		components: k,
	}
	if err := t.finish(); err != nil {
		return nil, err
	}
	return model(newMarkRenewal(classical{h}, p))
}

// WriteFile writes the model as one safetensors file. It is replaced only when the new one is whole.
func (h *Hawkes) WriteFile(path string) error { return atomicfile.Write(path, h.Encode) }

// Encode writes the model in the form of WriteFile to w.
func (h *Hawkes) Encode(w io.Writer) error {
	n := h.head.NumMarks
	perPair := len(h.decay) > 1
	decay := vector(h.decay...)
	if perPair {
		decay.Shape = []int{n, n}
	}
	return writeModel(w, classicalDescription{header: h.head, DecayPerPair: perPair}, map[string]safetensors.Tensor{
		"base": vector(h.base...), "excitation": {Shape: []int{n, n}, Data: h.excitation}, "decay": decay, "end": vector(h.end...),
	})
}

func readHawkes(h header, description []byte, t *tensorReader) (Model, error) {
	d, err := parseClassical(description)
	if err != nil {
		return nil, err
	}
	n := h.NumMarks
	shape := []int{1}
	if d.DecayPerPair {
		shape = []int{n, n}
	}
	base, excitation, decay, end := t.take("base", n), t.take("excitation", n, n), t.take("decay", shape...), t.take("end", n)
	if err := t.finish(); err != nil {
		return nil, err
	}
	return model(newHawkes(classical{h}, base, excitation, decay, end))
}

// WriteFile writes the table as one safetensors file. It is replaced only when the new one is whole.
func (l *Lookup) WriteFile(path string) error { return atomicfile.Write(path, l.Encode) }

// Encode writes the table in the form of WriteFile to w. Each gap is written once, in the cell of its whole history, as the
// nearest float32; where that is not the gap, the tensor gaps_low has what is missing.
func (l *Lookup) Encode(w io.Writer) error {
	d := classicalDescription{header: l.head}
	var gaps, low, next, ends []float64
	exact := true
	for _, c := range l.counts {
		d.Cells = append(d.Cells, cellDescription{c.marks, c.set, len(c.gaps)})
		for _, gap := range slices.Sorted(slices.Values(c.gaps)) {
			gaps = append(gaps, round32(gap))
			low = append(low, gap-round32(gap))
			exact = exact && gap == round32(gap)
		}
		next = append(next, c.next...)
		ends = append(ends, c.ends)
	}
	tensors := map[string]safetensors.Tensor{
		"gaps": vector(gaps...), "ends": vector(ends...),
		"next": {Shape: []int{len(l.counts), l.head.NumMarks}, Data: next},
	}
	if !exact {
		tensors["gaps_low"] = vector(low...)
	}
	return writeModel(w, d, tensors)
}

// storable is the number nearest to a gap that two float32 add up to.
func storable(gap float64) float64 { return round32(gap) + round32(gap-round32(gap)) }

func readLookup(h header, description []byte, t *tensorReader) (Model, error) {
	d, err := parseClassical(description)
	if err != nil {
		return nil, err
	}
	key := slices.IndexFunc([]LookupKey{LastMark, LastThreeMarks, LastMarkAndSet}, func(k LookupKey) bool { return "lookup-"+k.String() == h.Kind })
	total := 0
	for i, c := range d.Cells {
		if err := c.validate(LookupKey(key), h.NumMarks); err != nil {
			return nil, fmt.Errorf("cell %d: %w", i, err)
		}
		total += c.Gaps
	}
	gaps, next, ends := t.take("gaps", total), t.take("next", len(d.Cells), h.NumMarks), t.take("ends", len(d.Cells))
	var low []float64
	if _, ok := t.tensors["gaps_low"]; ok {
		low = t.take("gaps_low", total)
	}
	if err := t.finish(); err != nil {
		return nil, err
	}
	for i, v := range low {
		gaps[i] += v
	}
	counts := make([]historyCounts, len(d.Cells))
	for i, c := range d.Cells {
		counts[i] = historyCounts{c.Marks, c.Set, gaps[:c.Gaps], next[i*h.NumMarks : (i+1)*h.NumMarks], ends[i]}
		gaps = gaps[c.Gaps:]
		if err := counts[i].validate(); err != nil {
			return nil, fmt.Errorf("cell %d: %w", i, err)
		}
	}
	return model(newLookup(classical{h}, LookupKey(key), counts))
}

func (c *cellDescription) validate(key LookupKey, numMarks int) error {
	known := func(m int) bool { return m >= 0 && m < numMarks }
	all := func(marks []int) bool { return !slices.ContainsFunc(marks, func(m int) bool { return !known(m) }) }
	switch {
	case len(c.Marks) > key.marks() || !all(c.Marks):
		return fmt.Errorf("marks %v", c.Marks)
	case !all(c.Set) || !strictlyAscending(c.Set) || len(c.Set) > 0 && key != LastMarkAndSet:
		return fmt.Errorf("set of marks %v", c.Set)
	case key == LastMarkAndSet && (len(c.Marks) == 1) != (len(c.Set) > 0):
		return fmt.Errorf("marks %v with the set %v", c.Marks, c.Set)
	case key == LastMarkAndSet && len(c.Marks) == 1 && !slices.Contains(c.Set, c.Marks[0]):
		return fmt.Errorf("mark %d is not in its set %v", c.Marks[0], c.Set)
	case c.Gaps < 0 || c.Gaps > math.MaxInt32:
		return fmt.Errorf("%d gaps", c.Gaps)
	}
	return nil
}

func strictlyAscending(values []int) bool {
	for i := 1; i < len(values); i++ {
		if values[i] <= values[i-1] {
			return false
		}
	}
	return true
}

// validate checks that there are as many gaps as marks that came after them.
func (c *historyCounts) validate() error {
	total := 0.0
	for _, n := range append([]float64{c.ends}, c.next...) {
		if n < 0 || n != math.Trunc(n) {
			return fmt.Errorf("a count of %v", n)
		}
		total += n
	}
	if total-c.ends != float64(len(c.gaps)) {
		return fmt.Errorf("%d gaps before %v marks", len(c.gaps), total-c.ends)
	}
	return nil
}
