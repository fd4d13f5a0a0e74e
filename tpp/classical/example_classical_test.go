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
