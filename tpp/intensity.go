package tpp

import (
	"math"

	"github.com/tppfaas/tppfaas/tpp/dist"
)

// Intensity returns the conditional intensities of the marks at the time t from now, given the history and that nothing has come by then: events of
// mark m come at the rate λₘ(t) per time unit. Their integral from 0 to t, over all marks, is −LogSurvival(t). It stores them in dst, which grows
// if needed and may be nil.
//
// A probability of the end makes the intensity smaller, the more the longer nothing comes. Where Time has no density (see dist.HasDensity) there is no
// intensity either, and the result is without meaning; where it is discrete, as a dist.Empirical is, the result is the rate in a tick of its clock.
// GapFloor has no influence.
func (n *Next) Intensity(t float64, dst []float64) []float64 {
	dst = n.marksAt(t, dst)
	if len(dst) == 0 {
		return dst
	}
	rate := dist.Hazard(n.distribution(), t)
	if n.End > 0 { // the share of sequences that are not over
		rate *= math.Exp(math.Log1p(-n.End) + n.distribution().LogSurvival(t) - n.LogSurvival(t))
	}
	for m := range dst {
		dst[m] *= rate
	}
	return dst
}
