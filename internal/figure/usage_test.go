package figure

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/pngtest"
)

func fanOf(name string, n int, scale float64) Usage {
	u := Usage{Name: name, Unit: "Mi", Last: 7 * scale, Ahead: []float64{0.005, 0.1, 0.25, 1, 4}}
	for i := range n {
		v := scale * (7 + math.Sin(float64(i)/20))
		if i > 100 && i < 140 && i != 120 {
			v = math.NaN()
		}
		u.Hours, u.Values = append(u.Hours, float64(i-n+1)/240), append(u.Values, v)
	}
	for i := range u.Ahead {
		high := scale * (7 + float64(i))
		u.Quantiles = append(u.Quantiles, []float64{high, high + scale, high + 1.5*scale, high + 3*scale})
	}
	return u
}

func TestUsageFan(t *testing.T) {
	for name, usages := range map[string][]Usage{
		"fan":            {fanOf("memory", 1000, 1), fanOf("CPU", 1000, 0.001)},
		"fan-short":      {fanOf("memory", 3, 1e6)},
		"fan-constant":   {{Name: "memory", Unit: "Mi", Hours: []float64{-1, 0}, Values: []float64{5, 5}, Last: 5}},
		"fan-of-nothing": {{Name: "memory", Unit: "Mi", Hours: []float64{0}, Values: []float64{math.NaN()}, Last: math.NaN()}},
	} {
		s := UsageFan(usages, []float64{0.5, 0.9, 0.95, 0.99}, "qrcode, last sample at 2023-01-01 11:51:00 UTC")
		width, height := s.Size()
		l := pngtest.Record(width, height, s.Draw)
		pngtest.Legible(t, l, background...)
		for _, words := range []string{"used", "below with 90 %", "99 %", "memory (Mi)", "hours from the last sample"} {
			_, found := l.Find(words)
			require.True(t, found, "%s: %s", name, words)
		}
		dir := *keep
		if dir == "" {
			dir = t.TempDir()
		}
		require.NoError(t, Write(filepath.Join(dir, name+".png"), s))
	}
}
