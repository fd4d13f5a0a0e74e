package requests

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/integrate/quad"
	"gonum.org/v1/gonum/mathext"
	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

func seconds(s float64) prewarm.Time { return prewarm.Time(s * float64(time.Second)) }

// alone returns the forecast of a single expert.
func alone(e expert, elapsed float64) *Forecast {
	var f Forecast
	newMixed(0, 1, []float64{1}, []expert{e}).Forecast(seconds(elapsed), &f)
	return &f
}

func fixed(d distribution) *renewal {
	l := newLaw(d)
	return &renewal{law: l, sums: newSums(l), scaling: scaled(1)}
}

// TestPoissonForecast compares with the Poisson distribution: the silence does not matter.
func TestPoissonForecast(t *testing.T) {
	exponential := fixed(dist.Exponential{Rate: 1. / 20})
	known := &gammaPoisson{a: 1e9, b: 20e9, keep: 1}
	for _, elapsed := range []float64{0, 3, 50, 1000} {
		for name, f := range map[string]*Forecast{"renewal": alone(exponential, elapsed), "gamma-Poisson": alone(known, elapsed)} {
			for _, k := range []int{1, 2, 3, 10, 40} {
				for _, p := range []float64{0.001, 0.01, 0.05, 0.3, 0.5, 0.9} {
					x := mathext.GammaIncRegInv(float64(k), p) * 20
					require.InDelta(t, p, f.AtLeast(k, x), 0.05*p*(1-p)+3e-4, "%s after %v s: %d requests in %v s", name, elapsed, k, x)
					require.InEpsilon(t, x, f.Quantile(k, p), 0.06, "%s after %v s: request %d with %v", name, elapsed, k, p)
				}
			}
		}
	}
}

// TestRenewalForecast compares with a quadrature over the time of the next request.
func TestRenewalForecast(t *testing.T) {
	for _, shape := range []float64{0.5, 3, 30} {
		g := gammaGap{shape, shape / 10}
		e := fixed(g)
		for _, elapsed := range []float64{0, 2, 10, 16} {
			f := alone(e, elapsed)
			for _, k := range []int{1, 2, 4, 8} {
				for _, within := range []float64{1, 5, 12, 40, 90} {
					want := g.CDF(elapsed+within) - g.CDF(elapsed)
					if k > 1 {
						want = quad.Fixed(func(v float64) float64 {
							w := within * v * v // the density may grow without a bound at 0
							return 2 * within * v * math.Exp(g.LogProb(elapsed+w)) * mathext.GammaIncReg(float64(k-1)*shape, (within-w)*g.rate)
						}, 0, 1, 400, nil, 0)
					}
					want /= math.Exp(g.LogSurvival(elapsed))
					require.InDelta(t, want, f.AtLeast(k, within), 0.05*want*(1-want)+1e-3, "shape %v after %v s: %d in %v s", shape, elapsed, k, within)
				}
			}
		}
	}
}

// TestPeriodicForecast checks requests every 120 s, give or take 1 %: they come then and not before, however many.
func TestPeriodicForecast(t *testing.T) {
	model, err := Fit(periodicLoad(120, 0.01)(rand.New(rand.NewPCG(1, 1)), 400))
	require.NoError(t, err)
	process := model.New(0)
	var f Forecast
	for i := range 10 {
		process.Observe(seconds(120 * float64(i+1)))
	}
	process.Forecast(seconds(1200+100), &f)
	require.Less(t, f.AtLeast(1, 16), 0.02)
	require.InDelta(t, 0.5, f.AtLeast(1, 20), 0.1)
	require.Greater(t, f.AtLeast(1, 24), 0.97)
	require.Less(t, f.AtLeast(3, 255), 0.03)
	require.InDelta(t, 0.5, f.AtLeast(3, 260), 0.1)
	require.Greater(t, f.AtLeast(3, 267), 0.9)
	require.InDelta(t, 20-2.3*1.2, f.Quantile(1, 0.01), 2)
}

// TestForecastProperties checks that probabilities fall with the number, grow with time, and are never NaN, whatever came and however long nothing
// has.
func TestForecastProperties(t *testing.T) {
	var models []Model
	for _, l := range allLoads() {
		models = append(models, fittedTo(t, l))
	}
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.SampledFrom(models).Draw(t, "model")
		process := m.New(0)
		now := prewarm.Time(0)
		for _, log := range rapid.SliceOfN(rapid.Float64Range(-9, 9), 0, 30).Draw(t, "log gaps") {
			now += seconds(math.Exp(log))
			process.Observe(now)
		}
		now += seconds(math.Exp(rapid.Float64Range(-9, 20).Draw(t, "log silence")))
		var f Forecast
		process.Forecast(now, &f)
		require.Zero(t, f.AtLeast(1, 0))
		k := rapid.IntRange(1, 130).Draw(t, "k")
		tolerance := 2e-3
		if strings.HasPrefix(m.Name(), "Poisson") || m.Name() == "timetable" || m.Name() == "Hawkes" {
			tolerance = 1e-9
		}
		last := 0.0
		for x := 1e-4; x < 1e7; x *= 3 {
			p := f.AtLeast(k, x)
			require.True(t, p >= last-1e-9 && p <= 1, "%s: %d requests in %v s: %v after %v", m.Name(), k, x, p, last)
			require.LessOrEqual(t, f.AtLeast(k+1, x), p+tolerance, "%s: %d more than %d requests in %v s", m.Name(), k+1, k, x)
			last = p
		}
		p := rapid.Float64Range(1e-4, 0.9999).Draw(t, "p")
		if q := f.Quantile(k, p); !math.IsInf(q, 1) {
			require.GreaterOrEqual(t, f.AtLeast(k, q), p-1e-9)
			require.LessOrEqual(t, f.AtLeast(k, q*0.999), 1.01*p+1e-9)
		}
		var ps, ts [16]float64
		for i := range ps {
			ps[i] = f.AtLeast(k, math.Inf(1)) * (float64(i) + 0.5) / 16
		}
		f.Quantiles(k, ps[:], ts[:])
		for i, q := range ts {
			require.False(t, math.IsNaN(q))
			require.InDelta(t, ps[i], f.AtLeast(k, q), straight, "%s: of %v", m.Name(), ts)
			if i > 0 {
				require.GreaterOrEqual(t, q, ts[i-1])
			}
		}
	})
}

// TestForecastIsAValue checks that a forecast stays as it was made.
func TestForecastIsAValue(t *testing.T) {
	for _, l := range allLoads() {
		process := fittedTo(t, l).New(0)
		var f Forecast
		process.Forecast(seconds(1), &f)
		before := [...]float64{f.AtLeast(1, 10), f.AtLeast(3, 100), f.Quantile(2, 0.3)}
		for i := range 20 {
			process.Observe(seconds(1 + float64(i)*0.3))
		}
		require.Equal(t, before, [...]float64{f.AtLeast(1, 10), f.AtLeast(3, 100), f.Quantile(2, 0.3)}, l.name)
	}
}

// TestChangeOfRate checks that a load ten times as high, or a tenth, is noticed within ten requests.
func TestChangeOfRate(t *testing.T) {
	for _, l := range allLoads() {
		if l.dependent {
			continue
		}
		r := rand.New(rand.NewPCG(4, 4))
		m := fittedTo(t, l)
		for _, factor := range []float64{0.1, 1, 10} {
			t.Run(fmt.Sprint(l.name, factor), func(t *testing.T) {
				var off []float64 // log of the ratio of the forecast to the truth, in nine runs
				for range 9 {
					process, now := m.New(0), 0.0
					follow := func(gaps []float64, factor float64) {
						for _, g := range gaps {
							now += g * factor
							process.Observe(seconds(now))
						}
					}
					follow(l.load(r, 100), 1)
					follow(l.load(r, 10), factor)
					var f Forecast
					process.Forecast(seconds(now), &f)
					off = append(off, math.Log(f.Quantile(10, 0.5)/(9.67*factor*l.mean)))
				}
				slices.Sort(off)
				require.InDelta(t, 0, off[4], math.Log(1.6), "of %v", off)
			})
		}
	}
}

// TestBurstsAreForeseen checks bursts of 20 requests 0.11 s apart, the first of which are 120 s apart.
func TestBurstsAreForeseen(t *testing.T) {
	for _, name := range []string{"bursts", "exact bursts"} {
		process := fittedTo(t, loadOf(t, name)).New(0)
		now := 0.0
		var f Forecast
		process.Forecast(seconds(60), &f)
		require.Less(t, f.AtLeast(1, 50), 0.03, "before the first burst")
		require.Greater(t, f.AtLeast(20, 66), 0.9)
		for range 5 {
			for i := range 20 {
				if i > 0 {
					now += 0.11
				}
				process.Observe(seconds(now))
			}
			now += 120 - 19*0.11
		}
		last := now - 120 + 19*0.11
		process.Forecast(seconds(last+60), &f)
		require.Less(t, f.AtLeast(1, 50), 0.03, "between two bursts")
		require.Greater(t, f.AtLeast(1, 64), 0.95)
		require.Greater(t, f.AtLeast(20, 64), 0.9, "all 20 of the next")
		require.Less(t, f.AtLeast(21, 70), 0.1, "and no more")
		require.Greater(t, f.AtLeast(21, 190), 0.85, "before the one after it")
		require.InDelta(t, 20, f.Mean(80), 2)
		process.Forecast(seconds(now), &f)
		require.Greater(t, f.AtLeast(1, 3), 0.9, "at the time of a burst")
		require.InDelta(t, f.AtLeast(1, 3), f.AtLeast(20, 3+19*0.11), 0.06, "20 requests come with the first")
		for i := range 12 {
			if i > 0 {
				now += 0.11
			}
			process.Observe(seconds(now))
		}
		process.Forecast(seconds(now+0.02), &f)
		require.Greater(t, f.AtLeast(8, 1), 0.85, "8 are to come in this burst")
		require.Less(t, f.AtLeast(9, 60), 0.1, "and not 9")
		for range 8 {
			now += 0.11
			process.Observe(seconds(now))
		}
		process.Forecast(seconds(now+0.02), &f)
		require.Less(t, f.AtLeast(1, 30), 0.1, "the burst is over")
	}
}

func loadOf(t *testing.T, name string) knownLoad {
	for _, l := range allLoads() {
		if l.name == name {
			return l
		}
	}
	t.Fatalf("there is no load %s", name)
	return knownLoad{}
}

// TestHawkesForecast compares with simulations of the same process: the mean and the probability of no request are exact, others nearly.
func TestHawkesForecast(t *testing.T) {
	const runs = 20000
	for _, now := range []float64{0, 0.2} {
		e := excited{base: 1. / 60, jump: 0.7 / 5, decay: 1. / 5, now: now}
		for _, within := range []float64{2, 20, 100} {
			counts, sum := map[int]float64{}, 0.0
			r := rand.New(rand.NewPCG(10, 10))
			for range runs {
				n, at, state := 0, 0.0, e
				for {
					gap := state.waitFor(r.ExpFloat64())
					if at += gap; at > within {
						break
					}
					n++
					state.now = state.now*math.Exp(-state.decay*gap) + state.jump
				}
				sum += float64(n)
				for k := 1; k <= n; k++ {
					counts[k]++
				}
			}
			require.InDelta(t, sum/runs, e.mean(within), 0.04*e.mean(within)+0.01)
			for _, k := range []int{1, 2, 3, 5, 8} {
				want := counts[k] / runs
				tolerance := 0.045
				if k == 1 {
					tolerance = 0.012
				}
				require.InDelta(t, want, e.atLeast(k, within), tolerance, "intensity %v more: %d in %v s", now, k, within)
			}
		}
	}
}

// TestCycleIsForeseen checks that a rate that goes up and down with the time of day is forecast by day and by night, and that another phase than that of
// the history is noticed.
func TestCycleIsForeseen(t *testing.T) {
	const day = 86400
	l := loadOf(t, "diurnal")
	for _, shift := range []float64{0, day / 2} {
		process, now := fittedTo(t, l).New(0), 0.0
		for _, g := range l.load(rand.New(rand.NewPCG(11, 11)), 600) {
			if now += g; now > 5*day {
				break
			}
			process.Observe(seconds(now + shift))
		}
		var f Forecast
		process.Forecast(seconds(5*day+shift), &f)
		// The rate is (1 + 0.9 sin(2π t/day))/1200 s.
		require.InDelta(t, 36+0.9*day/1200/math.Pi, f.Mean(day/2), 8, "by day")
		require.InDelta(t, 72, f.Mean(day), 10)
	}
}

func BenchmarkForecast(b *testing.B) {
	for _, l := range allLoads() {
		process := fittedTo(b, l).New(0)
		now := 0.0
		for _, g := range l.load(rand.New(rand.NewPCG(6, 6)), 100) {
			now += g
			process.Observe(seconds(now))
		}
		var f Forecast
		process.Forecast(seconds(now+0.3*l.mean), &f)
		b.Run(l.name+"/forecast", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				process.Forecast(seconds(now+0.3*l.mean), &f)
			}
		})
		b.Run(l.name+"/first", func(b *testing.B) {
			for b.Loop() {
				f.AtLeast(1, l.mean)
			}
		})
		b.Run(l.name+"/fifth", func(b *testing.B) {
			for b.Loop() {
				f.AtLeast(5, 4*l.mean)
			}
		})
		b.Run(l.name+"/quantile", func(b *testing.B) {
			for b.Loop() {
				f.Quantile(2, 0.05)
			}
		})
		b.Run(l.name+"/quantiles", func(b *testing.B) {
			b.ReportAllocs()
			var p, t [16]float64
			for i := range p {
				p[i] = (float64(i) + 0.5) / 16
			}
			for b.Loop() {
				f.Quantiles(2, p[:], t[:])
			}
		})
		b.Run(l.name+"/observe", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				now += l.mean
				process.Observe(seconds(now))
			}
		})
	}
}

// BenchmarkFit fits to 400 gaps.
func BenchmarkFit(b *testing.B) {
	for _, l := range allLoads() {
		gaps := l.load(rand.New(rand.NewPCG(5, 5)), 400)
		b.Run(l.name, func(b *testing.B) {
			for b.Loop() {
				_, err := Fit(gaps)
				require.NoError(b, err)
			}
		})
	}
}
