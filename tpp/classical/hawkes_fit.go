package classical

import (
	"context"
	"errors"
	"fmt"
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
// is 1. The vector of parameters holds log μ for each mark, log(α/β) for each pair of marks, log β for all or for each
// pair, and, if there are ends to learn from, log odds of the end for each mark.
type hawkesLikelihood struct {
	marks     int
	perPair   bool
	knowsEnd  bool
	scale     float64 // the mean gap, in the dataset's unit
	meanEnd   float64 // share of events that end their sequence, smoothed
	events    int     // that are scored
	sequences []hawkesSequence

	// The parameters unpacked from x, with eta = α/β; eta and the gradients by pair of marks, beta by slot.
	mu, eta, beta, end []float64
	gradEta, gradBeta  []float64
	// The state while walking over one sequence. Past events are summed in slots, by their mark or, where each pair of marks
	// has a decay of its own, by pair: what is left of them, Σ exp(−β(t − tᵢ)), the derivative of that by β, and the time t
	// of both.
	left, slope, updated []float64
	count                []float64 // events by mark
}

// slot returns the index in left, slope, updated and beta of the events of mark from that excite mark to.
func (l *hawkesLikelihood) slot(from, to int) int {
	if l.perPair {
		return from*l.marks + to
	}
	return from
}

// eachSlot returns the range of slots of the events of one mark.
func (l *hawkesLikelihood) eachSlot(from int) (begin, end int) {
	if l.perPair {
		return from * l.marks, (from + 1) * l.marks
	}
	return from, from + 1
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
	l := &hawkesLikelihood{marks: n, perPair: opts.DecayPerPair, knowsEnd: r.complete, events: len(r.gaps)}
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
	pairs := n * n
	slots := n
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
	n, decays := l.marks, 1
	if l.perPair {
		decays = n * n
	}
	mu, x = x[:n], x[n:]
	eta, x = x[:n*n], x[n*n:]
	return mu, eta, x[:decays], x[decays:]
}

// size returns the number of parameters.
func (l *hawkesLikelihood) size() int {
	n := l.marks + l.marks*l.marks + 1
	if l.perPair {
		n += l.marks*l.marks - 1
	}
	if l.knowsEnd {
		n += l.marks
	}
	return n
}

// start returns the starting point of the search: half of the events from the base intensities, half excited, and one
// decay.
func (l *hawkesLikelihood) start(r *records, decay float64) []float64 {
	x := make([]float64, l.size())
	mu, eta, beta, end := l.split(x)
	for m, p := range r.markShares() {
		mu[m] = math.Log(p / 2)
		for from := range l.marks {
			eta[from*l.marks+m] = math.Log(p / 2)
		}
	}
	for i := range beta {
		beta[i] = math.Log(decay)
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
		l.beta[i] = value(beta[i%len(beta)])
	}
	for i, v := range end {
		l.end[i] = 1 / (1 + 1/value(v))
	}
}

// negLogLikelihood returns the smoothed negLogLikelihood log likelihood per event at x and stores its gradient in grad.
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
		gradBeta[i%len(gradBeta)] += g * l.beta[i]
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
			for from := range n {
				if l.count[from] > 0 {
					slot := l.slot(from, m)
					l.touch(slot, t)
					rate += l.eta[from*n+m] * l.beta[slot] * l.left[slot]
				}
			}
			sum += math.Log(rate)
			gradMu[m] += 1 / rate
			for from := range n {
				if l.count[from] > 0 {
					pair, slot := from*n+m, l.slot(from, m)
					l.gradEta[pair] += l.beta[slot] * l.left[slot] / rate
					l.gradBeta[slot] += l.eta[pair] * (l.left[slot] + l.beta[slot]*l.slope[slot]) / rate
				}
			}
			if i > 0 && l.knowsEnd {
				before := s.marks[i-1]
				sum += math.Log1p(-l.end[before])
				gradEnd[before] -= l.end[before]
			}
		}
		for slot, end := l.eachSlot(m); slot < end; slot++ {
			l.touch(slot, t)
			l.left[slot]++
		}
		l.count[m]++
	}
	// The compensator until the last event: what of all excitations is spent.
	for m, mu := range l.mu {
		sum -= mu * t
		gradMu[m] -= t
	}
	for from, count := range l.count {
		if count == 0 {
			continue
		}
		for slot, end := l.eachSlot(from); slot < end; slot++ {
			l.touch(slot, t)
		}
		for to := range n {
			pair, slot := from*n+to, l.slot(from, to)
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
	for from, count := range l.count {
		if count == 0 {
			continue
		}
		for to := range n {
			slot := l.slot(from, to)
			compensator -= l.eta[from*n+to] * l.left[slot] * math.Expm1(-l.beta[slot]*s.waited)
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
	for from, count := range l.count {
		if count == 0 {
			continue
		}
		for to := range n {
			pair, slot := from*n+to, l.slot(from, to)
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
	_, _, beta, _ := l.split(x)
	decay := make([]float64, len(beta))
	base := make([]float64, l.marks)
	excitation := make([]float64, len(l.eta))
	for i := range base {
		base[i] = l.mu[i] / l.scale
	}
	for i := range excitation {
		excitation[i] = l.eta[i] * l.beta[l.slot(i/l.marks, i%l.marks)] / l.scale
	}
	for i := range decay {
		decay[i] = l.beta[i] / l.scale
	}
	end := slices.Clone(l.end)
	for i := range end {
		end[i] = min(end[i], 1-1e-6) // a float32 would round what is closer to 1
	}
	return newHawkes(c, base, excitation, decay, end)
}
