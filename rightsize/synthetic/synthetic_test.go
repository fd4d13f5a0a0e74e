package synthetic

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/rightsize"
)

func series(t *testing.T, name string, seed uint64) *rightsize.Usage {
	t.Helper()
	u, err := New(name, seed, Options{})
	require.NoError(t, err)
	return u
}

// level returns the mean of the middle half of the values.
func level(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	sum := 0.0
	middle := sorted[len(sorted)/4 : 3*len(sorted)/4]
	for _, v := range middle {
		sum += v
	}
	return sum / float64(len(middle))
}

// TestSameSeed checks that a seed decides everything, and that seeds differ.
func TestSameSeed(t *testing.T) {
	for _, k := range Kinds() {
		a, b, c := series(t, k[0], 1), series(t, k[0], 1), series(t, k[0], 2)
		require.Equal(t, a, b)
		require.NotEqual(t, a.Memory, c.Memory)
		require.Equal(t, k[0], a.Function)
		require.Equal(t, 14400, a.Len())
		require.Equal(t, Begin, a.Time(0))
		require.Equal(t, time.Minute, a.Time(1).Sub(a.Time(0)))
	}
}

// TestDaily checks that days repeat, and how far they reach.
func TestDaily(t *testing.T) {
	for seed := range uint64(4) {
		u := series(t, "daily", seed)
		var hours [24]float64
		for i, v := range u.Memory {
			hours[u.Time(i).Hour()] += v / 600
		}
		high, low := slices.Max(hours[:]), slices.Min(hours[:])
		require.InDelta(t, 3, high/low, 0.1)
		var noise float64
		for i := range 1000 {
			noise += math.Abs(u.Memory[i+1]/u.Memory[i]-1) / 1000
		}
		require.InDelta(t, 0.05*math.Sqrt2*math.Sqrt(2/math.Pi), noise, 0.006)
	}
}

// TestLeak checks how fast it grows, and when it restarts.
func TestLeak(t *testing.T) {
	u := series(t, "leak", 3)
	last, restarts := 0, 0
	for i := 1; i < u.Len(); i++ {
		if u.Memory[i] > u.Memory[i-1]/2 {
			continue
		}
		if restarts > 0 {
			require.True(t, i-last >= 359 && i-last <= 721, "a restart after %d minutes", i-last)
			require.InDelta(t, 1+0.01*float64(i-1-last), u.Memory[i-1]/u.Memory[last], 0.5)
		}
		last, restarts = i, restarts+1
	}
	require.True(t, restarts >= 20 && restarts <= 40, restarts)
}

// TestBursts checks how many there are, how high, and how long.
func TestBursts(t *testing.T) {
	for seed := range uint64(4) {
		u := series(t, "bursts", seed)
		base, cpu, runs, samples := level(u.Memory), level(u.CPU), 0, 0
		for i, v := range u.Memory {
			if v > 2*base {
				samples++
				if i == 0 || u.Memory[i-1] <= 2*base {
					runs++
				}
				require.Greater(t, u.CPU[i], 2*cpu)
			}
		}
		require.Equal(t, 40, runs)
		require.InDelta(t, 400, samples, 2)
	}
}

// TestDeploy checks that levels stay for at least half a day.
func TestDeploy(t *testing.T) {
	u := series(t, "deploy", 5)
	var steps []int
	for i := 30; i+30 < u.Len(); i += 30 {
		if before, after := level(u.Memory[i-30:i]), level(u.Memory[i:i+30]); math.Abs(after/before-1) > 0.08 {
			steps = append(steps, i)
		}
	}
	require.Greater(t, len(steps), 2)
	require.Less(t, len(steps), 40)
}

// TestIdle checks the noise.
func TestIdle(t *testing.T) {
	u := series(t, "idle", 1)
	m := level(u.Memory)
	for _, v := range u.Memory {
		require.InDelta(t, m, v, 0.11*m)
	}
	require.True(t, m > 64<<20 && m < 512<<20, fmt.Sprint(m))
}

func TestWrong(t *testing.T) {
	_, err := New("weekly", 1, Options{})
	require.ErrorContains(t, err, `"weekly"`)
	_, err = New("idle", 1, Options{Step: time.Millisecond})
	require.ErrorContains(t, err, "series idle")
	_, err = New("idle", 1, Options{Length: time.Second})
	require.ErrorContains(t, err, "series idle")
}
