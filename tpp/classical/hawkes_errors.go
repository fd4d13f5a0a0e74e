package classical

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// HawkesErrors are the standard errors of the parameters of a Hawkes process that was fitted with FitOptions.StandardErrors: the square roots of the
// diagonal of the inverse of the observed information, which is the negative matrix of second derivatives of the log likelihood at its maximum. They
// hold where there are many events. An error is NaN where the data do not tell it: of a kernel that the fit has made nothing of, or along which the
// likelihood is flat.
type HawkesErrors struct {
	// Base are those of the base intensities by mark, End those of the probabilities of the end, which is nil if no sequence was complete.
	Base, End []float64
	// Branching are those of Hawkes.Branching, Alpha and Beta those of Hawkes.Kernel, which is the slowest where there are several, from mark by mark. Where all kernels share a decay, all Beta
	// are the same.
	Branching, Alpha, Beta [][]float64
}

// StandardErrors returns the standard errors of the parameters, nil if the process was not fitted with FitOptions.StandardErrors. A model file keeps
// them.
func (h *Hawkes) StandardErrors() *HawkesErrors { return h.errors }

const (
	// leastExcited is the number of events that a kernel must explain for its parameters to have standard errors: with less the maximum is at the
	// border, where the branching is 0.
	leastExcited = 0.1
	// maxErrorParameters limits the size of the matrix of second derivatives.
	maxErrorParameters = 4000
	// derivativeStep is that of the differences of the gradient, in the logarithms of parameters.
	derivativeStep = 1e-4
)

// standardErrors returns the standard errors of a process at the maximum x of the likelihood.
func (l *hawkesLikelihood) standardErrors(ctx context.Context, x []float64) (*HawkesErrors, error) {
	free := l.freeParameters(x)
	if len(free) > maxErrorParameters {
		return nil, fmt.Errorf("standard errors of %d parameters, there are at most %d", len(free), maxErrorParameters)
	}
	information, err := l.information(ctx, x, free)
	if err != nil {
		return nil, err
	}
	free, covariance := invertDetermined(free, information)
	at := make(map[int]int, len(free)) // the rows of covariance by parameter
	for row, i := range free {
		at[i] = row
	}
	// deviation returns the standard deviation of the sum of logarithms of parameters.
	deviation := func(parameters ...int) float64 {
		sum := 0.0
		for _, i := range parameters {
			for _, j := range parameters {
				a, ok := at[i]
				b, also := at[j]
				if !ok || !also {
					return math.NaN()
				}
				sum += covariance.At(a, b)
			}
		}
		return math.Sqrt(sum)
	}
	l.unpack(x)
	n := l.marks
	e := &HawkesErrors{}
	for m, mu := range l.mu {
		e.Base = append(e.Base, mu/l.scale*deviation(m))
	}
	for from := range n {
		var branching, alpha, beta []float64
		for to := range n {
			pair, decays := l.pair(0, from, to), n+len(l.eta)
			slot := l.slot(0, from, to)
			decay, b := decays+l.decayAt(slot), l.beta[slot]/l.scale
			branching = append(branching, l.branchingError(from, to, at, covariance, deviation))
			alpha = append(alpha, l.eta[pair]*b*deviation(n+pair, decay))
			beta = append(beta, b*deviation(decay))
		}
		e.Branching, e.Alpha, e.Beta = append(e.Branching, branching), append(e.Alpha, alpha), append(e.Beta, beta)
	}
	if l.knowsEnd {
		for m, p := range l.end {
			e.End = append(e.End, p*(1-p)*deviation(len(x)-n+m)) // x holds the log odds
		}
	}
	return e, nil
}

// branchingError returns the standard error of the number of events that an event of one mark excites of another, by all kernels together.
func (l *hawkesLikelihood) branchingError(from, to int, at map[int]int, covariance *mat.SymDense, deviation func(...int) float64) float64 {
	if l.kernels == 1 {
		pair := l.pair(0, from, to)
		return l.eta[pair] * deviation(l.marks+pair)
	}
	total, variance := 0.0, 0.0
	for k := range l.kernels {
		total += l.eta[l.pair(k, from, to)]
	}
	for k := range l.kernels {
		a := l.pair(k, from, to)
		i, known := at[l.marks+a]
		if !known {
			if l.eta[a] > 0.01*total {
				return math.NaN()
			}
			continue // a kernel that the fit has made next to nothing of
		}
		for other := range l.kernels {
			b := l.pair(other, from, to)
			if j, known := at[l.marks+b]; known {
				variance += l.eta[a] * l.eta[b] * covariance.At(i, j)
			}
		}
	}
	return math.Sqrt(variance)
}

// freeParameters returns the indices in x of the parameters on which the likelihood depends.
func (l *hawkesLikelihood) freeParameters(x []float64) []int {
	l.unpack(x)
	n := l.marks
	count := make([]float64, n)
	for i := range l.sequences {
		for _, m := range l.sequences[i].marks {
			count[m]++
		}
	}
	var free []int
	for m := range n {
		free = append(free, m)
	}
	decays := []int{}
	for k := range l.kernels {
		for from := range n {
			for to := range n {
				pair := l.pair(k, from, to)
				if l.eta[pair]*count[from] >= leastExcited {
					free = append(free, n+pair)
					if decay := n + len(l.eta) + l.decayAt(l.slot(k, from, to)); !slices.Contains(decays, decay) {
						decays = append(decays, decay)
					}
				}
			}
		}
	}
	free = append(free, decays...)
	if l.knowsEnd {
		for m := range n {
			free = append(free, len(x)-n+m)
		}
	}
	return slices.DeleteFunc(free, func(i int) bool { return math.Abs(x[i]) >= softBound })
}

// information returns the matrix of second derivatives of the negative log likelihood by the given parameters, by central differences of its
// gradient.
func (l *hawkesLikelihood) information(ctx context.Context, x []float64, free []int) (*mat.SymDense, error) {
	at, up, down := slices.Clone(x), make([]float64, len(x)), make([]float64, len(x))
	rows := mat.NewDense(max(len(free), 1), max(len(free), 1), nil)
	for row, i := range free {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		at[i] = x[i] + derivativeStep
		l.negLogLikelihood(at, up)
		at[i] = x[i] - derivativeStep
		l.negLogLikelihood(at, down)
		at[i] = x[i]
		for column, j := range free {
			rows.Set(row, column, (up[j]-down[j])/(2*derivativeStep)*float64(l.events))
		}
	}
	out := mat.NewSymDense(max(len(free), 1), nil)
	for i := range free {
		for j := i; j < len(free); j++ {
			out.SetSym(i, j, (rows.At(i, j)+rows.At(j, i))/2)
		}
	}
	return out, nil
}

// invertDetermined returns the inverse of the information about the parameters that it determines, and which those are. Of a direction in which the
// likelihood has no maximum, the parameter that has most part in it is left out.
func invertDetermined(free []int, information *mat.SymDense) ([]int, *mat.SymDense) {
	free = slices.Clone(free)
	for len(free) > 0 {
		n := len(free)
		// By its diagonal, so that the scale of a parameter does not decide.
		scaled, scale, worst := mat.NewSymDense(n, nil), make([]float64, n), -1
		for i := range n {
			scale[i] = math.Sqrt(information.At(i, i))
			if !(scale[i] > 0) {
				worst = i
			}
		}
		if worst < 0 {
			for i := range n {
				for j := i; j < n; j++ {
					scaled.SetSym(i, j, information.At(i, j)/(scale[i]*scale[j]))
				}
			}
			var c mat.Cholesky
			var inverse mat.SymDense
			if c.Factorize(scaled) && c.Cond() < 1e12 && c.InverseTo(&inverse) == nil {
				for i := range n {
					for j := i; j < n; j++ {
						inverse.SetSym(i, j, inverse.At(i, j)/(scale[i]*scale[j]))
					}
				}
				return free, &inverse
			}
			worst = flattest(scaled)
		}
		free = slices.Delete(free, worst, worst+1)
		smaller := mat.NewSymDense(max(n-1, 1), nil)
		for i := range n - 1 {
			for j := i; j < n-1; j++ {
				smaller.SetSym(i, j, information.At(skip(i, worst), skip(j, worst)))
			}
		}
		information = smaller
	}
	return nil, nil
}

// skip returns the index of entry i of a list from which one was taken out, in the list with it.
func skip(i, out int) int {
	if i >= out {
		return i + 1
	}
	return i
}

// flattest returns the parameter that has most part in the eigenvector of the smallest eigenvalue.
func flattest(m *mat.SymDense) int {
	var e mat.EigenSym
	n := m.SymmetricDim()
	if !e.Factorize(m, true) {
		return n - 1
	}
	var vectors mat.Dense
	e.VectorsTo(&vectors)
	worst := 0
	for i := range n { // eigenvalues ascend
		if math.Abs(vectors.At(i, 0)) > math.Abs(vectors.At(worst, 0)) {
			worst = i
		}
	}
	return worst
}

// hawkesErrorsDescription are standard errors in the description of a model file; null is NaN.
type hawkesErrorsDescription struct {
	Base      []*float64   `json:"base"`
	End       []*float64   `json:"end,omitempty"`
	Branching [][]*float64 `json:"branching"`
	Alpha     [][]*float64 `json:"alpha"`
	Beta      [][]*float64 `json:"beta"`
}

// describe returns the errors for a file, nil for none.
func (e *HawkesErrors) describe() *hawkesErrorsDescription {
	if e == nil {
		return nil
	}
	return &hawkesErrorsDescription{nullable(e.Base), nullable(e.End), mapRows(e.Branching, nullable), mapRows(e.Alpha, nullable), mapRows(e.Beta, nullable)}
}

// errors returns the errors that a file has for n marks.
func (d *hawkesErrorsDescription) errors(n int) (*HawkesErrors, error) {
	if d == nil {
		return nil, nil
	}
	e := &HawkesErrors{numbers(d.Base), numbers(d.End), mapRows(d.Branching, numbers), mapRows(d.Alpha, numbers), mapRows(d.Beta, numbers)}
	square := func(rows [][]float64) bool {
		return len(rows) == n && !slices.ContainsFunc(rows, func(row []float64) bool { return len(row) != n })
	}
	if len(e.Base) != n || len(e.End) != n && e.End != nil || !square(e.Branching) || !square(e.Alpha) || !square(e.Beta) {
		return nil, fmt.Errorf("description of the model: standard errors that are not those of %d marks", n)
	}
	return e, nil
}

// nullable returns numbers for JSON, nil for NaN.
func nullable(values []float64) []*float64 {
	var out []*float64
	for _, v := range values {
		if math.IsNaN(v) {
			out = append(out, nil)
		} else {
			out = append(out, new(v))
		}
	}
	return out
}

// numbers is the inverse of nullable.
func numbers(values []*float64) []float64 {
	var out []float64
	for _, v := range values {
		if v == nil {
			out = append(out, math.NaN())
		} else {
			out = append(out, *v)
		}
	}
	return out
}

func mapRows[A, B any](rows [][]A, f func([]A) []B) [][]B {
	var out [][]B
	for _, row := range rows {
		out = append(out, f(row))
	}
	return out
}
