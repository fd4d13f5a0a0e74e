package classical

import (
	"cmp"
	"fmt"
	"math"
)

// Kind is a kind of classical model.
type Kind string

// The kinds of classical models.
const (
	KindPoisson       Kind = "poisson"
	KindRenewal       Kind = "renewal"
	KindMarkovRenewal Kind = "markov"
	KindHawkes        Kind = "hawkes"
	KindLookupMark    Kind = "lookup-mark"
	KindLookupMarks3  Kind = "lookup-marks3"
	KindLookupSet     Kind = "lookup-set"
	KindContinuation  Kind = "continuation"
)

// FitOptions configures a fit. The zero value is for times in whole milliseconds: each field left zero takes the
// default that its comment gives.
type FitOptions struct {
	// TimeUnit is the name of the unit of all times (default ms).
	TimeUnit string
	// Resolution is the tick of the clock that measured the times (default 1). Gaps are known to within half a tick,
	// and none is taken to be shorter than that.
	Resolution float64
	// Components is the largest number of log-normal components of a gap's distribution (default 16 for a Renewal, 4 for
	// each pair of marks of a MarkovRenewal). There is at most one for every 20 gaps.
	Components int
	// DecayPerPair gives a Hawkes process a rate of decay for each pair of marks. By default all pairs share one.
	DecayPerPair bool
	// Kernels is the number of exponential kernels of each pair of marks of a Hawkes process (default 1). Each has a decay that all pairs share.
	Kernels int
	// StandardErrors computes the standard errors of the parameters of a Hawkes process after the fit, in as many evaluations of the
	// likelihood as twice the number of its parameters.
	StandardErrors bool
	// MaxIterations limits the iterations of a fit (default 500).
	MaxIterations int
}

func (o FitOptions) withDefaults() FitOptions {
	o.TimeUnit = cmp.Or(o.TimeUnit, "ms")
	o.Resolution = cmp.Or(o.Resolution, 1)
	o.MaxIterations = cmp.Or(o.MaxIterations, 500)
	o.Kernels = cmp.Or(o.Kernels, 1)
	return o
}

func (o *FitOptions) validate() error {
	switch {
	case !(o.Resolution > 0) || math.IsInf(o.Resolution, 0):
		return fmt.Errorf("the resolution is %v, it must be above 0", o.Resolution)
	case o.Components < 0 || o.Components > maxComponents:
		return fmt.Errorf("the number of components is %d, it must be from 1 to %d", o.Components, maxComponents)
	case o.Kernels < 1 || o.Kernels > maxKernels:
		return fmt.Errorf("the number of kernels is %d, it must be from 1 to %d", o.Kernels, maxKernels)
	case o.Kernels > 1 && o.DecayPerPair:
		return fmt.Errorf("%d kernels of each pair, and a decay of its own for each pair: choose one", o.Kernels)
	case o.MaxIterations < 0:
		return fmt.Errorf("a limit of %d iterations", o.MaxIterations)
	}
	return nil
}

// maxComponents limits the number of components in options and files.
const maxComponents = 1 << 16

// maxKernels limits the number of kernels of a Hawkes process in options and files.
const maxKernels = 16
