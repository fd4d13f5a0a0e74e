package tpptest

import (
	"cmp"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
)

// OtherArrivals returns the sequence with the same starts after other waits, each drawn up to that which makes the event arrive at time 0.
func OtherArrivals(s tpp.Sequence, wait func(most float64) float64) tpp.Sequence {
	n := s.Len()
	waits, order := make([]float64, n), make([]int, n)
	start := func(i int) float64 { return s.ArrivalTimes[i] + s.WaitTimes[i] }
	for i := range n {
		waits[i], order[i] = wait(start(i)), i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(start(a)-waits[a], start(b)-waits[b]) })
	out := tpp.Sequence{TStart: s.TStart, TEnd: s.TEnd, Covariates: map[string][]float64{}}
	for _, i := range order {
		out.ArrivalTimes, out.WaitTimes = append(out.ArrivalTimes, start(i)-waits[i]), append(out.WaitTimes, waits[i])
		out.Marks, out.InitTimes = append(out.Marks, s.Mark(i)), append(out.InitTimes, s.InitTimes[i])
		parent := s.Parents[i]
		if parent >= 0 {
			parent = slices.Index(order, parent)
		}
		out.Parents = append(out.Parents, parent)
		for name, values := range s.Covariates {
			out.Covariates[name] = append(out.Covariates[name], values[i])
		}
	}
	return out
}
