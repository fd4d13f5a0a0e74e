package race

// maxAncestors is the number of ancestors of which is known how late they were.
const maxAncestors = 2

// withoutAncestors is Config.Ancestors of a model that is told of none.
const withoutAncestors = -1

// ancestry is how late an event, its parent and so on were, each since its own parent's arrival: a sibling that came before is on the way, and its
// excess a part. The excess of the event itself is only that since the sibling, which of a wait for all of them says nothing.
type ancestry [maxAncestors]float64

// of returns the ancestry of an event that was so late, of what was due after the ancestors.
func (a ancestry) of(late float64) ancestry { return ancestry{late, a[0]} }

// siblingsLead reports whether something is due after one of several siblings. Without that the excess of a parent is all that there is to know of how
// late it was, and a small part has only more to learn by heart.
func (g *Graph) siblingsLead() bool {
	for _, slots := range g.Slots {
		if len(slots) < 2 {
			continue
		}
		for _, slot := range slots {
			for _, mark := range slot.Marks {
				if len(g.Slots[mark]) > 0 {
					return true
				}
			}
		}
	}
	return false
}
