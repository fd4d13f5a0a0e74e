package nn

import "github.com/tppfaas/tppfaas/tpp/internal/simd"

// Adam is the optimiser of Kingma and Ba (2015, algorithm 1), with L2 regularisation added to the gradient.
type Adam[F Float] struct {
	LR, Beta1, Beta2, Eps, WeightDecay float64

	Step int // updates so far
	M, V []F // first and second moments
}

// Update moves params along grad.
func (a *Adam[F]) Update(params, grad []F) {
	if a.M == nil {
		a.M, a.V = make([]F, len(params)), make([]F, len(params))
	}
	a.Step++
	simd.Adam(params, grad, a.M, a.V, simd.AdamStep{
		LR: a.LR, Beta1: a.Beta1, Beta2: a.Beta2, Eps: a.Eps, WeightDecay: a.WeightDecay, Step: a.Step,
	})
}
