package recommend

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLastChange checks that the last change of a day lowers a limit at once after a restart where that lasts for the day, and only there.
func TestLastChange(t *testing.T) {
	for _, c := range []struct {
		name       string
		left       int
		rest, want float64
	}{
		{"lasts", 1, 20, 40},
		{"does not last", 1, 50, 100},
		{"not known", 1, math.NaN(), 100},
		{"two are left", 2, math.NaN(), 40},
		{"none is left", 0, 20, 100},
	} {
		s := &shadow{rule: rule{horizon: hour, below: 15 * minute, least: 0.1}, limit: 100, current: 90, budget: budget{most: c.left}}
		s.forecast(at(20*60), 10, 10, 11, 12, 12, c.rest, 12, 100)
		require.Equal(t, c.want, s.limit, c.name)
	}
}

// TestRecord checks that a limit near the record is raised to what is needed in the next hour, and one far from it to what was asked for.
func TestRecord(t *testing.T) {
	for _, c := range []struct{ limit, to, want float64 }{{100, 105, 110 * (1 + margin) * (1 + headroom)}, {50, 80, 80}} {
		s := &shadow{rule: rule{rise: hour}, limit: c.limit, climb: 110, budget: budget{most: 6}}
		require.True(t, s.raise(at(0), c.to, 100))
		require.InDelta(t, c.want, s.limit, 1e-9)
	}
}

// TestRestartInBucket checks that a limit is not raised for usage that a restart has ended.
func TestRestartInBucket(t *testing.T) {
	for latest, want := range map[float64]float64{95: 120, 10: 100} {
		s := &shadow{rule: rule{horizon: hour, below: hour, least: 0.1}, limit: 100, current: 94, budget: budget{most: 6}}
		s.forecast(at(0), 95, latest, 97, 97, 97, 97, 97, 120)
		require.Equal(t, want, s.limit, "latest %v", latest)
	}
}
