package neural

import (
	"math"

	"github.com/tppfaas/tppfaas/internal/nn"
)

// fastMedian finds the median of the mixture that a recurrent model predicts in standardised log time: in float32, to about
// six digits, in a fraction of the time.
type fastMedian struct {
	predicted *nn.Mixture
	norm      normalisation
}

func (m *fastMedian) Median() float64 {
	return math.Exp(m.norm.Mean + m.norm.Std*m.predicted.Median())
}
