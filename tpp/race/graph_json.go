package race

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// graphJSON is the form of a graph in JSON: {"slots": [[[1], [2, 3]], [], [], []], "exclusive": [[[1, 3]], [], [], []]}. The outer lists
// have an entry for each mark; what is exclusive is left out if nothing is.
type graphJSON struct {
	Slots     [][][]int `json:"slots"`
	Exclusive [][][]int `json:"exclusive,omitempty"` // pairs
}

// MarshalJSON returns the graph as {"slots": …, "exclusive": …}: for each mark a list of its slots, which are lists of marks, and a list
// of the exclusive pairs, the smaller mark first. Graphs that differ only in the order of their pairs have the same form.
func (g *Graph) MarshalJSON() ([]byte, error) {
	out := graphJSON{Slots: make([][][]int, len(g.Slots))}
	for m, slots := range g.Slots {
		out.Slots[m] = make([][]int, len(slots))
		for k, s := range slots {
			out.Slots[m][k] = append([]int{}, s.Marks...)
		}
	}
	if slices.ContainsFunc(g.Exclusive, func(pairs [][2]int) bool { return len(pairs) > 0 }) {
		out.Exclusive = make([][][]int, len(g.Exclusive))
		for m, pairs := range g.Exclusive {
			out.Exclusive[m] = [][]int{}
			for _, p := range sortedPairs(pairs) {
				out.Exclusive[m] = append(out.Exclusive[m], []int{p[0], p[1]})
			}
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes. A graph that is not valid for as many marks as it has slots for, and keys that are
// unknown, are errors; whether these are the marks of a model or dataset, Validate tells.
func (g *Graph) UnmarshalJSON(text []byte) error {
	var in graphJSON
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		return fmt.Errorf("graph: %w", err)
	}
	if in.Slots == nil {
		return errors.New("graph: no slots")
	}
	n := len(in.Slots)
	read := Graph{Slots: make([][]Slot, n), Exclusive: make([][][2]int, n)}
	for m, slots := range in.Slots {
		for _, marks := range slots {
			read.Slots[m] = append(read.Slots[m], Slot{Marks: marks})
		}
	}
	if in.Exclusive != nil {
		if len(in.Exclusive) != n {
			return fmt.Errorf("graph: exclusive pairs of %d marks, there are %d", len(in.Exclusive), n)
		}
		for m, lists := range in.Exclusive {
			var pairs [][2]int
			for _, p := range lists {
				if len(p) != 2 {
					return fmt.Errorf("graph: mark %d has %d exclusive marks in a pair", m, len(p))
				}
				pairs = append(pairs, [2]int{p[0], p[1]})
			}
			read.Exclusive[m] = sortedPairs(pairs)
		}
	}
	if err := read.Validate(n); err != nil {
		return err
	}
	*g = read
	return nil
}

// sortedPairs returns the pairs without doubles, each with the smaller mark first, in ascending order; nil if there are none.
func sortedPairs(pairs [][2]int) [][2]int {
	var out [][2]int
	for _, p := range pairs {
		out = append(out, [2]int{min(p[0], p[1]), max(p[0], p[1])})
	}
	slices.SortFunc(out, func(a, b [2]int) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(out)
}
