package tpp

import (
	"math"

	"github.com/tppfaas/tppfaas/internal/num"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// Next is the distribution of the next event.
type Next struct {
	// Time is the distribution of the time from now until the next event, given that there is one. Asked for at the last
	// event it is that of the inter time.
	Time dist.Distribution
	// Marks are the probabilities of the marks given that there is a next event; they sum to 1.
	Marks []float64
	// End is the probability that the sequence is over and no event follows, 0 for models that do not know.
	End float64
	// GapFloor is the smallest inter time that has a density: shorter ones are scored as if they were as long.
	GapFloor float64
	// Joint is the joint distribution of time and mark, nil if they are independent of each other.
	Joint Joint

	// ApproxMedian, if not nil, finds the median of Time faster than Time does, to about six digits. Median asks it.
	ApproxMedian interface{ Median() float64 }

	given *Next // memory of Conditional
	rest  dist.Conditional
}

// CopyFrom takes over what src says. It keeps n's own memory, in which Conditional answers.
func (n *Next) CopyFrom(src *Next) {
	given := n.given
	*n = *src
	n.given, n.rest = given, dist.Conditional{}
}

// Median is the median of the time to the next event: what ApproxMedian says, if there is one, else the median of Time. That
// is what a live prediction needs.
func (n *Next) Median() float64 {
	if n.ApproxMedian != nil {
		return n.ApproxMedian.Median()
	}
	return dist.Median(n.Time)
}

// Joint is the joint distribution of the time to the next event and its mark, given that there is one.
type Joint interface {
	// LogProbMark is the log density of an event of the mark at tau.
	LogProbMark(tau float64, mark int) float64
	// LogIntervalMark is the log probability that the event has the mark and comes after a and until b, 0 ≤ a < b ≤ ∞.
	LogIntervalMark(a, b float64, mark int) float64
}

// LogProb is the log density of the inter time tau.
func (n *Next) LogProb(tau float64) float64 { return n.Time.LogProb(max(tau, n.GapFloor)) }

// LogMark is the log probability that the event has the mark, given that it comes after tau.
func (n *Next) LogMark(tau float64, mark int) float64 {
	if n.Joint == nil {
		return math.Log(n.Marks[mark])
	}
	tau = max(tau, n.GapFloor)
	return n.Joint.LogProbMark(tau, mark) - n.Time.LogProb(tau)
}

// LogResolution is the log probability that the event has the mark and comes in tau's tick of a clock with the given
// resolution Δ: log P(mark, max(τ − Δ/2, 0) < T ≤ τ + Δ/2). Unlike a density it is bounded by 0 on data of whole ticks.
func (n *Next) LogResolution(tau, resolution float64, mark int) float64 {
	if n.Joint == nil {
		return dist.LogMass(n.Time, tau, resolution) + math.Log(n.Marks[mark])
	}
	return n.Joint.LogIntervalMark(max(tau-resolution/2, 0), tau+resolution/2, mark)
}

// LogSurvival is the log probability that no event comes within t: that the sequence is over or the event comes later.
func (n *Next) LogSurvival(t float64) float64 {
	s := n.Time.LogSurvival(t)
	if n.End == 0 {
		return s
	}
	return num.LogAddExp(math.Log(n.End), math.Log1p(-n.End)+s)
}

// Within is the probability that an event comes within t. Of a Next that was asked for at a time it is the conditional
// probability that prewarming turns on, 1 − S(now + t)/S(now).
func (n *Next) Within(t float64) float64 { return -math.Expm1(n.LogSurvival(t)) }

// Conditional returns the conditional distribution of the next event given that none has come for the elapsed time: time
// counts from then, and the longer nothing comes the likelier is the end. States use it to answer for a time after the last
// event. It is valid until Conditional is called again.
func (n *Next) Conditional(elapsed float64) *Next {
	if !(elapsed > 0) {
		return n
	}
	if n.given == nil {
		n.given = &Next{Marks: make([]float64, len(n.Marks))}
	}
	g := n.given
	g.rest = dist.Conditional{Dist: n.Time, Elapsed: elapsed}
	g.Time = &g.rest
	g.GapFloor = 0
	g.Joint = nil
	g.End = 0
	if n.End > 0 {
		g.End = math.Exp(math.Log(n.End) - n.LogSurvival(elapsed))
	}
	copy(g.Marks, n.Marks)
	if n.Joint != nil {
		g.Joint = lateJoint{n.Joint, elapsed, n.Time.LogSurvival(elapsed)}
		for m := range g.Marks {
			g.Marks[m] = n.Joint.LogIntervalMark(elapsed, math.Inf(1), m)
		}
		normaliseLog(g.Marks, n.Marks)
	}
	return g
}

// lateJoint is a Joint given that nothing came for the elapsed time.
type lateJoint struct {
	joint                Joint
	elapsed, logSurvival float64
}

func (l lateJoint) LogProbMark(tau float64, mark int) float64 {
	return l.joint.LogProbMark(l.elapsed+tau, mark) - l.logSurvival
}

func (l lateJoint) LogIntervalMark(a, b float64, mark int) float64 {
	return l.joint.LogIntervalMark(l.elapsed+a, l.elapsed+b, mark) - l.logSurvival
}

// MarksAt fills dst with the probabilities of the marks given that the event comes after tau, and returns it.
func (n *Next) MarksAt(tau float64, dst []float64) []float64 {
	dst = append(dst[:0], n.Marks...)
	if n.Joint != nil {
		tau = max(tau, n.GapFloor)
		for m := range dst {
			dst[m] = n.Joint.LogProbMark(tau, m)
		}
		normaliseLog(dst, n.Marks)
	}
	return dst
}

// LikeliestMark is the mark with the highest probability, the first of equals.
func (n *Next) LikeliestMark() int {
	best := 0
	for m, p := range n.Marks {
		if p > n.Marks[best] {
			best = m
		}
	}
	return best
}

// normaliseLog turns log weights into probabilities; where all weights vanish it falls back to others.
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
