package tpp

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"unicode/utf8"
)

// Sequence is one realisation of a marked point process: a trace as numbers. Times are in the dataset's unit
// (milliseconds in the dataset format). All slices that are present have one entry per event. A window in which nothing
// came has no events, and both a TStart and a TEnd.
type Sequence struct {
	// ArrivalTimes are the times of the events, finite and not decreasing.
	ArrivalTimes []float64
	// Marks are the classes of the events, 0 ≤ mark < NumMarks. Nil means that every event has mark 0.
	Marks []int
	// WaitTimes and InitTimes are optional: how long each invocation waited for a container, and how long that took
	// to initialise (> 0 exactly for cold starts). An arrival time is the start of an invocation less its wait time.
	WaitTimes, InitTimes []float64
	// Parents is optional: for each event the index of the event that caused it, −1 for a root.
	Parents []int
	// Covariates are optional further inputs by their names: one finite number per event each, for a categorical one
	// the index of the category.
	Covariates map[string][]float64
	// TStart, if not nil, says that observation began then, at or before the first event: the first gap is scored too.
	TStart *float64
	// TEnd, if not nil, says that the sequence was still running when observation stopped then, at or after the last
	// event: the survival from the last event to TEnd is scored. Without it the sequence is complete.
	TEnd *float64
}

// Len is the number of events.
func (s *Sequence) Len() int { return len(s.ArrivalTimes) }

// Mark is the mark of event i.
func (s *Sequence) Mark(i int) int {
	if s.Marks == nil {
		return 0
	}
	return s.Marks[i]
}

// ColdStart says whether event i was initialised on arrival. It is false where the sequence has no init times.
func (s *Sequence) ColdStart(i int) bool { return s.InitTimes != nil && s.InitTimes[i] > 0 }

// InterTimes are the gaps between successive arrivals: entry i is the time from event i to event i+1. It has Len()−1
// entries, none for an empty sequence.
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

// GapBefore is the gap that ends with event i, and whether it is known: that before the first event is, from TStart.
func (s *Sequence) GapBefore(i int) (gap float64, ok bool) {
	if i > 0 {
		return s.ArrivalTimes[i] - s.ArrivalTimes[i-1], true
	}
	if s.TStart != nil {
		return s.ArrivalTimes[0] - *s.TStart, true
	}
	return 0, false
}

// Start is when the watch over the sequence begins: at its TStart, or with its first event, which is then given. It is 0 for a
// sequence that has neither, which is not valid.
func (s *Sequence) Start() float64 {
	if s.TStart != nil {
		return *s.TStart
	}
	if s.Len() == 0 {
		return 0
	}
	return s.ArrivalTimes[0]
}

// Waited is how long nothing came at the end of a sequence that was still running then: from its last event, or from its TStart
// if it has none, to its TEnd. open is false if the sequence is complete.
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

// Event is event i as a model observes it that asks for the given covariates. Their values are appended to buf[:0], which
// may be nil: who walks over a sequence passes the last event's Covariates.
func (s *Sequence) Event(i int, covariates []string, buf []float64) Event {
	buf = buf[:0]
	for _, name := range covariates {
		buf = append(buf, s.Covariate(name, i))
	}
	return Event{Time: s.ArrivalTimes[i], Mark: s.Mark(i), Covariates: buf}
}

// NumScored is the number of events that a likelihood scores: all but the first, which is given, or all of them if
// the sequence has a TStart.
func (s *Sequence) NumScored() int {
	if s.TStart != nil {
		return s.Len()
	}
	return max(s.Len()-1, 0)
}

// Validate checks everything the fields promise, with marks below numMarks. The error says what is wrong and where.
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

// ColdStartCovariate is the name of the paper's cold-start feature: 1 if the event's init time is above 0, else 0. It is
// known of every sequence that has init times.
const ColdStartCovariate = "coldstart"

// Covariate is the value of a covariate at event i. One that the sequence does not have is 0, which for the cold-start
// feature means a warm start.
func (s *Sequence) Covariate(name string, i int) float64 {
	if values := s.Covariates[name]; values != nil {
		return values[i]
	}
	if name == ColdStartCovariate && s.ColdStart(i) {
		return 1
	}
	return 0
}

// HasCovariate reports whether the sequence knows the covariate.
func (s *Sequence) HasCovariate(name string) bool {
	return s.Covariates[name] != nil || name == ColdStartCovariate && s.InitTimes != nil
}

// First is the sequence of the first n events, or of all if it has fewer, as they stand when the last of them has come: what
// follows is not known, and neither is a TEnd.
func (s *Sequence) First(n int) Sequence {
	n = min(n, s.Len())
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

// Dataset is a set of sequences over the same marks.
type Dataset struct {
	Sequences []Sequence
	// MarkNames names the marks by their index. Empty means an unmarked dataset: every event has mark 0.
	MarkNames []string
}

// NumMarks is the number of marks, 1 for an unmarked dataset.
func (d *Dataset) NumMarks() int { return max(len(d.MarkNames), 1) }

// NumEvents is the number of events in all sequences.
func (d *Dataset) NumEvents() int {
	n := 0
	for i := range d.Sequences {
		n += d.Sequences[i].Len()
	}
	return n
}

// Validate checks every sequence, and that no two marks share a name. The error names the sequence by its index.
func (d *Dataset) Validate() error {
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

// Subset is the dataset of the sequences with the given indices, in that order. It shares their events.
func (d *Dataset) Subset(indices []int) *Dataset {
	sub := &Dataset{MarkNames: d.MarkNames, Sequences: make([]Sequence, len(indices))}
	for i, j := range indices {
		sub.Sequences[i] = d.Sequences[j]
	}
	return sub
}

// Split deals the sequences at random into a training part of 60 %, a validation part of 20 %, and a test part with
// the rest, as the paper does (TppFaaS, section V). The same seed gives the same split; within a part the sequences
// keep their order. Of one sequence training gets it, of two training and test get one each; other parts are then empty.
func (d *Dataset) Split(seed uint64) (train, validation, test *Dataset) {
	n := len(d.Sequences)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	rng := rand.New(rand.NewPCG(seed, 0x5eed_5911))
	rng.Shuffle(n, func(i, j int) { order[i], order[j] = order[j], order[i] })
	a := max(n*6/10, min(n, 1))
	b := a + n*2/10
	parts := [3][]int{order[:a], order[a:b], order[b:]}
	for _, p := range parts {
		slices.Sort(p)
	}
	return d.Subset(parts[0]), d.Subset(parts[1]), d.Subset(parts[2])
}

// WithMarks is the dataset with its marks renumbered to the given names, as a model knows them: files of one
// application differ in the order of their marks, and functions are matched by name. It shares everything but the
// marks. A mark that occurs in a sequence but not in names is an error; a name that no sequence uses is none.
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
			name := d.MarkNames[s.Mark(j)]
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
