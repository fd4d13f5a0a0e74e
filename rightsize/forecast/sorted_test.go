package forecast

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSortedIsAMultiset(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		kinds := rapid.IntRange(1, 5000).Draw(t, "kinds of values")
		size := rapid.IntRange(1, 3000).Draw(t, "size")
		var s sorted
		var want []float64
		for range 3 * size {
			if len(want) < size && (len(want) == 0 || rng.IntN(5) < 3) {
				v := float64(rng.IntN(kinds))
				s.Add(v)
				at, _ := slices.BinarySearch(want, v)
				want = slices.Insert(want, at, v)
				continue
			}
			at := rng.IntN(len(want))
			s.Remove(want[at])
			want = slices.Delete(want, at, at+1)
		}
		require.Equal(t, len(want), s.Len())
		for k, v := range want {
			require.Equal(t, v, s.Rank(k))
		}
	})
}

func TestSortedQuantile(t *testing.T) {
	var s sorted
	for v := range 99 {
		s.Add(float64(v + 1))
	}
	for level, want := range map[float64]float64{0.001: 1, 0.5: 50, 0.501: 51, 0.95: 95, 0.99: 99, 0.999: 99} {
		require.Equal(t, want, s.Quantile(level), level)
	}
}
