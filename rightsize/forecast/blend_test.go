package forecast

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// constant says one value of all quantiles.
type constant float64

func (constant) Observe(float64) {}

func (c constant) Quantiles(_ int, _, out []float64) {
	for i := range out {
		out[i] = float64(c)
	}
}

// TestBlendIsNoLessThanItsFirstTwo checks that from 0.99 on the blend is at least what its first two experts agree on, and below that the mean.
func TestBlendIsNoLessThanItsFirstTwo(t *testing.T) {
	for _, c := range []struct {
		experts []Forecaster
		want    []float64
	}{
		{[]Forecaster{constant(10), constant(8), constant(3)}, []float64{7, 7, 7, 8}},
		{[]Forecaster{constant(8), constant(10), constant(3)}, []float64{7, 7, 7, 8}},
		{[]Forecaster{constant(10), constant(1), constant(1)}, []float64{4, 4, 4, 4}},
		{[]Forecaster{constant(10), asNaN{}, constant(6)}, []float64{8, 8, 8, 10}},
		{[]Forecaster{constant(10)}, []float64{10, 10, 10, 10}},
	} {
		b := &Blend{window: 100, experts: c.experts}
		out := make([]float64, len(Levels))
		b.Quantiles(1, Levels, out)
		require.InDeltaSlice(t, c.want, out, 1e-12)
		b.Quantiles(1, []float64{1}, out[:1])
		require.InDelta(t, c.want[0], out[0], 1e-12, "the mean of the largest")
	}
}

// asNaN says nothing.
type asNaN struct{}

func (asNaN) Observe(float64) {}

func (asNaN) Quantiles(_ int, _, out []float64) { unknown(out) }
