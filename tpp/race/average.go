package race

import "github.com/tppfaas/tppfaas/internal/simd"

// average is the average of the parameters after all updates so far, those after update t weighted by about t^averageDegree: the
// polynomial-decay averaging of Shamir and Zhang (2013, Stochastic Gradient Descent for Non-smooth Optimization). It reaches back over
// about a seventh of the updates, whenever training ends, and evens out what the latest batches changed: the average generalises better
// than the parameters it is of, above all while the learning rate is high, where training on few sequences is best before it overfits.
type average struct {
	params  []float32
	updates int
}

const averageDegree = 6

// begin starts an addition of parameters, of which addPart adds parts that together are all of them.
func (a *average) begin(params []float32) {
	if a.updates++; a.updates == 1 {
		a.params = make([]float32, len(params))
	}
}

// addPart adds params[first:last]. Parts that do not overlap may be added concurrently.
func (a *average) addPart(params []float32, first, last int) {
	own := a.params[first:last]
	if a.updates == 1 {
		copy(own, params[first:last])
		return
	}
	weight := float32(averageDegree+1) / float32(averageDegree+a.updates)
	simd.AddScaled(own, own, -weight, own)
	simd.AddScaled(own, own, weight, params[first:last])
}
