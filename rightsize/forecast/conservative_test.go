package forecast

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/rightsize"
	"github.com/tppfaas/tppfaas/rightsize/synthetic"
)

// asked is a forecaster that notes at which levels it is asked.
type asked struct{ levels []float64 }

func (a *asked) Observe(float64) {}

func (a *asked) Quantiles(_ int, levels, out []float64) {
	a.levels = append(a.levels[:0], levels...)
	copy(out, levels)
}

// TestConservativeAsks checks the levels that the other forecaster is asked for: higher the fewer windows were seen, at most 1, and only from 0.99 on; and what becomes of
// its largest value.
func TestConservativeAsks(t *testing.T) {
	for _, c := range []struct {
		seen, steps  int
		levels, want []float64
	}{
		{1000, 1, Levels, Levels},
		{1000, 5, Levels, []float64{0.5, 0.9, 0.95, 0.99495}},
		{3000, 10, Levels, []float64{0.5, 0.9, 0.95, 0.99 * 201 / 200}}, // of the window of 2000
		{980, 10, Levels, []float64{0.5, 0.9, 0.95, 1}},
		{98, 1, Levels, []float64{0.5, 0.9, 0.95, 1}},
		{1000, 1, []float64{0.98, 0.9989, 0.9995}, []float64{0.98, 0.9989, 1}},
		{10, 5, []float64{0.98, 0.99}, []float64{0.98, 1}},
	} {
		a := &asked{}
		f := NewConservative(a, 2000)
		for range c.seen {
			f.Observe(0)
		}
		out := make([]float64, len(c.levels))
		f.Quantiles(c.steps, c.levels, out)
		for i, want := range c.want {
			if want == 1 {
				want += 0.25 * (1 - 0.5) // a quarter of its distance from the median
			}
			require.InDelta(t, want, out[i], 1e-9, "%d of %d: %v", c.seen, c.steps, c.levels[i])
		}
	}
}

// TestConservativeWhereUsageJumps checks how far above the highest usage of the window the quantile is, where rises or falls are rare and large, and that it is not elsewhere.
func TestConservativeWhereUsageJumps(t *testing.T) {
	const window, steps = 400, 10
	flat := func(i int) float64 { return 100 + float64(i%3) }
	step := func(at int, by float64) func(int) float64 {
		return func(i int) float64 {
			if i >= at {
				return by * flat(i)
			}
			return flat(i)
		}
	}
	for name, c := range map[string]struct {
		value   func(int) float64
		samples int
		want    float64 // 0: not by the highest
	}{
		"nothing":                  {func(int) float64 { return 0 }, 300, 0},
		"level":                    {flat, 300, 0},
		"rise":                     {step(155, 2), 300, 1.15 * 204},
		"fall":                     {step(155, 0.5), 300, 1.15 * 102},
		"fall of before":           {step(155, 0.5), 700, 0},
		"higher since it was seen": {func(i int) float64 { return step(155, 2)(i) + 1000*float64(i/299) }, 300, 1.15 * 1204},
		"saw":                      {func(i int) float64 { return float64(i % 25) }, 300, 0},
		"gaps": {func(i int) float64 {
			if i%20 == 3 {
				return math.NaN()
			}
			return step(155, 2)(i)
		}, 300, 1.15 * 204},
	} {
		t.Run(name, func(t *testing.T) {
			a := &asked{}
			f := NewConservative(a, window)
			var got [1]float64
			for i := range c.samples {
				f.Observe(c.value(i))
				f.Quantiles(steps, []float64{0.99}, got[:])
			}
			want := c.want
			if want == 0 {
				want = 1.125
			}
			require.InDelta(t, want, got[0], 1e-9)
		})
	}
}

// TestConservativeCoversMaxima checks on noise, of which the window holds 100 of the horizon, that the largest value of a horizon is above the quantile 0.99 as rarely as it should be,
// and without the allowance too often.
func TestConservativeCoversMaxima(t *testing.T) {
	const window, steps, n = 2500, 25, 40_000
	r := rand.New(rand.NewPCG(1, 1))
	values := make([]float64, n)
	for i := range values {
		values[i] = 100 + r.NormFloat64()
	}
	residual := func() Forecaster { return newResidual(residualOptions{window: window, smoothing: 0.95}) }
	scores, err := Rolling(t.Context(), values, []Part{{window, n}}, []Horizon{{Steps: steps}}, []Forecaster{residual(), NewConservative(residual(), window)}, nil)
	require.NoError(t, err)
	require.Less(t, scores[0][0][0].Coverage[3], 0.99)
	require.GreaterOrEqual(t, scores[0][0][1].Coverage[3], 0.99)
}

// TestConservativeFollowsManyHorizons checks that a horizon may be asked for at any time, and that bounded many are kept.
func TestConservativeFollowsManyHorizons(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	f := NewConservative(NewPersistence(2000), 2000)
	var got, want [1]float64
	for i := range 1500 {
		f.Observe(100 + 100*float64(i/700) + r.Float64())
	}
	for steps := 20; steps < 100; steps++ {
		f.Quantiles(steps, []float64{0.99}, got[:])
		f.Quantiles(steps, []float64{0.99}, want[:])
		require.Equal(t, want, got)
		require.Greater(t, got[0], 1.15*300.9)
		require.LessOrEqual(t, len(f.courses), maxHorizons)
	}
}

// below returns how many of the series of a kind cover less than 97 % of the largest of the next 240 samples in their last third at the quantile 0.99 of a forecaster, and
// by how much more all lose on average than persistence.
func below(t *testing.T, kind string, seeds uint64, with func(window int) Forecaster) (series int, loss float64) {
	t.Helper()
	const window, steps = 7 * 24 * 60, 240
	n := 0.0
	for seed := range seeds {
		u, err := synthetic.New(kind, seed+1, synthetic.Options{})
		require.NoError(t, err)
		for _, r := range rightsize.Resources {
			v := u.Of(r)
			s, err := Rolling(t.Context(), v, []Part{{2 * len(v) / 3, len(v)}}, []Horizon{{Steps: steps}}, []Forecaster{NewPersistence(window), with(window)}, nil)
			require.NoError(t, err)
			if s[0][0][1].Coverage[3] < 0.97 {
				series++
			}
			loss += Relative(s[0][0][1], s[0][0][0])
			n++
		}
	}
	return series, loss / n
}

// TestConservativeCoversFourHours checks on series in which persistence often fails to cover 97 % that the conservative forecaster nearly always does, and what that costs.
func TestConservativeCoversFourHours(t *testing.T) {
	for _, kind := range []string{"bursts", "deploy"} {
		before, _ := below(t, kind, 10, func(window int) Forecaster { return NewPersistence(window) })
		after, loss := below(t, kind, 10, func(window int) Forecaster { return NewConservative(NewPersistence(window), window) })
		t.Logf("%s: %d of 20 below 97 %%, with persistence %d; loss %.3f", kind, after, before, loss)
		require.GreaterOrEqual(t, before, 3, kind)
		require.Zero(t, after, kind)
		require.LessOrEqual(t, loss, 1.06, kind)
	}
}

// TestExactQuantileCoversLessAtTimes checks what bounds coverage: of noise, the exact quantile 0.99 of the largest of the next 240 samples covers less than 97 % of the
// 4560 windows of a third of ten days in 18 of 100 thirds, since one value beyond it is in 240 windows.
func TestExactQuantileCoversLessAtTimes(t *testing.T) {
	const thirds, samples, steps = 1000, 4800, 240
	r := rand.New(rand.NewPCG(1, 1))
	exact := math.Pow(0.99, 1.0/steps) // of values uniform in [0, 1)
	values := make([]float64, samples)
	less, mean := 0, 0.0
	for range thirds {
		for i := range values {
			values[i] = r.Float64()
		}
		covered := 0
		for _, y := range Largest(values, steps)[:samples-steps] {
			if y <= exact {
				covered++
			}
		}
		share := float64(covered) / (samples - steps)
		mean += share / thirds
		if share < 0.97 {
			less++
		}
	}
	require.InDelta(t, 0.99, mean, 0.003)
	require.InDelta(t, 0.18, float64(less)/thirds, 0.04)
}
