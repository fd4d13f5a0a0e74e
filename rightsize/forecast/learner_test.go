package forecast

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// growing returns values around a mean, whose noise grows with the time of day: n samples, of which day make a day.
func growing(n, day int) []float64 {
	r := rand.New(rand.NewPCG(5, 6))
	values := make([]float64, n)
	for i := range values {
		values[i] = 1000 + (1+20*float64(i%day)/float64(day))*r.NormFloat64()
	}
	return values
}

// TestBoostedKnowsWhatQuantilesHangOn checks that quantiles widen where values scatter more, that they come true, and that they lose less than those of all
// residuals.
func TestBoostedKnowsWhatQuantilesHangOn(t *testing.T) {
	const day = 200
	values := growing(3000, day)
	f := NewBoosted(2000, day)
	scores, err := Rolling(t.Context(), values, []Part{{1500, 3000}}, []Horizon{{Steps: 1}}, []Forecaster{NewPersistence(2000), f}, nil)
	require.NoError(t, err)
	s := scores[0][0]
	require.Less(t, Relative(s[1], s[0]), 0.8)
	for i, level := range Levels {
		require.InDelta(t, level, s[1].Coverage[i], 0.05)
	}
	width := func() float64 { // all samples but those of the last day have been seen
		var q [4]float64
		f.Quantiles(1, Levels, q[:])
		return q[2] - q[0]
	}
	wide := width() // the day ends
	for _, v := range values[:20] {
		f.Observe(v)
	}
	require.Less(t, width(), 0.5*wide, "the day begins")
}

func TestBoostedFitsOnlyWhatItHasSeenEnoughOf(t *testing.T) {
	f := NewBoosted(1000, 0)
	var q [4]float64
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 1000 {
		f.Observe(r.Float64())
		f.Quantiles(1, Levels, q[:])
		require.Equal(t, i+1 < learnerFirst, math.IsNaN(q[0]), i)
		f.Quantiles(20, Levels, q[:])
		if i+1 < 20*leastSpans {
			require.True(t, math.IsNaN(q[0]), i)
		}
	}
	require.False(t, math.IsNaN(q[0]))
	for steps := range 50 {
		f.Quantiles(steps, Levels, q[:])
	}
	require.LessOrEqual(t, len(f.models), maxHorizons)
}

// TestLSTMLearns checks that it learns a rhythm of two samples that the last value alone does not tell.
func TestLSTMLearns(t *testing.T) {
	values := make([]float64, 1500)
	for i := range values {
		values[i] = 100 + []float64{0, 0, 10, 10}[i%4]
	}
	scores, err := Rolling(t.Context(), values, []Part{{1000, 1500}}, []Horizon{{Steps: 1}}, []Forecaster{NewPersistence(1000), NewLSTM(1000, 1)}, nil)
	require.NoError(t, err)
	require.Less(t, Relative(scores[0][0][1], scores[0][0][0]), 0.5)
}

// TestBlendFollowsTheBest checks that weights go to who loses least, for each horizon by itself.
func TestBlendFollowsTheBest(t *testing.T) {
	b := &Blend{window: 10_000, experts: []Forecaster{&fixed{q: [4]float64{1, 1, 1, 1}}, &fixed{q: [4]float64{5, 5, 5, 5}}, &fixed{from: 1 << 30}}}
	var q [4]float64
	b.Quantiles(1, Levels, q[:])
	require.InDeltaSlice(t, []float64{3, 3, 3, 3}, q[:], 1e-12, "nothing is known yet, and one says nothing")
	b.Quantiles(4, Levels, q[:])
	for i := range 2000 {
		b.Observe([]float64{1, 1, 1, 5}[i%4]) // the largest of four is 5
	}
	b.Quantiles(4, Levels, q[:])
	require.InDeltaSlice(t, []float64{5, 5, 5, 5}, q[:], 1e-6)
	b.Quantiles(1, Levels, q[:])
	require.InDelta(t, 1, q[0], 1e-6, "half of the samples are at most 1")
	require.InDelta(t, 5, q[3], 1e-6)
	require.IsNonDecreasing(t, q[:])
}

func TestBlendKeepsBoundedMemory(t *testing.T) {
	b := &Blend{window: 100, experts: []Forecaster{&fixed{}}}
	var q [4]float64
	for steps := range 200 {
		b.Quantiles(steps, Levels, q[:])
	}
	require.Len(t, b.horizons, maxHorizons)
}

func BenchmarkFitBoosted(b *testing.B) {
	f := NewBoosted(20_000, 1440)
	for _, v := range growing(10_000, 1440) {
		f.Observe(v)
	}
	b.ReportAllocs()
	for b.Loop() {
		f.fit(f.values, 60)
	}
}

func BenchmarkBlend(b *testing.B) {
	values := growing(3*1440, 1440)
	var q [4]float64
	b.ReportAllocs()
	for b.Loop() { // three days of samples, one a minute, five horizons
		f := NewBlend(7*1440, 1440)
		for _, v := range values {
			f.Observe(v)
			for _, steps := range []int{1, 5, 15, 60, 240} {
				f.Quantiles(steps, Levels, q[:])
			}
		}
	}
}
