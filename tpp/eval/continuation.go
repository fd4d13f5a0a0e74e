package eval

import (
	"errors"
	"iter"
	"math"

	"github.com/tppfaas/tppfaas/internal/starts"
	"github.com/tppfaas/tppfaas/tpp"
)

// Continuation predicts the events to come of a sequence, given that none has come until now, in the order of their times.
// Whoever ranges over them stops when it has enough; an event's Marks are valid until the next one is yielded. The state is a
// copy that the continuation may move on.
type Continuation func(m tpp.Model, state tpp.State, now float64) iter.Seq2[tpp.PredictedEvent, error]

// ModelContinuation is the model's own continuation if its state is a tpp.ContinuingState, otherwise GreedyContinuation.
func ModelContinuation(m tpp.Model, state tpp.State, now float64) iter.Seq2[tpp.PredictedEvent, error] {
	own, ok := state.(tpp.ContinuingState)
	if !ok {
		return GreedyContinuation(m, state, now)
	}
	return func(yield func(tpp.PredictedEvent, error) bool) {
		for e := range own.Continue(now) {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// minPresence is the probability of another event below which GreedyContinuation stops.
const minPresence = 0.01

// GreedyContinuation takes the median of the time and the likeliest mark of each event in turn as if they had come, with
// typical covariates (tpp.TypicalState; 0 for other models). The probability that the n-th event comes is the product of
// the probabilities that the sequence went on before each event; the continuation stops where it falls below 1 %, or where no
// event is expected in any time that a number can tell.
func GreedyContinuation(m tpp.Model, state tpp.State, now float64) iter.Seq2[tpp.PredictedEvent, error] {
	return func(yield func(tpp.PredictedEvent, error) bool) {
		if m == nil || state == nil {
			yield(tpp.PredictedEvent{}, errors.New("continuation: no model or no state"))
			return
		}
		if starts.Observes(m) {
			yield(tpp.PredictedEvent{}, errors.New("continuation: the model has to be told when events start, which nobody knows of events to come"))
			return
		}
		covariates := make([]float64, len(m.CovariateNames()))
		if t, ok := state.(tpp.TypicalState); ok {
			covariates = t.TypicalCovariates(covariates[:0])
		}
		presence := 1.0
		for {
			next := state.Next(now)
			presence *= 1 - next.End
			at := now + next.Median()
			if !(presence >= minPresence) || math.IsInf(at, 0) {
				return
			}
			now = at
			mark := next.LikeliestMark()
			if !yield(tpp.PredictedEvent{Time: at, Mark: mark, Probability: presence, Marks: next.Marks}, nil) {
				return
			}
			if err := state.Observe(tpp.Event{Time: at, Mark: mark, Covariates: covariates}); err != nil {
				yield(tpp.PredictedEvent{}, err)
				return
			}
		}
	}
}
