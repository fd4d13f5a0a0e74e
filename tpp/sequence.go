package tpp

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// Sequence is one realisation of a marked point process, such as the invocations of one trace. Times are in the dataset's
// unit (milliseconds in the dataset format). All slices that are not nil have one entry per event. A
// sequence without events is a window in which nothing came, and has both a TStart and a TEnd; Validate reports one without
// them, such as the zero value, as an error.
type Sequence struct {
	// ArrivalTimes are the times of the events, finite and not decreasing.
	ArrivalTimes []float64
	// Marks are the classes of the events, 0 ≤ mark < NumMarks. Nil means that every event has mark 0.
	Marks []int
	// WaitTimes and InitTimes are optional: the time that each invocation waited for a container, and the time that the
	// container took to initialise (> 0 exactly for cold starts). Arrival time = start of the invocation − wait time.
	WaitTimes, InitTimes []float64
	// Parents is optional: for each event the index of the event that caused it, −1 for a root.
	Parents []int
	// Covariates are optional further inputs by name: one finite number per event, for a categorical covariate the index
	// of the category.
	Covariates map[string][]float64
	// TStart, if not nil, is when observation began, at or before the first event: the first gap is scored too.
	TStart *float64
	// TEnd, if not nil, is when observation stopped while the sequence was still running (right-censored), at or after
	// the last event: the survival from the last event to TEnd is scored. If nil, the sequence is complete.
	TEnd *float64
}

// Len returns the number of events.
func (s *Sequence) Len() int { return len(s.ArrivalTimes) }

// Mark returns the mark of event i.
func (s *Sequence) Mark(i int) int {
	if s.Marks == nil {
		return 0
	}
	return s.Marks[i]
}

// ColdStart reports whether event i was a cold start. It is false if the sequence has no init times.
func (s *Sequence) ColdStart(i int) bool { return s.InitTimes != nil && s.InitTimes[i] > 0 }

// InterTimes returns the gaps between successive arrivals: entry i is the time from event i to event i+1. It has
// Len()−1 entries, none for an empty sequence.
func (s *Sequence) InterTimes() []float64 {
	if s.Len() < 2 {
		return nil
	}
	gaps := make([]float64, s.Len()-1)
	for i := range gaps {
		gaps[i] = s.ArrivalTimes[i+1] - s.ArrivalTimes[i]
	}
	return gaps
}

// GapBefore returns the gap that ends with event i and whether it is known. The gap before the first event is known if
// TStart is set.
func (s *Sequence) GapBefore(i int) (gap float64, ok bool) {
	if i > 0 {
		return s.ArrivalTimes[i] - s.ArrivalTimes[i-1], true
	}
	if s.TStart != nil {
		return s.ArrivalTimes[0] - *s.TStart, true
	}
	return 0, false
}

// Start returns the time at which observation begins: TStart, or the time of the first event if TStart is nil. It
// returns 0 for a sequence without either, which is not valid.
func (s *Sequence) Start() float64 {
	if s.TStart != nil {
		return *s.TStart
	}
	if s.Len() == 0 {
		return 0
	}
	return s.ArrivalTimes[0]
}

// Waited returns how long no event came at the end of a sequence that was still running: from its last event, or from TStart if it
// has none, to TEnd. open is false if the sequence is complete.
func (s *Sequence) Waited() (duration float64, open bool) {
	if s.TEnd == nil {
		return 0, false
	}
	last := s.Start()
	if n := s.Len(); n > 0 {
		last = s.ArrivalTimes[n-1]
	}
	return *s.TEnd - last, true
}

// Event returns event i with the values of the named covariates, as State.Observe takes it. The values are stored in
// buf if it is large enough; buf may be nil. When walking over a sequence, pass the Covariates of the previous event
// to reuse its memory.
func (s *Sequence) Event(i int, covariates []string, buf []float64) Event {
	buf = buf[:0]
	for _, name := range covariates {
		buf = append(buf, s.Covariate(name, i))
	}
	return Event{Time: s.ArrivalTimes[i], Mark: s.Mark(i), Covariates: buf}
}

// NumScored returns the number of events that a likelihood scores: all events if the sequence has a TStart, otherwise
// all but the first, which is given.
func (s *Sequence) NumScored() int {
	if s.TStart != nil {
		return s.Len()
	}
	return max(s.Len()-1, 0)
}

// Validate returns an error if a field does not hold what its comment promises, or if a mark is not below numMarks.
// The error names the field, the index and the value.
func (s *Sequence) Validate(numMarks int) error {
	n := s.Len()
	if n == 0 && (s.TStart == nil || s.TEnd == nil) {
		return errors.New("it has no events, and not both a t_start and a t_end as a window in which nothing came")
	}
	for _, c := range []struct {
		name   string
		length int
		absent bool
	}{
		{"marks", len(s.Marks), s.Marks == nil},
		{"wait_times", len(s.WaitTimes), s.WaitTimes == nil},
		{"init_times", len(s.InitTimes), s.InitTimes == nil},
		{"parents", len(s.Parents), s.Parents == nil},
	} {
		if !c.absent && c.length != n {
			return fmt.Errorf("%d arrival_times but %d %s", n, c.length, c.name)
		}
	}
	for i, t := range s.ArrivalTimes {
		if math.IsNaN(t) || math.IsInf(t, 0) {
			return fmt.Errorf("arrival_times[%d] is %v", i, t)
		}
		if i > 0 && t < s.ArrivalTimes[i-1] {
			return fmt.Errorf("arrival_times[%d] = %v is before the one ahead of it, %v", i, t, s.ArrivalTimes[i-1])
		}
		if i > 0 && math.IsInf(t-s.ArrivalTimes[i-1], 0) {
			return fmt.Errorf("the gap before arrival_times[%d] is too large for a number", i)
		}
	}
	for i, m := range s.Marks {
		if m < 0 || m >= numMarks {
			return fmt.Errorf("marks[%d] = %d is not in the mapping of %d marks", i, m, numMarks)
		}
	}
	for _, c := range []struct {
		name   string
		values []float64
	}{{"wait_times", s.WaitTimes}, {"init_times", s.InitTimes}} {
		for i, v := range c.values {
			if !(v >= 0) || math.IsInf(v, 0) {
				return fmt.Errorf("%s[%d] = %v is not a duration", c.name, i, v)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Covariates)) {
		values := s.Covariates[name]
		if !utf8.ValidString(name) {
			return fmt.Errorf("the name %q of a covariate is not UTF-8", name)
		}
		if len(values) != n {
			return fmt.Errorf("%d arrival_times but %d values of covariate %q", n, len(values), name)
		}
		for i, v := range values {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("covariate %q is %v at event %d", name, v, i)
			}
		}
	}
	for i, p := range s.Parents {
		if p < -1 || p >= n || p == i {
			return fmt.Errorf("parents[%d] = %d is not the index of another event", i, p)
		}
	}
	if n == 0 {
		if length := *s.TEnd - *s.TStart; !(length >= 0) || math.IsInf(length, 0) {
			return fmt.Errorf("t_end %v is not a time at or after t_start %v", *s.TEnd, *s.TStart)
		}
		return nil
	}
	if s.TStart != nil && !(*s.TStart <= s.ArrivalTimes[0] && !math.IsInf(s.ArrivalTimes[0]-*s.TStart, 0)) {
		return fmt.Errorf("t_start %v is not a time at or before the first arrival %v", *s.TStart, s.ArrivalTimes[0])
	}
	if s.TEnd != nil && !(*s.TEnd >= s.ArrivalTimes[n-1] && !math.IsInf(*s.TEnd-s.ArrivalTimes[n-1], 0)) {
		return fmt.Errorf("t_end %v is not a time at or after the last arrival %v", *s.TEnd, s.ArrivalTimes[n-1])
	}
	return nil
}

// ColdStartCovariate is the name of the cold-start covariate of the paper: 1 if the event's init time is above 0, else
// 0. Every sequence with init times has it.
const ColdStartCovariate = "coldstart"

// Covariate returns the value of the named covariate at event i, or 0 if the sequence does not have it, which for
// ColdStartCovariate means a warm start.
func (s *Sequence) Covariate(name string, i int) float64 {
	if values := s.Covariates[name]; values != nil {
		return values[i]
	}
	if name == ColdStartCovariate && s.ColdStart(i) {
		return 1
	}
	return 0
}

// HasCovariate reports whether the sequence has the named covariate.
func (s *Sequence) HasCovariate(name string) bool {
	return s.Covariates[name] != nil || name == ColdStartCovariate && s.InitTimes != nil
}

// CheckCovariate returns nil if the sequence has the named covariate, and otherwise an error that says which others it has, or what the
// covariate would be made of.
func (s *Sequence) CheckCovariate(name string) error {
	switch {
	case s.HasCovariate(name):
		return nil
	case name == ColdStartCovariate:
		return fmt.Errorf("it has no covariate %q, and no init times to make it of", name)
	case len(s.Covariates) > 0:
		return fmt.Errorf("it has no covariate %q (it has %s)", name, strings.Join(slices.Sorted(maps.Keys(s.Covariates)), ", "))
	}
	return fmt.Errorf("it has no covariate %q", name)
}

// First returns the first n events, or all if there are fewer, as they were known when the last of them came: without
// TEnd, and with parent −1 for events whose parent came later. It shares memory with s.
func (s *Sequence) First(n int) Sequence {
	n = max(min(n, s.Len()), 0)
	out := Sequence{ArrivalTimes: s.ArrivalTimes[:n], TStart: s.TStart}
	if s.Marks != nil {
		out.Marks = s.Marks[:n]
	}
	if s.WaitTimes != nil {
		out.WaitTimes = s.WaitTimes[:n]
	}
	if s.InitTimes != nil {
		out.InitTimes = s.InitTimes[:n]
	}
	for name, values := range s.Covariates {
		if out.Covariates == nil {
			out.Covariates = make(map[string][]float64, len(s.Covariates))
		}
		out.Covariates[name] = values[:n]
	}
	if s.Parents != nil {
		out.Parents = slices.Clone(s.Parents[:n])
		for i, p := range out.Parents {
			if p >= n {
				out.Parents[i] = -1 // the event that caused it came later
			}
		}
	}
	return out
}

// Dataset is a set of sequences over the same marks. The zero value is an empty, unmarked dataset.
type Dataset struct {
	Sequences []Sequence
	// MarkNames are the names of the marks by index. Empty means an unmarked dataset: every event has mark 0.
	MarkNames []string
}

// NumMarks returns the number of marks; 1 for an unmarked dataset.
func (d *Dataset) NumMarks() int { return max(len(d.MarkNames), 1) }

// NumEvents returns the number of events in all sequences.
func (d *Dataset) NumEvents() int {
	n := 0
	for i := range d.Sequences {
		n += d.Sequences[i].Len()
	}
	return n
}

// Validate returns an error if a sequence is not valid or if two marks have the same name. The error names the
// sequence by its index.
func (d *Dataset) Validate() error {
	if d == nil {
		return errors.New("no dataset")
	}
	seen := make(map[string]int, len(d.MarkNames))
	for i, name := range d.MarkNames {
		if first, ok := seen[name]; ok {
			return fmt.Errorf("mapping: marks %d and %d are both called %q", first, i, name)
		}
		if !utf8.ValidString(name) {
			return fmt.Errorf("mapping: the name %q of mark %d is not UTF-8", name, i) // JSON would make one of two such names
		}
		seen[name] = i
	}
	for i := range d.Sequences {
		if err := d.Sequences[i].Validate(d.NumMarks()); err != nil {
			return fmt.Errorf("sequence %d: %w", i, err)
		}
	}
	return nil
}

// Subset returns the dataset of the sequences with the given indices, in that order. It shares the events with d.
func (d *Dataset) Subset(indices []int) *Dataset {
	sub := &Dataset{MarkNames: d.MarkNames, Sequences: make([]Sequence, len(indices))}
	for i, j := range indices {
		sub.Sequences[i] = d.Sequences[j]
	}
	return sub
}

// Split splits the sequences at random into a training part of 60 %, a validation part of 20 % and a test part with
// the rest, as the paper does (TppFaaS, section V). The same seed gives the same split; within a part the sequences
// keep their order. A single sequence goes to training, and of two one goes to training and one to test; the other
// parts are then empty.
func (d *Dataset) Split(seed uint64) (train, validation, test *Dataset) {
	n := len(d.Sequences)
	order := shuffled(n, seed, 0x5eed_5911)
	a, b := splitSizes(n)
	p := d.partsOf(order[:a], order[a:b], order[b:])
	return p.Training, p.Validation, p.Test
}

// WithMarks returns the dataset with its marks renumbered to the given names, usually a model's: files of one
// application may order the marks differently, so functions are matched by name. It shares everything but the marks.
// It returns an error if a sequence has a mark that is not in names; names that no sequence uses are allowed.
func (d *Dataset) WithMarks(names []string) (*Dataset, error) {
	if slices.Equal(d.MarkNames, names) {
		return d, nil
	}
	if len(d.MarkNames) == 0 || len(names) == 0 {
		if d.NumMarks() == 1 && len(names) <= 1 || d.NumEvents() == 0 {
			return &Dataset{Sequences: d.Sequences, MarkNames: names}, nil
		}
		return nil, fmt.Errorf("the dataset has %d named marks, the model %d", len(d.MarkNames), len(names))
	}
	index := make(map[string]int, len(names))
	for i, name := range names {
		index[name] = i
	}
	out := &Dataset{MarkNames: names, Sequences: make([]Sequence, len(d.Sequences))}
	for i, s := range d.Sequences {
		marks := make([]int, s.Len())
		for j := range marks {
			old := s.Mark(j)
			if old < 0 || old >= len(d.MarkNames) {
				return nil, fmt.Errorf("sequence %d: event %d has mark %d, the dataset has %d", i, j, old, len(d.MarkNames))
			}
			name := d.MarkNames[old]
			m, ok := index[name]
			if !ok {
				return nil, fmt.Errorf("sequence %d: event %d has mark %q, which the model does not know", i, j, name)
			}
			marks[j] = m
		}
		s.Marks = marks
		out.Sequences[i] = s
	}
	return out, nil
}
