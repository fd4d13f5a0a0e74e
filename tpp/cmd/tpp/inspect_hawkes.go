package main

import (
	"fmt"
	"io"
	"math"

	"github.com/tppfaas/tppfaas/tpp/classical"
)

// hawkesReport are the parameters of a Hawkes process, with their standard errors where they are known.
type hawkesReport struct {
	Base    []baseReport   `json:"base"`
	Kernels []kernelReport `json:"kernels"` // of pairs of marks, where one excites the other
	// SpectralRadius is that of the branching matrix: below 1 the process has stationary rates, which are given if sequences were watched and not
	// ended by themselves.
	SpectralRadius  *float64  `json:"spectral_radius,omitempty"`
	StationaryRates []float64 `json:"stationary_rates,omitempty"`
}

type baseReport struct {
	Mark  string   `json:"mark"`
	Rate  float64  `json:"rate"`
	Error *float64 `json:"rate_error,omitempty"`
}

// kernelReport is the kernel alpha·exp(−beta·t) with which an event of one mark excites another.
type kernelReport struct {
	From           string   `json:"from"`
	To             string   `json:"to"`
	Branching      float64  `json:"branching"` // alpha/beta
	BranchingError *float64 `json:"branching_error,omitempty"`
	Alpha          float64  `json:"alpha"`
	AlphaError     *float64 `json:"alpha_error,omitempty"`
	Beta           float64  `json:"beta"`
	BetaError      *float64 `json:"beta_error,omitempty"`
}

const (
	// leastBranching is that of a kernel that is reported: one event in a million.
	leastBranching = 1e-6
	// mostEigenvalues is the number of marks up to which the spectral radius takes no more than a moment.
	mostEigenvalues = 300
)

// hawkesOf returns the parameters of a Hawkes process.
func hawkesOf(h *classical.Hawkes) *hawkesReport {
	name := func(mark int) string {
		if names := h.MarkNames(); mark < len(names) {
			return names[mark]
		}
		return fmt.Sprint(mark)
	}
	errs := h.StandardErrors()
	known := func(of func() float64) *float64 {
		if errs == nil {
			return nil
		}
		if v := of(); !math.IsNaN(v) {
			return &v
		}
		return nil
	}
	r := &hawkesReport{Base: []baseReport{}, Kernels: []kernelReport{}}
	base := h.BaseIntensity()
	for m, rate := range base {
		r.Base = append(r.Base, baseReport{name(m), rate, known(func() float64 { return errs.Base[m] })})
	}
	for from := range base {
		for to := range base {
			for i := range h.NumKernels() {
				alpha, beta := h.KernelAt(i, from, to)
				if !(alpha > leastBranching*beta) {
					continue
				}
				k := kernelReport{From: name(from), To: name(to), Alpha: alpha, Beta: beta, Branching: min(alpha/beta, math.MaxFloat64)}
				if h.NumKernels() == 1 {
					k.BranchingError = known(func() float64 { return errs.Branching[from][to] })
				}
				if i == 0 { // errors are those of the slowest kernel
					k.AlphaError = known(func() float64 { return errs.Alpha[from][to] })
					k.BetaError = known(func() float64 { return errs.Beta[from][to] })
				}
				r.Kernels = append(r.Kernels, k)
			}
		}
	}
	if len(base) > mostEigenvalues {
		return r
	}
	if radius := h.SpectralRadius(); !math.IsNaN(radius) && !math.IsInf(radius, 0) {
		r.SpectralRadius = &radius
		r.StationaryRates, _ = h.StationaryRates() // none where it is not stable
	}
	return r
}

// mostKernels is the number of kernels up to which they are printed; -json has all.
const mostKernels = 50

func (r *hawkesReport) print(w io.Writer) {
	for i, b := range r.Base {
		label := ""
		if i == 0 {
			label = "base intensity"
		}
		fmt.Fprintf(w, "  %s\t%s: %s\n", label, printable(b.Mark), withError(b.Rate, b.Error))
	}
	for i, k := range r.Kernels {
		label := ""
		if i == 0 {
			label = "kernels"
		}
		if i == mostKernels {
			fmt.Fprintf(w, "  \tand %d more: -json has them all\n", len(r.Kernels)-i)
			break
		}
		fmt.Fprintf(w, "  %s\t%s excites %s: branching %s, alpha %s, beta %s\n", label, printable(k.From), printable(k.To),
			withError(k.Branching, k.BranchingError), withError(k.Alpha, k.AlphaError), withError(k.Beta, k.BetaError))
	}
	if r.SpectralRadius != nil {
		fmt.Fprintf(w, "  branching matrix\tspectral radius %.4g\n", *r.SpectralRadius)
	}
}

// withError prints a number with its standard error, if that is known.
func withError(v float64, e *float64) string {
	if e == nil {
		return fmt.Sprintf("%.4g", v)
	}
	return fmt.Sprintf("%.4g ± %.2g", v, *e)
}
