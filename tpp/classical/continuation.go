package classical

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"iter"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/unfitted"
)

// Continuation repeats the commonest continuation: what followed in training after the last three marks, or if these
// are new after the last mark, or after any event. It is the baseline for forecasts over long horizons. Each mark comes as many
// times as it came in at least half of the continuations, the n-th time after the median time that it took; other events are not
// expected. Only the maxContinuation events after a history count, and sequences that were still running at their
// TEnd only if all were. The next event alone is predicted as a Lookup by LastThreeMarks does.
//
// A Continuation is made by FitContinuation or read from a file; the zero value is not valid.
type Continuation struct {
	classical
	table *Lookup
	tails []tail
	index map[string]int // of tails, by key of the history
}

// tail is what follows the histories with one key.
type tail struct {
	level  int
	marks  []int // the last marks of the histories, the latest first
	events []tailEvent
}

// tailEvent is an expected event: its mark, its time after the last known event, and the share of the continuations that have it.
type tailEvent struct {
	mark          int
	offset, share float64
}

// continuationKey is the history that a continuation is looked up by.
const continuationKey = LastThreeMarks

// maxContinuation is the number of events after a history that count.
const maxContinuation = 64

// FitContinuation finds the commonest continuations in a dataset, which must have at least one gap. When ctx is done, it returns the
// error of ctx.
func FitContinuation(ctx context.Context, d *tpp.Dataset, opts FitOptions) (*Continuation, error) {
	table, err := fitTable(ctx, KindContinuation, continuationKey, d, opts.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("continuation: %w", err)
	}
	tails, err := fitTails(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("continuation: %w", err)
	}
	return newContinuation(table, tails)
}

// place is a place in a dataset: after an event of a sequence, or before its first one.
type place struct{ sequence, event int }

func fitTails(ctx context.Context, d *tpp.Dataset) ([]tail, error) {
	complete := slices.ContainsFunc(d.Sequences, func(s tpp.Sequence) bool { return s.TEnd == nil })
	var tails []tail
	var places [][]place // by tail
	index := map[string]int{}
	for i := range d.Sequences {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("fit stopped: %w", err)
		}
		s := &d.Sequences[i]
		if s.TEnd != nil && complete {
			continue
		}
		var h lookupHistory
		for j := -1; j < s.Len(); j++ {
			if j >= 0 {
				h.observe(s.Mark(j))
			} else if s.TStart == nil {
				continue // the first event is given
			}
			for level := range lookupLevels {
				key := h.key(continuationKey, level)
				k, ok := index[string(key)]
				if !ok {
					k = len(tails)
					index[string(key)] = k
					marks := 1
					if level == wholeKey {
						marks = continuationKey.marks()
					} else if level == emptyKey {
						marks = 0
					}
					tails = append(tails, tail{level: level, marks: slices.Clone(h.last[:min(marks, h.events)])})
					places = append(places, nil)
				}
				places[k] = append(places[k], place{i, j})
			}
		}
	}
	for k := range tails {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("fit stopped: %w", err)
		}
		tails[k].events = commonestEvents(d, places[k])
	}
	return tails, nil
}

// commonestEvents returns the events that follow at least half of the places, in the order of their times.
func commonestEvents(d *tpp.Dataset, places []place) []tailEvent {
	type occurrence struct{ mark, count int } // the count-th event of a mark
	offsets := map[occurrence][]float64{}
	counts := map[int]int{}
	for _, p := range places {
		s := &d.Sequences[p.sequence]
		from := s.Start()
		if p.event >= 0 {
			from = s.ArrivalTimes[p.event]
		}
		clear(counts)
		for j := p.event + 1; j < min(s.Len(), p.event+1+maxContinuation); j++ {
			counts[s.Mark(j)]++
			o := occurrence{s.Mark(j), counts[s.Mark(j)]}
			offsets[o] = append(offsets[o], s.ArrivalTimes[j]-from)
		}
	}
	var events []tailEvent
	for o, times := range offsets {
		if 2*len(times) >= len(places) {
			slices.Sort(times)
			n := len(times)
			events = append(events, tailEvent{o.mark, round32((times[(n-1)/2] + times[n/2]) / 2), round32(float64(n) / float64(len(places)))})
		}
	}
	slices.SortFunc(events, func(a, b tailEvent) int {
		return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.mark, b.mark), cmp.Compare(b.share, a.share))
	})
	return events
}

func newContinuation(table *Lookup, tails []tail) (*Continuation, error) {
	c := &Continuation{classical: table.classical, table: table, tails: tails, index: map[string]int{}}
	for i, t := range tails {
		h := lookupHistory{events: len(t.marks)}
		copy(h.last[:], t.marks)
		key := string(h.key(continuationKey, t.level))
		if _, ok := c.index[key]; ok {
			return nil, fmt.Errorf("continuation: two of the marks %v", t.marks)
		}
		c.index[key] = i
	}
	return c, nil
}

// NewState returns the state before the first event.
func (c *Continuation) NewState(start float64) tpp.State {
	if c.table == nil {
		return unfitted.State()
	}
	return &continuationState{lookupState{l: c.table, last: start}, c}
}

// continuationState is a lookupState that knows the continuations too.
type continuationState struct {
	lookupState
	c *Continuation
}

// Continue returns the events of the commonest continuation. One that should have come before now is expected now.
func (s *continuationState) Continue(now float64) iter.Seq[tpp.PredictedEvent] {
	return func(yield func(tpp.PredictedEvent) bool) {
		for level := range lookupLevels {
			i, ok := s.c.index[string(s.history.key(continuationKey, level))]
			if !ok {
				continue
			}
			for _, e := range s.c.tails[i].events {
				if !yield(tpp.PredictedEvent{Time: max(s.last+e.offset, now), Mark: e.mark, Probability: e.share}) {
					return
				}
			}
			return
		}
	}
}

func (s *continuationState) Clone() tpp.State {
	return &continuationState{*s.lookupState.Clone().(*lookupState), s.c}
}

// CopyFrom copies the history of another state of the same model.
func (s *continuationState) CopyFrom(src tpp.State) bool {
	o, ok := src.(*continuationState)
	return ok && s.lookupState.CopyFrom(&o.lookupState)
}

// tailDescription is a tail in the description of a model file: the number of its events, which the tensors tail_marks,
// tail_offsets and tail_shares hold.
type tailDescription struct {
	Level  int   `json:"level"`
	Marks  []int `json:"marks"` // the latest first
	Events int   `json:"events"`
}

// Encode writes the model to w: the table of the next event, and the continuations.
func (c *Continuation) Encode(w io.Writer) error {
	if c.table == nil {
		return unfitted.Err
	}
	d, tensors := c.table.encoded()
	var marks, offsets, shares []float64
	for _, t := range c.tails {
		d.Tails = append(d.Tails, tailDescription{t.level, t.marks, len(t.events)})
		for _, e := range t.events {
			marks, offsets, shares = append(marks, float64(e.mark)), append(offsets, e.offset), append(shares, e.share)
		}
	}
	tensors["tail_marks"], tensors["tail_offsets"], tensors["tail_shares"] = vector(marks...), vector(offsets...), vector(shares...)
	return tpp.EncodeModel(w, d, tensors)
}

func readContinuation(f *tpp.ModelFile) (tpp.Model, error) {
	d, err := parseClassical(f)
	if err != nil {
		return nil, err
	}
	total := 0
	tails := make([]tail, len(d.Tails))
	for i, t := range d.Tails {
		if err := t.validate(f.Header.NumMarks); err != nil {
			return nil, fmt.Errorf("continuation %d: %w", i, err)
		}
		tails[i] = tail{level: t.Level, marks: t.Marks}
		total += t.Events
	}
	marks, offsets, shares := f.Tensor("tail_marks", total), f.Tensor("tail_offsets", total), f.Tensor("tail_shares", total)
	table, err := readTable(f, d, continuationKey)
	if err != nil {
		return nil, err
	}
	for i, t := range d.Tails {
		last := 0.0
		for j := range t.Events {
			e := tailEvent{int(marks[j]), offsets[j], shares[j]}
			switch {
			case !(marks[j] >= 0 && marks[j] < float64(f.Header.NumMarks)) || marks[j] != math.Trunc(marks[j]):
				return nil, fmt.Errorf("continuation %d: an event of mark %v", i, marks[j])
			case !(e.offset >= last) || math.IsInf(e.offset, 0):
				return nil, fmt.Errorf("continuation %d: an event after %v follows one after %v", i, e.offset, last)
			case !(e.share > 0 && e.share <= 1):
				return nil, fmt.Errorf("continuation %d: an event with probability %v", i, e.share)
			}
			last = e.offset
			tails[i].events = append(tails[i].events, e)
		}
		marks, offsets, shares = marks[t.Events:], offsets[t.Events:], shares[t.Events:]
	}
	return asModel(newContinuation(table, tails))
}

func (t *tailDescription) validate(numMarks int) error {
	most := map[int]int{wholeKey: continuationKey.marks(), lastMarkOnly: 1, emptyKey: 0}
	longest, ok := most[t.Level]
	switch {
	case !ok:
		return fmt.Errorf("level %d of the history", t.Level)
	case len(t.Marks) > longest || slices.ContainsFunc(t.Marks, func(m int) bool { return m < 0 || m >= numMarks }):
		return fmt.Errorf("marks %v", t.Marks)
	case t.Events < 0 || t.Events > maxContinuation*max(numMarks, 1):
		return fmt.Errorf("%d events", t.Events)
	}
	return nil
}

// Fingerprint returns a hash of the mark names and the predictions.
func (c *Continuation) Fingerprint() uint64 {
	if c.table == nil {
		return 0
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%d", c.table.Fingerprint())
	for _, t := range c.tails {
		fmt.Fprintf(h, " %d %v", t.level, t.marks)
		for _, e := range t.events {
			b := binary.LittleEndian.AppendUint64(nil, uint64(e.mark))
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(e.offset))
			h.Write(binary.LittleEndian.AppendUint64(b, math.Float64bits(e.share)))
		}
	}
	return h.Sum64()
}
