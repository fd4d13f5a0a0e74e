package forecast_test

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/tppfaas/tppfaas/rightsize/forecast"
)

// A memory usage that stands for four samples and then changes: the largest of the next samples is not far from the last one.
func Example() {
	f := forecast.NewConditional(1000)
	for i := range 500 {
		f.Observe(math.Round(40e6 + 1e6*math.Sin(float64(i/4))))
	}
	levels, quantiles := []float64{0.5, 0.99}, make([]float64, 2)
	for _, steps := range []int{1, 20} {
		f.Quantiles(steps, levels, quantiles)
		fmt.Printf("largest of the next %d: %.1f MB, at most %.1f MB with 99 %%\n", steps, quantiles[0]/1e6, quantiles[1]/1e6)
	}
	// Output:
	// largest of the next 1: 39.0 MB, at most 40.0 MB with 99 %
	// largest of the next 20: 40.0 MB, at most 41.0 MB with 99 %
}

// Which forecaster does best on a resource is found out by the samples themselves.
func ExampleChoose() {
	values := make([]float64, 1500)
	for i := range values {
		values[i] = 40e6 + 1e6*math.Sin(float64(i/4))
	}
	step := 15 * time.Second
	choice, err := forecast.Choose(context.Background(), values, step, forecast.ChooseOptions{Candidates: forecast.Candidates(step, 0)[:3], Test: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	next := choice.Best[0]
	fmt.Println(choice.Candidates[next].Name, forecast.Relative(choice.Test[0][next], choice.Test[0][0]) < 0.8)
	// Output: conditional true
}
