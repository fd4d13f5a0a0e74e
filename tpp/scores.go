package tpp

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
)

// Scores are the scores of a model on a dataset. Those of the likelihood are per scored event, in nats; times are in
// the dataset's unit. A score that a model does not have, or that no event gives, is NaN.
type Scores struct {
	// Sequences and Events count what was scored: of each sequence all events but the first, which is scored only where
	// the sequence has a TStart.
	Sequences, Events int
	// NLLTime is the mean negative log density of the inter times, NLLMark the mean negative log probability of the
	// marks, and NLL their sum minus the sum of the final log survivals per event.
	NLLTime, NLLMark, NLL float64
	// NLLResolution is the mean negative log probability of mark and inter time at the clock's resolution, without
	// survival: unlike NLLTime it cannot be driven down without bound on data of whole ticks.
	NLLResolution float64
	// MAE and RMSE are the mean absolute and the root mean squared error of the median.
	MAE, RMSE float64
	// Accuracy is the share of events whose mark was the likeliest.
	Accuracy float64
}

// MarshalJSON writes the scores under their names in lower case, NaN and infinities as null.
func (s Scores) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Sequences     int        `json:"sequences"`
		Events        int        `json:"events"`
		NLLTime       jsonNumber `json:"nll_time"`
		NLLMark       jsonNumber `json:"nll_mark"`
		NLL           jsonNumber `json:"nll"`
		NLLResolution jsonNumber `json:"nll_resolution"`
		MAE           jsonNumber `json:"mae"`
		RMSE          jsonNumber `json:"rmse"`
		Accuracy      jsonNumber `json:"accuracy"`
	}{
		s.Sequences, s.Events, jsonNumber(s.NLLTime), jsonNumber(s.NLLMark), jsonNumber(s.NLL),
		jsonNumber(s.NLLResolution), jsonNumber(s.MAE), jsonNumber(s.RMSE), jsonNumber(s.Accuracy),
	})
}

// jsonNumber is a number that JSON may not have.
type jsonNumber float64

func (n jsonNumber) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// EvaluateOptions says how scores are computed.
type EvaluateOptions struct {
	// Resolution is the tick of the clock that took the times (default 1, in the dataset's unit).
	Resolution float64
	// Workers is the number of goroutines that compute (default: GOMAXPROCS). The scores do not depend on it.
	Workers int
}

// Evaluate scores a model on a dataset, whose marks are matched with the model's by name. Each event is predicted from
// those before it, by the way that live predictions take. The error names the sequence.
func Evaluate(ctx context.Context, m Model, d *Dataset, opts EvaluateOptions) (Scores, error) {
	setDefault(&opts.Resolution, 1)
	setDefault(&opts.Workers, runtime.GOMAXPROCS(0))
	d, err := d.WithMarks(m.MarkNames())
	if err != nil {
		return Scores{}, err
	}
	sums := make([]scoreSums, len(d.Sequences))
	errs := make([]error, len(d.Sequences))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(opts.Workers, len(d.Sequences)) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(d.Sequences) {
					return
				}
				errs[i] = sums[i].sequence(m, &d.Sequences[i], opts.Resolution)
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return Scores{}, fmt.Errorf("evaluation stopped: %w", err)
	}
	total := scoreSums{}
	for i := range sums {
		if errs[i] != nil {
			return Scores{}, fmt.Errorf("sequence %d: %w", i, errs[i])
		}
		total.add(&sums[i])
	}
	return total.scores(len(d.Sequences)), nil
}

// scoreSums are sums over events.
type scoreSums struct {
	events                        int
	logTime, logMark, logSurvival float64
	logResolution                 float64
	absolute, squared             float64
	correct                       int
}

func (t *scoreSums) add(s *scoreSums) {
	t.events += s.events
	t.logTime += s.logTime
	t.logMark += s.logMark
	t.logSurvival += s.logSurvival
	t.logResolution += s.logResolution
	t.absolute += s.absolute
	t.squared += s.squared
	t.correct += s.correct
}

// sequence adds the scores of one sequence.
func (t *scoreSums) sequence(m Model, s *Sequence, resolution float64) error {
	covariates := m.CovariateNames()
	var values []float64
	last := startOf(s)
	state := m.NewState(last)
	for i := range s.Len() {
		if gap, ok := s.gapBefore(i); ok {
			t.event(state.Next(last), gap, s.Mark(i), resolution)
		}
		last = s.ArrivalTimes[i]
		var e Event
		e, values = eventOf(s, i, covariates, values)
		if err := state.Observe(e); err != nil {
			return fmt.Errorf("event %d: %w", i, err)
		}
	}
	if s.TEnd != nil {
		t.logSurvival += state.Next(last).LogSurvival(*s.TEnd - last)
	}
	return nil
}

func (t *scoreSums) event(n *Next, gap float64, mark int, resolution float64) {
	t.events++
	t.logTime += n.LogProb(gap)
	t.logMark += n.LogMark(gap, mark)
	t.logResolution += n.LogResolution(gap, resolution, mark)
	diff := n.Time.Quantile(0.5) - gap
	t.absolute += math.Abs(diff)
	t.squared += diff * diff
	if n.LikeliestMark() == mark {
		t.correct++
	}
}

func (t *scoreSums) scores(sequences int) Scores {
	n := float64(t.events) // 0/0 is NaN: no event, no score
	return Scores{
		Sequences: sequences, Events: t.events,
		NLLTime: -t.logTime / n, NLLMark: -t.logMark / n, NLL: -(t.logTime + t.logMark + t.logSurvival) / n,
		NLLResolution: -t.logResolution / n,
		MAE:           t.absolute / n, RMSE: math.Sqrt(t.squared / n), Accuracy: float64(t.correct) / n,
	}
}
