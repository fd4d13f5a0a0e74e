package dist

import (
	"math"

	"gonum.org/v1/gonum/integrate/quad"
)

// gaussPoints and gaussWeights are the Gauss-Legendre rule on [−1, 1].
var gaussPoints, gaussWeights = func() (x, w [16]float64) {
	quad.Legendre{}.FixedLocations(x[:], w[:], -1, 1)
	return x, w
}()

// gauss returns ∫ exp(logS(t)) dt from a to b by one Gauss-Legendre rule.
func gauss(logS func(t float64) float64, a, b float64) float64 {
	middle, half := a+0.5*(b-a), 0.5*(b-a)
	sum := 0.0
	for i, x := range gaussPoints {
		sum += gaussWeights[i] * math.Exp(logS(middle+half*x))
	}
	return half * sum
}

// refiner integrates adaptively: it halves an interval until the rule on the whole agrees with the sum of both halves.
type refiner struct {
	logS     func(t float64) float64
	tol      float64 // absolute
	halvings int     // remaining; bounds the work where logS is noisy or jumps
}

// refine returns the integral from a to b, given its value by one rule on the whole.
func (r *refiner) refine(a, b, whole float64) float64 {
	middle := a + 0.5*(b-a)
	left, right := gauss(r.logS, a, middle), gauss(r.logS, middle, b)
	r.halvings--
	if math.Abs(left+right-whole) <= r.tol || r.halvings <= 0 || middle == a || middle == b {
		return left + right
	}
	return r.refine(a, middle, left) + r.refine(middle, b, right)
}

// integrateSurvival returns ∫₀ʰ S(t) dt, 0 < h ≤ +Inf, to a relative error of about tol. The pieces end at quantiles, so that
// S is smooth on the scale of each; what is steeper than that has little area, and refining finds it.
func integrateSurvival(d Distribution, h, tol float64) float64 {
	if math.IsInf(h, 1) && !math.IsInf(d.LogSurvival(h), -1) {
		return h
	}
	sum, from := 0.0, 0.0
	for level := -1. / 128; level > -1e6; level *= 2 {
		to := math.Min(QuantileLogSurvival(d, level), h)
		if math.IsInf(to, 1) {
			return to // a tail beyond the largest float64
		}
		piece := 0.0
		if to > from {
			whole := gauss(d.LogSurvival, from, to)
			r := refiner{logS: d.LogSurvival, tol: tol * (sum + whole), halvings: 200}
			piece = r.refine(from, to, whole)
			sum += piece
			from = to
		}
		if to == h || level <= -32 && piece <= 1e-16*sum {
			break
		}
	}
	return sum
}
