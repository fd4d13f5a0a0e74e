package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tppfaas/tppfaas/tpp/race"
)

// slotReport is something that an event makes due, with how often training saw it come.
type slotReport struct {
	Parent *string  `json:"parent"` // null for the start of a sequence
	Marks  []string `json:"marks"`  // alternatives
	Came   []int    `json:"came"`   // how often each of them came
	Never  int      `json:"never"`  // how often nothing came
	// NeverShare is Never as a part of all; 0 if nothing was seen.
	NeverShare float64 `json:"never_share"`
	// Excludes are the marks in other slots of the parent, by alternative, after which it is no longer due.
	Excludes [][]string `json:"excludes,omitempty"`
}

// raceDescription are the parts of a race's description that slotReports show, or that say nothing by themselves.
var raceDescription = []string{
	"graph", "start", "optional", "came", "never", "medians", "stale", "background.marks", "background.mixture",
}

// slotsOf returns what events make due in a race.
func slotsOf(m *race.Race) []slotReport {
	name := func(mark int) string {
		if names := m.MarkNames(); mark < len(names) {
			return names[mark]
		}
		return fmt.Sprint(mark)
	}
	out := []slotReport{}
	graph := m.Config().Graph
	for _, s := range m.Slots() {
		r := slotReport{Came: s.Came, Never: s.Never}
		all := s.Never
		for i, mark := range s.Marks {
			r.Marks = append(r.Marks, name(mark))
			all += s.Came[i]
		}
		if all > 0 {
			r.NeverShare = float64(s.Never) / float64(all)
		}
		if s.Parent >= 0 {
			r.Parent = new(name(s.Parent))
			if graph.Exclusive != nil && len(graph.Exclusive[s.Parent]) > 0 {
				r.Excludes = make([][]string, len(s.Marks))
				for i, mark := range s.Marks {
					r.Excludes[i] = []string{}
					for _, pair := range graph.Exclusive[s.Parent] {
						if k := slices.Index(pair[:], mark); k >= 0 {
							r.Excludes[i] = append(r.Excludes[i], name(pair[1-k]))
						}
					}
				}
			}
		}
		out = append(out, r)
	}
	return out
}

// printSlots prints what each event makes due, a line a slot.
func printSlots(w io.Writer, slots []slotReport) {
	last := ""
	for i, s := range slots {
		after := "due at the start"
		if s.Parent != nil {
			after = "due after " + printable(*s.Parent)
		}
		label := after
		if i > 0 && after == last {
			label = ""
		}
		last = after
		var marks []string
		all := s.Never
		for k, mark := range s.Marks {
			text := printable(mark)
			if len(s.Marks) > 1 {
				text += fmt.Sprintf(" (%d)", s.Came[k])
			}
			if s.Excludes != nil && len(s.Excludes[k]) > 0 {
				text += " unless " + strings.Join(printables(s.Excludes[k]), " or ")
			}
			marks = append(marks, text)
			all += s.Came[k]
		}
		text := strings.Join(marks, " or ")
		switch {
		case all == 0:
			text += "; never seen"
		case s.Never > 0:
			text += fmt.Sprintf("; nothing came in %d of %d (%.1f %%)", s.Never, all, share(s.Never, all))
		}
		fmt.Fprintf(w, "  %s\t%s\n", label, text)
	}
}

func printables(names []string) []string {
	var out []string
	for _, name := range names {
		out = append(out, printable(name))
	}
	return out
}
