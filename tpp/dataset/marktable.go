package dataset

import (
	"fmt"

	"github.com/tppfaas/tppfaas/tpp"
)

// markTable numbers marks by their names while a file is read.
type markTable struct {
	names []string
	index map[string]int
	// fixed says that the names are given, as a model knows them, and no other is allowed.
	fixed bool
}

func newMarkTable(names []string) *markTable {
	t := &markTable{index: map[string]int{}, fixed: len(names) > 0}
	for _, name := range names {
		t.index[name] = len(t.names)
		t.names = append(t.names, name)
	}
	return t
}

// add returns the number of a name, a new one if it is new; −1 if it is unknown and the names are fixed.
func (t *markTable) add(name string) int {
	if i, ok := t.index[name]; ok {
		return i
	}
	if t.fixed {
		return -1
	}
	i := len(t.names)
	t.index[name] = i
	t.names = append(t.names, name)
	return i
}

// addBytes is like add, but does not allocate for a known name.
func (t *markTable) addBytes(name []byte) int {
	if i, ok := t.index[string(name)]; ok {
		return i
	}
	return t.add(string(name))
}

func unknownMark(event int, name string) error {
	return fmt.Errorf("event %d has mark %q, which the model does not know", event, name)
}

// numbering is a file's own numbering of the marks, its mapping.
type numbering struct {
	names []string    // by the file's numbers closed up to 0…len−1
	dense map[int]int // the file's number → index in names
	table []int       // index in names → the table's number, −1 for a name that is not in it
}

// enter puts the names into a table.
func (n *numbering) enter(t *markTable) {
	n.table = make([]int, len(n.names))
	for i, name := range n.names {
		n.table[i] = t.add(name)
	}
}

// resolve turns the file's numbers into the table's, in place; nil marks are the file's first mark.
func (n *numbering) resolve(s *tpp.Sequence) error {
	if len(n.names) == 0 {
		return nil
	}
	if s.Marks == nil {
		if n.table[0] == 0 {
			return nil
		}
		if n.table[0] < 0 && s.Len() > 0 {
			return unknownMark(0, n.names[0])
		}
		s.Marks = make([]int, s.Len())
		for i := range s.Marks {
			s.Marks[i] = n.table[0]
		}
		return nil
	}
	for i, m := range s.Marks {
		k, ok := n.dense[m]
		if !ok {
			return fmt.Errorf("marks[%d] = %d is not in the mapping of %d marks", i, m, len(n.names))
		}
		if n.table[k] < 0 {
			return unknownMark(i, n.names[k])
		}
		s.Marks[i] = n.table[k]
	}
	return nil
}
