package race_test

import (
	"context"
	"fmt"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// Each order is packed within 20 to 40 ms and then, four times in five, shipped: 100 to 180 ms after the order.
func orders() *tpp.Dataset {
	d := &tpp.Dataset{MarkNames: []string{"order", "pack", "ship"}}
	for i := range 100 {
		s := tpp.Sequence{
			ArrivalTimes: []float64{0, float64(20 + i%21), float64(100 + i*7%81)}, Marks: []int{0, 1, 2}, Parents: []int{-1, 0, 0},
		}
		if i%5 == 4 {
			s = s.First(2)
		}
		d.Sequences = append(d.Sequences, s)
	}
	return d
}

func Example() {
	training, validation, _ := orders().Split(1)
	m, err := race.Train(context.Background(), race.Config{}, training, validation, race.TrainOptions{Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range m.Slots() {
		fmt.Printf("after mark %d: %d came %d times, nothing %d times\n", s.Parent, s.Marks, s.Came, s.Never)
	}

	state := m.NewState(1000)
	if err := state.Observe(tpp.Event{Time: 1000, Mark: 0}); err != nil {
		fmt.Println(err)
		return
	}
	next := state.Next(1000)
	fmt.Printf("next comes %s, after %.0f ms (median)\n", m.MarkNames()[next.LikeliestMark()], 10*float64(int(next.Median()/10+0.5)))
	for _, a := range state.(tpp.ForecastingState).Arrivals(1000) {
		fmt.Printf("%s comes with probability %.1f\n", m.MarkNames()[a.Mark], a.Probability)
	}
	// Output:
	// after mark 0: [1] came [60] times, nothing 0 times
	// after mark 0: [2] came [50] times, nothing 10 times
	// next comes pack, after 30 ms (median)
	// pack comes with probability 1.0
	// ship comes with probability 0.8
}

func ExampleGraphFromNames() {
	g, err := race.GraphFromNames([]string{"order", "pack", "ship"}, map[string]race.Successors{
		"order": {Slots: [][]string{{"pack"}, {"ship"}}},
	})
	fmt.Println(g.Slots, err)
	// Output: [[{[1]} {[2]}] [] []] <nil>
}
