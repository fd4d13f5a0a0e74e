package main

import (
	"errors"
	"math"
)

// LogLogistic is the log-logistic distribution of a time, S(t) = 1/(1 + (t/Scale)^Shape): the logarithm of the time is logistic.
// Its four methods are all that a dist.Distribution needs; medians, means, hazards and intervals come from the functions of
// package dist.
type LogLogistic struct{ Shape, Scale float64 }

// LogProb returns the logarithm of the density.
func (l LogLogistic) LogProb(t float64) float64 {
	if t <= 0 {
		return math.Inf(-1)
	}
	x := l.Shape * math.Log(t/l.Scale)
	return math.Log(l.Shape/t) + x - 2*softplus(x)
}

// CDF returns P(τ ≤ t).
func (l LogLogistic) CDF(t float64) float64 { return -math.Expm1(l.LogSurvival(t)) }

// LogSurvival returns −log(1 + (t/Scale)^Shape).
func (l LogLogistic) LogSurvival(t float64) float64 {
	if t <= 0 {
		return 0
	}
	return -softplus(l.Shape * math.Log(t/l.Scale))
}

// Quantile returns Scale (p/(1 − p))^(1/Shape).
func (l LogLogistic) Quantile(p float64) float64 {
	if !(p >= 0 && p <= 1) {
		return math.NaN()
	}
	return l.Scale * math.Pow(p/(1-p), 1/l.Shape)
}

// softplus returns log(1 + eˣ).
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// fitLogLogistic returns the distribution that matches mean and variance of the logarithms of the times: the mean is
// log Scale and the standard deviation π/(√3 Shape).
func fitLogLogistic(times []float64) (LogLogistic, error) {
	n, sum, squares := 0.0, 0.0, 0.0
	for _, t := range times {
		x := math.Log(max(t, 0.5)) // half a tick of a clock of whole milliseconds
		n, sum, squares = n+1, sum+x, squares+x*x
	}
	if n == 0 {
		return LogLogistic{}, errors.New("there is no time to fit a distribution to")
	}
	mean := sum / n
	std := math.Sqrt(max(squares/n-mean*mean, 1e-4))
	return LogLogistic{Shape: math.Pi / (math.Sqrt(3) * std), Scale: math.Exp(mean)}, nil
}
