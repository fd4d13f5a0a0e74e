package tpp

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// AtStarts returns the sequence as one sees it who hears of events only when they start: each event comes at its start, its arrival time plus
// its wait time, in the order of starts (those of equal starts as they arrived). Everything else goes with the event, but nobody sees how long it
// waited: there are no WaitTimes. The window stays the same: what starts after TEnd is not there, and an event whose parent is not there
// has none (−1). If nothing is left of a sequence without a TStart, it is a window of length 0, at TEnd.
//
// A sequence without wait times is an error, unless it has no events. Sequences that are not valid are an error too.
func (s *Sequence) AtStarts() (Sequence, error) {
	if err := s.Validate(math.MaxInt); err != nil {
		return Sequence{}, err
	}
	if s.Len() > 0 && s.WaitTimes == nil {
		return Sequence{}, errors.New("it has no wait times, by which it is known when events start")
	}
	start := make([]float64, s.Len())
	place := make([]int, s.Len()) // of each event among those that are left, −1 for others
	var order []int
	for i, t := range s.ArrivalTimes {
		start[i], place[i] = t+s.WaitTimes[i], -1
		if s.TEnd == nil || start[i] <= *s.TEnd {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(start[a], start[b]) })
	for to, from := range order {
		place[from] = to
	}
	out := Sequence{
		ArrivalTimes: pick(start, order), Marks: pick(s.Marks, order), InitTimes: pick(s.InitTimes, order), Parents: pick(s.Parents, order),
		TStart: s.TStart, TEnd: s.TEnd,
	}
	for i, p := range out.Parents {
		if p >= 0 {
			out.Parents[i] = place[p]
		}
	}
	if s.Covariates != nil {
		out.Covariates = make(map[string][]float64, len(s.Covariates))
	}
	for name, values := range s.Covariates {
		out.Covariates[name] = pick(values, order)
	}
	if len(order) == 0 && out.TStart == nil {
		out.TStart = out.TEnd
	}
	return out, out.Validate(math.MaxInt)
}

// pick returns the values at the given indices, nil if there are no values at all.
func pick[T any](values []T, indices []int) []T {
	if values == nil {
		return nil
	}
	out := make([]T, len(indices))
	for to, from := range indices {
		out[to] = values[from]
	}
	return out
}

// AtStarts returns the dataset of its sequences at their starts, see Sequence.AtStarts. The error names the sequence.
func (d *Dataset) AtStarts() (*Dataset, error) {
	if d == nil {
		return nil, errors.New("no dataset")
	}
	out := &Dataset{MarkNames: d.MarkNames, Sequences: make([]Sequence, len(d.Sequences))}
	for i := range d.Sequences {
		var err error
		if out.Sequences[i], err = d.Sequences[i].AtStarts(); err != nil {
			return nil, fmt.Errorf("sequence %d: %w", i, err)
		}
	}
	return out, nil
}
