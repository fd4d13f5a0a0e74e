package classical

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// ProcessOptions holds what the processes that are made from parameters have in common. The zero value is an unmarked process, or one whose marks
// are called 0, 1, …, with times in milliseconds, that never ends.
type ProcessOptions struct {
	// MarkNames are the names of the marks, one for each mark. If nil, a process of several marks calls them 0, 1, ….
	MarkNames []string
	// End is the probability that the sequence is over after an event, 0 ≤ End < 1.
	End float64
	// TimeUnit is the name of the unit of all times (default ms).
	TimeUnit string
	// Resolution is the tick of the clock, in the time unit. Gaps shorter than half of it count as half of it (default: a billionth of the mean
	// gap between the events that nothing excites, as good as continuous time).
	Resolution float64
}

// process returns the common part of a process of the given kind, with a mean gap by which the resolution is chosen.
func (o ProcessOptions) process(kind Kind, marks int, meanGap float64) (classical, error) {
	if err := checkEnd(o.End); err != nil {
		return classical{}, err
	}
	if marks < 1 || marks > tpp.MaxMarks {
		return classical{}, fmt.Errorf("%d marks, there must be from 1 to %d", marks, tpp.MaxMarks)
	}
	if o.Resolution == 0 {
		o.Resolution = 1e-9 * meanGap
	}
	if !(o.Resolution > 0) || math.IsInf(o.Resolution, 0) {
		return classical{}, fmt.Errorf("the resolution is %v, it must be above 0", o.Resolution)
	}
	names := slices.Clone(o.MarkNames)
	if names == nil && marks > 1 {
		for m := range marks {
			names = append(names, fmt.Sprint(m))
		}
	}
	if len(names) != marks && (len(names) != 0 || marks != 1) {
		return classical{}, fmt.Errorf("%d names for %d marks", len(names), marks)
	}
	if err := (&tpp.Dataset{MarkNames: names}).Validate(); err != nil {
		return classical{}, err
	}
	return classical{tpp.ModelHeader{
		Format: tpp.ModelFormat, Kind: string(kind), NumMarks: marks, Marks: names, TimeUnit: cmp.Or(o.TimeUnit, "ms"), Resolution: o.Resolution,
	}}, nil
}

// NewPoisson returns the homogeneous Poisson process in which events of mark m come at rates[m], per time unit. Parameters are rounded to float32.
func NewPoisson(rates []float64, opts ProcessOptions) (*Poisson, error) {
	total, err := totalOf("rate", rates)
	if err != nil {
		return nil, fmt.Errorf("Poisson process: %w", err)
	}
	c, err := opts.process(KindPoisson, len(rates), 1/total)
	if err != nil {
		return nil, fmt.Errorf("Poisson process: %w", err)
	}
	shares := slices.Clone(rates)
	for m := range shares {
		shares[m] /= total
	}
	p, err := newPoisson(c, total, shares, opts.End)
	if err != nil {
		return nil, fmt.Errorf("Poisson process: %w", err)
	}
	return p, nil
}

// NewRenewal returns the renewal process whose gaps have the given distribution, and whose marks have probabilities in proportion to weights; nil
// is an unmarked process. The first gap, from the start of the window, has the distribution of all others.
//
// A *dist.LogNormMix is copied, with its parameters rounded to float32, and the process can be written to a file. With any other distribution,
// which must not change, Encode returns an error.
func NewRenewal(gaps dist.Distribution, weights []float64, opts ProcessOptions) (*Renewal, error) {
	if weights == nil {
		weights = []float64{1}
	}
	if gaps == nil {
		return nil, errors.New("renewal process: no distribution of the gaps")
	}
	if v, ok := gaps.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return nil, fmt.Errorf("renewal process: %w", err)
		}
	}
	total, err := totalOf("weight of a mark", weights)
	if err != nil {
		return nil, fmt.Errorf("renewal process: %w", err)
	}
	median := dist.Median(gaps)
	if !(median > 0) || math.IsInf(median, 0) {
		if opts.Resolution == 0 {
			return nil, fmt.Errorf("renewal process: the median of the gaps is %v: a resolution must be given", median)
		}
		median = opts.Resolution
	}
	c, err := opts.process(KindRenewal, len(weights), median)
	if err != nil {
		return nil, fmt.Errorf("renewal process: %w", err)
	}
	p := renewalParameters{marks: make([]float64, len(weights)), end: opts.End}
	for m, w := range weights {
		p.marks[m] = w / total
	}
	var r *Renewal
	mix, ok := gaps.(*dist.LogNormMix)
	if byValue, is := gaps.(dist.LogNormMix); is {
		mix, ok = &byValue, true
	}
	if ok {
		p.weights, p.mu, p.sigma = componentsOf(mix)
		r, err = newRenewal(c, p)
	} else {
		r = &Renewal{rowModel: rowModel{classical: c}, parameters: p}
		r.rows, err = independentRows(c, gaps, p.marks, p.end)
	}
	if err != nil {
		return nil, fmt.Errorf("renewal process: %w", err)
	}
	return r, nil
}

// componentsOf returns the components of a mixture that are not absent, with weights that sum to 1.
func componentsOf(mix *dist.LogNormMix) (weights, mu, sigma []float64) {
	top, total := slices.Max(mix.LogWeights), 0.0
	for k, w := range mix.LogWeights {
		if w := math.Exp(w - top); w > 0 {
			weights, mu, sigma = append(weights, w), append(mu, mix.Mu[k]), append(sigma, mix.Sigma[k])
			total += w
		}
	}
	for k := range weights {
		weights[k] /= total
	}
	return weights, mu, sigma
}

// HawkesParameters are the parameters of a Hawkes process with exponential kernels.
type HawkesParameters struct {
	// Base are the base intensities μ by mark, per time unit.
	Base []float64
	// Branching is the branching matrix: Branching[from][to] events of mark to are excited directly by an event of mark from, on average.
	Branching [][]float64
	// Decay are the rates of decay β, per time unit: Decay[from][to], or [][]float64{{β}} for one rate of all kernels. A kernel is
	// Branching·β·exp(−β·t).
	Decay [][]float64
	// Further are further kernels. Decay is then one rate.
	Further []HawkesKernel
}

// HawkesKernel is an exponential kernel of all pairs of marks.
type HawkesKernel struct {
	// Branching is the branching matrix of this kernel alone.
	Branching [][]float64
	// Decay is its rate of decay, per time unit.
	Decay float64
}

// NewHawkes returns the Hawkes process with the given parameters, rounded to float32. A process that never ends must be stable: the spectral radius
// of its branching matrix must be below 1, otherwise events come ever faster. A sequence begins with its base intensities, as if nothing had come
// before its start; the mean rate of what follows approaches StationaryRates.
func NewHawkes(p HawkesParameters, opts ProcessOptions) (*Hawkes, error) {
	h, err := hawkesWith(p, opts)
	if err != nil {
		return nil, fmt.Errorf("Hawkes process: %w", err)
	}
	return h, nil
}

// leastDecay is the smallest decay, that of the smallest float32 with all digits.
const leastDecay = 0x1p-126

func hawkesWith(p HawkesParameters, opts ProcessOptions) (*Hawkes, error) {
	n := len(p.Base)
	total, err := totalOf("base intensity", p.Base)
	if err != nil {
		return nil, err
	}
	if err := checkMarks(n, maxPairMarks); err != nil {
		return nil, err
	}
	c, err := opts.process(KindHawkes, n, 1/total)
	if err != nil {
		return nil, err
	}
	branching, err := flatten("branching matrix", p.Branching, n)
	if err != nil {
		return nil, err
	}
	shared := len(p.Decay) == 1 && len(p.Decay[0]) == 1
	decay := []float64{0}
	if shared {
		decay[0] = p.Decay[0][0]
	} else if decay, err = flatten("decays", p.Decay, n); err != nil {
		return nil, err
	}
	if len(p.Further) > 0 && !shared {
		return nil, errors.New("several kernels, and a decay of its own for each pair of marks: with several kernels each has one decay")
	}
	if len(p.Further) >= maxKernels {
		return nil, fmt.Errorf("%d kernels, there are at most %d", len(p.Further)+1, maxKernels)
	}
	kernels := []HawkesKernel{{Branching: p.Branching}}
	if shared {
		kernels = append(kernels, p.Further...)
		kernels[0].Decay = decay[0]
		slices.SortStableFunc(kernels, func(a, b HawkesKernel) int { return cmp.Compare(a.Decay, b.Decay) })
		branching, decay = branching[:0], decay[:0]
		for _, k := range kernels {
			name := "branching matrix"
			if len(kernels) > 1 {
				name += fmt.Sprintf(" of the kernel with the decay %v", k.Decay)
			}
			matrix, err := flatten(name, k.Branching, n)
			if err != nil {
				return nil, err
			}
			branching, decay = append(branching, matrix...), append(decay, k.Decay)
		}
	}
	excitation := make([]float64, len(branching))
	for i, eta := range branching {
		beta := decay[min(i*len(decay)/len(branching), len(decay)-1)]
		if !(beta > 0) || math.IsInf(beta, 0) {
			return nil, fmt.Errorf("a decay is %v, it must be above 0", beta)
		}
		if beta < leastDecay {
			return nil, fmt.Errorf("a decay is %v, it must be at least %.3g, below which float32 lose their digits: take a longer unit of time", beta, leastDecay)
		}
		excitation[i] = eta * beta
	}
	h, err := newHawkes(c, p.Base, excitation, decay, slices.Repeat([]float64{opts.End}, n))
	if err != nil {
		return nil, err
	}
	if radius := h.SpectralRadius(); opts.End == 0 && !(radius < 1) {
		return nil, fmt.Errorf("it is not stable: the spectral radius of its branching matrix is %.4g, it must be below 1 where sequences never end", radius)
	}
	return h, nil
}

// totalOf returns the sum of values that must be finite and not negative, and not all 0.
func totalOf(name string, values []float64) (float64, error) {
	total := 0.0
	for _, v := range values {
		if !(v >= 0) || math.IsInf(v, 0) {
			return 0, fmt.Errorf("a %s is %v, it must not be negative", name, v)
		}
		total += v
	}
	if !(total > 0) || math.IsInf(total, 0) {
		return 0, fmt.Errorf("no %s is above 0, or their sum is too large for a number", name)
	}
	return total, nil
}

// flatten returns a matrix of n rows of n numbers, none of them negative, row by row.
func flatten(name string, rows [][]float64, n int) ([]float64, error) {
	var out []float64
	for i, row := range rows {
		if len(row) != n {
			return nil, fmt.Errorf("row %d of the %s has %d numbers, it must have one for each of %d marks", i, name, len(row), n)
		}
		for _, v := range row {
			if !(v >= 0) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("a number of the %s is %v, it must not be negative", name, v)
			}
		}
		out = append(out, row...)
	}
	if len(rows) != n {
		return nil, fmt.Errorf("the %s has %d rows, it must have one for each of %d marks", name, len(rows), n)
	}
	return out, nil
}
