package race

import (
	"fmt"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/internal/safetensors"
	"github.com/tppfaas/tppfaas/tpp"
)

// offsetsFile is the form in a model file of what forecasts have learned, without the samples of offsets, which are tensors.
type offsetsFile struct {
	Descendants [][]descendantFile `json:"descendants"` // by mark
	Siblings    [][3]int           `json:"siblings"`    // parent, slot and later slot of which the offsets are known
	Levels      [][]float64        `json:"levels"`      // of the recalibration
}

// descendantFile is the form of a descendant in a model file.
type descendantFile struct {
	Parent      int     `json:"parent"` // in the list of the same mark, −1 for a child
	Slot        int     `json:"slot"`
	Alternative int     `json:"alternative"`
	Probability float64 `json:"probability"`
}

// The names of the tensors of samples: descendants × (latenesses · samples), and siblings × samples.
const (
	descendantsTensor = "offsets.descendants"
	siblingsTensor    = "offsets.siblings"
)

// describeOffsets returns the form of what forecasts have learned, and the samples.
func (m *Race) describeOffsets() (f offsetsFile, descendants, siblings []float32) {
	f = offsetsFile{Descendants: [][]descendantFile{}, Siblings: [][3]int{}, Levels: [][]float64{}}
	for _, nodes := range m.offsets.descendants {
		own := []descendantFile{}
		for i := range nodes {
			d := &nodes[i]
			own = append(own, descendantFile{int(d.parent), int(d.slot), int(d.alternative), d.probability})
			descendants = append(descendants, d.offsets...)
		}
		f.Descendants = append(f.Descendants, own)
	}
	for parent, pairs := range m.offsets.siblings {
		k := len(m.encoder.graph.Slots[parent])
		for i, own := range pairs {
			if own != nil {
				f.Siblings = append(f.Siblings, [3]int{parent, i / k, i % k})
				siblings = append(siblings, own...)
			}
		}
	}
	for g := range m.recalibration.levels {
		f.Levels = append(f.Levels, slices.Clone(m.recalibration.levels[g][:]))
	}
	return f, descendants, siblings
}

// addTensors adds the samples of offsets to the tensors of a file.
func addTensors(tensors map[string]tpp.Tensor, descendants, siblings []float32) {
	add := func(name string, values []float32, columns int) {
		if len(values) > 0 {
			tensors[name] = safetensors.FromFloat32([]int{len(values) / columns, columns}, values)
		}
	}
	add(descendantsTensor, descendants, latenesses*samples)
	add(siblingsTensor, siblings, samples)
}

// values returns how many numbers the samples are.
func (f *offsetsFile) values() int {
	n := len(f.Siblings) * samples
	for _, own := range f.Descendants {
		n += len(own) * latenesses * samples
	}
	return n
}

// offsets sets what forecasts have learned, with memory for the samples.
func (f *offsetsFile) offsets(m *Race) error {
	slots := m.encoder.graph.Slots
	if len(f.Descendants) != m.numMarks {
		return fmt.Errorf("descendants of %d marks, there are %d", len(f.Descendants), m.numMarks)
	}
	m.offsets = &offsets{siblings: make([][][]float32, len(slots))}
	for mark, own := range f.Descendants {
		nodes, err := descendantsOf(own, slots, mark)
		if err != nil {
			return fmt.Errorf("descendants of mark %d: %w", mark, err)
		}
		m.offsets.descendants = append(m.offsets.descendants, nodes)
	}
	for i, s := range f.Siblings {
		parent, from, to := s[0], s[1], s[2]
		if parent < 0 || parent >= len(slots) || from < 0 || from >= to || to >= len(slots[parent]) || len(slots[parent]) > maxSiblings {
			return fmt.Errorf("siblings %d: mark %d has no slots %d and %d with offsets", i, parent, from, to)
		}
		k := len(slots[parent])
		if m.offsets.siblings[parent] == nil {
			m.offsets.siblings[parent] = make([][]float32, k*k)
		}
		own := &m.offsets.siblings[parent][from*k+to]
		if *own != nil {
			return fmt.Errorf("siblings %d: slots %d and %d of mark %d twice", i, from, to, parent)
		}
		*own = make([]float32, samples)
	}
	return f.recalibration(m)
}

// descendantsOf returns the descendants of a mark without their samples.
func descendantsOf(own []descendantFile, slots [][]Slot, mark int) ([]descendant, error) {
	if len(own) > maxDescendants {
		return nil, fmt.Errorf("%d of them, there may be %d", len(own), maxDescendants)
	}
	var nodes []descendant
	for i, d := range own {
		// The parent is the one before it, or one that that is below.
		above := i - 1
		for above != d.Parent && above >= 0 {
			above = int(nodes[above].parent)
		}
		if above != d.Parent {
			return nil, fmt.Errorf("%d stands below %d, which is not above the one before it", i, d.Parent)
		}
		parent, depth := mark, int32(1)
		if d.Parent >= 0 {
			parent, depth = int(nodes[d.Parent].mark), nodes[d.Parent].depth+1
		}
		switch {
		case depth > maxDepth:
			return nil, fmt.Errorf("%d is %d steps below the mark", i, depth)
		case d.Slot < 0 || d.Slot >= len(slots[parent]) || d.Alternative < 0 || d.Alternative >= len(slots[parent][d.Slot].Marks):
			return nil, fmt.Errorf("%d: mark %d has no alternative %d of slot %d", i, parent, d.Alternative, d.Slot)
		case !(d.Probability >= 0 && d.Probability <= 1):
			return nil, fmt.Errorf("%d has the probability %v", i, d.Probability)
		}
		nodes = append(nodes, descendant{
			parent: int32(d.Parent), slot: int32(d.Slot), alternative: int32(d.Alternative), depth: depth,
			mark: int32(slots[parent][d.Slot].Marks[d.Alternative]), probability: d.Probability,
		})
	}
	return nodes, nil
}

func (f *offsetsFile) recalibration(m *Race) error {
	if len(f.Levels) != recalibrated {
		return fmt.Errorf("levels of %d groups of forecasts, there are %d", len(f.Levels), recalibrated)
	}
	m.recalibration = &recalibration{}
	for g, levels := range f.Levels {
		if len(levels) != samples {
			return fmt.Errorf("%d levels of forecasts, there are %d", len(levels), samples)
		}
		for i, v := range levels {
			if !(v >= 0 && v <= 1) || i > 0 && v < levels[i-1] {
				return fmt.Errorf("level %d of forecasts is %v", i, v)
			}
		}
		copy(m.recalibration.levels[g][:], levels)
	}
	return nil
}

// readOffsets reads the samples of offsets.
func (m *Race) readOffsets(f *tpp.ModelFile) error {
	n := 0
	for _, nodes := range m.offsets.descendants {
		n += len(nodes)
	}
	var err error
	ascending := func(dst []float32, src []float64) {
		for i, v := range src {
			dst[i] = float32(v)
			if i > 0 && dst[i] < dst[i-1] || math.Abs(v) > math.MaxFloat32 {
				err = fmt.Errorf("offsets are not in ascending order: %v after %v", v, src[max(i-1, 0)])
			}
		}
	}
	if n > 0 {
		values := f.Tensor(descendantsTensor, n, latenesses*samples)
		for _, nodes := range m.offsets.descendants {
			for i := range nodes {
				nodes[i].offsets = make([]float32, latenesses*samples)
				for level := 0; level < latenesses && len(values) > 0; level++ {
					ascending(nodes[i].offsets[level*samples:][:samples], values[:samples])
					values = values[samples:]
				}
			}
		}
	}
	known := 0
	for _, pairs := range m.offsets.siblings {
		for _, own := range pairs {
			if own != nil {
				known++
			}
		}
	}
	if known > 0 {
		values := f.Tensor(siblingsTensor, known, samples)
		for _, pairs := range m.offsets.siblings {
			for _, own := range pairs {
				if own != nil && len(values) > 0 {
					ascending(own, values[:samples])
					values = values[samples:]
				}
			}
		}
	}
	return err
}
