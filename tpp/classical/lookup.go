package classical

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/internal/unfitted"
)

// LookupKey is the part of the history by which a lookup table is indexed.
type LookupKey int

const (
	// LastMark is the mark of the last event.
	LastMark LookupKey = iota
	// LastThreeMarks are the marks of the last three events, in order.
	LastThreeMarks
	// LastMarkAndSet is the mark of the last event and the set of all marks so far.
	LastMarkAndSet
)

// String returns the suffix of the key in the kind of a model: mark, marks3 or set.
func (k LookupKey) String() string {
	names := [...]string{"mark", "marks3", "set"}
	if k < 0 || int(k) >= len(names) {
		return "LookupKey(" + strconv.Itoa(int(k)) + ")"
	}
	return names[k]
}

// marks returns the number of last marks in the key.
func (k LookupKey) marks() int {
	if k == LastThreeMarks {
		return 3
	}
	return 1
}

// Lookup is a lookup table: for each key of the history it predicts the empirical distribution of the gaps, the
// frequencies of the marks, and the frequency of the end that followed in training. Its median is the median gap, its
// likeliest mark the most frequent successor. A key that is not in the table falls back to the last mark, and then to
// all events. The marks are smoothed by one event divided equally among them, so that none has probability 0, and so
// is the end, as one more outcome. Sequences that were still running at their TEnd do not count as ends; if all were,
// the end has probability 0. A Lookup is made by FitLookup or read from a file; the zero value is not valid.
type Lookup struct {
	classical
	key    LookupKey
	counts []historyCounts
	cells  map[string]*lookupCell
}

// historyCounts holds what followed the histories with one key.
type historyCounts struct {
	marks []int // the last marks, the latest first
	set   []int // the marks seen, ascending, if the key keeps them
	gaps  []float64
	next  []float64 // how often each mark followed
	ends  float64   // number of sequences that ended
}

// lookupCell is the prediction for one key. A cell without gaps, where all sequences ended, has the gaps of its
// parent.
type lookupCell struct {
	parent *lookupCell
	gaps   []float64
	marks  []float64 // counts, then probabilities
	ends   float64
	next   tpp.Next
}

// maxTable is the largest number of counts in a table, 256 MB of them.
const maxTable = 1 << 25

// FitLookup fits a lookup table to a dataset, which must have at least one gap. When ctx is done, it returns the error
// of ctx.
func FitLookup(ctx context.Context, key LookupKey, d *tpp.Dataset, opts FitOptions) (*Lookup, error) {
	l, err := fitTable(ctx, Kind("lookup-"+key.String()), key, d, opts.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("lookup table: %w", err)
	}
	return l, nil
}

// fitTable fits the table of a model of the given kind.
func fitTable(ctx context.Context, kind Kind, key LookupKey, d *tpp.Dataset, opts FitOptions) (*Lookup, error) {
	if key < LastMark || key > LastMarkAndSet {
		return nil, fmt.Errorf("unknown key %d", key)
	}
	if err := opts.validate(); err != nil {
		return nil, err
	}
	if err := d.Validate(); err != nil {
		return nil, err
	}
	if err := checkMarks(d.NumMarks(), tpp.MaxMarks); err != nil {
		return nil, err
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
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("fit stopped: %w", err)
		}
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
		if len(counts)*d.NumMarks() > maxTable {
			return nil, fmt.Errorf("the sequences up to %d have %d histories, each with a count for each of %d marks, which is too large a table: merge rare marks, or use a key that keeps less", i, len(counts), d.NumMarks())
		}
	}
	return newLookup(newClassical(kind, d, opts), key, counts)
}

// newLookup builds the table from counts with distinct keys.
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
				return nil, fmt.Errorf("two cells for the marks %v", counts[i].marks)
			}
			cell.add(&counts[i])
			parent = cell
		}
		knowsEnd = knowsEnd || counts[i].ends > 0
	}
	if len(counts) == 0 || len(levels[emptyKey][0].gaps) == 0 {
		return nil, errors.New("the dataset has no gap to count")
	}
	for level := lookupLevels - 1; level >= 0; level-- {
		for _, cell := range levels[level] {
			if err := cell.finish(c.head.Resolution, knowsEnd); err != nil {
				return nil, err
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

// finish converts counts to probabilities. The parent must be finished before.
func (c *lookupCell) finish(resolution float64, knowsEnd bool) error {
	n := float64(len(c.gaps))
	numOutcomes := float64(len(c.marks) + 1)
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
		c.next = tpp.Next{Time: time, Marks: c.marks}
	}
	c.gaps = nil
	if knowsEnd {
		c.next.End = (c.ends + 1/numOutcomes) / (n + c.ends + 1)
	}
	return nil
}

// NewState returns the state before the first event.
func (l *Lookup) NewState(start float64) tpp.State {
	if len(l.cells) == 0 {
		return unfitted.State()
	}
	return &lookupState{l: l, last: start}
}

// Levels of a key, from all of it down to none.
const (
	wholeKey = iota
	lastMarkOnly
	emptyKey
	lookupLevels
)

// lookupHistory is the part of the history that any key needs.
type lookupHistory struct {
	events int
	last   [3]int // the last marks, the latest first
	set    []byte // bit set of the marks so far
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

// kept returns empty counts for the key k of the history.
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

// history returns a history that has the key of the counts.
func (c *historyCounts) history() *lookupHistory {
	var h lookupHistory
	for _, m := range c.set {
		h.observe(m)
	}
	h.events = len(c.marks)
	copy(h.last[:], c.marks)
	return &h
}

// key returns the map key of the history at the level. It is valid until the next call.
func (h *lookupHistory) key(k LookupKey, level int) []byte {
	b := append(h.buf[:0], byte(level))
	if level != emptyKey {
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
	next    tpp.Next // of the cell that the history leads to
}

func (s *lookupState) Observe(e tpp.Event) error {
	if err := tpp.CheckEvent(e, s.last, s.l.head.NumMarks); err != nil {
		return err
	}
	s.last = e.Time
	s.history.observe(e.Mark)
	return nil
}

func (s *lookupState) Next(now float64) *tpp.Next {
	c := s.l.cells[string(s.history.key(s.l.key, emptyKey))]
	for level := range emptyKey {
		if known := s.l.cells[string(s.history.key(s.l.key, level))]; known != nil {
			c = known
			break
		}
	}
	s.next.CopyFrom(&c.next)
	if s.history.events == 0 {
		s.next.End = 0
	}
	return s.next.Conditional(now - s.last)
}

func (s *lookupState) Clone() tpp.State {
	c := *s
	c.history.set = slices.Clone(s.history.set)
	c.history.buf = nil
	c.next = tpp.Next{}
	return &c
}

// CopyFrom copies the history of another state of the same table.
func (s *lookupState) CopyFrom(src tpp.State) bool {
	o, ok := src.(*lookupState)
	if !ok || o.l != s.l {
		return false
	}
	s.last = o.last
	s.history.events, s.history.last = o.history.events, o.history.last
	s.history.set = append(s.history.set[:0], o.history.set...)
	return true
}

// Encode writes the table to w. Each gap is written once, in its cell, as the nearest float32; if any gap is not a
// float32, the tensor gaps_low holds the remainders.
func (l *Lookup) Encode(w io.Writer) error {
	if len(l.cells) == 0 {
		return unfitted.Err
	}
	d, tensors := l.encoded()
	return tpp.EncodeModel(w, d, tensors)
}

// encoded returns the description and the tensors of the table.
func (l *Lookup) encoded() (classicalDescription, map[string]tpp.Tensor) {
	d := classicalDescription{ModelHeader: l.head}
	var gaps, low, next, ends []float64
	exact := true
	for _, c := range l.counts {
		d.Cells = append(d.Cells, cellDescription{c.marks, c.set, len(c.gaps)})
		for _, gap := range slices.Sorted(slices.Values(c.gaps)) {
			gaps = append(gaps, round32(gap))
			low = append(low, gap-round32(gap))
			exact = exact && gap == round32(gap)
		}
		next = append(next, c.next...)
		ends = append(ends, c.ends)
	}
	tensors := map[string]tpp.Tensor{
		"gaps": vector(gaps...), "ends": vector(ends...),
		"next": {Shape: []int{len(l.counts), l.head.NumMarks}, Data: next},
	}
	if !exact {
		tensors["gaps_low"] = vector(low...)
	}
	return d, tensors
}

// storable returns the number nearest to gap that is the sum of two float32.
func storable(gap float64) float64 { return round32(gap) + round32(gap-round32(gap)) }

func readLookup(f *tpp.ModelFile) (tpp.Model, error) {
	h := f.Header
	d, err := parseClassical(f)
	if err != nil {
		return nil, err
	}
	key := slices.IndexFunc([]LookupKey{LastMark, LastThreeMarks, LastMarkAndSet}, func(k LookupKey) bool { return "lookup-"+k.String() == h.Kind })
	return asModel(readTable(f, d, LookupKey(key)))
}

// readTable reads the table of a model from its file, whose other tensors must have been read before.
func readTable(f *tpp.ModelFile, d *classicalDescription, key LookupKey) (*Lookup, error) {
	h := f.Header
	total := 0
	for i, c := range d.Cells {
		if err := c.validate(key, h.NumMarks); err != nil {
			return nil, fmt.Errorf("cell %d: %w", i, err)
		}
		total += c.Gaps
	}
	gaps, next, ends := f.Tensor("gaps", total), f.Tensor("next", len(d.Cells), h.NumMarks), f.Tensor("ends", len(d.Cells))
	var low []float64
	if f.Has("gaps_low") {
		low = f.Tensor("gaps_low", total)
	}
	if err := f.Finish(); err != nil {
		return nil, err
	}
	for i, v := range low {
		gaps[i] += v
	}
	counts := make([]historyCounts, len(d.Cells))
	for i, c := range d.Cells {
		counts[i] = historyCounts{c.Marks, c.Set, gaps[:c.Gaps], next[i*h.NumMarks : (i+1)*h.NumMarks], ends[i]}
		gaps = gaps[c.Gaps:]
		if err := counts[i].validate(); err != nil {
			return nil, fmt.Errorf("cell %d: %w", i, err)
		}
	}
	l, err := newLookup(classical{h}, key, counts)
	if err != nil {
		return nil, fmt.Errorf("lookup table: %w", err)
	}
	return l, nil
}

func (c *cellDescription) validate(key LookupKey, numMarks int) error {
	known := func(m int) bool { return m >= 0 && m < numMarks }
	all := func(marks []int) bool { return !slices.ContainsFunc(marks, func(m int) bool { return !known(m) }) }
	switch {
	case len(c.Marks) > key.marks() || !all(c.Marks):
		return fmt.Errorf("marks %v", c.Marks)
	case !all(c.Set) || !strictlyAscending(c.Set) || len(c.Set) > 0 && key != LastMarkAndSet:
		return fmt.Errorf("set of marks %v", c.Set)
	case key == LastMarkAndSet && (len(c.Marks) == 1) != (len(c.Set) > 0):
		return fmt.Errorf("marks %v with the set %v", c.Marks, c.Set)
	case key == LastMarkAndSet && len(c.Marks) == 1 && !slices.Contains(c.Set, c.Marks[0]):
		return fmt.Errorf("mark %d is not in its set %v", c.Marks[0], c.Set)
	case c.Gaps < 0 || c.Gaps > math.MaxInt32:
		return fmt.Errorf("%d gaps", c.Gaps)
	}
	return nil
}

func strictlyAscending(values []int) bool {
	for i := 1; i < len(values); i++ {
		if values[i] <= values[i-1] {
			return false
		}
	}
	return true
}

// validate returns an error unless all counts are whole and the number of gaps equals the number of marks.
func (c *historyCounts) validate() error {
	total := 0.0
	for _, n := range append([]float64{c.ends}, c.next...) {
		if n < 0 || n != math.Trunc(n) {
			return fmt.Errorf("a count of %v", n)
		}
		total += n
	}
	if total-c.ends != float64(len(c.gaps)) {
		return fmt.Errorf("%d gaps before %v marks", len(c.gaps), total-c.ends)
	}
	return nil
}

// Fingerprint returns a hash of the key, the mark names and the predictions.
func (l *Lookup) Fingerprint() uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %q %d", l.Kind(), l.head.Marks, l.head.NumMarks)
	for _, key := range slices.Sorted(maps.Keys(l.cells)) {
		next := &l.cells[key].next
		fmt.Fprintf(h, " %x %x %x", key, next.Marks, next.End)
		for _, q := range []float64{0.05, 0.25, 0.5, 0.75, 0.95} {
			fmt.Fprintf(h, " %x", next.Time.Quantile(q))
		}
	}
	return h.Sum64()
}

// MarshalBinary writes the time of the last event, the number of events, the last marks, and the set of those seen.
func (s *lookupState) MarshalBinary() ([]byte, error) {
	b := binary.LittleEndian.AppendUint64(nil, math.Float64bits(s.last))
	b = binary.LittleEndian.AppendUint64(b, uint64(s.history.events))
	for _, m := range s.history.last {
		b = binary.LittleEndian.AppendUint32(b, uint32(m))
	}
	return append(b, s.history.set...), nil
}

func (s *lookupState) UnmarshalBinary(data []byte) error {
	const fixed = 8 + 8 + 3*4
	if len(data) < fixed {
		return fmt.Errorf("%d bytes, it must be at least %d", len(data), fixed)
	}
	last := math.Float64frombits(binary.LittleEndian.Uint64(data))
	events := binary.LittleEndian.Uint64(data[8:])
	set := data[fixed:]
	if math.IsNaN(last) || math.IsInf(last, 0) {
		return fmt.Errorf("the last event at %v", last)
	}
	if events > math.MaxInt32 {
		return fmt.Errorf("%d events", events)
	}
	history := lookupHistory{events: int(events), set: slices.Clone(set)}
	seen := func(mark int) bool { return mark/8 < len(set) && set[mark/8]&(1<<(mark%8)) != 0 }
	for i := range history.last {
		mark := int(binary.LittleEndian.Uint32(data[16+4*i:]))
		if mark < 0 || i < history.events && !(mark < s.l.head.NumMarks && seen(mark)) || i >= history.events && mark != 0 {
			return fmt.Errorf("mark %d, %d events ago", mark, i+1)
		}
		history.last[i] = mark
	}
	count := 0
	for mark := range 8 * len(set) {
		if seen(mark) {
			count++
			if mark >= s.l.head.NumMarks {
				return fmt.Errorf("mark %d was seen: the model knows %d marks", mark, s.l.head.NumMarks)
			}
		}
	}
	if count > history.events || len(set) > 0 && set[len(set)-1] == 0 {
		return fmt.Errorf("%d marks seen in %d events", count, events)
	}
	s.last, s.history = last, history
	return nil
}
