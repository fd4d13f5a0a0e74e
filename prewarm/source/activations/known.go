package activations

import (
	"time"
)

// known are the records that were told, as far back as questions look, and at most so many.
type known struct {
	most  int
	byID  map[string]entry
	order []string // in which they came; a ring with its first at first
	first int
}

// entry is what is remembered of a record.
type entry struct {
	start time.Time
	cause string
}

func newKnown(most int) *known { return &known{most: max(most, 1), byID: map[string]entry{}} }

func (k *known) has(id string) bool { _, ok := k.byID[id]; return ok }

// cause returns what a known record is a part of, "" for none.
func (k *known) cause(id string) string { return k.byID[id].cause }

// add remembers a record, in place of the one that came first if there is no room.
func (k *known) add(id string, start time.Time, cause string) {
	if k.has(id) {
		return
	}
	if len(k.byID) == k.most {
		k.drop()
	}
	k.byID[id] = entry{start, cause}
	k.order = append(k.order, id)
}

// forget drops records from before a time, as far as those that came first are.
func (k *known) forget(before time.Time) {
	for k.first < len(k.order) && k.byID[k.order[k.first]].start.Before(before) {
		k.drop()
	}
}

// drop forgets the record that came first.
func (k *known) drop() {
	delete(k.byID, k.order[k.first])
	k.order[k.first] = ""
	if k.first++; 2*k.first >= len(k.order) {
		k.order = append(k.order[:0], k.order[k.first:]...)
		k.first = 0
	}
}
