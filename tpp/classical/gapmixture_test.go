package classical

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestMergedGapsKeepMoments checks that merging keeps the number of gaps, and mean and variance of their logarithms, and that gaps stay
// sorted.
func TestMergedGapsKeepMoments(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		logs := rapid.SliceOfN(rapid.Float64Range(-3, 12), 1, 300).Draw(rt, "logs")
		slices.Sort(logs)
		var gaps []logGap
		var open []openGap
		for _, l := range logs {
			count := float64(1 + int(math.Abs(l))%4)
			gaps = append(gaps, logGap{l, math.Abs(l) / 7, count})
			open = append(open, openGap{l, count})
		}
		n := rapid.IntRange(1, 400).Draw(rt, "n")
		merged, mergedOpen := mergeGaps(gaps, n), mergeOpenGaps(open, n)
		if len(merged) > 2*n+1 || len(merged) > len(gaps) || len(mergedOpen) != len(merged) {
			rt.Fatalf("%d gaps are merged to %d, and %d, where %d should remain", len(gaps), len(merged), len(mergedOpen), n)
		}
		moments := func(gaps []logGap) (count, mean, square float64) {
			for i, g := range gaps {
				if i > 0 && g.mean < gaps[i-1].mean {
					rt.Fatalf("gap %d of %v is not in order", i, gaps)
				}
				count += g.count
				mean += g.count * g.mean
				square += g.count * (g.mean*g.mean + g.variance)
			}
			return count, mean / count, square / count
		}
		count, mean, square := moments(gaps)
		mergedCount, mergedMean, mergedSquare := moments(merged)
		openCount, openMean := 0.0, 0.0
		for _, o := range mergedOpen {
			openCount += o.count
			openMean += o.count * o.log / count
		}
		if mergedCount != count || openCount != count || !within(mergedMean, mean, 1e-9) || !within(openMean, mean, 1e-9) || !within(mergedSquare, square, 1e-8) {
			rt.Fatalf("count %v, mean %v and mean square %v become %v (%v), %v (%v) and %v", count, mean, square, mergedCount, openCount, mergedMean, openMean, mergedSquare)
		}
	})
}

// TestManyGapsFitAsWell checks that the fit to many gaps, which begins with merged ones, is as good as iterations on all of them alone. Some
// gaps are all but equal, so that a component must become very narrow.
func TestManyGapsFitAsWell(t *testing.T) {
	mixtures := func() *gapMixtures {
		rng := rand.New(rand.NewPCG(3, 4))
		var gaps []logGap
		var waited []float64
		for i := range 5000 {
			tau := math.Exp(5 + rng.NormFloat64())
			switch i % 10 {
			case 0, 1:
				tau = 15 + 1e-3*rng.Float64()
			case 2:
				tau = 300 * rng.ExpFloat64()
			}
			gaps = append(gaps, newLogGap(tau, 1e-6))
			if i%10 == 9 {
				waited = append(waited, 200*rng.ExpFloat64()+1)
			}
		}
		classes := []gapClass{newGapClass(gaps[:4000], 8, backgroundOf(gaps)), newGapClass(gaps[4000:], 8, backgroundOf(gaps))}
		return newGapMixtures(classes, 100, true, waited)
	}
	merging, all := mixtures(), mixtures()
	require.NoError(t, merging.fit(t.Context(), 500))
	require.NoError(t, all.iterate(t.Context(), 500))
	events := 5500.0
	got, want := merging.step()/events, all.step()/events
	require.InDelta(t, want, got, 1e-3, "the objective per event")
	narrow := math.Inf(1)
	for _, c := range merging.classes[0].components {
		narrow = min(narrow, c.sigma)
	}
	require.Less(t, narrow, 1e-4, "a component for the gaps that are all but equal")
}
