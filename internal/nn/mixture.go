package nn

import (
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/internal/simd"
)

// Scales of components are clamped to these bounds, so that nothing overflows or divides by zero.
const (
	minScale = 1e-18
	maxScale = 1e18
)

// ClampScale returns the scale of a mixture component, clamped to [1e-18, 1e18].
func ClampScale(scale float64) float64 { return min(max(scale, minScale), maxScale) }

// Mixture is a normal mixture of K components: a view of a row of a head's outputs. NewMixture returns one.
type Mixture struct {
	Locations, Scales, Logits []float32 // K each; the logits up to a common constant

	weights, precisions []float32 // memory of Median
}

// NewMixture returns a view of a row of a head's outputs: K locations, K log scales, K logits. Exponentiate must be called
// on new outputs before Scales or Median is used.
func NewMixture(out []float32) Mixture {
	k := len(out) / 3
	return Mixture{
		Locations: out[:k], Scales: out[k : 2*k], Logits: out[2*k:],
		weights: make([]float32, k), precisions: make([]float32, k),
	}
}

// Exponentiate replaces the log scales that the head computed by scales.
func (m *Mixture) Exponentiate() {
	simd.Exp(m.Scales, m.Scales)
}

// medianTolerance is the accuracy of Median, close to the resolution of float32.
const medianTolerance = 2e-7

// Median returns the root of F(x) − S(x), to about six digits, by Newton's method, with bisection where a step leaves the
// bracket. The median of a mixture lies between the least and the greatest median of its components.
func (m *Mixture) Median() float64 {
	simd.Softmax(m.weights, m.Logits)
	x := 0.0
	for i, s := range m.Scales {
		m.precisions[i] = 1 / min(max(s, minScale), maxScale)
		x += float64(m.weights[i]) * float64(m.Locations[i])
	}
	lo, hi := float64(slices.Min(m.Locations)), float64(slices.Max(m.Locations))
	for range 60 {
		cdf, survival, density := simd.NormalMixtureCDF(m.weights, m.Locations, m.precisions, float32(x))
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
	return x
}

// SoftmaxRows replaces rows of n logits by probabilities. If totals is not nil, totals[row] is set to the sum of the row,
// which is not exactly 1 because of rounding.
func SoftmaxRows(rows []float32, n int, totals []float64) {
	for row := 0; (row+1)*n <= len(rows); row++ {
		p := rows[row*n : (row+1)*n]
		simd.Softmax(p, p)
		if totals != nil {
			totals[row] = Sum(p)
		}
	}
}

// Sum returns the sum of values.
func Sum(values []float32) float64 { return float64(simd.Sum(values)) }
