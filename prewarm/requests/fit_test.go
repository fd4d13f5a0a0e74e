package requests

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFitChooses checks which kind of model is chosen for each load, in at least three of four histories.
func TestFitChooses(t *testing.T) {
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
