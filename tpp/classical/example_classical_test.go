package classical_test

import (
	"context"
	"fmt"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
)

// A page is loaded about 20 ms after each login, and that is all: a model that looks at the last mark knows both.
func ExampleFit() {
	d := &tpp.Dataset{MarkNames: []string{"login", "load"}}
	for i := range 100 {
		d.Sequences = append(d.Sequences, tpp.Sequence{ArrivalTimes: []float64{0, float64(18 + i%5)}, Marks: []int{0, 1}})
	}
	m, err := classical.Fit(context.Background(), classical.KindMarkovRenewal, d, classical.FitOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	state := m.NewState(0)
	for _, e := range []tpp.Event{{Time: 0, Mark: 0}, {Time: 20, Mark: 1}} {
		if err := state.Observe(e); err != nil {
			fmt.Println(err)
			return
		}
		next := state.Next(e.Time)
		fmt.Printf("after %s: over with probability %.2f, otherwise %s, with a median of %.0f ms\n",
			m.MarkNames()[e.Mark], next.End, m.MarkNames()[next.LikeliestMark()], next.Median())
	}
	// Output:
	// after login: over with probability 0.00, otherwise load, with a median of 20 ms
	// after load: over with probability 0.99, otherwise login, with a median of 20 ms
}

// Of a stable process whose parameters are known, one can say how many events come in the long run.
func ExampleNewHawkes() {
	h, err := classical.NewHawkes(classical.HawkesParameters{
		Base:      []float64{0.002, 0},
		Branching: [][]float64{{0, 0.8}, {0, 0.5}}, // a quake excites 0.8 aftershocks, each of which excites half of another
		Decay:     [][]float64{{0.05}},
	}, classical.ProcessOptions{MarkNames: []string{"quake", "aftershock"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	rates, err := h.StationaryRates()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("spectral radius %.2f, %.4f quakes and %.4f aftershocks a millisecond\n", h.SpectralRadius(), rates[0], rates[1])
	// Output:
	// spectral radius 0.50, 0.0020 quakes and 0.0032 aftershocks a millisecond
}
