package tpp

import (
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/tpp/internal/simd"
)

// Median is the median of the time to the next event. It is that of Time, but for recurrent models it is found in float32,
// to about six digits, in a fraction of the time: what a live prediction needs.
func (n *Next) Median() float64 {
	if n.median != nil {
		return n.median.median()
	}
	return n.Time.Median()
}

// medianFinder finds the median of the mixture that a recurrent model predicts, in standardised log time.
type medianFinder struct {
	norm                      normalisation
	locations, scales, logits []float32 // as the model predicts them, the scales exponentiated
	weights, precisions       []float32
}

// medianTolerance is where float32 has no more to tell.
const medianTolerance = 2e-7

// median is the root of F(x) − S(x): Newton's steps, and where they lead out of the bracket, halves of it. The median of
// a mixture lies between the least and the greatest median of its components.
func (m *medianFinder) median() float64 {
	k := len(m.locations)
	m.weights, m.precisions = m.weights[:k], m.precisions[:k]
	simd.Softmax(m.weights, m.logits)
	x := 0.0
	for i, s := range m.scales {
		m.precisions[i] = 1 / min(max(s, minScale), maxScale)
		x += float64(m.weights[i]) * float64(m.locations[i])
	}
	lo, hi := float64(slices.Min(m.locations)), float64(slices.Max(m.locations))
	for range 60 {
		cdf, survival, density := simd.NormalMixtureCDF(m.weights, m.locations, m.precisions, float32(x))
		f := float64(cdf - survival)
		if math.Abs(f) < medianTolerance {
			break
		}
		if f > 0 {
			hi = x
		} else {
			lo = x
		}
		next := x - f/(2*float64(density))
		if !(next > lo && next < hi) {
			next = (lo + hi) / 2
		}
		if math.Abs(next-x) < medianTolerance*(1+math.Abs(x)) {
			break
		}
		x = next
	}
	return math.Exp(m.norm.Mean + m.norm.Std*x)
}
