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
// has. Evaluation, prediction and everything live need no more than this interface, so a model of one's own is a type
// with these methods and a [State].
type Model interface {
	// Kind names the family of the model, such as lognormmix.
	Kind() string
	// MarkNames names the marks by index; empty for an unmarked model, whose every event has mark 0.
	MarkNames() []string
	// CovariateNames names what Event.Covariates holds, in order.
	CovariateNames() []string
	// NewState is the state before the first event. States are independent of each other.
	NewState() State
}

// State carries the history of one sequence. It is not safe for concurrent use.
type State interface {
	// Observe moves the state over the next event. An event before the last one, or with an unknown mark, is an error
	// and leaves the state as it was.
	Observe(Event) error
	// Next is the distribution of the next event given those observed so far. It belongs to the state and holds until
	// Observe or Next is called again.
	Next() *Next
	// Clone is an independent copy.
	Clone() State
}

// Next is the distribution of the next event.
type Next struct {
	// Time is the distribution of the inter time: from the last event to the next, or before the first event from the
	// beginning of the window.
	Time dist.Distribution
	// Marks are the probabilities of the marks; they sum to 1.
	Marks []float64
	// GapFloor is the smallest inter time that has a density: shorter ones are scored as if they were as long.
	GapFloor float64
}

// LogProb is the log density of inter time tau.
func (n *Next) LogProb(tau float64) float64 { return n.Time.LogProb(max(tau, n.GapFloor)) }

// LogResolution is the log probability that the inter time lies in tau's tick of a clock with the given resolution
// Δ: log(F(τ + Δ/2) − F(max(τ − Δ/2, 0))). Unlike the density it is bounded by 0 on data of whole ticks.
func (n *Next) LogResolution(tau, resolution float64) float64 {
	return dist.LogMass(n.Time, tau, resolution)
}

// LogMark is the log probability of a mark.
func (n *Next) LogMark(mark int) float64 { return math.Log(n.Marks[mark]) }

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

// eventOf is event i of a sequence with the covariates that a model asks for, in dst's memory.
func eventOf(s *Sequence, i int, covariates []string, dst []float64) (Event, []float64) {
	dst = dst[:0]
	for _, name := range covariates {
		dst = append(dst, s.covariate(name, i))
	}
	return Event{Time: s.ArrivalTimes[i], Mark: s.Mark(i), Covariates: dst}, dst
}

// EventOf is event i of a sequence as a model observes it.
func EventOf(m Model, s *Sequence, i int) Event {
	e, _ := eventOf(s, i, m.CovariateNames(), nil)
	return e
}

// ColdStartCovariate is the name of the paper's cold-start feature: 1 if the event's init time is above 0, else 0.
const ColdStartCovariate = "coldstart"

func (s *Sequence) covariate(name string, i int) float64 {
	if name == ColdStartCovariate && s.ColdStart(i) {
		return 1
	}
	return 0
}
