package live

import (
	"fmt"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
)

// Prediction is what a model says after an event of a sequence. Times count from that event.
type Prediction struct {
	Event int // the event's index
	// Median, Lower and Upper are the quantiles of the next inter time at 50, 5 and 95 %.
	Median, Lower, Upper float64
	// End is the probability that the sequence is over; the rest holds if it is not.
	End float64
	// Marks are the likeliest marks, the likeliest first.
	Marks []MarkProbability
}

// MarkProbability is a mark with its probability.
type MarkProbability struct {
	Mark        int
	Name        string // empty for an unmarked model
	Probability float64
}

// Predict makes a prediction after each event of a sequence, each from the events up to that one alone, with the top
// likeliest marks. The sequence's marks must be numbered as the model's (see Dataset.WithMarks).
func Predict(m tpp.Model, s *tpp.Sequence, top int) ([]Prediction, error) {
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

// likeliest returns the most probable marks, at most top of them.
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
