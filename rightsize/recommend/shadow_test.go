package recommend

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/rightsize/synthetic"
)

// flat returns an outlook that says the same of every time.
func flat(value float64) *outlook {
	o := &outlook{soon: [2]float64{value, value}}
	for i := range o.hours {
		o.hours[i] = value
	}
	return o
}

// ramp returns an outlook that rises by a slope an hour.
func ramp(from, slope float64) *outlook {
	o := &outlook{soon: [2]float64{from, from}}
	for i := range o.hours {
		o.hours[i] = from + slope*float64(i+1)
	}
	return o
}

// TestSpread checks that limits are set for as long as the changes that are left of a day are apart, spread over the rest of it: after a restart to what a ramp needs
// by then, and again when usage comes near.
func TestSpread(t *testing.T) {
	for _, c := range []struct {
		at, left    int
		lower, high float64 // hours
	}{
		{0, 6, 6, 7},  // 24 h / 6 × 1.4 = 5.6 h; after the lowering 24 / 5 × 1.4 = 6.7 h
		{0, 3, 8, 8},  // as far as forecasts reach
		{18, 6, 2, 2}, // 1.4 h, 1.7 h
		{18, 3, 3, 5}, // 2.8 h, 4.2 h
		{23, 6, 1, 1},
	} {
		s := &shadow{rule: rule{raise: 1.4, below: hour, least: 0.1}, limit: 200, current: 90, budget: budget{most: c.left}}
		o := ramp(10, 10)
		s.forecast(at(c.at*60), 10, o, 1000)
		require.InDelta(t, max(10+10*c.lower, 200*(1-mostLowering)/(1+margin))*(1+margin), s.limit, 1e-9, c)
		require.Equal(t, int64(c.lower)*hour, s.reach)
		near := s.limit / 1.05
		s.forecast(at(c.at*60+5), near, ramp(near, 10), 1000)
		require.InDelta(t, (near+10*c.high)*(1+margin), s.limit, 1e-9, c)
	}
}

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
		s := &shadow{rule: rule{raise: 1, below: 15 * minute, least: 0.1}, limit: 100, current: 90, budget: budget{most: c.left}}
		o := flat(12)
		o.hours[3] = c.rest // until midnight
		s.forecast(at(20*60), 10, o, 100)
		require.Equal(t, c.want, s.limit, c.name)
	}
}

// TestRecord checks that a limit near the record is raised to what is needed in the next hour, and one far from it to what was asked for.
func TestRecord(t *testing.T) {
	for _, c := range []struct{ limit, to, want float64 }{{100, 105, 110 * (1 + margin) * (1 + headroom)}, {50, 80, 80}} {
		s := &shadow{limit: c.limit, climb: 110, budget: budget{most: 6}}
		require.True(t, s.lift(at(0), c.to, 100))
		require.InDelta(t, c.want, s.limit, 1e-9)
	}
}

// TestRestartInBucket checks that a restart is seen at the end of the bucket that it falls in: the limit is not raised for usage that has ended, but lowered for what
// comes after it.
func TestRestartInBucket(t *testing.T) {
	u, err := synthetic.New("leak", 2, synthetic.Options{Length: 7 * 24 * time.Hour})
	require.NoError(t, err)
	f := NewForecast(Options{})
	restarts := 0
	for i := range u.Len() {
		f.Observe(Sample{Time: u.Times[i], Memory: u.Memory[i], CPU: u.CPU[i]})
		if i < 3*1440 || !(u.Memory[i-1] < u.Memory[i-2]/2) || i%5 != 0 { // it fell in the last minute of the bucket before
			continue
		}
		restarts++
		s := f.shadows[0]
		require.Less(t, s.current, u.Memory[i-2]/2)
		require.Less(t, s.ahead, u.Memory[i-2], "distances are counted from what is used after the restart")
		if s.budget.left(u.Times[i]) > 0 {
			require.Less(t, s.limit, u.Memory[i-2])
		}
	}
	require.Positive(t, restarts)
}

// TestSoon checks that a rule raises when the next bucket may reach the limit, at its own level.
func TestSoon(t *testing.T) {
	for soon, want := range []bool{false, true} {
		s := &shadow{rule: rule{raise: 1.4, soon: soon, below: hour, least: 0.1}, limit: 100, current: 80, budget: budget{most: 6}}
		o := flat(95)
		o.soon = [2]float64{85, 92}
		s.forecast(at(0), 80, o, 1000)
		require.Equal(t, want, s.limit > 100, soon)
	}
}
