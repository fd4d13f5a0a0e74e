package classical

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"gonum.org/v1/gonum/integrate/quad"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/internal/unfitted"
)

// Hawkes is a multivariate Hawkes process with exponential kernels (Hawkes 1971) that may end. While the sequence is
// not over, events of mark m come with the intensity
//
//	λₘ(t) = μₘ + Σ α(mᵢ, m) exp(−β(mᵢ, m) (t − tᵢ)) over the events i before t,
//
// or, with several kernels, the sum of as many such terms for each event, each with a decay that all pairs of marks share;
// and after each event the sequence ends with a probability that depends on its mark. Time and mark of the next event are
// dependent. Gaps shorter than half a tick of the clock count as half a tick: at exact ties a fast decay would have an
// unbounded likelihood.
//
// The branching ratio Σₘ α/β is not constrained to be below 1: sequences stay finite because they end. A Hawkes is made by
// FitHawkes or NewHawkes, or read from a file; the zero value is not valid.
type Hawkes struct {
	classical
	base       []float64 // μ by mark
	excitation []float64 // α, (kernels, marks, marks): by the mark that excites and the mark that is excited
	decay      []float64 // β, one for each kernel, or with one kernel as excitation
	end        []float64 // by mark
	total      float64   // of base
	errors     *HawkesErrors
}

// newHawkes returns the model with the given parameters, rounded to float32.
func newHawkes(c classical, base, excitation, decay, end []float64) (*Hawkes, error) {
	h := &Hawkes{classical: c, base: roundAll32(base), excitation: roundAll32(excitation), decay: roundAll32(decay), end: roundAll32(end)}
	for _, v := range h.base {
		h.total += v
	}
	for _, p := range []struct {
		name   string
		values []float64
	}{{"base intensity", h.base}, {"excitation", h.excitation}, {"decay", h.decay}} {
		for _, v := range p.values {
			if !(v >= 0) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("Hawkes process: %s %v", p.name, v)
			}
		}
	}
	if h.total == 0 {
		return nil, errors.New("Hawkes process: no mark has a base intensity")
	}
	for _, v := range h.end {
		if err := checkEnd(v); err != nil {
			return nil, fmt.Errorf("Hawkes process: %w", err)
		}
	}
	return h, nil
}

// BaseIntensity returns μ by mark, per time unit.
func (h *Hawkes) BaseIntensity() []float64 { return slices.Clone(h.base) }

// NumKernels returns the number of kernels of each pair of marks.
func (h *Hawkes) NumKernels() int {
	if n := len(h.base); n > 0 {
		return len(h.excitation) / (n * n)
	}
	return 0
}

// perPair reports whether each pair of marks has a decay of its own.
func (h *Hawkes) perPair() bool { return len(h.decay) > h.NumKernels() }

// Kernel returns the kernel alpha·exp(−beta·t) that an event of mark from adds to the intensity of mark to, at time t
// after the event; of several, the one with the slowest decay. Both are per time unit. One event excites alpha/beta events on average. Both are 0 for a
// mark that the model does not know.
func (h *Hawkes) Kernel(from, to int) (alpha, beta float64) { return h.KernelAt(0, from, to) }

// KernelAt is Kernel for one of several kernels, 0 ≤ k < NumKernels, which are in the order of their decays. Both are 0 for a kernel that there is not.
func (h *Hawkes) KernelAt(k, from, to int) (alpha, beta float64) {
	n := len(h.base)
	if from < 0 || from >= n || to < 0 || to >= n || k < 0 || k >= h.NumKernels() {
		return 0, 0
	}
	pair := from*n + to
	if h.perPair() {
		return h.excitation[pair], h.decay[pair]
	}
	return h.excitation[k*n*n+pair], h.decay[k]
}

// decayOf returns the decay of entry i of hawkesState.excited.
func (h *Hawkes) decayOf(i int) float64 {
	if h.perPair() {
		return h.decay[i]
	}
	return h.decay[i/len(h.base)]
}

// NewState returns the state before the first event.
func (h *Hawkes) NewState(start float64) tpp.State {
	if len(h.base) == 0 {
		return unfitted.State()
	}
	return h.newState(start)
}

func (h *Hawkes) newState(start float64) *hawkesState {
	marks := h.head.NumMarks
	s := &hawkesState{h: h, last: start, mark: startRow, excited: make([]float64, h.numExcited())}
	s.next = tpp.Next{Time: &s.time, Marks: make([]float64, marks), GapFloor: h.gapFloor(), Joint: &s.joint}
	s.joint.s = s
	return s
}

// numExcited returns the number of excitations of a state: of each mark by each kernel, or by each mark.
func (h *Hawkes) numExcited() int {
	if h.perPair() {
		return len(h.decay)
	}
	return len(h.decay) * len(h.base)
}

// hawkesState holds the summed excitations of the events so far. Excitations with the same decay and mark are one
// number, since they decay together.
type hawkesState struct {
	h       *Hawkes
	last    float64
	mark    int // of the last event
	excited []float64
	fresh   bool // next is up to date
	time    dist.ExpHawkes
	joint   hawkesJoint
	next    tpp.Next
}

// Observe runs in time proportional to the number of excitations, however many events there were.
func (s *hawkesState) Observe(e tpp.Event) error {
	h := s.h
	marks := h.head.NumMarks
	if err := tpp.CheckEvent(e, s.last, marks); err != nil {
		return err
	}
	gap := max(e.Time-s.last, h.gapFloor())
	if !h.perPair() {
		for k, beta := range h.decay {
			left := math.Exp(-beta * gap)
			excited, added := s.excited[k*marks:(k+1)*marks], h.excitation[(k*marks+e.Mark)*marks:]
			for m := range excited {
				excited[m] = excited[m]*left + added[m]
			}
		}
	} else {
		for i, v := range s.excited {
			if v > 0 {
				s.excited[i] = v * math.Exp(-h.decay[i]*gap)
			}
		}
		for m := range marks {
			s.excited[e.Mark*marks+m] += h.excitation[e.Mark*marks+m]
		}
	}
	s.last, s.mark, s.fresh = e.Time, e.Mark, false
	return nil
}

// Next returns the distribution of the next event.
func (s *hawkesState) Next(now float64) *tpp.Next {
	if !s.fresh {
		s.refresh()
	}
	return s.next.Conditional(now - s.last)
}

func (s *hawkesState) refresh() {
	h := s.h
	s.time.Base = h.total
	s.time.Alpha, s.time.Beta = s.time.Alpha[:0], s.time.Beta[:0]
	if !h.perPair() {
		for k, beta := range h.decay {
			sum := 0.0
			for _, v := range s.excited[k*len(h.base) : (k+1)*len(h.base)] {
				sum += v
			}
			s.time.Alpha, s.time.Beta = append(s.time.Alpha, sum), append(s.time.Beta, beta)
		}
	} else {
		for i, v := range s.excited {
			if v > 0 {
				s.time.Alpha, s.time.Beta = append(s.time.Alpha, v), append(s.time.Beta, h.decay[i])
			}
		}
	}
	s.joint.known = false
	copy(s.next.Marks, s.joint.sharesOf(0, math.Inf(1)))
	s.next.End = 0
	if s.mark != startRow {
		s.next.End = h.end[s.mark]
	}
	s.fresh = true
}

// Clone returns an independent copy.
func (s *hawkesState) Clone() tpp.State {
	c := s.h.newState(s.last)
	c.CopyFrom(s)
	return c
}

// CopyFrom copies the history of another state of the same model.
func (s *hawkesState) CopyFrom(src tpp.State) bool {
	o, ok := src.(*hawkesState)
	if !ok || o.h != s.h {
		return false
	}
	s.last, s.mark, s.fresh = o.last, o.mark, false
	copy(s.excited, o.excited)
	return true
}

// hawkesJoint is the joint distribution of time and mark: the marks are competing risks, each with its intensity.
type hawkesJoint struct {
	s            *hawkesState
	shares, rate []float64
	a, b         float64 // the interval of shares
	known        bool    // shares is valid for a, b
	active       []int   // indices of excitations that are not negligible
	spent        float64 // contribution of all others to Λ
}

// LogProbMark returns log λₘ(tau) − Λ(tau).
func (j *hawkesJoint) LogProbMark(tau float64, mark int) float64 {
	if math.IsInf(tau, 1) {
		return math.Inf(-1)
	}
	j.begin()
	j.at(tau)
	return math.Log(j.rate[mark]) + j.s.time.LogSurvival(tau)
}

// MarksAt fills dst with the marks' shares of the intensity at tau and returns it.
func (j *hawkesJoint) MarksAt(tau float64, dst []float64) []float64 {
	copy(dst, j.s.h.base)
	for i, v := range j.s.excited {
		// An excitation that does not decay stays for ever.
		if beta := j.s.h.decayOf(i); v > 0 && (beta == 0 || !math.IsInf(tau, 1)) {
			dst[i%len(dst)] += v * math.Exp(-beta*min(tau, math.MaxFloat64))
		}
	}
	return sumToOne(dst)
}

// LogIntervalMark returns the log probability of (a, b] plus the log share of the mark in it. Shares are computed by
// quadrature and normalised to sum to 1.
func (j *hawkesJoint) LogIntervalMark(a, b float64, mark int) float64 {
	return j.s.time.LogInterval(a, b) + math.Log(j.sharesOf(a, b)[mark])
}

// begin resets active to all excitations that are not 0.
func (j *hawkesJoint) begin() {
	j.rate = nn.Resize(j.rate, j.s.h.head.NumMarks)
	j.active, j.spent = j.active[:0], 0
	for i, v := range j.s.excited {
		if v > 0 {
			j.active = append(j.active, i)
		}
	}
}

// retire removes excitations that from time t on are below the rounding of the base intensity.
func (j *hawkesJoint) retire(t float64) {
	left := j.active[:0]
	for _, i := range j.active {
		if j.s.excited[i]*math.Exp(-j.s.h.decayOf(i)*t) > 1e-17*j.s.h.total {
			left = append(left, i)
		} else {
			j.spent += j.s.excited[i] / j.s.h.decayOf(i)
		}
	}
	j.active = left
}

// at sets rate to λₘ at the time t after the last event, if nothing comes until then, and returns Λ(t).
func (j *hawkesJoint) at(t float64) (compensator float64) {
	h := j.s.h
	copy(j.rate, h.base)
	compensator = h.total*t + j.spent
	if len(h.decay) == 1 {
		left, spent := decayed(h.decay[0], t)
		for _, i := range j.active {
			j.rate[i] += j.s.excited[i] * left
			compensator += j.s.excited[i] * spent
		}
		return compensator
	}
	for _, i := range j.active {
		left, spent := decayed(h.decayOf(i), t)
		j.rate[i%len(j.rate)] += j.s.excited[i] * left
		compensator += j.s.excited[i] * spent
	}
	return compensator
}

// decayed returns exp(−βt) and its integral from 0 to t, to at least ten digits.
func decayed(beta, t float64) (left, spent float64) {
	x := beta * t
	left = math.Exp(-x)
	if x < 1e-5 {
		return left, t * (1 - x/2)
	}
	return left, (1 - left) / beta
}

// sharesOf returns the probabilities of the marks of an event in (a, b]: the integrals of λₘ(t) exp(−Λ(t)),
// normalised. Times beyond which the survival relative to a is below e⁻⁴⁰ are ignored. The result is valid until the
// next call.
func (j *hawkesJoint) sharesOf(a, b float64) []float64 {
	if j.known && j.a == a && j.b == b {
		return j.shares
	}
	j.a, j.b, j.known = a, b, true
	j.begin()
	j.shares = nn.Resize(j.shares, len(j.rate))
	clear(j.shares)
	time := &j.s.time
	reached := time.LogSurvival(a)
	if math.IsInf(a, 1) || math.IsInf(reached, -1) {
		return j.MarksAt(a, j.shares)
	}
	b = min(b, time.QuantileLogSurvival(reached-40))
	// Panels double in width, so that each is short against the time in which anything changes at its beginning.
	fastest := time.Hazard(a)
	for _, beta := range time.Beta {
		fastest = max(fastest, beta)
	}
	for width, t := 0.5/fastest, a; t < b; width *= 2 {
		j.retire(t)
		half := 0.5 * min(width, b-t)
		for i, x := range gaussPoints {
			at := t + half*(1+x)
			w := half * gaussWeights[i] * math.Exp(-j.at(at)-reached)
			for m, v := range j.rate {
				j.shares[m] += w * v
			}
		}
		if t+2*half <= t {
			break
		}
		t += 2 * half
	}
	if slices.Max(j.shares) == 0 { // an interval that floats do not resolve
		j.begin()
		j.at(a)
		copy(j.shares, j.rate)
	}
	return sumToOne(j.shares)
}

// gaussPoints and gaussWeights are the Gauss-Legendre rule on [−1, 1].
var gaussPoints, gaussWeights = func() (x, w [16]float64) {
	quad.Legendre{}.FixedLocations(x[:], w[:], -1, 1)
	return x, w
}()

// sumToOne divides the weights by their sum, in place, and returns them.
func sumToOne(p []float64) []float64 {
	total := 0.0
	for _, v := range p {
		total += v
	}
	for i := range p {
		p[i] /= total
	}
	return p
}

// Encode writes the model to w.
func (h *Hawkes) Encode(w io.Writer) error {
	if len(h.base) == 0 {
		return unfitted.Err
	}
	n := h.head.NumMarks
	description := classicalDescription{ModelHeader: h.head, DecayPerPair: h.perPair(), StandardErrors: h.errors.describe()}
	decay, excitation := vector(h.decay...), tpp.Tensor{Shape: []int{n, n}, Data: h.excitation}
	if description.DecayPerPair {
		decay.Shape = []int{n, n}
	}
	if k := h.NumKernels(); k > 1 {
		description.Kernels, excitation.Shape = k, []int{k, n, n}
	}
	return tpp.EncodeModel(w, description, map[string]tpp.Tensor{
		"base": vector(h.base...), "excitation": excitation, "decay": decay, "end": vector(h.end...),
	})
}

func readHawkes(f *tpp.ModelFile) (tpp.Model, error) {
	h := f.Header
	d, err := parseClassical(f)
	if err != nil {
		return nil, err
	}
	n := h.NumMarks
	shape, kernels := []int{1}, []int{n, n}
	switch {
	case d.Kernels < 0 || d.Kernels == 1 || d.Kernels > maxKernels || d.Kernels > 1 && d.DecayPerPair:
		return nil, fmt.Errorf("description of the model: %d kernels", d.Kernels)
	case d.Kernels > 1:
		shape, kernels = []int{d.Kernels}, []int{d.Kernels, n, n}
	case d.DecayPerPair:
		shape = []int{n, n}
	}
	base, excitation, decay, end := f.Tensor("base", n), f.Tensor("excitation", kernels...), f.Tensor("decay", shape...), f.Tensor("end", n)
	if err := f.Finish(); err != nil {
		return nil, err
	}
	m, err := newHawkes(classical{h}, base, excitation, decay, end)
	if err != nil {
		return nil, err
	}
	if m.errors, err = d.StandardErrors.errors(n); err != nil {
		return nil, err
	}
	return m, nil
}

// Fingerprint returns a hash of the model's file without standard errors, on which no prediction depends.
func (h *Hawkes) Fingerprint() uint64 {
	without := *h
	without.errors = nil
	return fileFingerprint(&without)
}

// MarshalBinary writes the time and the mark of the last event, and the excitations.
func (s *hawkesState) MarshalBinary() ([]byte, error) {
	b := binary.LittleEndian.AppendUint64(nil, math.Float64bits(s.last))
	b = binary.LittleEndian.AppendUint64(b, uint64(s.mark+1))
	for _, v := range s.excited {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b, nil
}

func (s *hawkesState) UnmarshalBinary(data []byte) error {
	last, rest, err := readLastTime(data, 8+8*len(s.excited))
	if err != nil {
		return err
	}
	mark := binary.LittleEndian.Uint64(rest)
	if mark > uint64(s.h.head.NumMarks) {
		return fmt.Errorf("mark %d: the model knows %d marks", mark-1, s.h.head.NumMarks)
	}
	excited := slices.Clone(s.excited)
	for i := range excited {
		excited[i] = math.Float64frombits(binary.LittleEndian.Uint64(rest[8+8*i:]))
		if !(excited[i] >= 0) || math.IsInf(excited[i], 0) || mark == 0 && excited[i] != 0 {
			return fmt.Errorf("excitation %d is %v", i, excited[i])
		}
	}
	s.last, s.mark, s.excited, s.fresh = last, int(mark)-1, excited, false
	return nil
}
