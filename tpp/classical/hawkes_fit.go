package classical

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"gonum.org/v1/gonum/optimize"

	"github.com/tppfaas/tppfaas/internal/num"
	"github.com/tppfaas/tppfaas/tpp"
)

// FitHawkes fits a Hawkes process by maximum likelihood (Ozaki 1979), by L-BFGS with analytic gradients over the
// logarithms of the parameters, starting from three decays. One evaluation takes time proportional to events × marks.
// A sequence is observed from its TStart, or from its first event, which is then given, to its TEnd or its last event.
// The base intensities are smoothed as if one more event, in equal parts of each mark, had come from them in one more
// mean gap; the ends as if one more event had been observed. When ctx is done, it returns the error of ctx.
func FitHawkes(ctx context.Context, d *tpp.Dataset, opts FitOptions) (*Hawkes, error) {
	opts = opts.withDefaults()
	r, err := newRecords(d, &opts)
	if err != nil {
		return nil, fmt.Errorf("Hawkes process: %w", err)
	}
	if err := checkMarks(r.numMarks, maxPairMarks); err != nil {
		return nil, fmt.Errorf("Hawkes process: %w", err)
	}
	l := newHawkesLikelihood(d, r, opts)
	best, value := []float64(nil), math.Inf(1)
	for _, gap := range l.typicalGaps() {
		x, v, err := l.minimise(ctx, l.start(r, 1/gap), min(trialIterations, opts.MaxIterations))
		if err != nil {
			return nil, fmt.Errorf("Hawkes process: fit: %w", err)
		}
		if v < value {
			best, value = x, v
		}
	}
	if best == nil {
		return nil, errors.New("Hawkes process: the likelihood is not finite at the scale of the data")
	}
	if best, _, err = l.minimise(ctx, best, opts.MaxIterations); err != nil {
		return nil, fmt.Errorf("Hawkes process: fit: %w", err)
	}
	l.sortKernels(best)
	h, err := l.model(newClassical(KindHawkes, d, opts), best)
	if err != nil || !opts.StandardErrors {
		return h, err
	}
	if h.errors, err = l.standardErrors(ctx, best); err != nil {
		return nil, fmt.Errorf("Hawkes process: %w", err)
	}
	return h, nil
}

// trialIterations is the number of iterations from each starting point; the search then continues from the best.
const trialIterations = 20

// hawkesLikelihood is the likelihood of a dataset as a function of the parameters, in a unit of time in which the mean gap
// is 1. The vector of parameters holds log μ for each mark, log(α/β) for each kernel of each pair of marks, log β for each kernel or for each
// pair, and, if there are ends to learn from, log odds of the end for each mark.
type hawkesLikelihood struct {
	marks     int
	kernels   int
	perPair   bool
	knowsEnd  bool
	scale     float64 // the mean gap, in the dataset's unit
	meanEnd   float64 // share of events that end their sequence, smoothed
	events    int     // that are scored
	sequences []hawkesSequence

	// The parameters unpacked from x, with eta = α/β; eta and the gradients by kernel and pair of marks, beta by slot.
	mu, eta, beta, end []float64
	gradEta, gradBeta  []float64
	// The state while walking over one sequence. Past events are summed in slots, by kernel and mark or, where each pair of marks
	// has a decay of its own, by pair: what is left of them, Σ exp(−β(t − tᵢ)), the derivative of that by β, and the time t
	// of both.
	left, slope, updated []float64
	count                []float64 // events by mark
}

// slot returns the index in left, slope, updated and beta of the events of mark from that excite mark to by kernel k.
func (l *hawkesLikelihood) slot(k, from, to int) int {
	if l.perPair {
		return from*l.marks + to
	}
	return k*l.marks + from
}

// pair returns the index in eta of kernel k of the events of mark from that excite mark to.
func (l *hawkesLikelihood) pair(k, from, to int) int { return (k*l.marks+from)*l.marks + to }

// eachSlot returns the range of slots of kernel k of the events of one mark.
func (l *hawkesLikelihood) eachSlot(k, from int) (begin, end int) {
	if l.perPair {
		return from * l.marks, (from + 1) * l.marks
	}
	return k*l.marks + from, k*l.marks + from + 1
}

// decayAt returns the index among the decays in x of that of a slot.
func (l *hawkesLikelihood) decayAt(slot int) int {
	if l.perPair {
		return slot
	}
	return slot / l.marks
}

// hawkesSequence is a sequence with no gap below half a tick.
type hawkesSequence struct {
	gaps   []float64 // before each event; that of a given one is NaN
	marks  []int
	waited float64 // time from the last event to TEnd
	open   bool    // it has a TEnd
}

func newHawkesLikelihood(d *tpp.Dataset, r *records, opts FitOptions) *hawkesLikelihood {
	n := r.numMarks
	l := &hawkesLikelihood{marks: n, kernels: opts.Kernels, perPair: opts.DecayPerPair, knowsEnd: r.complete, events: len(r.gaps)}
	watched := 0.0
	for i := range d.Sequences {
		s := &d.Sequences[i]
		h := hawkesSequence{gaps: make([]float64, s.Len()), marks: make([]int, s.Len()), open: s.TEnd != nil}
		for j := range s.Len() {
			gap, ok := s.GapBefore(j)
			if ok {
				h.gaps[j] = max(gap, opts.Resolution/2)
				watched += h.gaps[j]
			} else {
				h.gaps[j] = math.NaN()
			}
			h.marks[j] = s.Mark(j)
		}
		if h.open {
			h.waited, _ = s.Waited()
		}
		l.sequences = append(l.sequences, h)
	}
	l.scale = watched / float64(l.events)
	for i := range l.sequences {
		h := &l.sequences[i]
		for j := range h.gaps {
			h.gaps[j] /= l.scale
		}
		h.waited /= l.scale
	}
	l.meanEnd = (float64(r.numEnds()) + 0.5) / float64(l.events+r.numEnds()+1)
	pairs := l.kernels * n * n
	slots := l.kernels * n
	if l.perPair {
		slots = pairs
	}
	l.mu, l.eta, l.beta, l.end = make([]float64, n), make([]float64, pairs), make([]float64, slots), make([]float64, n)
	l.gradEta, l.gradBeta = make([]float64, pairs), make([]float64, slots)
	l.left, l.slope, l.updated = make([]float64, slots), make([]float64, slots), make([]float64, slots)
	l.count = make([]float64, n)
	return l
}

// typicalGaps returns the 10 %, 50 % and 90 % quantiles of the gaps, without duplicates.
func (l *hawkesLikelihood) typicalGaps() []float64 {
	var gaps []float64
	for i := range l.sequences {
		for _, g := range l.sequences[i].gaps {
			if !math.IsNaN(g) {
				gaps = append(gaps, g)
			}
		}
	}
	slices.Sort(gaps)
	n := len(gaps)
	return slices.Compact([]float64{gaps[n/10], gaps[n/2], gaps[n*9/10]})
}

// split returns the parts of a vector of parameters or of its gradient. It copies nothing.
func (l *hawkesLikelihood) split(x []float64) (mu, eta, beta, end []float64) {
	n, decays := l.marks, l.numDecays()
	mu, x = x[:n], x[n:]
	eta, x = x[:l.kernels*n*n], x[l.kernels*n*n:]
	return mu, eta, x[:decays], x[decays:]
}

// numDecays returns the number of decays: one for each kernel, or one for each pair of marks.
func (l *hawkesLikelihood) numDecays() int {
	if l.perPair {
		return l.marks * l.marks
	}
	return l.kernels
}

// size returns the number of parameters.
func (l *hawkesLikelihood) size() int {
	n := l.marks + l.kernels*l.marks*l.marks + l.numDecays()
	if l.knowsEnd {
		n += l.marks
	}
	return n
}

// kernelSpread is the factor between the decays of two successive kernels from which a search starts.
const kernelSpread = 8

// start returns the starting point of the search: half of the events from the base intensities, half excited, in equal parts by each kernel, and one
// decay, around which those of several kernels are spread.
func (l *hawkesLikelihood) start(r *records, decay float64) []float64 {
	x := make([]float64, l.size())
	mu, eta, beta, end := l.split(x)
	for m, p := range r.markShares() {
		mu[m] = math.Log(p / 2)
		for k := range l.kernels {
			for from := range l.marks {
				eta[l.pair(k, from, m)] = math.Log(p / 2 / float64(l.kernels))
			}
		}
	}
	for i := range beta {
		beta[i] = math.Log(decay)
		if !l.perPair {
			beta[i] += (float64(i) - float64(l.kernels-1)/2) * math.Log(kernelSpread)
		}
	}
	for i := range end {
		end[i] = math.Log(l.meanEnd) - math.Log1p(-l.meanEnd)
	}
	return x
}

// minimise runs L-BFGS from x. If the line search fails because of rounding, it returns the best point found so far.
func (l *hawkesLikelihood) minimise(ctx context.Context, x []float64, maxIterations int) ([]float64, float64, error) {
	gradient := make([]float64, len(x))
	at := make([]float64, len(x))
	value, known := 0.0, false
	both := func(x []float64) {
		if !known || !slices.Equal(x, at) {
			value, known = l.negLogLikelihood(x, gradient), true
			copy(at, x)
		}
	}
	problem := optimize.Problem{
		Func: func(x []float64) float64 { both(x); return value },
		Grad: func(grad, x []float64) { both(x); copy(grad, gradient) },
		Status: func() (optimize.Status, error) {
			if err := ctx.Err(); err != nil {
				return optimize.Failure, err
			}
			return optimize.NotTerminated, nil
		},
	}
	settings := &optimize.Settings{
		GradientThreshold: 1e-7,
		Converger:         &optimize.FunctionConverge{Absolute: 1e-8, Iterations: 10},
		MajorIterations:   maxIterations,
	}
	result, err := optimize.Minimize(problem, x, settings, &optimize.LBFGS{Store: 20})
	if ctx.Err() != nil {
		return nil, 0, ctx.Err()
	}
	if result == nil {
		return nil, 0, err
	}
	return result.X, result.F, nil
}

// Bounds of the logarithms of parameters, outside of which the data cannot tell values apart: beyond softBound a
// quadratic penalty is added, beyond hardBound the value is clamped.
const (
	softBound = 20
	hardBound = 30
)

// unpack sets the parameters from their logarithms.
func (l *hawkesLikelihood) unpack(x []float64) {
	mu, eta, beta, end := l.split(x)
	value := func(v float64) float64 { return math.Exp(min(max(v, -hardBound), hardBound)) }
	for i, v := range mu {
		l.mu[i] = value(v)
	}
	for i, v := range eta {
		l.eta[i] = value(v)
	}
	for i := range l.beta {
		l.beta[i] = value(beta[l.decayAt(i)])
	}
	for i, v := range end {
		l.end[i] = 1 / (1 + 1/value(v))
	}
}

// sortKernels sorts the kernels of a vector of parameters by their decays.
func (l *hawkesLikelihood) sortKernels(x []float64) {
	if l.kernels == 1 {
		return
	}
	_, eta, beta, _ := l.split(x)
	pairs := l.marks * l.marks
	swap := func(i, j int) {
		beta[i], beta[j] = beta[j], beta[i]
		for p := range pairs {
			eta[i*pairs+p], eta[j*pairs+p] = eta[j*pairs+p], eta[i*pairs+p]
		}
	}
	for i := range beta {
		least := i
		for j := i + 1; j < len(beta); j++ {
			if beta[j] < beta[least] {
				least = j
			}
		}
		swap(i, least)
	}
}

// negLogLikelihood returns the smoothed negative log likelihood per event at x and stores its gradient in grad.
func (l *hawkesLikelihood) negLogLikelihood(x, grad []float64) float64 {
	l.unpack(x)
	clear(grad)
	gradMu, gradEta, gradBeta, gradEnd := l.split(grad)
	clear(l.gradEta)
	clear(l.gradBeta)
	sum := 0.0
	for i := range l.sequences {
		sum += l.sequence(&l.sequences[i], gradMu, gradEnd)
	}
	for m, mu := range l.mu {
		sum += math.Log(mu)/float64(l.marks) - mu
		gradMu[m] += 1/(float64(l.marks)*mu) - 1
	}
	for m := range gradEnd {
		e := l.end[m]
		sum += l.meanEnd*math.Log(e) + (1-l.meanEnd)*math.Log1p(-e)
		gradEnd[m] += l.meanEnd - e
	}
	// Chain rule: so far gradients are with respect to the parameters, those of ends to their log odds.
	scale := -1 / float64(l.events)
	for i := range gradMu {
		gradMu[i] *= l.mu[i]
	}
	for i := range gradEta {
		gradEta[i] = l.gradEta[i] * l.eta[i]
	}
	for i, g := range l.gradBeta {
		gradBeta[l.decayAt(i)] += g * l.beta[i]
	}
	value := sum * scale
	for i := range grad {
		grad[i] *= scale
		if math.Abs(x[i]) > hardBound {
			grad[i] = 0
		}
		if over := math.Abs(x[i]) - softBound; over > 0 {
			value += 0.5 * over * over
			grad[i] += math.Copysign(over, x[i])
		}
	}
	return value
}

// touch updates a slot to time t.
func (l *hawkesLikelihood) touch(slot int, t float64) {
	if l.left[slot] == 0 {
		l.slope[slot], l.updated[slot] = 0, t
		return
	}
	if dt := t - l.updated[slot]; dt > 0 {
		e := math.Exp(-l.beta[slot] * dt)
		l.slope[slot] = e * (l.slope[slot] - dt*l.left[slot])
		l.left[slot] *= e
		l.updated[slot] = t
	}
}

// excited yields each kernel of each mark of which events have come, by mark.
func (l *hawkesLikelihood) excited() iter.Seq2[int, int] {
	return func(yield func(from, k int) bool) {
		for from, count := range l.count {
			for k := range l.kernels {
				if count > 0 && !yield(from, k) {
					return
				}
			}
		}
	}
}

// sequence returns the log likelihood of one sequence and adds its gradient with respect to the parameters, that of
// ends with respect to their log odds.
func (l *hawkesLikelihood) sequence(s *hawkesSequence, gradMu, gradEnd []float64) float64 {
	n := l.marks
	clear(l.left)
	clear(l.slope)
	clear(l.updated)
	clear(l.count)
	sum, t := 0.0, 0.0
	for i, gap := range s.gaps {
		m := s.marks[i]
		if !math.IsNaN(gap) {
			t += gap
			rate := l.mu[m]
			for k := range l.kernels {
				for from := range n {
					if l.count[from] > 0 {
						slot := l.slot(k, from, m)
						l.touch(slot, t)
						rate += l.eta[l.pair(k, from, m)] * l.beta[slot] * l.left[slot]
					}
				}
			}
			sum += math.Log(rate)
			gradMu[m] += 1 / rate
			for k := range l.kernels {
				for from := range n {
					if l.count[from] > 0 {
						pair, slot := l.pair(k, from, m), l.slot(k, from, m)
						l.gradEta[pair] += l.beta[slot] * l.left[slot] / rate
						l.gradBeta[slot] += l.eta[pair] * (l.left[slot] + l.beta[slot]*l.slope[slot]) / rate
					}
				}
			}
			if i > 0 && l.knowsEnd {
				before := s.marks[i-1]
				sum += math.Log1p(-l.end[before])
				gradEnd[before] -= l.end[before]
			}
		}
		for k := range l.kernels {
			for slot, end := l.eachSlot(k, m); slot < end; slot++ {
				l.touch(slot, t)
				l.left[slot]++
			}
		}
		l.count[m]++
	}
	// The compensator until the last event: what of all excitations is spent.
	for m, mu := range l.mu {
		sum -= mu * t
		gradMu[m] -= t
	}
	for from, k := range l.excited() {
		count := l.count[from]
		for slot, end := l.eachSlot(k, from); slot < end; slot++ {
			l.touch(slot, t)
		}
		for to := range n {
			pair, slot := l.pair(k, from, to), l.slot(k, from, to)
			sum -= l.eta[pair] * (count - l.left[slot])
			l.gradEta[pair] -= count - l.left[slot]
			l.gradBeta[slot] += l.eta[pair] * l.slope[slot]
		}
	}
	return sum + l.last(s, gradMu, gradEnd)
}

// last returns the log likelihood of what followed the last event: the end, or no event in the time waited.
func (l *hawkesLikelihood) last(s *hawkesSequence, gradMu, gradEnd []float64) float64 {
	n := l.marks
	mark, end := 0, 0.0
	knowsEnd := l.knowsEnd && len(s.marks) > 0 // no sequence ends before its first event
	if len(s.marks) > 0 {
		mark = s.marks[len(s.marks)-1]
		end = l.end[mark]
	}
	if !s.open {
		gradEnd[mark] += 1 - end
		return math.Log(end)
	}
	if s.waited == 0 {
		return 0
	}
	compensator := 0.0
	for _, mu := range l.mu {
		compensator += mu * s.waited
	}
	for from, k := range l.excited() {
		for to := range n {
			slot := l.slot(k, from, to)
			compensator -= l.eta[l.pair(k, from, to)] * l.left[slot] * math.Expm1(-l.beta[slot]*s.waited)
		}
	}
	// log(e + (1 − e) S) with S = exp(−compensator); alive is the probability that the sequence is not over.
	logS, alive := -compensator, 1.0
	if knowsEnd {
		later := math.Log1p(-end) - compensator
		logS = num.LogAddExp(math.Log(end), later)
		alive = math.Exp(later - logS)
		gradEnd[mark] += (1 - alive) - end
	}
	for m := range gradMu {
		gradMu[m] -= alive * s.waited
	}
	for from, k := range l.excited() {
		for to := range n {
			pair, slot := l.pair(k, from, to), l.slot(k, from, to)
			spent := -math.Expm1(-l.beta[slot] * s.waited)
			l.gradEta[pair] -= alive * l.left[slot] * spent
			l.gradBeta[slot] -= alive * l.eta[pair] * (l.slope[slot]*spent + l.left[slot]*s.waited*(1-spent))
		}
	}
	return logS
}

// model returns the process with the parameters x, in the dataset's unit of time.
func (l *hawkesLikelihood) model(c classical, x []float64) (*Hawkes, error) {
	l.unpack(x)
	decay := make([]float64, l.numDecays())
	base := make([]float64, l.marks)
	excitation := make([]float64, len(l.eta))
	for i := range base {
		base[i] = l.mu[i] / l.scale
	}
	for k := range l.kernels {
		for from := range l.marks {
			for to := range l.marks {
				i := l.pair(k, from, to)
				excitation[i] = l.eta[i] * l.beta[l.slot(k, from, to)] / l.scale
			}
		}
	}
	for i, beta := range l.beta {
		decay[l.decayAt(i)] = beta / l.scale
	}
	end := slices.Clone(l.end)
	for i := range end {
		end[i] = min(end[i], 1-1e-6) // a float32 would round what is closer to 1
	}
	return newHawkes(c, base, excitation, decay, end)
}
