package race

import "slices"

// SlotSummary is a slot of a model with how often training saw it filled, in sequences that were observed to their end.
type SlotSummary struct {
	// Parent is the mark of the events that make it due, −1 for the start of a sequence.
	Parent int
	// Marks are the alternatives, and Came how often each of them came.
	Marks, Came []int
	// Never is how often nothing came.
	Never int
}

// slotCounts counts what became of slots.
type slotCounts struct {
	came  [][][]int // by parent, slot, alternative
	never [][]int   // by parent and slot
}

// Slots returns what events make due, by their mark and in order, and last what the start of a sequence does.
func (m *Race) Slots() []SlotSummary {
	if m.encoder == nil {
		return nil
	}
	var out []SlotSummary
	for parent, slots := range m.encoder.graph.Slots {
		if parent == m.encoder.start() {
			parent = -1
		}
		for k, s := range slots {
			at := parent
			if at < 0 {
				at = m.encoder.start()
			}
			out = append(out, SlotSummary{parent, slices.Clone(s.Marks), slices.Clone(m.seen.came[at][k]), m.seen.never[at][k]})
		}
	}
	return out
}

// Unexplained returns how often training saw an event that the graph does not explain: the larger of its shares of what came when something
// was due, and of what happened when nothing was, where the sequence is over otherwise. It is at least 0.001. A large one says that the
// graph, or what it was learned from, is not that of the data.
func (m *Race) Unexplained() float64 {
	if m.background == nil {
		return 0
	}
	return max(m.background.rate, m.background.emptyRate)
}
