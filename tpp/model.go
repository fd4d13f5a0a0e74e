package tpp

import (
	"fmt"
	"math"
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

// CheckEvent says what is wrong with an event for a model of numMarks marks whose last event, or start, was at last: an
// arrival that is no number or before that, or a mark that the model does not know. States call it when they observe.
func CheckEvent(e Event, last float64, numMarks int) error {
	switch {
	case math.IsNaN(e.Time) || math.IsInf(e.Time, 0):
		return fmt.Errorf("event at %v: not a time", e.Time)
	case e.Time < last:
		return fmt.Errorf("event at %v: it is before the last one at %v", e.Time, last)
	case e.Mark < 0 || e.Mark >= numMarks:
		return fmt.Errorf("event at %v: mark %d: the model knows %d marks", e.Time, e.Mark, numMarks)
	}
	return nil
}
