package tpp

import (
	"encoding/binary"
	"errors"
	"fmt"
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

// marks is how many of the last marks the key keeps.
func (k LookupKey) marks() int {
	if k == LastThreeMarks {
		return 3
	}
	return 1
}

// Lookup is a model that counts: for each history, as far as its key keeps it, it predicts the empirical distribution of
// the gaps and the frequencies of the marks that followed in training, and how often nothing followed. Its median is the
// median gap, its likeliest mark the commonest successor: the rule that a neural model has to beat. A history that training
// never saw is looked up by its last mark, and failing that among all events. Marks are smoothed as if each had been seen
// once more in NumMarks events, so none has probability 0, and the end likewise as if it were one more mark; training data
// in which every sequence was still running at its TEnd tells nothing about the end, and those that were do not count.
type Lookup struct {
	classical
	key    LookupKey
	counts []historyCounts
	cells  map[string]*lookupCell
}

// historyCounts are what followed one history, as far as the key keeps it.
type historyCounts struct {
	marks []int // the last marks, the latest first
	set   []int // the marks seen, ascending, if the key keeps them
	gaps  []float64
	next  []float64 // how often each mark followed
	ends  float64   // how often nothing did
}

// lookupCell is what a table predicts after a history. Without gaps, where all sequences ended, it has those of its parent.
type lookupCell struct {
	parent *lookupCell
	gaps   []float64
	marks  []float64 // counts, then probabilities
	ends   float64
	next   Next
}

// FitLookup counts a dataset in milliseconds, whose clock has the given resolution (Fit knows other units). A dataset
// without any gap is an error.
func FitLookup(key LookupKey, d *Dataset, resolution float64) (*Lookup, error) {
	return fitLookup(key, d, FitOptions{Resolution: resolution})
}

func fitLookup(key LookupKey, d *Dataset, opts FitOptions) (*Lookup, error) {
	opts = opts.withDefaults()
	if key < LastMark || key > LastMarkAndSet {
		return nil, fmt.Errorf("lookup table: unknown key %d", key)
	}
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("lookup table: %w", err)
	}
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("lookup table: %w", err)
	}
	var counts []historyCounts
	index := map[string]int{}
	of := func(h *lookupHistory) *historyCounts {
		k := string(h.key(key, wholeKey))
		i, ok := index[k]
		if !ok {
			i = len(counts)
			index[k] = i
			counts = append(counts, h.kept(key, d.NumMarks()))
		}
		return &counts[i]
	}
	for i := range d.Sequences {
		s := &d.Sequences[i]
		var h lookupHistory
		for j := range s.Len() {
			if gap, ok := s.GapBefore(j); ok {
				c := of(&h)
				c.gaps = append(c.gaps, storable(gap))
				c.next[s.Mark(j)]++
			}
			h.observe(s.Mark(j))
		}
		if s.TEnd == nil && s.Len() > 0 {
			of(&h).ends++
		}
	}
	return newLookup(newClassical("lookup-"+key.String(), d, opts), key, counts)
}

// newLookup makes a table of counts, no two of them for one history.
func newLookup(c classical, key LookupKey, counts []historyCounts) (*Lookup, error) {
	l := &Lookup{classical: c, key: key, counts: counts, cells: map[string]*lookupCell{}}
	var levels [lookupLevels][]*lookupCell
	knowsEnd := false
	for i := range counts {
		h := counts[i].history()
		var parent *lookupCell
		for level := lookupLevels - 1; level >= 0; level-- {
			name := string(h.key(key, level))
			cell := l.cells[name]
			if cell == nil {
				cell = &lookupCell{parent: parent, marks: make([]float64, c.head.NumMarks)}
				l.cells[name] = cell
				levels[level] = append(levels[level], cell)
			} else if level == wholeKey {
				return nil, fmt.Errorf("lookup table: two cells for the marks %v", counts[i].marks)
			}
			cell.add(&counts[i])
			parent = cell
		}
		knowsEnd = knowsEnd || counts[i].ends > 0
	}
	if len(counts) == 0 || len(levels[anything][0].gaps) == 0 {
		return nil, errors.New("lookup table: the dataset has no gap to count")
	}
	for level := lookupLevels - 1; level >= 0; level-- {
		for _, cell := range levels[level] {
			if err := cell.finish(c.head.Resolution, knowsEnd); err != nil {
				return nil, fmt.Errorf("lookup table: %w", err)
			}
		}
	}
	return l, nil
}

func (c *lookupCell) add(h *historyCounts) {
	c.gaps = append(c.gaps, h.gaps...)
	for m, n := range h.next {
		c.marks[m] += n
	}
	c.ends += h.ends
}

// finish turns counts into probabilities, after those of the parent.
func (c *lookupCell) finish(resolution float64, knowsEnd bool) error {
	n := float64(len(c.gaps))
	sorts := float64(len(c.marks) + 1)
	if n == 0 {
		c.next.CopyFrom(&c.parent.next)
	} else {
		time, err := dist.NewEmpirical(c.gaps, resolution)
		if err != nil {
			return err
		}
		for i := range c.marks {
			c.marks[i] = (c.marks[i] + 1/float64(len(c.marks))) / (n + 1)
		}
		c.next = Next{Time: time, Marks: c.marks}
	}
	c.gaps = nil
	if knowsEnd {
		c.next.End = (c.ends + 1/sorts) / (n + c.ends + 1)
	}
	return nil
}

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

// kept is an empty cell for what a key keeps of the history.
func (h *lookupHistory) kept(k LookupKey, numMarks int) historyCounts {
	c := historyCounts{next: make([]float64, numMarks)}
	c.marks = slices.Clone(h.last[:min(k.marks(), h.events)])
	if k == LastMarkAndSet {
		for m := range 8 * len(h.set) {
			if h.set[m/8]&(1<<(m%8)) != 0 {
				c.set = append(c.set, m)
			}
		}
	}
	return c
}

// history is one that leads to the cell.
func (c *historyCounts) history() *lookupHistory {
	var h lookupHistory
	for _, m := range c.set {
		h.observe(m)
	}
	h.events = len(c.marks)
	copy(h.last[:], c.marks)
	return &h
}

// key is the text under which a table keeps the history. It is valid until the next call.
func (h *lookupHistory) key(k LookupKey, level int) []byte {
	b := append(h.buf[:0], byte(level))
	if level != anything {
		marks := 1
		if level == wholeKey {
			marks = k.marks()
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
	if err := CheckEvent(e, s.last, s.l.head.NumMarks); err != nil {
		return err
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
	s.next.CopyFrom(&c.next)
	if s.history.events == 0 {
		s.next.End = 0
	}
	return s.next.Given(now - s.last)
}

func (s *lookupState) Clone() State {
	c := *s
	c.history.set = slices.Clone(s.history.set)
	c.history.buf = nil
	c.next = Next{}
	return &c
}

// CopyFrom takes over the history of another state of the same table.
func (s *lookupState) CopyFrom(src State) bool {
	o, ok := src.(*lookupState)
	if !ok || o.l != s.l {
		return false
	}
	s.last = o.last
	s.history.events, s.history.last = o.history.events, o.history.last
	s.history.set = append(s.history.set[:0], o.history.set...)
	return true
}
