package race

import (
	"errors"
	"fmt"
	"slices"
)

// Graph says which events an event makes due.
type Graph struct {
	// Slots are, by the mark of an event, what it makes due, in the order in which that is expected.
	Slots [][]Slot
	// Exclusive are, by the mark of an event, pairs of marks that never both follow the same event: when one has come, the other is
	// no longer due. Alternatives of one slot are exclusive without being named here.
	Exclusive [][][2]int
}

// Slot is one thing that an event makes due: exactly one of its alternatives comes, or none.
type Slot struct {
	// Marks are the alternatives, at least one, all different.
	Marks []int
}

// MaxAlternatives is the largest number of alternatives of a slot.
const MaxAlternatives = 64

// Validate returns an error if the graph is not one of numMarks marks.
func (g *Graph) Validate(numMarks int) error {
	if g == nil {
		return errors.New("no graph")
	}
	if len(g.Slots) != numMarks {
		return fmt.Errorf("graph: slots of %d marks, there are %d", len(g.Slots), numMarks)
	}
	if g.Exclusive != nil && len(g.Exclusive) != numMarks {
		return fmt.Errorf("graph: exclusive pairs of %d marks, there are %d", len(g.Exclusive), numMarks)
	}
	known := func(m int) bool { return m >= 0 && m < numMarks }
	for parent, slots := range g.Slots {
		for k, s := range slots {
			if len(s.Marks) == 0 || len(s.Marks) > MaxAlternatives {
				return fmt.Errorf("graph: slot %d of mark %d has %d alternatives, it must be 1 to %d", k, parent, len(s.Marks), MaxAlternatives)
			}
			for i, m := range s.Marks {
				if !known(m) {
					return fmt.Errorf("graph: slot %d of mark %d has mark %d, there are %d", k, parent, m, numMarks)
				}
				if slices.Contains(s.Marks[:i], m) {
					return fmt.Errorf("graph: slot %d of mark %d has mark %d twice", k, parent, m)
				}
			}
		}
	}
	for parent, pairs := range g.Exclusive {
		for _, p := range pairs {
			if !known(p[0]) || !known(p[1]) || p[0] == p[1] {
				return fmt.Errorf("graph: marks %d and %d of mark %d cannot be exclusive", p[0], p[1], parent)
			}
		}
	}
	return nil
}

// exclusive reports whether marks a and b never both follow an event with the mark parent.
func (g *Graph) exclusive(parent, a, b int) bool {
	if g.Exclusive == nil {
		return false
	}
	return slices.Contains(g.Exclusive[parent], [2]int{a, b}) || slices.Contains(g.Exclusive[parent], [2]int{b, a})
}
