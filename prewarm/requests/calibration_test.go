package requests

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// distance returns the largest distance of the distribution of the values from the uniform one.
func distance(values []float64) float64 {
	slices.Sort(values)
	n, most := float64(len(values)), 0.0
	for i, v := range values {
		most = max(most, v-float64(i)/n, float64(i+1)/n-v)
	}
	return most
}

// TestCalibration checks that what was foretold at p comes with the frequency p: the probability that a forecast gives to the k-th request having come
// by when it came is uniform, for forecasts at a request and in the middle of a silence. The more requests, the more an error in the mean
// gap, which is known from 400, counts beside their spread.
func TestCalibration(t *testing.T) {
	for _, l := range allLoads() {
		if l.exact {
			continue
		}
		m := fittedTo(t, l)
		for _, k := range []int{1, 2, 5, 20} {
			if k > 2 && m.Name() == "recurrent network" {
				continue // it foretells one gap from those before, and no more
			}
			t.Run(fmt.Sprintf("%s/%d", l.name, k), func(t *testing.T) {
				n := 500 * (k + 2)
				gaps := l.load(rand.New(rand.NewPCG(uint64(k), 8)), n)
				r := rand.New(rand.NewPCG(9, 9))
				process, now := m.New(0), 0.0
				var f Forecast
				var values []float64
				next := 20 // the gap before which the next forecast is made
				for i, g := range gaps {
					if i == next && i+k <= n {
						waited := 0.0
						if r.Float64() < 0.5 {
							waited = l.mean * r.ExpFloat64() / 2 // whatever the gap is
						}
						if waited < g {
							process.Forecast(seconds(now+waited), &f)
							values = append(values, f.AtLeast(k, total(gaps[i:i+k])-waited))
							next = i + k + r.IntN(3)
						} else {
							next++
						}
					}
					now += g
					process.Observe(seconds(now))
				}
				require.Less(t, distance(values), 0.04*(1+float64(k)/10)+1.63/math.Sqrt(float64(len(values))), "of %d values for %s", len(values), m.Name())
			})
		}
	}
}
