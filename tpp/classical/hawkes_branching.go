package classical

import (
	"fmt"
	"math"
	"math/cmplx"

	"gonum.org/v1/gonum/mat"
)

// Branching returns the branching matrix: entry [from][to] is the number of events of mark to that an event of mark from excites directly, on
// average, α/β of their kernel, or the sum over their kernels. It is +Inf where an excitation does not decay.
func (h *Hawkes) Branching() [][]float64 {
	out := make([][]float64, len(h.base))
	for from := range out {
		out[from] = make([]float64, len(h.base))
		for to := range out[from] {
			for k := range h.NumKernels() {
				if alpha, beta := h.KernelAt(k, from, to); alpha > 0 {
					out[from][to] += alpha / beta
				}
			}
		}
	}
	return out
}

// branching returns the branching matrix, nil if an entry is not finite.
func (h *Hawkes) branching() *mat.Dense {
	n := len(h.base)
	if n == 0 {
		return nil
	}
	m := mat.NewDense(n, n, nil)
	for from, row := range h.Branching() {
		for _, v := range row {
			if math.IsInf(v, 0) || math.IsNaN(v) {
				return nil
			}
		}
		m.SetRow(from, row)
	}
	return m
}

// SpectralRadius returns the largest absolute value of the eigenvalues of the branching matrix: events of a process that never ends are finitely
// many in any window, and have a stationary rate, if and only if it is below 1. It is +Inf where an excitation does not decay. It takes time
// proportional to the third power of the number of marks.
func (h *Hawkes) SpectralRadius() float64 {
	m := h.branching()
	if m == nil {
		return math.Inf(1)
	}
	var e mat.Eigen
	if !e.Factorize(m, mat.EigenNone) {
		return math.NaN()
	}
	radius := 0.0
	for _, v := range e.Values(nil) {
		radius = max(radius, cmplx.Abs(v))
	}
	return radius
}

// StationaryRates returns the mean rates of events by mark, per time unit, of the process that never ends, long after its start: (I − Aᵀ)⁻¹ μ for
// the branching matrix A. It returns an error for a process that is not stable. Ends of sequences are left out of account.
func (h *Hawkes) StationaryRates() ([]float64, error) {
	if radius := h.SpectralRadius(); !(radius < 1) {
		return nil, fmt.Errorf("Hawkes process: it has no stationary rates: the spectral radius of its branching matrix is %.4g, not below 1", radius)
	}
	n := len(h.base)
	a := mat.NewDense(n, n, nil)
	a.Scale(-1, h.branching().T())
	for m := range n {
		a.Set(m, m, a.At(m, m)+1)
	}
	var rates mat.VecDense
	if err := rates.SolveVec(a, mat.NewVecDense(n, h.BaseIntensity())); err != nil {
		return nil, fmt.Errorf("Hawkes process: stationary rates: %w", err)
	}
	return rates.RawVector().Data, nil
}
