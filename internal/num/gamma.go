package num

import (
	"math"
	"math/rand/v2"
)

// DrawGamma draws from the gamma distribution with a shape and a rate, both positive; its mean is shape/rate.
//
// From shape 0.2 on the method is that of Marsaglia and Tsang ("A Simple Method for Generating Gamma Variables", ACM TOMS 26(3), 2000), with
// their boost by a power of a uniform number below shape 1; below it is that of Liu, Martin and Syring ("Simulating from a gamma
// distribution with small shape parameter", arXiv:1302.1884), which does not underflow.
func DrawGamma(shape, rate float64, r *rand.Rand) float64 {
	switch {
	case shape == 1:
		return r.ExpFloat64() / rate
	case shape < 0.2:
		return drawSmallGamma(shape, r) / rate
	}
	boost, d := 1.0, shape-1.0/3
	if shape < 1 {
		boost, d = math.Pow(r.Float64(), 1/shape), d+1
	}
	c := 1 / (3 * math.Sqrt(d))
	for {
		x := r.NormFloat64()
		v := 1 + x*c
		if v <= 0 {
			continue
		}
		v *= v * v
		u, squared := r.Float64(), x*x
		// The first bound, the paper's squeeze, accepts most proposals without a logarithm.
		if u < 1-0.0331*squared*squared || math.Log(u) < 0.5*squared+d*(1-v+math.Log(v)) {
			return boost * d * v / rate
		}
	}
}

// drawSmallGamma draws from the gamma distribution with a shape below 1 and rate 1. It draws z = −shape·log X by rejection from a proposal
// that is exponential on either side of 0, with the rates 1 and λ = 1/shape − 1 (Liu, Martin and Syring, section 3).
func drawSmallGamma(shape float64, r *rand.Rand) float64 {
	lambda := 1/shape - 1
	right := math.Log1p(1 / lambda / math.E) // −log of the share of the proposal on the right side
	for {
		z := r.ExpFloat64() - right
		if z < 0 {
			z = -r.ExpFloat64() / lambda
		}
		x := math.Exp(-z / shape)
		target, proposal := -z-x, -z
		if z < 0 {
			proposal = lambda*z - 1
		}
		if target-proposal > -r.ExpFloat64() {
			return x
		}
	}
}
