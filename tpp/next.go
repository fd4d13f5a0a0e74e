package tpp

import (
	"math"

	"github.com/tppfaas/tppfaas/internal/num"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// Next is the distribution of the next event. Its zero value says that no event ever comes.
type Next struct {
	// Time is the distribution of the time from now until the next event, given that there is one. Right after an
	// event it is the distribution of the inter time.
	Time dist.Distribution
	// Marks are the probabilities of the marks given that there is a next event; they sum to 1.
	Marks []float64
	// End is the probability that the sequence is over and no event follows; 0 if the model does not predict ends.
	End float64
	// GapFloor is the smallest inter time at which the density is evaluated; shorter ones are scored as GapFloor.
	GapFloor float64
	// Joint is the joint distribution of time and mark, nil if they are independent of each other.
	Joint Joint

	// ApproxMedian, if not nil, returns the median of Time to about six digits, faster than Time does. Median uses it.
	ApproxMedian interface{ Median() float64 }

	conditional     *Next                // result of Conditional, reused
	conditionalTime dist.Conditional     // Time of that result
	conditionalMark conditionalMarkJoint // Joint of that result
	scratch         []float64            // memory of LogMark
}

// CopyFrom copies the fields of src to n, but keeps the buffer in which n.Conditional returns its result.
func (n *Next) CopyFrom(src *Next) {
	conditional, scratch := n.conditional, n.scratch
	*n = *src
	n.conditional, n.scratch, n.conditionalTime, n.conditionalMark = conditional, scratch, dist.Conditional{}, conditionalMarkJoint{}
}

// Median returns the median of the time to the next event: that of ApproxMedian if it is set, otherwise that of Time.
func (n *Next) Median() float64 {
	if n.ApproxMedian != nil {
		return n.ApproxMedian.Median()
	}
	return dist.Median(n.distribution())
}

// Joint is the joint distribution of the time to the next event and its mark, given that there is one.
type Joint interface {
	// LogProbMark returns the log density of an event with the mark at tau.
	LogProbMark(tau float64, mark int) float64
	// LogIntervalMark returns the log probability that the event has the mark and comes in (a, b], 0 ≤ a < b ≤ ∞.
	LogIntervalMark(a, b float64, mark int) float64
}

// MarkJoint is a Joint that computes the probabilities of the marks without densities. Far in the tail the log densities
// of all marks agree but for rounding, so that their differences say nothing.
type MarkJoint interface {
	Joint
	// MarksAt fills dst, which has an entry for each mark, with the probabilities of the marks given that the event comes after
	// tau, 0 ≤ tau ≤ ∞, and returns it.
	MarksAt(tau float64, dst []float64) []float64
}

// GivenMarkJoint is a Joint that knows the distribution of the time given the mark. Drawer then draws the mark first.
type GivenMarkJoint interface {
	Joint
	// GivenMark returns the distribution of the time to the next event given that it has the mark. It is valid until the next call of a method.
	GivenMark(mark int) dist.Distribution
}

// distribution returns Time, or for a Next without one the distribution of an event that never comes.
func (n *Next) distribution() dist.Distribution {
	if n.Time == nil {
		return never{}
	}
	return n.Time
}

// never is the distribution of the time to an event that never comes.
type never struct{}

func (never) LogProb(float64) float64     { return math.Inf(-1) }
func (never) CDF(float64) float64         { return 0 }
func (never) LogSurvival(float64) float64 { return 0 }

func (never) Quantile(p float64) float64 {
	switch {
	case p == 0:
		return 0
	case p > 0 && p <= 1:
		return math.Inf(1)
	}
	return math.NaN()
}

// LogProb returns the log density of the inter time tau.
func (n *Next) LogProb(tau float64) float64 { return n.distribution().LogProb(max(tau, n.GapFloor)) }

// LogMark returns the log probability of the mark given that the event comes after the inter time tau. It is −Inf for a
// mark that the model does not know.
func (n *Next) LogMark(tau float64, mark int) float64 {
	switch {
	case mark < 0 || mark >= len(n.Marks):
		return math.Inf(-1)
	case n.Joint == nil:
		return math.Log(n.Marks[mark])
	}
	tau = max(tau, n.GapFloor)
	if j, ok := n.Joint.(MarkJoint); ok {
		n.scratch = j.MarksAt(tau, append(n.scratch[:0], n.Marks...))
		return math.Log(n.scratch[mark])
	}
	ratio := n.Joint.LogProbMark(tau, mark) - n.distribution().LogProb(tau)
	if math.IsNaN(ratio) { // both densities are below what numbers hold
		return math.Log(n.Marks[mark])
	}
	return ratio
}

// LogResolution returns the log probability that the event has the mark and comes in the tick around tau of a clock
// with resolution Δ: log P(mark, max(τ − Δ/2, 0) < T ≤ τ + Δ/2). Unlike a density it is bounded by 0 where times are
// whole ticks.
func (n *Next) LogResolution(tau, resolution float64, mark int) float64 {
	switch {
	case mark < 0 || mark >= len(n.Marks):
		return math.Inf(-1)
	case n.Joint == nil:
		return dist.LogMass(n.distribution(), tau, resolution) + math.Log(n.Marks[mark])
	}
	return n.Joint.LogIntervalMark(max(tau-resolution/2, 0), tau+resolution/2, mark)
}

// LogSurvival returns the log probability that no event comes within t: either the sequence is over or the event comes
// later.
func (n *Next) LogSurvival(t float64) float64 {
	s := n.distribution().LogSurvival(t)
	if n.End == 0 {
		return s
	}
	return min(num.LogAddExp(math.Log(n.End), math.Log1p(-n.End)+s), 0) // rounding may take it above
}

// Within returns the probability that an event comes within t. If n is the result of State.Next(now), it is the
// conditional probability 1 − S(now + t)/S(now) on which prewarming decides.
func (n *Next) Within(t float64) float64 { return -math.Expm1(n.LogSurvival(t)) }

// Conditional returns the distribution of the next event given that none has come in the elapsed time. Times count
// from then on, and End grows with the elapsed time. Implementations of State.Next use it for times after the last
// event. The result is valid until the next call of Conditional.
func (n *Next) Conditional(elapsed float64) *Next {
	if !(elapsed > 0) {
		return n
	}
	if n.conditional == nil {
		n.conditional = &Next{Marks: make([]float64, len(n.Marks))}
	}
	g := n.conditional
	g.conditionalTime = dist.Conditional{Dist: n.distribution(), Elapsed: elapsed}
	g.Time = &g.conditionalTime
	g.GapFloor = 0
	g.Joint = nil
	g.End = 0
	if n.End > 0 {
		g.End = math.Exp(math.Log(n.End) - n.LogSurvival(elapsed))
	}
	copy(g.Marks, n.Marks)
	if n.Joint != nil {
		j, ok := n.Joint.(MarkJoint)
		g.conditionalMark = conditionalMarkJoint{conditionalJoint{n.Joint, elapsed, n.distribution().LogSurvival(elapsed)}, j}
		g.Joint = &g.conditionalMark
		if !ok {
			g.Joint = &g.conditionalMark.conditionalJoint
		}
		for m := range g.Marks {
			g.Marks[m] = n.Joint.LogIntervalMark(elapsed, math.Inf(1), m)
		}
		normaliseLog(g.Marks, n.Marks)
	}
	return g
}

// conditionalJoint is a Joint given that no event came in the elapsed time.
type conditionalJoint struct {
	joint                Joint
	elapsed, logSurvival float64
}

func (l *conditionalJoint) LogProbMark(tau float64, mark int) float64 {
	return l.joint.LogProbMark(l.elapsed+tau, mark) - l.logSurvival
}

// conditionalMarkJoint is a conditionalJoint of a MarkJoint.
type conditionalMarkJoint struct {
	conditionalJoint
	marks MarkJoint
}

func (l *conditionalMarkJoint) MarksAt(tau float64, dst []float64) []float64 {
	return l.marks.MarksAt(l.elapsed+tau, dst)
}

func (l *conditionalJoint) LogIntervalMark(a, b float64, mark int) float64 {
	return l.joint.LogIntervalMark(l.elapsed+a, l.elapsed+b, mark) - l.logSurvival
}

// MarksAt returns the probabilities of the marks given that the event comes after the inter time tau. It stores them
// in dst, which grows if needed and may be nil.
func (n *Next) MarksAt(tau float64, dst []float64) []float64 {
	return n.marksAt(max(tau, n.GapFloor), dst)
}

// marksAt is MarksAt without the floor.
func (n *Next) marksAt(tau float64, dst []float64) []float64 {
	dst = append(dst[:0], n.Marks...)
	if n.Joint != nil {
		if j, ok := n.Joint.(MarkJoint); ok {
			return j.MarksAt(tau, dst)
		}
		for m := range dst {
			dst[m] = n.Joint.LogProbMark(tau, m)
		}
		normaliseLog(dst, n.Marks)
	}
	return dst
}

// LikeliestMark returns the mark with the highest probability; of equals the first.
func (n *Next) LikeliestMark() int {
	best := 0
	for m, p := range n.Marks {
		if p > n.Marks[best] {
			best = m
		}
	}
	return best
}

// normaliseLog replaces log weights by probabilities. If the largest weight is not finite it copies fallback instead.
func normaliseLog(p, fallback []float64) {
	top := math.Inf(-1)
	for _, v := range p {
		top = max(top, v)
	}
	if math.IsInf(top, 0) || math.IsNaN(top) {
		copy(p, fallback)
		return
	}
	total := 0.0
	for i, v := range p {
		p[i] = math.Exp(v - top)
		total += p[i]
	}
	for i := range p {
		p[i] /= total
	}
}
