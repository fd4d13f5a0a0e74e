package forecast

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestPinball(t *testing.T) {
	require.InDelta(t, 0.9, Pinball(0.9, 1, 2), 1e-12)
	require.InDelta(t, 0.1, Pinball(0.9, 2, 1), 1e-12)
	require.Zero(t, Pinball(0.9, 2, 2))
}

// TestPinballIsSmallestAtTheQuantile checks what the loss is for, on the numbers from 1 to 100.
func TestPinballIsSmallestAtTheQuantile(t *testing.T) {
	for _, level := range Levels {
		best, least := 0.0, math.Inf(1)
		for q := 0.0; q <= 101; q += 0.25 {
			sum := 0.0
			for y := 1.0; y <= 100; y++ {
				sum += Pinball(level, q, y)
			}
			if sum < least-1e-9 {
				best, least = q, sum
			}
		}
		require.InDelta(t, 100*level, best, 1.01)
	}
}

func TestLargestAgreesWithItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		values := make([]float64, rapid.IntRange(0, 100).Draw(t, "samples"))
		steps := rapid.IntRange(1, 30).Draw(t, "steps")
		for i := range values {
			values[i] = float64(r.IntN(50))
			if r.IntN(15) == 0 {
				values[i] = math.NaN()
			}
		}
		got := Largest(values, steps)
		for i := range values {
			want, known := math.NaN(), 0
			if i+steps < len(values) {
				for _, v := range values[i+1 : i+1+steps] {
					if !math.IsNaN(v) {
						known++
						want = max(v, map[bool]float64{true: v, false: want}[math.IsNaN(want)])
					}
				}
				if 10*known < 9*steps {
					want = math.NaN()
				}
			}
			require.Equal(t, math.IsNaN(want), math.IsNaN(got[i]), i)
			if !math.IsNaN(want) {
				require.Equal(t, want, got[i])
			}
		}
	})
}

// fixed forecasts the same numbers always, from some sample on.
type fixed struct {
	from, seen int
	q          [4]float64
	observed   []float64
}

func (f *fixed) Observe(v float64) { f.seen++; f.observed = append(f.observed, v) }

func (f *fixed) Quantiles(_ int, _, out []float64) {
	copy(out, f.q[:])
	if f.seen < f.from {
		unknown(out)
	}
}

func TestRollingByHand(t *testing.T) {
	values := make([]float64, 40)
	for i := range values {
		values[i] = float64(i % 4)
	}
	first, late := &fixed{q: [4]float64{1, 2, 3, 3}}, &fixed{from: 31, q: [4]float64{3, 3, 3, 3}}
	horizons := []Horizon{{Steps: 1}, {Steps: 2, Span: 1}, {Steps: 3, Span: 2}}
	scores, err := Rolling(t.Context(), values, []Part{{20, 40}}, horizons, []Forecaster{first, late}, nil)
	require.NoError(t, err)
	require.Equal(t, values, first.observed)
	require.Nil(t, scores[0][2], "20 samples do not hold ten of 3")
	next := scores[0][0]
	require.Equal(t, 20, next[0].Origins, "each sample of the part once")
	// 0, 1, 2, 3 come equally often.
	loss := (0.5*(1+0+1+2) + (0.1*2 + 0.1*1 + 0 + 0.9) + 0.05*(3+2+1) + 0.01*(3+2+1)) / 16
	require.InDelta(t, loss, next[0].Pinball, 1e-12)
	require.InDeltaSlice(t, []float64{0.5, 0.75, 1, 1}, next[0].Coverage, 1e-12)
	require.Zero(t, next[0].Silent)
	require.Equal(t, 11, next[1].Silent, "it said nothing after samples 20 to 30")
	two := scores[0][1]
	require.Equal(t, 19, two[0].Origins, "the last lies beyond the part")
}

func TestRollingKeepsPartsApart(t *testing.T) {
	values := make([]float64, 100)
	values[60] = 1000
	scores, err := Rolling(t.Context(), values, []Part{{20, 60}, {60, 100}}, []Horizon{{Steps: 4}}, []Forecaster{&fixed{}}, nil)
	require.NoError(t, err)
	require.Zero(t, scores[0][0][0].Pinball, "what comes in the second part is not seen in the first")
	require.Positive(t, scores[1][0][0].Pinball)
	require.Equal(t, 37, scores[0][0][0].Origins)
	require.Equal(t, 37, scores[1][0][0].Origins)
}

func TestRollingStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Rolling(ctx, make([]float64, 10), nil, nil, nil, nil)
	require.ErrorIs(t, err, context.Canceled)
}
