package live

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/internal/starts"
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

// Predict returns a prediction after each event of a sequence, each made from what is known by then alone: the events up to that one and,
// for a model that observes starts (tpp.StartedModel), the starts until then. The top most probable marks are part of it. The sequence's marks must be
// numbered as the model's (see tpp.Dataset.WithMarks). A model whose times are starts (tpp.StartTimesModel) has
// the events of Sequence.AtStarts.
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
	if err := s.Validate(max(len(m.MarkNames()), 1)); err != nil {
		return nil, fmt.Errorf("predict: %w", err)
	}
	s, err := starts.Seen(m, s)
	if err != nil {
		return nil, fmt.Errorf("predict: %w", err)
	}
	out := make([]Prediction, 0, s.Len())
	err = starts.Follow(m, s, func(state tpp.State, i int) error {
		next := state.Next(s.ArrivalTimes[i])
		p := Prediction{Event: i, Median: next.Median(), Lower: math.Inf(1), Upper: math.Inf(1), End: next.End, Marks: likeliest(next, m.MarkNames(), top)}
		if next.Time != nil { // otherwise no event ever comes
			p.Lower, p.Upper = next.Time.Quantile(0.05), next.Time.Quantile(0.95)
		}
		out = append(out, p)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("predict: %w", err)
	}
	return out, nil
}

// checkUntold returns an error if a model has to be told when events start: nobody knows that of events that are drawn.
func checkUntold(m tpp.Model) error {
	if starts.Observes(m) {
		return errors.New("the model has to be told when events start, which nobody knows of events that are drawn")
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
