package requests

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/num"
)

// load draws n gaps in seconds.
type load func(r *rand.Rand, n int) []float64

func independently(draw func(r *rand.Rand) float64) load {
	return func(r *rand.Rand, n int) []float64 {
		gaps := make([]float64, n)
		for i := range gaps {
			gaps[i] = draw(r)
		}
		return gaps
	}
}

func poissonLoad(mean float64) load {
	return independently(func(r *rand.Rand) float64 { return mean * r.ExpFloat64() })
}

func uniformLoad(mean float64) load {
	return independently(func(r *rand.Rand) float64 { return 2 * mean * r.Float64() })
}

func gammaLoad(mean, shape float64) load {
	return independently(func(r *rand.Rand) float64 { return num.DrawGamma(shape, shape/mean, r) })
}

func periodicLoad(mean, spread float64) load {
	return independently(func(r *rand.Rand) float64 { return mean * math.Exp(spread*r.NormFloat64()) })
}

// twoSpeedLoad has gaps of two very different lengths.
func twoSpeedLoad(mean float64) load {
	return independently(func(r *rand.Rand) float64 {
		if r.Float64() < 0.5 {
			return mean / 50 * r.ExpFloat64()
		}
		return 2 * mean * r.ExpFloat64()
	})
}

// burstLoad has bursts of a size drawn for each, whose requests are within seconds apart, up to spread. The first requests of two bursts are every
// seconds apart, up to jitter.
func burstLoad(size func(r *rand.Rand) int, within, spread, every, jitter float64) load {
	return func(r *rand.Rand, n int) []float64 {
		var gaps []float64
		for len(gaps) < n {
			passed := 0.0
			for range size(r) - 1 {
				g := within * math.Exp(spread*r.NormFloat64())
				passed += g
				gaps = append(gaps, g)
			}
			gaps = append(gaps, max(every*math.Exp(jitter*r.NormFloat64())-passed, 10*within))
		}
		return gaps[:n]
	}
}

// diurnalLoad is a Poisson process whose rate goes up and down by the share amplitude over a period.
func diurnalLoad(mean, amplitude, period float64) load {
	return func(r *rand.Rand, n int) []float64 {
		var gaps []float64
		at, last := 0.0, 0.0
		for len(gaps) < n {
			at += mean / (1 + amplitude) * r.ExpFloat64()
			if r.Float64()*(1+amplitude) < 1+amplitude*math.Sin(2*math.Pi*at/period) {
				gaps = append(gaps, at-last)
				last = at
			}
		}
		return gaps
	}
}

// hawkesLoad is a Hawkes process; branching is the number of requests that each causes.
func hawkesLoad(base, branching, decay float64) load {
	return func(r *rand.Rand, n int) []float64 {
		gaps := make([]float64, n)
		now := base * branching / (1 - branching)
		for i := range gaps {
			e := r.ExpFloat64()
			gap := (&excited{base: base, decay: decay, now: now}).waitFor(e)
			now = now*math.Exp(-decay*gap) + branching*decay
			gaps[i] = gap
		}
		return gaps
	}
}

// waitFor returns the time in which the compensator grows to c.
func (e *excited) waitFor(c float64) float64 {
	low, high := 0.0, c/e.base
	for range 100 {
		if m := (low + high) / 2; e.compensator(m) < c {
			low = m
		} else {
			high = m
		}
	}
	return high
}

// patternLoad has gaps that repeat themselves, but for a spread.
func patternLoad(spread float64, pattern ...float64) load {
	return func(r *rand.Rand, n int) []float64 {
		gaps := make([]float64, n)
		for i := range gaps {
			gaps[i] = pattern[i%len(pattern)] * math.Exp(spread*r.NormFloat64())
		}
		return gaps
	}
}

// timetableLoad has a request in each period, up to jitter early or late.
func timetableLoad(period, jitter float64) load {
	return func(r *rand.Rand, n int) []float64 {
		gaps := make([]float64, n)
		late := jitter * (2*r.Float64() - 1)
		for i := range gaps {
			next := jitter * (2*r.Float64() - 1)
			gaps[i] = period + next - late
			late = next
		}
		return gaps
	}
}

func twenty(*rand.Rand) int { return 20 }

func fiveToThirty(r *rand.Rand) int { return 5 + r.IntN(26) }

// knownLoad is a load and what should become of it.
type knownLoad struct {
	name      string
	load      load
	mean      float64
	kinds     []string // names of models that describe it
	dependent bool     // gaps depend on those before
	exact     bool     // gaps are the same each time
}

func allLoads() []knownLoad {
	return []knownLoad{
		{"poisson", poissonLoad(1200), 1200, []string{"Poisson"}, false, false},
		{"poisson fast", poissonLoad(0.1), 0.1, []string{"Poisson"}, false, false},
		{"uniform", uniformLoad(60), 60, []string{"gamma renewal", "smoothed renewal", "mixture of 4 log-normals renewal", "mixture of 2 log-normals renewal"}, false, false},
		{"gamma", gammaLoad(300, 4), 300, []string{"gamma renewal"}, false, false},
		{"periodic", periodicLoad(120, 0.01), 120, []string{"gamma renewal", "log-normal renewal"}, false, false},
		{"constant", periodicLoad(120, 0), 120, []string{"gamma renewal", "log-normal renewal"}, false, true},
		{"bursts", burstLoad(twenty, 0.11, 0.02, 120, 0.01), 6, []string{"bursts", "cycles of bursts"}, true, false},
		{"exact bursts", burstLoad(twenty, 0.11, 0, 120, 0), 6, []string{"bursts", "cycles of bursts"}, true, true},
		{"random bursts", burstLoad(fiveToThirty, 0.11, 0.5, 120, 0.003), 120 / 17.5, []string{"cycles of bursts"}, true, false},
		{"irregular bursts", burstLoad(fiveToThirty, 0.11, 0.5, 120, 1), 120 / 17.5 * math.Exp(0.5), []string{"bursts", "cycles of bursts", "mixture of 2 log-normals renewal"}, true, false},
		{"diurnal", diurnalLoad(1200, 0.9, 86400), 1200, []string{"Poisson with a cycle"}, true, false},
		{"Hawkes", hawkesLoad(1./60, 0.7, 1./5), 18, []string{"Hawkes"}, true, false},
		{"timetable", timetableLoad(60, 10), 60, []string{"timetable"}, true, false},
		{"loose timetable", timetableLoad(60, 30), 60, []string{"timetable"}, true, false},
		{"fast diurnal", diurnalLoad(60, 0.8, 6000), 60, []string{"Poisson with a cycle"}, true, false},
		{"slow diurnal", diurnalLoad(60, 0.8, 86400), 60, []string{"Poisson", "Hawkes"}, true, false},
		{"pattern", patternLoad(0.1, 10, 20, 40), 70. / 3, []string{"recurrent network"}, true, false},
		{"two speeds", twoSpeedLoad(100), 101, []string{"mixture of 2 log-normals renewal", "mixture of 4 log-normals renewal"}, false, false},
	}
}

var fits sync.Map

// fittedTo returns the model of a history of the load; it is fitted once.
func fittedTo(t testing.TB, l knownLoad) Model {
	t.Helper()
	m, ok := fits.Load(l.name)
	if !ok {
		fitted, err := Fit(l.load(rand.New(rand.NewPCG(4, 17)), 400))
		require.NoError(t, err, l.name)
		m, _ = fits.LoadOrStore(l.name, fitted)
	}
	return m.(Model)
}
