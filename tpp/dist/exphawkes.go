package dist

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// ExpHawkes is the time to the next event of a process whose intensity, as long as nothing comes, decays exponentially:
//
//	λ(t) = Base + Σᵢ Alphaᵢ exp(−Betaᵢ t),  Λ(t) = Base t + Σᵢ Alphaᵢ/Betaᵢ (1 − exp(−Betaᵢ t)),  S(t) = exp(−Λ(t)).
//
// In a Hawkes process with exponential kernels (Hawkes 1971), t is the time since the last event, Alphaᵢ what the
// excitations of one kernel add up to just after it, and Betaᵢ the decay of that kernel. With Base = 0 the distribution
// is defective: the process may die out.
type ExpHawkes struct {
	// Base is the intensity that stays, per unit of time, finite and ≥ 0.
	Base float64
	// Alpha are the excitations at t = 0, per unit of time, finite and ≥ 0.
	Alpha []float64
	// Beta are their rates of decay, per unit of time, finite and ≥ 0. A rate of 0 does not decay.
	Beta []float64
	// Src is the source of Rand; nil means the global source.
	Src rand.Source
}

// Validate returns an error that names the first parameter that is not valid.
func (e ExpHawkes) Validate() error {
	if len(e.Alpha) != len(e.Beta) {
		return fmt.Errorf("exponential Hawkes: %d excitations, %d decays", len(e.Alpha), len(e.Beta))
	}
	if !(e.Base >= 0) || math.IsInf(e.Base, 1) {
		return fmt.Errorf("exponential Hawkes: base intensity is %v, want a finite number ≥ 0", e.Base)
	}
	for i := range e.Alpha {
		if !(e.Alpha[i] >= 0) || math.IsInf(e.Alpha[i], 1) {
			return fmt.Errorf("exponential Hawkes: excitation %d is %v, want a finite number ≥ 0", i, e.Alpha[i])
		}
		if !(e.Beta[i] >= 0) || math.IsInf(e.Beta[i], 1) {
			return fmt.Errorf("exponential Hawkes: decay %d is %v, want a finite number ≥ 0", i, e.Beta[i])
		}
	}
	return nil
}

// times returns x·t where a zero takes precedence over an infinity.
func times(x, t float64) float64 {
	if x == 0 || t == 0 {
		return 0
	}
	return x * t
}

// intensity returns λ(t), t ≥ 0.
func (e *ExpHawkes) intensity(t float64) float64 {
	sum := e.Base
	for i, a := range e.Alpha {
		sum += a * math.Exp(-times(e.Beta[i], t))
	}
	return math.Min(sum, math.MaxFloat64)
}

// compensator returns ∫ λ from t to t + width.
func (e *ExpHawkes) compensator(t, width float64) float64 {
	sum := times(e.Base, width)
	for i, a := range e.Alpha {
		switch b := e.Beta[i]; {
		case a == 0:
		case b == 0 || b*width < 1e-300: // where α/β may overflow
			sum += times(a*math.Exp(-times(b, t)), width)
		default:
			sum += a * math.Exp(-b*t) * (-math.Expm1(-b*width) / b)
		}
	}
	return sum
}

// Prob returns the probability density λ(t) S(t).
func (e ExpHawkes) Prob(t float64) float64 { return math.Exp(e.LogProb(t)) }

// LogProb returns log λ(t) − Λ(t).
func (e ExpHawkes) LogProb(t float64) float64 {
	switch {
	case isNaN(t):
		return t
	case t < 0 || math.IsInf(t, 1):
		return math.Inf(-1)
	}
	return math.Log(e.intensity(t)) - e.compensator(0, t)
}

// CDF returns 1 − exp(−Λ(t)).
func (e ExpHawkes) CDF(t float64) float64 { return -math.Expm1(e.LogSurvival(t)) }

// LogCDF returns log F(t).
func (e ExpHawkes) LogCDF(t float64) float64 { return log1mExp(e.LogSurvival(t)) }

// Survival returns exp(−Λ(t)).
func (e ExpHawkes) Survival(t float64) float64 { return math.Exp(e.LogSurvival(t)) }

// LogSurvival returns −Λ(t).
func (e ExpHawkes) LogSurvival(t float64) float64 {
	switch {
	case isNaN(t):
		return t
	case t <= 0:
		return 0
	}
	return -e.compensator(0, t)
}

// LogInterval returns log P(a < τ ≤ b) = −Λ(a) + log(1 − exp(−∫ λ from a to b)).
func (e ExpHawkes) LogInterval(a, b float64) float64 {
	switch {
	case isNaN(a) || isNaN(b):
		return math.NaN()
	case a <= 0:
		return e.LogCDF(b)
	case b <= a:
		return math.Inf(-1)
	}
	return e.LogSurvival(a) + log1mExp(-e.compensator(a, b-a))
}

// Hazard returns λ(t).
func (e ExpHawkes) Hazard(t float64) float64 {
	switch {
	case isNaN(t):
		return t
	case t < 0:
		return 0
	}
	return e.intensity(t)
}

// Mean returns ∫ S(t) dt by adaptive quadrature, to about 1e-10 relative; +Inf if the event may never come.
func (e ExpHawkes) Mean() float64 { return e.RestrictedMean(math.Inf(1)) }

// Median returns Quantile(0.5).
func (e ExpHawkes) Median() float64 { return e.Quantile(0.5) }

// Quantile returns the t with Λ(t) = −log(1 − p), +Inf if the event comes with a lower probability than p at all.
func (e ExpHawkes) Quantile(p float64) float64 {
	if !(p >= 0 && p <= 1) {
		return math.NaN()
	}
	return e.QuantileLogSurvival(math.Log1p(-p))
}

// QuantileLogSurvival returns the t with Λ(t) = −logS.
func (e ExpHawkes) QuantileLogSurvival(logS float64) float64 {
	target := -logS
	switch {
	case !(target >= 0):
		return math.NaN()
	case target == 0:
		return 0
	case math.IsInf(target, 1) || e.compensator(0, math.Inf(1)) < target:
		return math.Inf(1)
	}
	// Λ is concave and lies below its tangents at 0 and at infinity: where those reach the target is before the root,
	// and Newton's steps climb to it without passing it. Many are needed only where λ falls by orders of magnitude.
	start, excited := target/e.intensity(0), 0.0
	for i, a := range e.Alpha {
		if a > 0 {
			excited += a / e.Beta[i]
		}
	}
	if e.Base > 0 && excited < target {
		start = math.Max(start, (target-excited)/e.Base)
	}
	t := start
	for range 60 {
		next := t + (target-e.compensator(0, t))/e.intensity(t)
		if !(next-t > 1e-15*t) {
			return t
		}
		t = next
	}
	return bisect(func(t float64) bool { return e.compensator(0, t) >= target })
}

// Rand draws a τ by inversion. It is +Inf if the event never comes.
func (e ExpHawkes) Rand() float64 { return e.QuantileLogSurvival(math.Log(uniform(e.Src))) }

// RestrictedMean returns ∫₀ʰ S(t) dt by adaptive quadrature, to about 1e-10 relative.
func (e ExpHawkes) RestrictedMean(h float64) float64 {
	if h <= 0 || isNaN(h) {
		return h
	}
	return integrateSurvival(&e, h, 1e-13)
}
