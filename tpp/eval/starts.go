package eval

import (
	"fmt"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
)

// starts tells a state when the events of a sequence started. The zero value, for a model that does not want to know, tells nothing.
type starts struct {
	state    tpp.StartedState
	sequence *tpp.Sequence
	pending  []int // events that have arrived and not started, in the order in which they start
}

func newStarts(m tpp.Model, state tpp.State, s *tpp.Sequence) starts {
	if model, ok := m.(tpp.StartedModel); !ok || !model.ObservesStarts() || s.WaitTimes == nil {
		return starts{}
	}
	started, _ := state.(tpp.StartedState)
	return starts{state: started, sequence: s}
}

func (w *starts) time(event int) float64 {
	return w.sequence.ArrivalTimes[event] + w.sequence.WaitTimes[event]
}

// arrived adds event i, which the state has observed.
func (w *starts) arrived(i int) {
	if w.state == nil {
		return
	}
	at := len(w.pending)
	for at > 0 && w.time(w.pending[at-1]) > w.time(i) {
		at--
	}
	w.pending = slices.Insert(w.pending, at, i)
}

// tell tells the starts until a time, or the end of observation. It calls before with the time of each before it is told.
func (w *starts) tell(until float64, before func(time float64)) error {
	if w.state == nil {
		return nil
	}
	s := w.sequence
	if s.TEnd != nil {
		until = min(until, *s.TEnd)
	}
	for len(w.pending) > 0 && w.time(w.pending[0]) <= until {
		i := w.pending[0]
		w.pending = w.pending[1:]
		initialisation := 0.0
		if s.InitTimes != nil {
			initialisation = s.InitTimes[i]
		}
		before(w.time(i))
		if err := w.state.ObserveStart(w.time(i), i, s.WaitTimes[i], initialisation); err != nil {
			return fmt.Errorf("event %d: %w", i, err)
		}
	}
	return nil
}

// silence is what a model that is told starts said about a gap until the last of them: the log probability that no event came, and
// the same given that one comes at all. What it says then is given that none has come: the probability of the whole gap is their product.
type silence struct{ any, coming float64 }

// add adds the time until a start, for which n is the prediction.
func (l *silence) add(n *tpp.Next, t float64) {
	if n.Time == nil {
		return
	}
	l.any += n.LogSurvival(t)
	l.coming += n.Time.LogSurvival(t)
}

// ending returns the part of the log probability that is about whether an event comes at all.
func (l *silence) ending() float64 {
	if math.IsInf(l.coming, -1) {
		return 0
	}
	return l.any - l.coming
}
