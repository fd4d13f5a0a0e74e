package lab

import (
	"context"
	"fmt"
	"math"
	"time"
)

// Bounds of the prices that PriceFor tries, in MB·s per second of waiting.
const (
	leastPrice = 16
	mostPrice  = 1 << 22
)

// PriceSteps is the number of prices that PriceFor tries.
const PriceSteps = 12

// tuningSeed is the first seed of the runs by which a price is chosen. Results come from runs with other seeds.
const tuningSeed = 0x7e57ab1e0000

// tuningRuns is the number of runs at each price.
const tuningRuns = 4

// Tuned is a price that was chosen by a target.
type Tuned struct {
	// Price is λ in MB·s per second of waiting, and P95 the 95 % quantile of the added latency that it has given in the runs by which it was
	// chosen.
	Price float64
	P95   time.Duration
	// Reached says that P95 is at most the target. Otherwise Price is the highest that was tried.
	Reached bool
}

// PriceFor returns the lowest price λ at which the 95 % quantile of the added latency of a policy is at most a target, by bisection of log λ in
// runs with seeds of their own: four of each price, with as many requests as the workload has.
func (m *Matrix) PriceFor(ctx context.Context, w *Workload, target time.Duration, at func(price float64) NamedPolicy) (Tuned, error) {
	measure := func(price float64) (time.Duration, error) {
		p95s := 0.0
		runs := Matrix{
			Workloads: []*Workload{w}, Policies: func(*Workload) []NamedPolicy { return []NamedPolicy{at(price)} }, Setting: m.Setting, Workers: m.Workers,
			Each: func(c *Cell) error {
				p95s += c.P95 / tuningRuns
				return nil
			},
		}
		for i := range uint64(tuningRuns) {
			runs.Seeds = append(runs.Seeds, tuningSeed+i)
		}
		if err := runs.Run(ctx); err != nil {
			return 0, fmt.Errorf("choosing a price: %w", err)
		}
		return time.Duration(p95s * float64(time.Second)), nil
	}
	best := Tuned{Price: mostPrice}
	var err error
	if best.P95, err = measure(best.Price); err != nil {
		return best, err
	}
	best.Reached = best.P95 <= target
	if !best.Reached {
		return best, nil
	}
	low, high := math.Log(leastPrice), math.Log(mostPrice)
	for range PriceSteps - 1 {
		middle := (low + high) / 2
		price := roundPrice(math.Exp(middle))
		p95, err := measure(price)
		if err != nil {
			return best, err
		}
		if p95 <= target {
			best, high = Tuned{Price: price, P95: p95, Reached: true}, middle
		} else {
			low = middle
		}
	}
	return best, nil
}

// roundPrice rounds a price to three digits.
func roundPrice(price float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(price))-2)
	return math.Round(price/power) * power
}
