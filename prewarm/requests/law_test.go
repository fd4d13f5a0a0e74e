package requests

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mathext"

	"github.com/tppfaas/tppfaas/tpp/dist"
)

// TestLawOfExponential compares a tabulated exponential, and sums of it, with the closed forms.
func TestLawOfExponential(t *testing.T) {
	l := newLaw(dist.Exponential{Rate: 0.1})
	require.InEpsilon(t, 10, l.mean, 1e-3)
	s := newSums(l)
	for _, p := range []float64{1e-6, 1e-3, 0.01, 0.1, 0.5, 0.9, 0.99, 1 - 1e-3} {
		x := -10 * math.Log1p(-p)
		require.InEpsilon(t, p, l.cdf(x), 0.01, "below %v", x)
		require.InEpsilon(t, 1-p, l.survival(x), 0.01, "above %v", x)
		require.InDelta(t, math.Log(1-p), l.logSurvival(x), 0.01)
		require.InDelta(t, math.Log(0.1)+math.Log(1-p), l.logDensity(x), 0.1, "at %v", x)
	}
	require.InDelta(t, -100, l.logSurvival(1000), 2, "beyond the levels")
	for _, k := range []int{2, 3, 10, 30, 64, 100, 200} {
		for _, p := range []float64{1e-3, 0.01, 0.1, 0.5, 0.9, 0.99} {
			x := mathext.GammaIncRegInv(float64(k), p) * 10
			require.InDelta(t, p, s.cdf(k, x), (0.03+0.2*max(0, float64(k)/maxSums-1))*p*(1-p)+2e-4, "%d gaps in %v s", k, x)
		}
	}
}

// TestSumsOfGamma compares sums of gamma gaps with the closed form, from very irregular ones to nearly periodic ones.
func TestSumsOfGamma(t *testing.T) {
	for _, shape := range []float64{0.3, 1, 5, 1e4} {
		s := newSums(newLaw(gammaGap{shape, shape}))
		for _, k := range []int{1, 2, 5, 20, 64} {
			for _, p := range []float64{1e-3, 0.01, 0.1, 0.5, 0.9, 0.99} {
				x := mathext.GammaIncRegInv(float64(k)*shape, p) / shape
				require.InDelta(t, p, s.cdf(k, x), 0.04*p*(1-p)+3e-4, "shape %v: %d gaps in %v", shape, k, x)
			}
		}
	}
}

// TestSumsDecrease checks that more gaps never take less time, also where the table ends.
func TestSumsDecrease(t *testing.T) {
	for _, shape := range []float64{0.3, 1, 50} {
		s := newSums(newLaw(gammaGap{shape, shape}))
		for x := 0.01; x < 300; x *= 1.3 {
			last := 1.0
			for k := 1; k < 200; k++ {
				p := s.cdf(k, x)
				require.LessOrEqual(t, p, last+1e-12, "shape %v: %d gaps in %v", shape, k, x)
				last = p
			}
		}
	}
}
