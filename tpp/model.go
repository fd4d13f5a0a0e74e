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
	// Covariates are the values of the model's covariates, in the order of Model.CovariateNames. Nil is valid for a
	// model without covariates.
	Covariates []float64
}

// Model is a marked temporal point process: given the events so far, it predicts the time and the mark of the next
// one. Packages eval and live need no more than this interface; the interfaces in optional.go let a model support more
// or run faster. A new model is a type with these methods and a [State].
type Model interface {
	// Kind returns the kind of the model, such as lognormmix.
	Kind() string
	// MarkNames returns the names of the marks by index; empty for an unmarked model, where every event has mark 0.
	MarkNames() []string
	// CovariateNames returns the names of the values in Event.Covariates, in order.
	CovariateNames() []string
	// NewState returns the state of a sequence that is observed from time start on and has no event yet. States are
	// independent of each other.
	NewState(start float64) State
}

// State holds the history of one sequence. It is not safe for concurrent use.
type State interface {
	// Observe updates the state with the next event. It returns an error, and leaves the state unchanged, for an event
	// before the last one or with an unknown mark.
	Observe(Event) error
	// Next returns the distribution of the next event given the events observed so far and given that no other has
	// come until now. If now is before the last event (or the start), the time of that is used. The result belongs to
	// the state and is valid until the next call of Observe or Next.
	Next(now float64) *Next
	// Clone returns an independent copy.
	Clone() State
}

// CheckEvent returns an error if the event is not valid for a model of numMarks marks whose last event, or start, was
// at last: if its time is not finite or before last, or its mark is not in 0 … numMarks−1. Implementations of
// State.Observe should call it.
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
