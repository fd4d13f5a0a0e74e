package forecast

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// scored returns the scores of candidates with losses in blocks.
func scored(losses ...[]float64) (scores []Score) {
	for _, blocks := range losses {
		s := Score{Origins: 100, blocks: blocks}
		for _, v := range blocks {
			s.Pinball += v
		}
		scores = append(scores, s)
	}
	return scores
}

func TestBest(t *testing.T) {
	base := []float64{10, 11, 10, 9, 10, 11, 9, 10, 10, 10}
	scale := func(f float64) []float64 {
		out := make([]float64, len(base))
		for i := range out {
			out[i] = f * base[i]
		}
		return out
	}
	once := append([]float64{}, base...)
	once[3] = 0 // better by luck
	require.Equal(t, 0, Best(nil, 0))
	require.Equal(t, 0, Best(scored(base), 0))
	require.Equal(t, 1, Best(scored(base, scale(0.9)), 0))
	require.Equal(t, 0, Best(scored(base, scale(0.99)), 0), "less than 2 %")
	require.Equal(t, 0, Best(scored(base, once), 0), "9 %, but not surely")
	require.Equal(t, 1, Best(scored(base, scale(0.9), scale(0.895)), 0), "the simpler of two that are about as good")
	require.Equal(t, 2, Best(scored(base, scale(0.9), scale(0.8)), 0))
	silent := scored(base, scale(0.5))
	silent[1].Silent = 26
	require.Equal(t, 0, Best(silent, 0), "it said too little")

	require.Equal(t, 1, Best(nil, 1))
	require.Equal(t, 1, Best(scored(base, scale(1.09)), 1), "the fallback may cost something")
	require.Equal(t, 0, Best(scored(base, scale(1.11)), 1), "the first, where it costs much")
	require.Equal(t, 2, Best(scored(base, scale(1.01), scale(0.9)), 1))
	require.Equal(t, 1, Best(scored(base, scale(1.01), scale(1)), 1), "1 % less than the fallback")
	require.Equal(t, 2, Best(scored(base, scale(1.05), scale(0.9)), 1))
}

func TestRelative(t *testing.T) {
	require.Equal(t, 1.0, Relative(Score{}, Score{}), "a resource that never changes")
	require.Equal(t, 0.5, Relative(Score{Pinball: 1}, Score{Pinball: 2}))
}

// TestChooseFindsWhatHelps checks that on values that are renewed every fourth sample the forecaster that counts samples is chosen for the next sample, and
// that what it was chosen by does not see the test.
func TestChooseFindsWhatHelps(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	values := make([]float64, 1200)
	for i := range values {
		if i%4 == 0 || i == 0 {
			values[i] = 100 + 10*r.NormFloat64()
		} else {
			values[i] = values[i-1]
		}
	}
	candidates := Candidates(15*time.Second, 0)[:3]
	c, err := Choose(t.Context(), values, 15*time.Second, ChooseOptions{Candidates: candidates, Test: true})
	require.NoError(t, err)
	require.Equal(t, "conditional", c.Candidates[c.Best[0]].Name)
	require.Less(t, Relative(c.Test[0][2], c.Test[0][0]), 0.7)
	require.Nil(t, c.Test[4], "240 minutes are longer than a tenth of the test")
	require.Equal(t, 1, c.Best[4], "what nothing chooses by falls back")

	other := append([]float64{}, values...)
	for i := 800; i < len(other); i++ {
		other[i] = 5 * float64(i)
	}
	d, err := Choose(t.Context(), other, 15*time.Second, ChooseOptions{Candidates: candidates, Test: true})
	require.NoError(t, err)
	require.Equal(t, c.Validation, d.Validation)
	require.Equal(t, c.Best, d.Best)

	got, want := make([]float64, 4), make([]float64, 4)
	c.Forecaster.Quantiles(1, Levels, got)
	f := NewConditional(40320)
	for _, v := range values {
		f.Observe(v)
	}
	f.Quantiles(1, Levels, want)
	require.Equal(t, want, got, "what is chosen has seen all samples")
	c.Forecaster.Observe(7)
	f.Observe(7)
	c.Forecaster.Quantiles(1, Levels, got)
	f.Quantiles(1, Levels, want)
	require.Equal(t, want, got, "and goes on")
}

// TestChooseSparesWhatIsDear checks that after a fall from a level that does not come back, which the conservative forecaster allows for all week, the first is taken.
func TestChooseSparesWhatIsDear(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	values := make([]float64, 2880)
	for i := range values {
		values[i] = 100 + r.NormFloat64()
		if i < 700 {
			values[i] += 900
		}
	}
	c, err := Choose(t.Context(), values, time.Minute, ChooseOptions{Candidates: Candidates(time.Minute, 0)[:2]})
	require.NoError(t, err)
	require.Equal(t, []int{1, 1, 0, 0, 1}, c.Best, "15 and 60 minutes; 240 are not scored")
	require.Greater(t, Relative(c.Validation[3][1], c.Validation[3][0]), 1+dear)
}

func TestChooseStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Choose(ctx, make([]float64, 100), time.Minute, ChooseOptions{})
	require.ErrorIs(t, err, context.Canceled)
}

// TestCandidates checks what must hold of any forecaster, of all that are chosen among: quantiles do not decrease and are never negative; usage in another unit
// has the same forecasts in that unit; gaps and few samples make no numbers up; the same samples give the same forecasts.
func TestCandidates(t *testing.T) {
	const n = 700
	r := rand.New(rand.NewPCG(3, 4))
	values := make([]float64, n)
	level := 1000.0
	for i := range values {
		if r.IntN(3) == 0 {
			level = max(1000+300*math.Sin(float64(i)/40)+30*r.NormFloat64(), 0)
		}
		values[i] = level
		if r.IntN(50) == 0 || i > 400 && i < 430 {
			values[i] = math.NaN()
		}
	}
	for _, c := range Candidates(15*time.Second, 0) {
		t.Run(c.Name, func(t *testing.T) {
			f, again, scaled := c.New(), c.New(), c.New()
			q, same, large := make([]float64, 4), make([]float64, 4), make([]float64, 4)
			said, last := 0, math.NaN()
			for i, v := range values {
				f.Observe(v)
				again.Observe(v)
				scaled.Observe(1024 * v)
				for _, steps := range []int{1, 20} {
					f.Quantiles(steps, Levels, q)
					again.Quantiles(steps, Levels, same)
					scaled.Quantiles(steps, Levels, large)
					if !math.IsNaN(v) {
						last = i2f(i)
					}
					if math.IsNaN(q[0]) {
						for k := range q {
							require.True(t, math.IsNaN(q[k]), "all of them or none")
						}
						continue
					}
					said++
					require.Greater(t, i, minResiduals)
					require.LessOrEqual(t, i2f(i)-last, float64(maxMissing))
					require.IsNonDecreasing(t, q)
					require.GreaterOrEqual(t, q[0], 0.0)
					require.Equal(t, q, same)
					for k := range q {
						require.InEpsilon(t, 1024*q[k], large[k], 2e-3)
					}
				}
			}
			require.Greater(t, said, n/3)
			one := make([]float64, 1)
			f.Quantiles(1, []float64{0.9}, one)
			f.Quantiles(1, Levels, q)
			require.InDelta(t, q[1], one[0], 1e-9, "a level by itself")
			f.Quantiles(1, []float64{0.93}, one)
			require.True(t, one[0] >= q[1] && one[0] <= q[2])
			for _, steps := range []int{0, -1, math.MaxInt} {
				f.Quantiles(steps, Levels, q)
				require.True(t, math.IsNaN(q[0]), steps)
			}
		})
	}
}

func i2f(i int) float64 { return float64(i) }
