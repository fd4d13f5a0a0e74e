package requests

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFitChooses checks which kind of model is chosen for each load, in at least three of four histories.
func TestFitChooses(t *testing.T) {
	if testing.Short() {
		t.Skip("much work in one goroutine")
	}
	for _, l := range allLoads() {
		t.Run(l.name, func(t *testing.T) {
			hits := 0
			var names []string
			for seed := range uint64(4) {
				m, err := Fit(l.load(rand.New(rand.NewPCG(seed, 17)), 400))
				require.NoError(t, err)
				names = append(names, m.Name())
				for _, k := range l.kinds {
					if m.Name() == k {
						hits++
					}
				}
			}
			require.GreaterOrEqual(t, hits, 3, "chosen were %q", names)
		})
	}
}

// TestFitOfFewGaps checks histories that say little or are odd.
func TestFitOfFewGaps(t *testing.T) {
	for _, gaps := range [][]float64{{5}, {0}, {0, 0, 0}, make([]float64, 100), {1, 1e9}} {
		m, err := Fit(gaps)
		require.NoError(t, err)
		var f Forecast
		m.New(0).Forecast(seconds(1), &f)
		require.Greater(t, f.AtLeast(1, 1e12), 0.5)
	}
}

// TestFitErrors checks that gaps that cannot be are refused.
func TestFitErrors(t *testing.T) {
	for _, gaps := range [][]float64{nil, {1, -1}} {
		_, err := Fit(gaps)
		require.Error(t, err)
	}
}

// TestFitIsDeterministic checks that the same history gives the same forecasts, also to processes that are followed at once.
func TestFitIsDeterministic(t *testing.T) {
	for _, name := range []string{"bursts", "pattern", "two speeds"} {
		l := loadOf(t, name)
		gaps := l.load(rand.New(rand.NewPCG(4, 17)), 400) // those of fittedTo
		again, err := Fit(gaps)
		require.NoError(t, err)
		forecasts := make([][]float64, 4)
		var all sync.WaitGroup
		for i := range forecasts {
			m := fittedTo(t, l)
			if i%2 == 1 {
				m = again
			}
			all.Go(func() {
				process, now := m.New(0), 0.0
				var f Forecast
				for _, g := range gaps[:50] {
					now += g
					process.Observe(seconds(now))
					process.Forecast(seconds(now+l.mean/3), &f)
					forecasts[i] = append(forecasts[i], f.AtLeast(1, l.mean), f.Quantile(2, 0.1))
				}
			})
		}
		all.Wait()
		for _, f := range forecasts[1:] {
			require.Equal(t, forecasts[0], f, name)
		}
	}
}
