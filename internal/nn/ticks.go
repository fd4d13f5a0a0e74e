package nn

import "github.com/tppfaas/tppfaas/internal/simd"

// MixtureTickNLL scores intervals, one a row, under mixtures of normals as MixtureNLL scores points: by the log
// probability of lying in the interval, which is what a clock of finite resolution tells. An interval is given by its
// middle and its width, which may be too small for the ends to differ in F; with a width of +Inf it is all that lies below
// the middle. It returns the sum of the log probabilities. LogProb is memory for one number a row.
func MixtureTickNLL[F Float](out, middle, width, logProb []F, scale F) float64 {
	if len(middle) == 0 {
		return 0
	}
	k := len(out) / len(middle) / 3
	if scale == 0 {
		simd.NormalMixtureTick(logProb[:len(middle)], out, middle, width, k)
	} else {
		simd.NormalMixtureTickGrad(logProb[:len(middle)], out, out, middle, width, k, scale)
	}
	return sum(logProb[:len(middle)])
}
