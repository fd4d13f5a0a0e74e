package requests

import (
	"errors"
	"math"
	"math/cmplx"

	"gonum.org/v1/gonum/mat"
)

// cycle is a rate that repeats itself, such as by the time of the day, relative to its mean.
type cycle struct {
	period float64                // seconds
	sum    [cycleBins + 1]float64 // the integral of the relative rate up to each of the bins of the period, in bins
}

const cycleBins = 96

// until returns the integral of the relative rate from the epoch to t, in seconds.
func (c *cycle) until(t float64) float64 {
	whole := math.Floor(t / c.period)
	x := (t/c.period - whole) * cycleBins
	i := min(max(int(x), 0), cycleBins-1)
	return c.period * (whole + (c.sum[i]+(c.sum[i+1]-c.sum[i])*(x-float64(i)))/cycleBins)
}

// between returns the integral of the relative rate over t seconds from a time on.
func (c *cycle) between(from, t float64) float64 {
	phase := math.Mod(from, c.period)
	return max(c.until(phase+t)-c.until(phase), 0)
}

// rate returns the relative rate at t.
func (c *cycle) rate(t float64) float64 {
	x := t / c.period
	i := min(int((x-math.Floor(x))*cycleBins), cycleBins-1)
	return c.sum[i+1] - c.sum[i]
}

// modulated is a Poisson process whose rate goes up and down with a cycle: in the time that the cycle's integral tells it is one of constant
// rate (Daley and Vere-Jones, "An Introduction to the Theory of Point Processes", volume I, 2003, section 7.4).
type modulated struct {
	gammaPoisson
	cycle *cycle
	shift float64 // of the cycle, in seconds
	last  float64 // request
}

func (m *modulated) begin(at float64) { m.last = at + m.shift }

func (m *modulated) observe(at, gap float64) {
	at += m.shift
	if gap > 0 {
		m.gammaPoisson.observe(at, m.cycle.between(m.last, gap))
	}
	m.last = at
}

func (m *modulated) logDensity(gap float64) float64 {
	return m.gammaPoisson.logDensity(m.cycle.between(m.last, gap)) + math.Log(m.cycle.rate(m.last+gap))
}

func (m *modulated) logSurvival(elapsed float64) float64 {
	return m.gammaPoisson.logSurvival(m.cycle.between(m.last, elapsed))
}

func (m *modulated) forecast(elapsed, weight float64, f *Forecast) {
	if b := f.add(gammaPoissonBranch, weight); b != nil {
		b.a, b.b = m.a, m.b+m.cycle.between(m.last, elapsed)
		b.cycle, b.phase = m.cycle, math.Mod(m.last+elapsed, m.cycle.period)
	}
}

// cycleModel is the model of a Poisson process whose rate goes up and down.
type cycleModel struct {
	cycle    *cycle
	n, total float64 // gaps, and their sum in the time of the cycle
}

var errNoCycle = errors.New("the rate of requests has no cycle")

const (
	// leastCycles is how often a cycle must have been seen, leastPerCycle the least number of requests in it: a shorter period is one of the gaps.
	leastCycles, leastPerCycle = 1.5, 12
	// leastRayleigh is the least power of the periodogram at the period, which has a mean of 1 for a constant rate: the highest of some hundred
	// independent ones is below it with a probability of 95 %.
	leastRayleigh = 8.5
	// cycleSteps is the number of steps of equal length in which the rate is fitted.
	cycleSteps = 512
	harmonics  = 2
)

// fitCycle finds the period at which the periodogram of the requests is highest (Lewis, "Remarks on the theory, computation and application
// of the spectral analysis of series of events", Journal of Sound and Vibration 12, 1970), and fits the logarithm of the rate by two
// harmonics, by maximum likelihood. The first request of the history came at a whole number of periods after the epoch.
func fitCycle(gaps []float64) (candidate, error) {
	span, n := total(gaps), float64(len(gaps))
	best, frequency := 0.0, 0.0
	for f := leastCycles / span; f <= n/leastPerCycle/span; f += 0.1 / span {
		sum, at := complex(0, 0), 0.0
		for _, g := range gaps {
			at += g
			sum += cmplx.Rect(1, -2*math.Pi*f*at)
		}
		// What a constant rate gives where the span is no whole number of periods.
		sum -= complex(n, 0) * (cmplx.Rect(1, -2*math.Pi*f*span) - 1) / complex(0, -2*math.Pi*f*span)
		if power := real(sum*cmplx.Conj(sum)) / n; power > best {
			best, frequency = power, f
		}
	}
	if best < leastRayleigh {
		return nil, errNoCycle
	}
	c := &cycle{period: 1 / frequency}
	c.setRate(fitHarmonics(gaps, span, c.period))
	m := &cycleModel{cycle: c, n: n}
	m.total = c.between(0, span)
	return m, nil
}

// terms sets x to the harmonics of the rate at a phase from 0 to 1.
func terms(phase float64, x *[1 + 2*harmonics]float64) {
	x[0] = 1
	for h := range harmonics {
		x[1+2*h], x[2+2*h] = math.Sincos(2 * math.Pi * float64(h+1) * phase)
	}
}

// fitHarmonics returns the coefficients of the logarithm of the rate in each of equal steps: Newton's steps for Poisson regression, with a
// small ridge.
func fitHarmonics(gaps []float64, span, period float64) [1 + 2*harmonics]float64 {
	const p = 1 + 2*harmonics
	counts := make([]float64, cycleSteps)
	at := 0.0
	for _, g := range gaps {
		at += g
		counts[min(int(at/span*cycleSteps), cycleSteps-1)]++
	}
	var b, x [p]float64
	b[0] = math.Log(float64(len(gaps)) / cycleSteps)
	for range 20 {
		hessian, gradient := mat.NewSymDense(p, nil), mat.NewVecDense(p, nil)
		for i := 1; i < p; i++ {
			hessian.SetSym(i, i, 1)
			gradient.SetVec(i, -b[i])
		}
		for s, y := range counts {
			terms((float64(s)+0.5)/cycleSteps*span/period, &x)
			log := 0.0
			for i := range x {
				log += b[i] * x[i]
			}
			mean := math.Exp(min(log, 20))
			for i := range x {
				gradient.SetVec(i, gradient.AtVec(i)+(y-mean)*x[i])
				for j := i; j < p; j++ {
					hessian.SetSym(i, j, hessian.At(i, j)+mean*x[i]*x[j])
				}
			}
		}
		var factor mat.Cholesky
		var step mat.VecDense
		if !factor.Factorize(hessian) || factor.SolveVecTo(&step, gradient) != nil {
			break
		}
		length := mat.Norm(&step, math.Inf(1))
		for i := range b {
			b[i] += step.AtVec(i) / max(length, 1) // at most 1 at once
		}
		if length < 1e-8 {
			break
		}
	}
	return b
}

// leastRate is the least rate of a cycle relative to its mean.
const leastRate = 1e-3

func (c *cycle) setRate(b [1 + 2*harmonics]float64) {
	var x [1 + 2*harmonics]float64
	var rates [cycleBins]float64
	sum := 0.0
	for i := range rates {
		terms((float64(i)+0.5)/cycleBins, &x)
		log := 0.0
		for j := 1; j < len(b); j++ {
			log += b[j] * x[j]
		}
		rates[i] = math.Exp(log)
		sum += rates[i]
	}
	floored := 0.0
	for i := range rates {
		rates[i] = max(rates[i]*cycleBins/sum, leastRate)
		floored += rates[i]
	}
	for i, r := range rates {
		c.sum[i+1] = c.sum[i] + r*cycleBins/floored
	}
	c.sum[cycleBins] = cycleBins
}

func (m *cycleModel) prepare() {}

func (m *cycleModel) fitted() expert { return m.process(gammaPoisson{m.n + 1, m.total, 1}, 0) }

func (m *cycleModel) process(g gammaPoisson, shift float64) *modulated {
	return &modulated{gammaPoisson: g, cycle: m.cycle, shift: shift}
}

// others has the rate that adapts, and other phases: nothing says that the history began when the cycle does.
func (m *cycleModel) others() (prior []float64, experts []expert) {
	mean := m.total / m.n
	prior, experts = append(prior, 0.05, 0.03), append(experts, m.process(*recent(mean, rememberScaled), 0), recent(mean, rememberScaled))
	for i := 1; i < 8; i++ {
		prior = append(prior, 0.01)
		experts = append(experts, m.process(gammaPoisson{m.n + 1, m.total, 1}, float64(i)/8*m.cycle.period))
	}
	return prior, experts
}
