package nn

import "github.com/tppfaas/tppfaas/internal/simd"

// Adam is the optimiser of Kingma and Ba (2015, algorithm 1), with L2 regularisation added to the gradient. For an update,
// call Begin and then UpdatePart for parts that together cover all parameters. LR, Beta1, Beta2 and Eps must be set: zero
// values are not replaced by defaults.
type Adam[F Float] struct {
	LR, Beta1, Beta2, Eps, WeightDecay float64

	Keep float64 // if not 0, an update multiplies the parameters by this first (decoupled weight decay)

	Step int // updates so far
	M, V []F // first and second moments
}

// Begin starts an update of n parameters: it increments Step and, at the first update, allocates M and V.
func (a *Adam[F]) Begin(n int) {
	if a.M == nil {
		a.M, a.V = make([]F, n), make([]F, n)
	}
	a.Step++
}

// UpdatePart updates params[first:last]. Parts that do not overlap may be updated concurrently.
func (a *Adam[F]) UpdatePart(params, grad []F, first, last int) {
	simd.Adam(params[first:last], grad[first:last], a.M[first:last], a.V[first:last], simd.AdamStep{
		LR: a.LR, Beta1: a.Beta1, Beta2: a.Beta2, Eps: a.Eps, WeightDecay: a.WeightDecay, Step: a.Step, Keep: a.Keep,
	})
}
