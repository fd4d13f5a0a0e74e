package race

import (
	"fmt"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/internal/safetensors"
	"github.com/tppfaas/tppfaas/tpp"
)

// descendantFile is the form of a descendant in a model file, whose offsets are a row of a tensor.
type descendantFile struct {
	Parent      int32   `json:"parent"` // index in the list, −1 for the event itself
	Slot        int32   `json:"slot"`
	Alternative int32   `json:"alternative"`
	Probability float64 `json:"probability"`
}

// The tensors of what a forecast needs: a row for each descendant, by mark, for each pair of siblings, by parent, and for levels.
const (
	descendantTensor = "forecast.descendants"
	siblingTensor    = "forecast.siblings"
	levelTensor      = "forecast.levels" // a row for each group of the recalibration, and for each mark and group that has its own
)

// offsetsForm returns the descendants by mark, and by parent the pairs of slots whose offsets are known.
func (m *Race) offsetsForm() (descendants [][]descendantFile, siblings [][][2]int) {
	descendants = make([][]descendantFile, len(m.offsets.descendants))
	for mark, nodes := range m.offsets.descendants {
		descendants[mark] = []descendantFile{}
		for _, d := range nodes {
			descendants[mark] = append(descendants[mark], descendantFile{d.parent, d.slot, d.alternative, d.probability})
		}
	}
	siblings = make([][][2]int, len(m.offsets.siblings))
	for parent, own := range m.offsets.siblings {
		siblings[parent] = [][2]int{}
		n := len(m.encoder.graph.Slots[parent])
		for i, values := range own {
			if values != nil {
				siblings[parent] = append(siblings[parent], [2]int{i / n, i % n})
			}
		}
	}
	return descendants, siblings
}

// offsetRows returns the rows of the two tensors, one after the other.
func (m *Race) offsetRows() (descendants, siblings []float32) {
	for _, nodes := range m.offsets.descendants {
		for _, d := range nodes {
			descendants = append(descendants, d.offsets...)
		}
	}
	for _, own := range m.offsets.siblings {
		for _, values := range own {
			siblings = append(siblings, values...)
		}
	}
	return descendants, siblings
}

// levelsForm returns the marks and groups that have levels of their own.
func (c *recalibration) levelsForm() [][2]int {
	own := [][2]int{}
	for i, l := range c.levels[recalibrated:] {
		if l != nil {
			own = append(own, [2]int{i / recalibrated, i % recalibrated})
		}
	}
	return own
}

// levelRows returns the rows of the tensor of levels, one after the other.
func (c *recalibration) levelRows() (rows []float32) {
	for _, l := range c.levels {
		if l != nil {
			rows = append(rows, l[:]...)
		}
	}
	return rows
}

// addOffsets adds the tensors, if they have rows.
func (m *Race) addOffsets(tensors map[string]tpp.Tensor) {
	descendants, siblings := m.offsetRows()
	if len(descendants) > 0 {
		tensors[descendantTensor] = safetensors.FromFloat32([]int{len(descendants) / (latenesses * samples), latenesses * samples}, descendants)
	}
	if len(siblings) > 0 {
		tensors[siblingTensor] = safetensors.FromFloat32([]int{len(siblings) / samples, samples}, siblings)
	}
	levels := m.recalibration.levelRows()
	tensors[levelTensor] = safetensors.FromFloat32([]int{len(levels) / samples, samples}, levels)
}

// numOffsets returns how many numbers the tensors of offsets have.
func (d *description) numOffsets() int {
	n := (recalibrated + len(d.Levels)) * samples
	for _, nodes := range d.Descendants {
		n += len(nodes) * latenesses * samples
	}
	for _, pairs := range d.Siblings {
		n += len(pairs) * samples
	}
	return n
}

// forecasts sets what a forecast needs, but for the tensors.
func (d *description) forecasts(m *Race) error {
	g := m.encoder.graph
	if len(d.Descendants) != d.NumMarks || len(d.Siblings) != len(g.Slots) {
		return fmt.Errorf("descendants of %d marks and siblings of %d parents, there are %d and %d", len(d.Descendants), len(d.Siblings), d.NumMarks, len(g.Slots))
	}
	o := &offsets{descendants: make([][]descendant, d.NumMarks), siblings: make([][][]float32, len(g.Slots))}
	for mark, nodes := range d.Descendants {
		if len(nodes) > maxDescendants {
			return fmt.Errorf("mark %d has %d descendants", mark, len(nodes))
		}
		for i := range nodes {
			own, err := descendantOf(g, mark, o.descendants[mark], &nodes[i])
			if err != nil {
				return fmt.Errorf("descendant %d of mark %d: %w", i, mark, err)
			}
			o.descendants[mark] = append(o.descendants[mark], own)
		}
	}
	for parent, pairs := range d.Siblings {
		n := len(g.Slots[parent])
		if n > 1 && n <= maxSiblings {
			o.siblings[parent] = make([][]float32, n*n)
		}
		last := -1
		for _, p := range pairs {
			at := p[0]*n + p[1]
			if n > maxSiblings || p[0] < 0 || p[1] <= p[0] || p[1] >= n || at <= last {
				return fmt.Errorf("siblings %v of parent %d, which has %d slots, or in another order", p, parent, n)
			}
			o.siblings[parent][at] = make([]float32, samples)
			last = at
		}
	}
	m.offsets = o
	return d.levels(m)
}

// levels makes room for the levels of the recalibration.
func (d *description) levels(m *Race) error {
	c := &recalibration{levels: make([]*levels, recalibrated*(d.NumMarks+1))}
	for g := range recalibrated {
		c.levels[g] = &levels{}
	}
	last := recalibrated - 1
	for _, own := range d.Levels {
		at := recalibrated*(own[0]+1) + own[1]
		if own[0] < 0 || own[0] >= d.NumMarks || own[1] < 0 || own[1] >= recalibrated || at <= last {
			return fmt.Errorf("levels of mark and group %v, there are %d and %d, in ascending order", own, d.NumMarks, recalibrated)
		}
		c.levels[at], last = &levels{}, at
	}
	m.recalibration = c
	return nil
}

// descendantOf returns a descendant of a mark without its offsets, which stands behind others in the order that inOrder makes.
func descendantOf(g *Graph, mark int, before []descendant, f *descendantFile) (descendant, error) {
	d := descendant{parent: f.Parent, slot: f.Slot, alternative: f.Alternative, depth: 1, probability: f.Probability}
	above, at := mark, int32(len(before))-1
	// The parent is the last one before, or above it; what stands between is the child before this one.
	sibling := int32(-1)
	for ; at != d.parent && at >= 0; at = before[at].parent {
		sibling = at
	}
	if at != d.parent {
		return d, fmt.Errorf("it stands behind %d others, and not below number %d", len(before), d.parent)
	}
	if at >= 0 {
		above, d.depth = int(before[at].mark), before[at].depth+1
	}
	slots := g.Slots[above]
	if d.slot < 0 || int(d.slot) >= len(slots) || d.alternative < 0 || int(d.alternative) >= len(slots[d.slot].Marks) {
		return d, fmt.Errorf("the graph has no alternative %d of slot %d of mark %d", d.alternative, d.slot, above)
	}
	if sibling >= 0 {
		if b := &before[sibling]; b.slot > d.slot || b.slot == d.slot && b.alternative >= d.alternative {
			return d, fmt.Errorf("alternative %d of slot %d stands behind alternative %d of slot %d", d.alternative, d.slot, b.alternative, b.slot)
		}
	}
	d.mark = int32(slots[d.slot].Marks[d.alternative])
	switch {
	case d.depth > maxDepth:
		return d, fmt.Errorf("it is %d steps below, it may be %d", d.depth, maxDepth)
	case !(d.probability >= 0 && d.probability <= 1):
		return d, fmt.Errorf("its probability is %v", d.probability)
	}
	return d, nil
}

// readOffsets sets the offsets, for which there is room, to those of the file.
func (m *Race) readOffsets(f *tpp.ModelFile) error {
	var rows, pairs int
	for _, nodes := range m.offsets.descendants {
		rows += len(nodes)
	}
	for _, own := range m.offsets.siblings {
		for _, values := range own {
			pairs += len(values) / samples
		}
	}
	take := func(name string, rows, size int) (values []float32, err error) {
		if rows == 0 {
			return nil, nil
		}
		for i, v := range f.Tensor(name, rows, size) {
			if i%samples > 0 && float32(v) < values[i-1] {
				return nil, fmt.Errorf("tensor %q: row %d is not in ascending order", name, i/size)
			}
			values = append(values, float32(v))
		}
		if len(values) < rows*size || slices.ContainsFunc(values, func(v float32) bool { return math.IsInf(float64(v), 0) }) {
			return make([]float32, rows*size), nil // Finish says why
		}
		return values, nil
	}
	descendants, err := take(descendantTensor, rows, latenesses*samples)
	if err != nil {
		return err
	}
	siblings, err := take(siblingTensor, pairs, samples)
	if err != nil {
		return err
	}
	for _, nodes := range m.offsets.descendants {
		for i := range nodes {
			nodes[i].offsets, descendants = descendants[:latenesses*samples], descendants[latenesses*samples:]
		}
	}
	for _, own := range m.offsets.siblings {
		for i := range own {
			if own[i] != nil {
				own[i], siblings = siblings[:samples], siblings[samples:]
			}
		}
	}
	return m.readLevels(take)
}

// readLevels sets the levels, for which there is room, to those of the file.
func (m *Race) readLevels(take func(name string, rows, size int) ([]float32, error)) error {
	rows := 0
	for _, l := range m.recalibration.levels {
		if l != nil {
			rows++
		}
	}
	values, err := take(levelTensor, rows, samples)
	if err != nil {
		return err
	}
	for _, l := range m.recalibration.levels {
		if l == nil {
			continue
		}
		if values[0] < 0 || values[samples-1] > 1 {
			return fmt.Errorf("tensor %q: levels from %v to %v, they must be from 0 to 1", levelTensor, values[0], values[samples-1])
		}
		copy(l[:], values)
		values = values[samples:]
	}
	return nil
}
