package forecast

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// asked is a forecaster that notes at which levels it is asked.
type asked struct{ levels []float64 }

func (a *asked) Observe(float64) {}

func (a *asked) Quantiles(_ int, levels, out []float64) {
	a.levels = append(a.levels[:0], levels...)
	copy(out, levels)
}

// TestBlendAsksCautiously checks the levels that the experts are asked for: higher the fewer windows were seen, at most 1, and only from 0.99 on.
func TestBlendAsksCautiously(t *testing.T) {
	for _, c := range []struct {
		seen, steps int
		want        []float64
	}{
		{1000, 1, []float64{0.5, 0.9, 0.95, 0.99099}},
		{1000, 5, []float64{0.5, 0.9, 0.95, 0.99495}},
		{1000, 50, []float64{0.5, 0.9, 0.95, 1}},
		{1000, 500, []float64{0.5, 0.9, 0.95, 1}},
		{3000, 10, []float64{0.5, 0.9, 0.95, 0.99 * 201 / 200}}, // of the window of 2000
	} {
		a := &asked{}
		b := &Blend{window: 2000, experts: []Forecaster{a}}
		for range c.seen {
			b.Observe(1)
		}
		out := make([]float64, len(Levels))
		b.Quantiles(c.steps, Levels, out)
		require.InDeltaSlice(t, c.want, a.levels, 1e-9, c)
		require.InDeltaSlice(t, c.want, out, 1e-9)
	}
}

// TestBlendCoversMaxima checks on noise, of which the window holds 84 of the horizon, that the largest value of a horizon is above the quantile 0.99 as rarely as above
// the largest of 84 windows: without the allowance 0.9888 of them are covered.
func TestBlendCoversMaxima(t *testing.T) {
	const window, steps, n = 2100, 25, 40_000
	r := rand.New(rand.NewPCG(1, 1))
	values := make([]float64, n)
	for i := range values {
		values[i] = 100 + r.NormFloat64()
	}
	b := &Blend{window: window, experts: []Forecaster{newResidual(residualOptions{window: window, smoothing: 0.95})}}
	scores, err := Rolling(t.Context(), values, []Part{{window, n}}, []Horizon{{Steps: steps}}, []Forecaster{b}, nil)
	require.NoError(t, err)
	require.GreaterOrEqual(t, scores[0][0][0].Coverage[3], 0.99)
}
