package simd

// The bounds of the log scales of logistic distributions: from below so that nothing is divided by zero, from above so that all tails of
// exponentials of them have a mean.
const (
	MinLogScale = -11
	MaxLogScale = -0.5
)

// LogisticPrecisions sets dst to e^−v for log scales v, which are bounded by MinLogScale and MaxLogScale.
func LogisticPrecisions[T Float](dst, logScales []T) {
	dst = first(dst, len(logScales))
	if fast[T]() && len(logScales) > 0 {
		logisticPrecisionsFast(f32(dst), f32(logScales))
		return
	}
	for i, v := range logScales {
		dst[i] = -min(max(v, MinLogScale), MaxLogScale)
	}
	Exp(dst, dst)
}

// LogisticSurvival sets u to (location − y)·precision and s to σ(u), the probabilities that logistic variables are above y, and returns the sum of these,
// weighted. All vectors have the length of u.
func LogisticSurvival[T Float](u, s, weights, locations, precisions []T, y T) T {
	k := len(u)
	s, weights, locations, precisions = first(s, k), first(weights, k), first(locations, k), first(precisions, k)
	if fast[T]() && k > 0 {
		return T(logisticSurvivalFast(f32(u), f32(s), f32(weights), f32(locations), f32(precisions), float32(y)))
	}
	for i, p := range precisions {
		u[i] = (locations[i] - y) * p
	}
	Sigmoid(s, u)
	return Dot(weights, s)
}

// Logistics are mixtures of k logistic distributions with what LogisticSurvival returned for them at two arguments.
type Logistics[T Float] struct {
	Weights, Precisions, LogScales []T
	U1, S1, U2, S2                 []T // arguments and survivals of the components
	Survival1, Survival2           T   // of the mixture
}

// AddGrad adds to grad, of locations, log scales and logits (3k), the gradients of slope1 times the survival at the first argument plus slope2 times
// that at the second one.
func (l *Logistics[T]) AddGrad(grad []T, slope1, slope2 T) {
	k := len(l.Weights)
	location, scale, logit := grad[:k], grad[k:2*k], grad[2*k:3*k]
	precisions, logScales := first(l.Precisions, k), first(l.LogScales, k)
	u1, s1, u2, s2 := first(l.U1, k), first(l.S1, k), first(l.U2, k), first(l.S2, k)
	if fast[T]() && k > 0 {
		logisticGradFast(f32(location), f32(scale), f32(logit), f32(l.Weights), f32(precisions), f32(logScales), f32(s1), f32(u1), f32(s2), f32(u2),
			&[4]float32{float32(slope1), float32(slope2), float32(l.Survival1), float32(l.Survival2)})
		return
	}
	for i, weight := range l.Weights {
		d1, d2 := s1[i]*(1-s1[i])*slope1, s2[i]*(1-s2[i])*slope2
		location[i] += weight * precisions[i] * (d1 + d2)
		if v := logScales[i]; v > MinLogScale && v < MaxLogScale {
			scale[i] -= weight * (d1*u1[i] + d2*u2[i])
		}
		logit[i] += weight * ((s1[i]-l.Survival1)*slope1 + (s2[i]-l.Survival2)*slope2)
	}
}

// Rectify sets x to max(x, 0), element by element.
func Rectify[T Float](x []T) {
	if fast[T]() && len(x) > 0 {
		rectifyFast(f32(x))
		return
	}
	for i, v := range x {
		x[i] = max(v, 0)
	}
}

// RectifyGrad sets the gradient of what Rectify left to 0 where that is 0. The product, without a branch, is 1 for all positive x but the tiniest.
func RectifyGrad[T Float](grad, x []T) {
	x = first(x, len(grad))
	if fast[T]() && len(x) > 0 {
		rectifyGradFast(f32(grad), f32(x))
		return
	}
	for i, v := range x {
		grad[i] *= min(v*1e30, 1)
	}
}

// Mul multiplies dst by x, element by element.
func Mul[T Float](dst, x []T) {
	x = first(x, len(dst))
	if fast[T]() && len(x) > 0 {
		mulFast(f32(dst), f32(x))
		return
	}
	for i, v := range x {
		dst[i] *= v
	}
}
