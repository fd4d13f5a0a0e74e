package dataset

import (
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
)

// sortEvents puts the events in the order of their times; parents follow the events that they name.
func sortEvents(s *tpp.Sequence) {
	if slices.IsSorted(s.ArrivalTimes) {
		return
	}
	n := s.Len()
	for _, length := range columnLengths(s) {
		if length != n {
			return // Validate says what is wrong
		}
	}
	order := make([]int, n) // order[new] = old
	for i := range order {
		order[i] = i
	}
	times := s.ArrivalTimes
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case times[a] < times[b]:
			return -1
		case times[a] > times[b]:
			return 1
		}
		return 0
	})
	s.ArrivalTimes = permuted(times, order)
	s.Marks = permuted(s.Marks, order)
	s.WaitTimes = permuted(s.WaitTimes, order)
	s.InitTimes = permuted(s.InitTimes, order)
	for name, values := range s.Covariates {
		s.Covariates[name] = permuted(values, order)
	}
	if s.Parents != nil {
		moved := make([]int, n) // moved[old] = new
		for i, old := range order {
			moved[old] = i
		}
		s.Parents = permuted(s.Parents, order)
		for i, p := range s.Parents {
			if p >= 0 && p < n {
				s.Parents[i] = moved[p]
			}
		}
	}
}

// columnLengths returns the lengths of the columns beside the arrival times that are present.
func columnLengths(s *tpp.Sequence) []int {
	var lengths []int
	if s.Marks != nil {
		lengths = append(lengths, len(s.Marks))
	}
	if s.WaitTimes != nil {
		lengths = append(lengths, len(s.WaitTimes))
	}
	if s.InitTimes != nil {
		lengths = append(lengths, len(s.InitTimes))
	}
	if s.Parents != nil {
		lengths = append(lengths, len(s.Parents))
	}
	for _, values := range s.Covariates {
		lengths = append(lengths, len(values))
	}
	return lengths
}

func permuted[T any](values []T, order []int) []T {
	if values == nil {
		return nil
	}
	out := make([]T, len(order))
	for i, old := range order {
		out[i] = values[old]
	}
	return out
}
