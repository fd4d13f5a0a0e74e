// Package starts lets a model follow a sequence as it has to: by arrivals, by arrivals and starts, or by starts alone.
//
//	seen, err := starts.Seen(m, s)
//	…
//	state := m.NewState(seen.Start())
//	teller, err := starts.NewTeller(m, state, seen)
//	…
//	for i := range seen.Len() {
//		err := teller.Tell(seen.ArrivalTimes[i], nil) // before event i is observed
//		…
//		teller.Arrived(i) // after that
//	}
package starts

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
)

// TimesAre reports whether the times of a model's events are their starts.
func TimesAre(m tpp.Model) bool {
	model, ok := m.(tpp.StartTimesModel)
	return ok && model.TimesAreStarts()
}

// Seen returns the sequence as the model sees it: itself or, for a model whose times are starts, at its starts. Without wait times its times
// are starts already, as those of spans are, for all that is known.
func Seen(m tpp.Model, s *tpp.Sequence) (*tpp.Sequence, error) {
	if !TimesAre(m) || s.WaitTimes == nil {
		return s, nil
	}
	at, err := s.AtStarts()
	if err != nil {
		return nil, fmt.Errorf("the model hears of events when they start: %w", err)
	}
	return &at, nil
}

// SeenDataset returns the dataset of its sequences as the model sees them. The error names the sequence.
func SeenDataset(m tpp.Model, d *tpp.Dataset) (*tpp.Dataset, error) {
	if !TimesAre(m) {
		return d, nil
	}
	out := &tpp.Dataset{MarkNames: d.MarkNames, Sequences: make([]tpp.Sequence, len(d.Sequences))}
	for i := range d.Sequences {
		s, err := Seen(m, &d.Sequences[i])
		if err != nil {
			return nil, fmt.Errorf("sequence %d: %w", i, err)
		}
		out.Sequences[i] = *s
	}
	return out, nil
}

// Observes reports whether a model has to be told when events start.
func Observes(m tpp.Model) bool {
	model, ok := m.(tpp.StartedModel)
	return ok && model.ObservesStarts()
}

// Teller tells a state when the events of a sequence started. For a model that does not want to know, it tells nothing.
type Teller struct {
	state    tpp.StartedState
	sequence *tpp.Sequence
	pending  []int // events that have arrived and not started, in the order in which they start
}

// NewTeller returns a Teller for a new state of the model and a sequence. Of a model that has to be told it is an error if the sequence does not
// say when its events started.
func NewTeller(m tpp.Model, state tpp.State, s *tpp.Sequence) (Teller, error) {
	if !Observes(m) {
		return Teller{}, nil
	}
	if s.WaitTimes == nil && s.Len() > 0 {
		return Teller{}, errors.New("the model has to be told when events start, and the sequence has no wait times, by which that is known")
	}
	started, ok := state.(tpp.StartedState)
	if !ok {
		return Teller{}, fmt.Errorf("the model, of kind %s, has to be told when events start, but its states cannot be told", m.Kind())
	}
	return Teller{state: started, sequence: s}, nil
}

func (t *Teller) time(event int) float64 {
	return t.sequence.ArrivalTimes[event] + t.sequence.WaitTimes[event]
}

// Arrived adds event i, which the state has observed.
func (t *Teller) Arrived(i int) {
	if t.state == nil {
		return
	}
	at := len(t.pending)
	for at > 0 && t.time(t.pending[at-1]) > t.time(i) {
		at--
	}
	t.pending = slices.Insert(t.pending, at, i)
}

// Tell tells the starts until a time, or the end of observation. It calls before, which may be nil, with the time of each before it is told.
func (t *Teller) Tell(until float64, before func(time float64)) error {
	if t.state == nil {
		return nil
	}
	s := t.sequence
	if s.TEnd != nil {
		until = min(until, *s.TEnd)
	}
	for len(t.pending) > 0 && t.time(t.pending[0]) <= until {
		i := t.pending[0]
		t.pending = t.pending[1:]
		initialisation := 0.0
		if s.InitTimes != nil {
			initialisation = s.InitTimes[i]
		}
		if before != nil {
			before(t.time(i))
		}
		if err := t.state.ObserveStart(t.time(i), i, s.WaitTimes[i], initialisation); err != nil {
			return fmt.Errorf("event %d: %w", i, err)
		}
	}
	return nil
}

// Follow observes the events of a sequence with a new state, one after the other, and calls visit after each with its number: by then the state
// has been told of every start until the event's time. The sequence must be as Seen returns it, with the model's marks.
func Follow(m tpp.Model, s *tpp.Sequence, visit func(state tpp.State, i int) error) error {
	state := m.NewState(s.Start())
	t, err := NewTeller(m, state, s)
	if err != nil {
		return err
	}
	covariates := m.CovariateNames()
	var values []float64
	for i := range s.Len() {
		if err := t.Tell(s.ArrivalTimes[i], nil); err != nil {
			return err
		}
		e := s.Event(i, covariates, values)
		values = e.Covariates
		if err := state.Observe(e); err != nil {
			return fmt.Errorf("event %d: %w", i, err)
		}
		t.Arrived(i)
		if err := t.Tell(e.Time, nil); err != nil {
			return err
		}
		if err := visit(state, i); err != nil {
			return err
		}
	}
	return nil
}
