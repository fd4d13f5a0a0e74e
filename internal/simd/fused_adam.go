package simd

import "math"

// AdamStep is the settings of one update by Adam (Kingma and Ba 2015, algorithm 1), named as in PyTorch.
type AdamStep struct {
	LR           float64 // step size
	Beta1, Beta2 float64 // decay of the moments, 0.9 and 0.999 as a rule
	Eps          float64 // added to the root of the second moment, 1e-8 as a rule
	WeightDecay  float64 // L2 regularisation: this times the parameter is added to the gradient
	Step         int     // number of the step, from 1
	Keep         float64 // if not 0, parameters are multiplied by this first (decoupled weight decay, Loshchilov and Hutter 2019)
}

// Adam updates parameters, and the first and second moments m and v of their gradients, all of the length of params:
//
//	g ← g + WeightDecay·p    m ← β₁·m + (1−β₁)·g    v ← β₂·v + (1−β₂)·g²
//	p ← p − LR/(1−β₁ᵗ) · m/(√(v/(1−β₂ᵗ)) + Eps)
//
// The gradients are left as they are.
func Adam[T Float](params, grads, m, v []T, s AdamStep) {
	grads, m, v = first(grads, len(params)), first(m, len(params)), first(v, len(params))
	step := s.LR / (1 - math.Pow(s.Beta1, float64(s.Step)))
	correction := 1 / math.Sqrt(1-math.Pow(s.Beta2, float64(s.Step)))
	if fast[T]() {
		if len(params) > 0 {
			adamFast(f32(params), f32(grads), f32(m), f32(v), float32(s.Keep), &[7]float32{float32(s.WeightDecay), float32(1 - s.Beta1),
				float32(s.Beta2), float32(1 - s.Beta2), float32(correction), float32(s.Eps), float32(step)})
		}
		return
	}
	if s.Keep != 0 {
		AddScaled(params, params, T(s.Keep)-1, params)
	}
	decay, rest1, beta2, rest2, eps := T(s.WeightDecay), T(1-s.Beta1), T(s.Beta2), T(1-s.Beta2), T(s.Eps)
	for i, p := range params {
		g := grads[i] + decay*p
		m[i] += rest1 * (g - m[i])
		v[i] = beta2*v[i] + rest2*g*g
		params[i] = p - T(step)*m[i]/(T(math.Sqrt(float64(v[i])))*T(correction)+eps)
	}
}
