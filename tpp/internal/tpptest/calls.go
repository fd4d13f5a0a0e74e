package tpptest

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
)

// Calls returns sequences in which events cause others, with parents, wait and init times, the covariate load and, in every third
// sequence, a start or an end of observation: a causes b and then, in four of five cases, c; b causes another c or, as often, an a that
// causes nothing but a c, or nothing.
func Calls(seed uint64, n int) *tpp.Dataset {
	rng := rand.New(rand.NewPCG(seed, 10))
	d := &tpp.Dataset{MarkNames: []string{"a", "b", "c"}}
	type call struct {
		at     float64
		mark   int
		parent int // in the order in which calls were made
	}
	for range n {
		first := math.Floor(1e9 * rng.Float64())
		calls := []call{{first, 0, -1}}
		for i := 0; i < len(calls) && len(calls) < 9; i++ {
			c := calls[i]
			invoke := func(mark int, median float64) {
				calls = append(calls, call{c.at + math.Round(median*math.Exp(0.2*rng.NormFloat64())), mark, i})
			}
			switch {
			case c.mark == 0 && c.parent < 0:
				invoke(1, 20)
				if rng.IntN(5) > 0 {
					invoke(2, 60)
				}
			case c.mark == 0:
				invoke(2, 30)
			case c.mark == 1:
				switch rng.IntN(3) {
				case 0:
					invoke(2, 45)
				case 1:
					invoke(0, 25)
				}
			}
		}
		order := make([]int, len(calls)) // of arrival
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(i, j int) int { return int(calls[i].at - calls[j].at) })
		s := tpp.Sequence{Covariates: map[string][]float64{}}
		for _, i := range order {
			c := calls[i]
			wait := math.Round(5 + 5*rng.Float64())
			initialisation := 0.0
			if rng.IntN(3) == 0 {
				initialisation = math.Round(3 * rng.Float64())
			}
			s.ArrivalTimes, s.Marks = append(s.ArrivalTimes, c.at), append(s.Marks, c.mark)
			s.WaitTimes, s.InitTimes = append(s.WaitTimes, wait), append(s.InitTimes, initialisation)
			s.Parents = append(s.Parents, slices.Index(order, c.parent))
			s.Covariates["load"] = append(s.Covariates["load"], 100+10*rng.NormFloat64())
		}
		last := s.ArrivalTimes[s.Len()-1]
		switch rng.IntN(6) {
		case 0:
			s.TStart = new(first - math.Round(50*rng.Float64()))
		case 1:
			s.TEnd = new(last + math.Round(100*rng.Float64()))
		}
		d.Sequences = append(d.Sequences, s)
	}
	return d
}
