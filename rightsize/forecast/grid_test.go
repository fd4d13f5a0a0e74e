package forecast

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/rightsize"
)

func usageAt(times ...int64) *rightsize.Usage {
	u := &rightsize.Usage{Function: "f", Times: times}
	for i := range times {
		u.Memory, u.CPU = append(u.Memory, float64(i+1)), append(u.CPU, float64(i+1)/100)
	}
	return u
}

func TestRegular(t *testing.T) {
	nan := math.NaN()
	for name, c := range map[string]struct {
		times  []int64
		step   time.Duration
		want   []int64
		memory []float64
	}{
		"regular":             {[]int64{0, 15000, 30000}, 15 * time.Second, []int64{0, 15000, 30000}, []float64{1, 2, 3}},
		"jitter":              {[]int64{0, 1002, 1999, 3004, 4000}, 997 * time.Millisecond, []int64{0, 1002, 1999, 3004, 4000}, []float64{1, 2, 3, 4, 5}},
		"a gap":               {[]int64{0, 1000, 4000, 5000, 6000}, time.Second, []int64{0, 1000, 2000, 3000, 4000, 5000, 6000}, []float64{1, 2, nan, nan, 3, 4, 5}},
		"two close ones":      {[]int64{0, 1000, 1200, 2000, 3000, 4000}, time.Second, []int64{0, 1000, 2000, 3000, 4000}, []float64{1, 3, 4, 5, 6}},
		"a clock that is off": {[]int64{0, 1001, 2002, 3003, 4004}, 1001 * time.Millisecond, []int64{0, 1001, 2002, 3003, 4004}, []float64{1, 2, 3, 4, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			g, step, err := Regular(usageAt(c.times...))
			require.NoError(t, err)
			require.Equal(t, c.step, step)
			require.Equal(t, c.want, g.Times)
			require.Len(t, g.Memory, len(c.memory))
			for i, want := range c.memory {
				if math.IsNaN(want) {
					require.True(t, math.IsNaN(g.Memory[i]) && math.IsNaN(g.CPU[i]), i)
					continue
				}
				require.Equal(t, want, g.Memory[i])
				require.Equal(t, want/100, g.CPU[i])
			}
		})
	}
	for _, times := range [][]int64{nil, {5}} {
		_, _, err := Regular(usageAt(times...))
		require.ErrorContains(t, err, "a step is found in 2 or more")
	}
}

// TestRegularIsBounded checks that a gap costs no more than it may, and that the error says what to do.
func TestRegularIsBounded(t *testing.T) {
	_, _, err := Regular(usageAt(0, 1, 2, 3, 1<<40))
	require.ErrorContains(t, err, "with the missing ones these are more than 1048576. Leave out what is before the gap, or take samples less often")
	_, _, err = Regular(usageAt(0, 1, 2, 3, minGrid))
	require.ErrorContains(t, err, "usage of f: nothing for 17m28.573s from 1970-01-01T00:00:00Z until 1970-01-01T00:17:28Z, and samples every 1ms")
	require.Equal(t, minGrid, mostOf(5))
	require.Equal(t, 8_000_000, mostOf(1_000_000), "of many samples more may be missing")
	require.Equal(t, maxGrid, mostOf(10_000_000))
}

// TestRegularKeepsMissingValues checks that a value that is missing in one resource is missing in that one.
func TestRegularKeepsMissingValues(t *testing.T) {
	u := usageAt(0, 1000, 2000, 2100, 3000)
	u.Memory[1], u.CPU[2] = math.NaN(), math.NaN()
	g, _, err := Regular(u)
	require.NoError(t, err)
	require.Len(t, g.Times, 4)
	require.True(t, math.IsNaN(g.Memory[1]))
	require.Equal(t, 0.02, g.CPU[1])
	require.Equal(t, 0.04, g.CPU[2], "the other one at about that time is known")
}

// TestRegularInvents nothing: what is known afterwards is what was known before, in its order.
func TestRegularInventsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		n := rapid.IntRange(2, 60).Draw(t, "samples")
		times := make([]int64, n)
		at := int64(1_700_000_000_000)
		for i := range times {
			times[i] = at
			at += 1000 * int64(1+r.IntN(3)*r.IntN(3))
		}
		u := usageAt(times...)
		g, step, err := Regular(u)
		require.NoError(t, err)
		var memory []float64
		for i, v := range g.Memory {
			if !math.IsNaN(v) {
				memory = append(memory, v)
			}
			if i > 0 {
				require.Greater(t, g.Times[i], g.Times[i-1])
				require.Less(t, g.Times[i]-g.Times[i-1], 3*step.Milliseconds())
			}
		}
		require.Subset(t, u.Memory, memory)
		require.IsIncreasing(t, append([]float64{0}, memory...))
	})
}

func TestHorizons(t *testing.T) {
	names := func(step time.Duration) (out []string, steps []int) {
		for _, h := range Horizons(step) {
			out, steps = append(out, h.String()), append(steps, h.Steps)
		}
		return out, steps
	}
	names15, steps15 := names(15 * time.Second)
	require.Equal(t, []string{"next", "5m", "15m", "60m", "240m"}, names15)
	require.Equal(t, []int{1, 20, 60, 240, 960}, steps15)
	namesLong, stepsLong := names(5 * time.Minute)
	require.Equal(t, []string{"next", "15m", "60m", "240m"}, namesLong, "the next 5 minutes are the next sample")
	require.Equal(t, []int{1, 3, 12, 48}, stepsLong)
}
