package nn

import "github.com/tppfaas/tppfaas/internal/simd"

// MixtureTickNLL returns the sum of the log probabilities of intervals, one per row, under mixtures of normals as for
// MixtureNLL. An interval, such as a tick of a clock of finite resolution, is given by its middle and its width, which may
// be too small for the ends to differ in F. With a width of +Inf it is everything below the middle. logProb is scratch
// memory for one number per row.
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
