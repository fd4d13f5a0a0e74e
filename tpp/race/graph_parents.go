package race

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
)

// GraphFromParents returns the graph of a dataset whose sequences say which event caused which (Sequence.Parents). Sequences that do not
// say so are ignored; if none says so, or if the dataset is not valid, that is an error.
//
// An event with a mark makes due what events with that mark ever caused: one slot for each child mark, and as many as one event ever
// caused of the same mark. Child marks that never occur together below one event, though they would have to if they were independent,
// are alternatives of one slot, or are Exclusive where they cannot all be in one; so is, with less proof, what comes in place of an event that
// would have caused it. The slots have the order in which their events usually
// come.
//
// A sequence that was still running when observation stopped counts like a complete one: children that were not yet seen make two
// marks look less often together only where both are late, which is no reason to call them alternatives.
func GraphFromParents(d *tpp.Dataset) (*Graph, error) {
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("graph: %w", err)
	}
	c := newChildCounter(d.NumMarks())
	any := false
	for i := range d.Sequences {
		s := &d.Sequences[i]
		if s.Parents == nil {
			continue
		}
		any = any || s.Len() > 0
		c.add(s, s.Parents)
	}
	if !any {
		return nil, errors.New("graph: no sequence says which event caused which (parents)")
	}
	return c.graph(0), nil
}

// childCounter counts which marks events have as children, by the mark of the parent.
type childCounter struct {
	parents []parentMark
	// Buffers for one sequence.
	count    []int
	siblings [][]int
}

// parentMark is what was seen below events of one mark.
type parentMark struct {
	instances int
	children  map[childKey]*child
}

// childKey names the children that were the nth of their mark, from 0, below their parent.
type childKey struct{ mark, nth int }

// child is what was seen of the children with one key.
type child struct {
	childKey
	// instances are the numbers of the parents that have one, ascending.
	instances []int32
	// offsets are the times since the first child of the same parent, delays those since the parent.
	offsets, delays []float64
	// follows says that one of them came after its parent, or at the same time but behind it.
	follows bool
}

func newChildCounter(numMarks int) *childCounter {
	return &childCounter{parents: make([]parentMark, numMarks), count: make([]int, numMarks)}
}

// add counts the events of a sequence with the given parents.
func (c *childCounter) add(s *tpp.Sequence, parents []int) {
	n := s.Len()
	for len(c.siblings) < n {
		c.siblings = append(c.siblings, nil)
	}
	for i := range n {
		c.siblings[i] = c.siblings[i][:0]
	}
	for i, p := range parents {
		if p >= 0 {
			c.siblings[p] = append(c.siblings[p], i)
		}
	}
	for p := range n {
		below := &c.parents[s.Mark(p)]
		instance := int32(below.instances)
		below.instances++
		children := c.siblings[p]
		for _, i := range children {
			m := s.Mark(i)
			key := childKey{m, c.count[m]}
			c.count[m]++
			e := below.children[key]
			if e == nil {
				if below.children == nil {
					below.children = map[childKey]*child{}
				}
				e = &child{childKey: key}
				below.children[key] = e
			}
			e.instances = append(e.instances, instance)
			e.offsets = append(e.offsets, s.ArrivalTimes[i]-s.ArrivalTimes[children[0]])
			e.delays = append(e.delays, s.ArrivalTimes[i]-s.ArrivalTimes[p])
			e.follows = e.follows || i > p
		}
		for _, i := range children {
			c.count[s.Mark(i)] = 0
		}
	}
}

// graph returns the graph of what was counted, where the share mistaken of the times at which children were together counts for nothing.
func (c *childCounter) graph(mistaken float64) *Graph {
	g := &Graph{Slots: make([][]Slot, len(c.parents)), Exclusive: make([][][2]int, len(c.parents))}
	var below [][]bool
	if mistaken == 0 {
		below = c.descendants()
	}
	for m := range c.parents {
		p := &c.parents[m]
		var children []*child
		for _, e := range p.children {
			if e.follows {
				children = append(children, e)
			}
		}
		// The commonest come first, since the partition into slots begins with them.
		slices.SortFunc(children, func(a, b *child) int {
			return cmp.Or(len(b.instances)-len(a.instances), a.mark-b.mark, a.nth-b.nth)
		})
		groups, exclusive := partition(children, p.instances, mistaken)
		if mistaken == 0 {
			exclusive = append(exclusive, c.replacements(children, below)...)
		}
		g.Slots[m] = slotsInOrder(groups)
		g.Exclusive[m] = acrossSlots(g.Slots[m], exclusive)
	}
	return g
}

// descendants returns by mark which marks were seen below it, at any depth, in the graph of all sequences.
func (c *childCounter) descendants() [][]bool {
	n := len(c.parents)
	below := make([][]bool, n)
	var descend func(root, m int)
	descend = func(root, m int) {
		for key := range c.parents[m].children {
			if !below[root][key.mark] {
				below[root][key.mark] = true
				descend(root, key.mark)
			}
		}
	}
	for m := range n {
		below[m] = make([]bool, n)
		descend(m, m)
	}
	return below
}

// replacements returns the pairs of a child and another one, a descendant of which it is too and more often, where the two were never
// together: where the other one was left out, its parent causes in its place what it would have caused. Of that a few are
// proof, while other marks may be apart by chance (see partition).
func (c *childCounter) replacements(children []*child, below [][]bool) (pairs [][2]int) {
	for i, e := range children {
		for _, o := range children[:i] { // at least as common
			if e.mark != o.mark && e.nth == 0 && o.nth == 0 && below[o.mark][e.mark] && !below[e.mark][o.mark] &&
				len(e.instances) < c.below(o.mark, e.mark, below) && !meets(e, o, 0) {
				pairs = append(pairs, [2]int{e.mark, o.mark})
			}
		}
	}
	return pairs
}

// below returns how many events with a mark had a parent that is an ancestor, or was seen below it.
func (c *childCounter) below(ancestor, mark int, below [][]bool) int {
	n := 0
	for m := range c.parents {
		if m == ancestor || below[ancestor][m] {
			if e := c.parents[m].children[childKey{mark, 0}]; e != nil {
				n += len(e.instances)
			}
		}
	}
	return n
}

// slotsInOrder returns the slots of groups of alternatives, in the order in which their events come after the first sibling; where that
// is the same, after the parent.
func slotsInOrder(groups [][]*child) []Slot {
	type ordered struct {
		slot          Slot
		offset, delay float64
	}
	var slots []ordered
	for _, group := range groups {
		var o ordered
		var offsets, delays []float64
		for _, e := range group {
			o.slot.Marks = append(o.slot.Marks, e.mark)
			offsets = append(offsets, e.offsets...)
			delays = append(delays, e.delays...)
		}
		slices.Sort(o.slot.Marks)
		o.offset, o.delay = medianInPlace(offsets), medianInPlace(delays)
		slots = append(slots, o)
	}
	slices.SortStableFunc(slots, func(a, b ordered) int {
		return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.delay, b.delay), slices.Compare(a.slot.Marks, b.slot.Marks))
	})
	var out []Slot
	for _, o := range slots {
		out = append(out, o.slot)
	}
	return out
}

// acrossSlots returns those of the exclusive pairs of marks that do not follow from the slots alone, because the marks stand in
// different ones.
func acrossSlots(slots []Slot, exclusive [][2]int) [][2]int {
	in := map[int][]int{}
	for k, s := range slots {
		for _, m := range s.Marks {
			in[m] = append(in[m], k)
		}
	}
	var pairs [][2]int
	for _, p := range exclusive {
		a, b := in[p[0]], in[p[1]]
		if len(a) != 1 || len(b) != 1 || a[0] != b[0] {
			pairs = append(pairs, p)
		}
	}
	return sortedPairs(pairs)
}

// medianInPlace returns the lower median of at least one value, which it sorts.
func medianInPlace(values []float64) float64 {
	slices.Sort(values)
	return values[(len(values)-1)/2]
}
