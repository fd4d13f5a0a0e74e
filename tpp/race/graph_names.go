package race

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Successors says by name what an event makes due, as Graph does by mark.
type Successors struct {
	// Slots are the alternatives of each thing that is due, in the order in which that is expected. The same name in two slots of which
	// both are due comes twice.
	Slots [][]string
	// Exclusive are pairs of names in different slots that never both follow the same event.
	Exclusive [][2]string
}

// GraphFromNames returns the graph of marks with the given names whose successors are known; a mark without an entry has none. Names
// that are no marks are left out: a dataset need not have seen all. A mark that successors does not have, neither as a key nor in a slot,
// is an error, which says what else was not matched, since that is most often the same thing under another name. Errors too are no marks,
// two marks of one name, and what Graph.Validate refuses.
func GraphFromNames(marks []string, successors map[string]Successors) (*Graph, error) {
	index := make(map[string]int, len(marks))
	for m, name := range marks {
		if first, twice := index[name]; twice {
			return nil, fmt.Errorf("graph: marks %d and %d are both called %q", first, m, name)
		}
		index[name] = m
	}
	if len(marks) == 0 {
		return nil, errors.New("graph: the marks have no names")
	}
	if err := checkNames(index, successors); err != nil {
		return nil, err
	}
	g := &Graph{Slots: make([][]Slot, len(marks)), Exclusive: make([][][2]int, len(marks))}
	for parent, next := range successors {
		p, ok := index[parent]
		if !ok {
			continue
		}
		for _, names := range next.Slots {
			var s Slot
			for _, name := range names {
				if m, ok := index[name]; ok {
					s.Marks = append(s.Marks, m)
				}
			}
			if len(s.Marks) > 0 {
				g.Slots[p] = append(g.Slots[p], s)
			}
		}
		var pairs [][2]int
		for _, pair := range next.Exclusive {
			a, okA := index[pair[0]]
			b, okB := index[pair[1]]
			if okA && okB {
				pairs = append(pairs, [2]int{a, b})
			}
		}
		g.Exclusive[p] = acrossSlots(g.Slots[p], pairs)
	}
	if err := g.Validate(len(marks)); err != nil {
		return nil, err
	}
	return g, nil
}

// checkNames returns an error if there are marks which the successors do not know.
func checkNames(index map[string]int, successors map[string]Successors) error {
	known := map[string]bool{}
	for parent, next := range successors {
		known[parent] = true
		for _, names := range next.Slots {
			for _, name := range names {
				known[name] = true
			}
		}
	}
	var unknown, unseen []string
	for _, name := range slices.Sorted(maps.Keys(index)) {
		if !known[name] {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if _, ok := index[name]; !ok {
			unseen = append(unseen, name)
		}
	}
	if len(unseen) == 0 {
		return fmt.Errorf("graph: it does not know the marks %s", enumerate(unknown))
	}
	return fmt.Errorf("graph: it does not know the marks %s; it knows %s, which are no marks", enumerate(unknown), enumerate(unseen))
}

// enumerate returns the first names in quotes, and how many more there are.
func enumerate(names []string) string {
	const most = 5
	var quoted []string
	for _, name := range names[:min(len(names), most)] {
		quoted = append(quoted, fmt.Sprintf("%q", name))
	}
	text := strings.Join(quoted, ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
