package forecast

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// plainResiduals are the residuals of the last window ones as their definition says.
func plainResiduals(values []float64, window, steps int, of func(origin int) bool) []float64 {
	var rs []float64
	for i := max(0, len(values)-steps-window); i+steps < len(values); i++ {
		if math.IsNaN(values[i]) || !of(i) {
			continue
		}
		known, largest := 0, math.Inf(-1)
		for _, v := range values[i+1 : i+1+steps] {
			if !math.IsNaN(v) {
				known++
				largest = max(largest, v)
			}
		}
		if 10*known >= 9*steps {
			rs = append(rs, largest-values[i])
		}
	}
	slices.Sort(rs)
	return rs
}

func TestResidualAgreesWithItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		window := rapid.IntRange(25, 120).Draw(t, "window")
		steps := rapid.IntRange(1, window).Draw(t, "steps")
		n := rapid.IntRange(0, 500).Draw(t, "samples")
		missing := rapid.SampledFrom([]float64{0, 0.02, 0.5}).Draw(t, "missing")
		f := NewPersistence(window)
		var values []float64
		out := make([]float64, 2)
		askAt := rng.IntN(n + 1)
		for i := range n {
			v := math.Round(1000 + 30*rng.NormFloat64())
			if rng.Float64() < missing {
				v = math.NaN()
			}
			values = append(values, v)
			f.Observe(v)
			if i == askAt { // what is followed from here on does not differ from what is replayed
				f.Quantiles(steps, []float64{0.5, 0.9}, out)
			}
		}
		f.Quantiles(steps, []float64{0.5, 0.9}, out)
		rs := plainResiduals(values, window, steps, func(int) bool { return true })
		if len(rs) < max(minResiduals, steps) || f.missing > maxMissing {
			require.True(t, math.IsNaN(out[0]) && math.IsNaN(out[1]))
			return
		}
		for i, level := range []float64{0.5, 0.9} {
			k := min(int(math.Ceil(level*float64(len(rs)+1)-1e-9)), len(rs))
			require.InDelta(t, f.last+rs[k-1], out[i], 1e-9)
		}
	})
}

// steadyThenLeap returns samples that stand for ten samples and then leap by 100, over and over.
func steadyThenLeap(n int) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = float64(1000 + 100*(i/10%2))
	}
	return values
}

func TestConditionalKnowsWhenALeapIsDue(t *testing.T) {
	always, conditional := NewPersistence(1000), NewConditional(1000)
	out, levels := make([]float64, 1), []float64{0.94}
	for _, v := range steadyThenLeap(2002) { // it has just leapt to 1000
		always.Observe(v)
		conditional.Observe(v)
	}
	always.Quantiles(1, levels, out)
	require.InDelta(t, 1000, out[0], 1e-9, "one step in twenty is a leap upwards")
	always.Quantiles(1, []float64{0.96}, out)
	require.InDelta(t, 1100, out[0], 1e-9)
	conditional.Quantiles(1, []float64{0.96}, out)
	require.Less(t, out[0], 1030.0, "no leap follows a leap")
}

func TestResidualsKeepBoundedMemory(t *testing.T) {
	f := NewConditional(50)
	out := make([]float64, 1)
	for i := range 5000 {
		f.Observe(float64(i * i % 101))
		f.Quantiles(1+i%40, []float64{0.9}, out)
	}
	require.LessOrEqual(t, len(f.horizons), maxHorizons)
	require.Len(t, f.past, 100)
	for _, h := range f.horizons {
		require.LessOrEqual(t, h.all.Len(), 50)
		require.LessOrEqual(t, len(h.next.largest), h.steps)
	}
}

func TestQuantilesProperties(t *testing.T) {
	levels := []float64{0.01, 0.5, 0.9, 0.95, 0.99}
	for name, create := range map[string]func(int) *Residual{"persistence": NewPersistence, "conditional": NewConditional} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
				scale := rapid.Float64Range(0.001, 1000).Draw(t, "scale")
				shift := rapid.Float64Range(0, 1000).Draw(t, "shift")
				f, g := create(200), create(200)
				v := 1000.0
				for range 300 {
					if rng.IntN(3) == 0 {
						v = 1000 + math.Round(20*rng.NormFloat64())
					}
					f.Observe(v)
					g.Observe(v*scale + shift)
				}
				one, more, of := make([]float64, 5), make([]float64, 5), make([]float64, 5)
				f.Quantiles(1, levels, one)
				f.Quantiles(20, levels, more)
				require.True(t, slices.IsSorted(one) && slices.IsSorted(more), "quantiles decrease: %v, %v", one, more)
				g.Quantiles(20, levels, of)
				for i := range of {
					require.InEpsilon(t, more[i]*scale+shift, of[i], 1e-9, "usage in another unit is another usage")
				}
			})
		})
	}
}

func TestNoForecastWithoutSamples(t *testing.T) {
	f := NewConditional(100)
	out := []float64{0}
	f.Quantiles(1, []float64{0.9}, out)
	require.True(t, math.IsNaN(out[0]))
	for range 50 {
		f.Observe(7)
	}
	for _, steps := range []int{-1, 0, 40, 101, math.MaxInt} {
		f.Quantiles(steps, []float64{0.9}, out)
		require.True(t, math.IsNaN(out[0]), steps)
	}
	for i := range 25 {
		f.Observe(math.NaN())
		f.Quantiles(1, []float64{0.9}, out)
		require.Equal(t, i >= maxMissing, math.IsNaN(out[0]), i)
	}
}

func BenchmarkResidual(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	f := NewConditional(3 * 24 * 240)
	levels, out := []float64{0.5, 0.9, 0.95, 0.99}, make([]float64, 4)
	steps := []int{1, 20, 60, 240, 960}
	for range 2 * f.window {
		f.Observe(rng.NormFloat64())
	}
	for _, s := range steps {
		f.Quantiles(s, levels, out)
	}
	b.ReportAllocs()
	for b.Loop() {
		f.Observe(rng.NormFloat64())
		for _, s := range steps {
			f.Quantiles(s, levels, out)
		}
	}
}
