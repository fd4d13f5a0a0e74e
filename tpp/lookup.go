package tpp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tppfaas/tppfaas/tpp/dist"
)

// LookupKey is what of the history a lookup table keeps.
type LookupKey int

const (
	// LastMark keeps the mark of the last event.
	LastMark LookupKey = iota
	// LastThreeMarks keeps the marks of the last three events, in their order.
	LastThreeMarks
	// LastMarkAndSet keeps the mark of the last event and the set of the marks seen.
	LastMarkAndSet
)

// String is the key's name in the kind of a model: mark, marks3 or set.
func (k LookupKey) String() string { return [...]string{"mark", "marks3", "set"}[k] }

// Lookup is a model that counts: for each history, as far as its key keeps it, it predicts the empirical distribution of
// the gaps and the frequencies of the marks that followed in training. Its median is the median gap, its likeliest mark
// the commonest successor: the rule that a neural model has to beat. A history that training never saw is looked up by
// its last mark, and failing that among all events. Marks are smoothed as if each had been seen once more in NumMarks
// events, so none has probability 0.
type Lookup struct {
	key       LookupKey
	markNames []string
	numMarks  int
	cells     map[string]*lookupCell
}

type lookupCell struct {
	gaps  []float64
	next  Next
	seen  int
	marks []float64 // counts, then probabilities
}

// FitLookup counts a dataset, whose clock has the given resolution in the dataset's unit. A dataset without any gap is
// an error.
func FitLookup(key LookupKey, d *Dataset, resolution float64) (*Lookup, error) {
	if key < LastMark || key > LastMarkAndSet {
		return nil, fmt.Errorf("lookup table: unknown key %d", key)
	}
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("lookup table: %w", err)
	}
	l := &Lookup{key: key, markNames: slices.Clone(d.MarkNames), numMarks: d.NumMarks(), cells: map[string]*lookupCell{}}
	for i := range d.Sequences {
		s := &d.Sequences[i]
		var h lookupHistory
		for j := range s.Len() {
			if gap, ok := s.gapBefore(j); ok {
				for level := range lookupLevels {
					l.cell(string(h.key(key, level))).count(gap, s.Mark(j), l.numMarks)
				}
			}
			h.observe(s.Mark(j))
		}
	}
	if len(l.cells) == 0 {
		return nil, errors.New("lookup table: the dataset has no gap to count")
	}
	for _, name := range slices.Sorted(maps.Keys(l.cells)) {
		if err := l.cells[name].finish(resolution); err != nil {
			return nil, fmt.Errorf("lookup table: %w", err)
		}
	}
	return l, nil
}

func (l *Lookup) cell(key string) *lookupCell {
	c := l.cells[key]
	if c == nil {
		c = &lookupCell{}
		l.cells[key] = c
	}
	return c
}

func (c *lookupCell) count(gap float64, mark, numMarks int) {
	if c.marks == nil {
		c.marks = make([]float64, numMarks)
	}
	c.gaps = append(c.gaps, gap)
	c.marks[mark]++
	c.seen++
}

func (c *lookupCell) finish(resolution float64) error {
	time, err := dist.NewEmpirical(c.gaps, resolution)
	if err != nil {
		return err
	}
	c.gaps = nil
	for i := range c.marks {
		c.marks[i] = (c.marks[i] + 1/float64(len(c.marks))) / float64(c.seen+1)
	}
	c.next = Next{Time: time, Marks: c.marks}
	return nil
}

// Kind is lookup- and the name of the key.
func (l *Lookup) Kind() string { return "lookup-" + l.key.String() }

// MarkNames names the marks by index.
func (l *Lookup) MarkNames() []string { return l.markNames }

// CovariateNames is empty: the table counts marks only.
func (l *Lookup) CovariateNames() []string { return nil }

// NewState is the state before the first event.
func (l *Lookup) NewState(start float64) State { return &lookupState{l: l, last: start} }

// The levels of a key, from the whole history that it keeps down to none of it.
const (
	wholeKey = iota
	lastMarkOnly
	anything
	lookupLevels
)

// lookupHistory is what any key needs of the events so far.
type lookupHistory struct {
	events int
	last   [3]int // the last marks, the latest first
	set    []byte // the marks seen, a bit each
	buf    []byte
}

func (h *lookupHistory) observe(mark int) {
	h.last = [3]int{mark, h.last[0], h.last[1]}
	for len(h.set) <= mark/8 {
		h.set = append(h.set, 0)
	}
	h.set[mark/8] |= 1 << (mark % 8)
	h.events++
}

// key is the text under which a table keeps the history. It is valid until the next call.
func (h *lookupHistory) key(k LookupKey, level int) []byte {
	b := append(h.buf[:0], byte(level))
	if level != anything {
		marks := 1
		if k == LastThreeMarks && level == wholeKey {
			marks = 3
		}
		for i := range min(marks, h.events) {
			b = binary.AppendUvarint(b, uint64(h.last[i]))
		}
		if k == LastMarkAndSet && level == wholeKey {
			b = append(append(b, '|'), h.set...)
		}
	}
	h.buf = b
	return b
}

type lookupState struct {
	l       *Lookup
	history lookupHistory
	last    float64
	next    Next // of the cell that the history leads to
}

func (s *lookupState) Observe(e Event) error {
	if e.Mark < 0 || e.Mark >= s.l.numMarks {
		return fmt.Errorf("event at %v: mark %d: the model knows %d marks", e.Time, e.Mark, s.l.numMarks)
	}
	if !(e.Time >= s.last) {
		return lateEvent(e.Time, s.last)
	}
	s.last = e.Time
	s.history.observe(e.Mark)
	return nil
}

func (s *lookupState) Next(now float64) *Next {
	c := s.l.cells[string(s.history.key(s.l.key, anything))]
	for level := range anything {
		if known := s.l.cells[string(s.history.key(s.l.key, level))]; known != nil {
			c = known
			break
		}
	}
	s.next.Time, s.next.Marks = c.next.Time, c.next.Marks
	return s.next.Given(now - s.last)
}

func (s *lookupState) Clone() State {
	c := *s
	c.history.set = slices.Clone(s.history.set)
	c.history.buf = nil
	c.next = Next{}
	return &c
}
