package tpp

import (
	"math"

	"github.com/tppfaas/tppfaas/tpp/dist"
)

// Event is one event of a sequence as a model observes it.
type Event struct {
	// Time is the arrival time, in the model's time unit.
	Time float64
	// Mark is the class of the event, 0 ≤ Mark < NumMarks.
	Mark int
	// Covariates holds what else is known of the event, in the order in which the model names its covariates. Nil will
	// do for a model without any.
	Covariates []float64
}

// Model is a marked temporal point process: given the events so far it says when the next one comes and which mark it
// has. Evaluation, sampling, forecasts and everything live need no more than this interface, so a model of one's own is
// a type with these methods and a [State].
type Model interface {
	// Kind names the family of the model, such as lognormmix.
	Kind() string
	// MarkNames names the marks by index; empty for an unmarked model, whose every event has mark 0.
	MarkNames() []string
	// CovariateNames names what Event.Covariates holds, in order.
	CovariateNames() []string
	// NewState is the state of a sequence that is watched from time start on and has no event yet. States are independent
	// of each other.
	NewState(start float64) State
}

// State carries the history of one sequence. It is not safe for concurrent use.
type State interface {
	// Observe moves the state over the next event. An event before the last one, or with an unknown mark, is an error
	// and leaves the state as it was.
	Observe(Event) error
	// Next is the distribution of the next event given the events observed so far, and that none has come since, until
	// now. A now before the last event (or the start) counts as that. What Next returns belongs to the state and holds
	// until Observe or Next is called again.
	Next(now float64) *Next
	// Clone is an independent copy.
	Clone() State
}

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

	median *fastMedian // a faster way to the median of Time, if there is one
	given  *Next       // memory of Given
	rest   dist.Conditional
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
	return logAddExp(math.Log(n.End), math.Log1p(-n.End)+s)
}

// Within is the probability that an event comes within t. Of a Next that was asked for at a time it is the conditional
// probability that prewarming turns on, 1 − S(now + t)/S(now).
func (n *Next) Within(t float64) float64 { return -math.Expm1(n.LogSurvival(t)) }

// Given is the distribution given that no event has come for the elapsed time: time counts from then, and the longer
// nothing comes the likelier is the end. States use it to answer for a time after the last event. It is valid until
// Given is called again.
func (n *Next) Given(elapsed float64) *Next {
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

// logAddExp is log(e^a + e^b).
func logAddExp(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(a, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}

// UnitOf names the unit of a model's times: what its method TimeUnit says, if it has one as the models of this package do,
// else ms.
func UnitOf(m Model) string {
	if c, ok := m.(interface{ TimeUnit() string }); ok {
		return c.TimeUnit()
	}
	return "ms"
}

// startOf is when the watch over a sequence begins: at its TStart, or with its first event, which is then given.
func startOf(s *Sequence) float64 {
	if s.TStart != nil {
		return *s.TStart
	}
	return s.ArrivalTimes[0]
}

// EventOf is event i of a sequence as the model observes it, with the covariates that it asks for.
func EventOf(m Model, s *Sequence, i int) Event {
	e, _ := eventOf(s, i, m.CovariateNames(), nil)
	return e
}

// eventOf is EventOf with the names of the covariates at hand and memory for their values.
func eventOf(s *Sequence, i int, covariates []string, dst []float64) (Event, []float64) {
	dst = dst[:0]
	for _, name := range covariates {
		dst = append(dst, s.covariate(name, i))
	}
	return Event{Time: s.ArrivalTimes[i], Mark: s.Mark(i), Covariates: dst}, dst
}

// ColdStartCovariate is the name of the paper's cold-start feature: 1 if the event's init time is above 0, else 0. It is
// known of every sequence that has init times.
const ColdStartCovariate = "coldstart"

// covariate is the value of a covariate at event i. One that the sequence does not have is 0, which for the cold-start
// feature means a warm start.
func (s *Sequence) covariate(name string, i int) float64 {
	if values := s.Covariates[name]; values != nil {
		return values[i]
	}
	if name == ColdStartCovariate && s.ColdStart(i) {
		return 1
	}
	return 0
}

// hasCovariate says whether the sequence knows the covariate.
func (s *Sequence) hasCovariate(name string) bool {
	return s.Covariates[name] != nil || name == ColdStartCovariate && s.InitTimes != nil
}
