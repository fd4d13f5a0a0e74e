package requests_test

import (
	"fmt"
	"time"

	"github.com/tppfaas/tppfaas/prewarm/requests"
)

func ExampleFit() {
	// Three requests half a second apart, every minute.
	var gaps []float64
	for range 100 {
		gaps = append(gaps, 0.5, 0.5, 59)
	}
	model, err := requests.Fit(gaps)
	if err != nil {
		fmt.Println(err)
		return
	}
	process := model.New(0)
	for _, at := range []time.Duration{60 * time.Second, 60500 * time.Millisecond, 61 * time.Second} {
		process.Observe(at)
	}
	var f requests.Forecast
	process.Forecast(90*time.Second, &f)
	fmt.Println(model.Name())
	fmt.Printf("none in 25 s: %.2f\n", f.Survival(25))
	fmt.Printf("three in 32 s: %.2f\n", f.AtLeast(3, 32))
	fmt.Printf("four in 40 s: %.2f\n", f.AtLeast(4, 40))
	// Output:
	// bursts
	// none in 25 s: 1.00
	// three in 32 s: 0.98
	// four in 40 s: 0.00
}
