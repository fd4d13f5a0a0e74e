package live

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
)

// Prediction is a model's prediction of the next event after an event of a sequence. Times count from that event.
type Prediction struct {
	Event int // index of the event after which the prediction is made
	// Median, Lower and Upper are the 50, 5 and 95 % quantiles of the next inter time.
	Median, Lower, Upper float64
	// End is the probability that the sequence is over. The other fields are conditional on another event.
	End float64
	// Marks holds the most probable marks in descending order of their probabilities.
	Marks []MarkProbability
}

// MarkProbability is a mark and its probability.
type MarkProbability struct {
	Mark        int
	Name        string // empty for an unmarked model
	Probability float64
}

// Predict returns a prediction after each event of a sequence, each made from the events up to that one alone, with the top
// most probable marks. The sequence's marks must be numbered as the model's (see tpp.Dataset.WithMarks).
func Predict(m tpp.Model, s *tpp.Sequence, top int) ([]Prediction, error) {
	switch {
	case m == nil:
		return nil, fmt.Errorf("predict: %w", errNoModel)
	case s == nil:
		return nil, errors.New("predict: no sequence")
	case top < 0:
		return nil, fmt.Errorf("predict: the %d likeliest marks, there must be 0 or more", top)
	case s.Len() == 0:
		return nil, nil
	}
	if err := checkUntold(m); err != nil {
		return nil, fmt.Errorf("predict: %w", err)
	}
	if err := s.Validate(max(len(m.MarkNames()), 1)); err != nil {
		return nil, fmt.Errorf("predict: %w", err)
	}
	covariates := m.CovariateNames()
	var values []float64
	state := m.NewState(s.Start())
	out := make([]Prediction, 0, s.Len())
	for i := range s.Len() {
		e := s.Event(i, covariates, values)
		values = e.Covariates
		if err := state.Observe(e); err != nil {
			return nil, fmt.Errorf("event %d: %w", i, err)
		}
		next := state.Next(e.Time)
		out = append(out, Prediction{
			Event: i, Median: next.Median(), Lower: next.Time.Quantile(0.05), Upper: next.Time.Quantile(0.95),
			End: next.End, Marks: likeliest(next, m.MarkNames(), top),
		})
	}
	return out, nil
}

// checkUntold returns an error if a model has to be told when events start: what it predicts from arrivals alone is of no use.
func checkUntold(m tpp.Model) error {
	if s, ok := m.(tpp.StartedModel); ok && s.ObservesStarts() {
		return errors.New("the model has to be told when events start, which only the evaluation of a dataset does")
	}
	return nil
}

// likeliest returns the top most probable marks in descending order; ties are in the order of the marks.
func likeliest(n *tpp.Next, names []string, top int) []MarkProbability {
	all := make([]MarkProbability, len(n.Marks))
	for mark, p := range n.Marks {
		all[mark] = MarkProbability{Mark: mark, Probability: p}
		if mark < len(names) {
			all[mark].Name = names[mark]
		}
	}
	slices.SortStableFunc(all, func(a, b MarkProbability) int {
		switch {
		case a.Probability > b.Probability:
			return -1
		case a.Probability < b.Probability:
			return 1
		}
		return 0
	})
	return all[:min(top, len(all))]
}
