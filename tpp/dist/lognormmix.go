package dist

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mathext"
)

// LogNormMix is a mixture of log-normal distributions: log τ is drawn from a mixture of K normal distributions,
//
//	f(t) = Σₖ wₖ / (t σₖ √(2π)) exp(−(log t − μₖ)² / (2 σₖ²)).
//
// It is the output of the model of Shchur, Biloš and Günnemann (2020), Intensity-Free Learning of Temporal Point
// Processes, section 4. No method allocates for K ≤ 256. To use one as a Distribution without a copy, take its address.
// The zero value is not valid: without components all is NaN.
type LogNormMix struct {
	// LogWeights are the log wₖ, up to a common constant: the methods normalise. A weight may be −Inf (a component that
	// is absent), but not all of them.
	LogWeights []float64
	// Mu and Sigma are mean and standard deviation of log τ in each component: τ in the unit of time, natural
	// logarithm. Sigma is > 0. A change of the unit by a factor c adds log c to every Mu.
	Mu, Sigma []float64
	// Src is the source of Rand; nil means the global source.
	Src rand.Source
}

// maxStackComponents is the largest number of components whose weights Quantile keeps on the stack.
const maxStackComponents = 256

// tiny is the threshold below which sums of probabilities are recomputed from logarithms. Above it, terms that underflow
// are smaller than rounding.
const tiny = 1e-280

// Bounds for log quantiles, just beyond the logarithms of the smallest and the largest float64.
const (
	minLogTime = -750
	maxLogTime = 750
)

// Validate returns an error that names the first parameter that is not valid.
func (l LogNormMix) Validate() error {
	k := len(l.LogWeights)
	if k == 0 {
		return errors.New("log-normal mixture: no components")
	}
	if len(l.Mu) != k || len(l.Sigma) != k {
		return fmt.Errorf("log-normal mixture: %d log weights, %d means, %d standard deviations", k, len(l.Mu), len(l.Sigma))
	}
	present := false
	for i, lw := range l.LogWeights {
		switch {
		case isNaN(lw) || math.IsInf(lw, 1):
			return fmt.Errorf("log-normal mixture: log weight of component %d is %v", i, lw)
		case isNaN(l.Mu[i]) || math.IsInf(l.Mu[i], 0):
			return fmt.Errorf("log-normal mixture: mean of component %d is %v, want a finite number", i, l.Mu[i])
		case !(l.Sigma[i] > 0) || math.IsInf(l.Sigma[i], 1):
			return fmt.Errorf("log-normal mixture: standard deviation of component %d is %v, want a finite number > 0", i, l.Sigma[i])
		}
		present = present || !math.IsInf(lw, -1)
	}
	if !present {
		return fmt.Errorf("log-normal mixture: all %d weights are 0", k)
	}
	return nil
}

// maxLogWeight returns the largest log weight. Weights relative to it lie in [0, 1] and add up to at least 1.
func (l *LogNormMix) maxLogWeight() float64 {
	m := math.Inf(-1)
	for _, lw := range l.LogWeights {
		if lw > m {
			m = lw
		}
	}
	return m
}

// logTotalWeight returns the logarithm of the sum of the weights.
func (l *LogNormMix) logTotalWeight() float64 {
	m := l.maxLogWeight()
	sum := 0.0
	for _, lw := range l.LogWeights {
		sum += expNeg(lw - m)
	}
	return m + math.Log(sum)
}

// tails returns P(log τ ≤ x) and P(log τ > x), both multiplied by one common factor ≥ 1, so that neither is lost beside
// the other.
func (l *LogNormMix) tails(x float64) (below, above float64) {
	m := l.maxLogWeight()
	mu, sigma := l.Mu[:len(l.LogWeights)], l.Sigma[:len(l.LogWeights)]
	for k, lw := range l.LogWeights {
		w := expNeg(lw - m)
		if w == 0 {
			continue
		}
		z := (x - mu[k]) / sigma[k]
		q := w * normTail(math.Abs(z))
		if z > 0 {
			above += q
			below += w - q
		} else {
			below += q
			above += w - q
		}
	}
	return below, above
}

// logTail returns log P(sign·log τ > sign·x) for sign ±1, in logarithms throughout.
func (l *LogNormMix) logTail(x, sign float64) float64 {
	sum := newLogSum()
	for k, lw := range l.LogWeights {
		if !math.IsInf(lw, -1) {
			sum.add(lw + logNormCDF(-sign*(x-l.Mu[k])/l.Sigma[k]))
		}
	}
	return math.Min(sum.log()-l.logTotalWeight(), 0)
}

// Prob returns the probability density.
func (l LogNormMix) Prob(t float64) float64 { return math.Exp(l.LogProb(t)) }

// LogProb returns the logarithm of the probability density. At 0 and +Inf it is −Inf.
func (l LogNormMix) LogProb(t float64) float64 {
	if isNaN(t) {
		return t
	}
	if t <= 0 || math.IsInf(t, 1) {
		return math.Inf(-1)
	}
	x := math.Log(t)
	m := l.maxLogWeight()
	mu, sigma := l.Mu[:len(l.LogWeights)], l.Sigma[:len(l.LogWeights)]
	density, total, narrowest := 0.0, 0.0, math.Inf(1)
	for k, lw := range l.LogWeights {
		w := expNeg(lw - m)
		if w == 0 {
			continue
		}
		s := sigma[k]
		z := (x - mu[k]) / s
		density += w * expNeg(-0.5*z*z) / s
		total += w
		narrowest = min(narrowest, s)
	}
	if density*narrowest > tiny && density < 1e300 {
		return math.Log(density/total) - x - logSqrt2Pi
	}
	sum := newLogSum()
	for k, lw := range l.LogWeights {
		if !math.IsInf(lw, -1) {
			z := (x - mu[k]) / sigma[k]
			sum.add(lw - 0.5*z*z - math.Log(sigma[k]))
		}
	}
	return sum.log() - l.logTotalWeight() - x - logSqrt2Pi
}

// CDF returns F(t) = Σₖ wₖ Φ((log t − μₖ)/σₖ).
func (l LogNormMix) CDF(t float64) float64 {
	if isNaN(t) {
		return t
	}
	if t <= 0 {
		return 0
	}
	below, above := l.tails(math.Log(t))
	return below / (below + above)
}

// LogCDF returns log F(t).
func (l LogNormMix) LogCDF(t float64) float64 {
	if isNaN(t) {
		return t
	}
	if t <= 0 {
		return math.Inf(-1)
	}
	x := math.Log(t)
	below, above := l.tails(x)
	return l.logShare(below, above, x, -1)
}

// Survival returns S(t) = 1 − F(t), without cancellation.
func (l LogNormMix) Survival(t float64) float64 {
	if isNaN(t) {
		return t
	}
	if t <= 0 {
		return 1
	}
	below, above := l.tails(math.Log(t))
	return above / (below + above)
}

// LogSurvival returns log S(t).
func (l LogNormMix) LogSurvival(t float64) float64 {
	if isNaN(t) {
		return t
	}
	if t <= 0 {
		return 0
	}
	return l.logSurvivalAt(math.Log(t))
}

// logSurvivalAt returns log P(log τ > x).
func (l *LogNormMix) logSurvivalAt(x float64) float64 {
	below, above := l.tails(x)
	return l.logShare(above, below, x, 1)
}

// logShare returns log(tail/(tail + rest)). Where tail underflows it is computed from logarithms; sign tells logTail
// which tail.
func (l *LogNormMix) logShare(tail, rest, x, sign float64) float64 {
	switch {
	case tail > rest:
		return math.Log1p(-rest / (tail + rest))
	case tail > tiny:
		return math.Log(tail / (tail + rest))
	case math.IsInf(x, 0):
		return math.Inf(-1)
	}
	return l.logTail(x, sign)
}

// Hazard returns f(t)/S(t). It tends to 0 at both ends.
func (l LogNormMix) Hazard(t float64) float64 {
	if isNaN(t) {
		return t
	}
	if t <= 0 || math.IsInf(t, 1) {
		return 0
	}
	logS := l.LogSurvival(t)
	if math.IsInf(logS, -1) {
		return l.farHazard(t)
	}
	return math.Exp(l.LogProb(t) - logS)
}

// farHazard returns the hazard where even the logarithm of S(t) overflows: that of the component with the heaviest tail
// there, z/(σ t) for large z.
func (l *LogNormMix) farHazard(t float64) float64 {
	x := math.Log(t)
	nearest, sigma := math.Inf(1), 1.0
	for k, lw := range l.LogWeights {
		if z := (x - l.Mu[k]) / l.Sigma[k]; !math.IsInf(lw, -1) && z < nearest {
			nearest, sigma = z, l.Sigma[k]
		}
	}
	return nearest / sigma / t
}

// Median returns Quantile(0.5).
func (l LogNormMix) Median() float64 { return l.Quantile(0.5) }

// Quantile returns the t with F(t) = p, to about 1e-14 |log t| relative. It is 0 for p = 0 and +Inf for p = 1. Between
// components that do not overlap, F is constant to rounding, and the quantile is some point of that interval.
func (l LogNormMix) Quantile(p float64) float64 {
	switch {
	case !(p >= 0 && p <= 1) || len(l.LogWeights) == 0:
		return math.NaN()
	case p == 0:
		return 0
	case p == 1:
		return math.Inf(1)
	case p <= 0.5:
		return math.Exp(l.logQuantile(mathext.NormalQuantile(p)))
	}
	return math.Exp(l.logQuantile(-mathext.NormalQuantile(1 - p))) // 1 − p is exact from ½ up
}

// QuantileLogSurvival returns the t with log S(t) = logS ≤ 0, also where S(t) underflows.
func (l LogNormMix) QuantileLogSurvival(logS float64) float64 {
	switch {
	case !(logS <= 0) || len(l.LogWeights) == 0:
		return math.NaN()
	case logS == 0:
		return 0
	case math.IsInf(logS, -1):
		return math.Inf(1)
	case logS > -math.Ln2:
		return math.Exp(l.logQuantile(mathext.NormalQuantile(-math.Expm1(logS))))
	case logS > -600:
		return math.Exp(l.logQuantile(-normQuantileLog(logS)))
	}
	return math.Exp(l.logTailQuantile(logS))
}

// logQuantile returns the x with P(log τ ≤ x) = Φ(target), for |target| < 38. It solves Φ⁻¹(F(x)) = target, which for one
// component is linear in x, between the smallest and the largest quantile of the components.
func (l *LogNormMix) logQuantile(target float64) float64 {
	var stack [maxStackComponents]float64
	weights := stack[:]
	if n := len(l.LogWeights); n <= maxStackComponents {
		weights = weights[:n]
	} else {
		weights = make([]float64, n)
	}
	mu, sigma := l.Mu[:len(weights)], l.Sigma[:len(weights)]
	m := l.maxLogWeight()
	lo, hi, mean, total := math.Inf(1), math.Inf(-1), 0.0, 0.0
	for k, lw := range l.LogWeights {
		w := expNeg(lw - m)
		weights[k] = w
		if w == 0 {
			continue
		}
		x := mu[k] + sigma[k]*target
		lo, hi = min(lo, x), max(hi, x)
		mean += w * x
		total += w
	}
	lo, hi = max(lo, minLogTime), min(hi, maxLogTime)
	if lo >= hi {
		return lo
	}
	return solve(lo, hi, mean/total, func(x float64) (y, dy float64) {
		below, above, density := 0.0, 0.0, 0.0
		for k, w := range weights {
			if w == 0 {
				continue
			}
			s := sigma[k]
			z := (x - mu[k]) / s
			a := math.Abs(z)
			if a > 40 {
				if z > 0 {
					below += w
				} else {
					above += w
				}
				continue
			}
			phi := w * expNeg(-0.5*z*z)
			density += phi / s
			q := phi * mills(a) * (1 / sqrt2Pi)
			if z > 0 {
				above += q
				below += w - q
			} else {
				below += q
				above += w - q
			}
		}
		z := 0.0
		if below < above {
			z = mathext.NormalQuantile(below / total)
		} else {
			z = -mathext.NormalQuantile(above / total)
		}
		if math.IsInf(z, 0) {
			return z, 0
		}
		return z - target, density / total * math.Exp(0.5*z*z)
	})
}

// logTailQuantile returns the x with log P(log τ > x) = logS far in the tail. It solves √(−2 log S(x)) = √(−2 logS), which
// far out is nearly linear in x. Components that matter only there may have weights that underflow.
func (l *LogNormMix) logTailQuantile(logS float64) float64 {
	z := -normQuantileLog(logS)
	lo, hi := math.Inf(1), math.Inf(-1)
	for k, lw := range l.LogWeights {
		if !math.IsInf(lw, -1) {
			x := l.Mu[k] + l.Sigma[k]*z
			lo, hi = min(lo, x), max(hi, x)
		}
	}
	lo, hi = max(lo, minLogTime), min(hi, maxLogTime)
	if lo >= hi {
		return lo
	}
	target := math.Sqrt2 * math.Sqrt(-logS)
	return solve(lo, hi, lo+(hi-lo)/2, func(x float64) (y, dy float64) {
		density, tail := newLogSum(), newLogSum()
		for k, lw := range l.LogWeights {
			if !math.IsInf(lw, -1) {
				z := (x - l.Mu[k]) / l.Sigma[k]
				density.add(lw - 0.5*z*z - logSqrt2Pi - math.Log(l.Sigma[k]))
				tail.add(lw + logNormCDF(-z))
			}
		}
		r := math.Sqrt2 * math.Sqrt(max(l.logTotalWeight()-tail.log(), 0))
		return r - target, math.Exp(density.log()-tail.log()) / r
	})
}

// Rand draws a component, then a τ from it.
func (l LogNormMix) Rand() float64 {
	if len(l.LogWeights) == 0 {
		return math.NaN()
	}
	m := l.maxLogWeight()
	total := 0.0
	for _, lw := range l.LogWeights {
		total += expNeg(lw - m)
	}
	left := uniform(l.Src) * total
	chosen := 0
	for k, lw := range l.LogWeights {
		w := expNeg(lw - m)
		if w == 0 {
			continue
		}
		chosen = k // the last one present, should rounding leave something over
		if left -= w; left <= 0 {
			break
		}
	}
	return math.Exp(l.Mu[chosen] + l.Sigma[chosen]*normal(l.Src))
}
