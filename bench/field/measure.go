package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"math"
	"time"

	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/internal/resultfile"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/eval"
)

// result is what a model has reached on a set: a line of a file of results. Times and likelihoods are in the unit of the set.
type result struct {
	Set         string  `json:"set"`
	Fingerprint string  `json:"fingerprint"` // of the set's training part
	Model       string  `json:"model"`
	Epochs      int     `json:"epochs"` // that were asked for
	Seed        uint64  `json:"seed"`
	Seconds     float64 `json:"seconds"` // of the training
	Validation  float64 `json:"validation"`
	scores
}

// scores are those of the test part.
type scores struct {
	LogLikelihood float64 `json:"log_likelihood"` // per event
	Error         float64 `json:"error"`          // share of events whose mark was not the likeliest
	ErrorAtTime   float64 `json:"error_at_time"`  // the same, given when the event came
	RMSE          float64 `json:"rmse"`           // of the mean
	RMSEMedian    float64 `json:"rmse_median"`
	TMAP          float64 `json:"t_map"`
	OTD           float64 `json:"otd"`
	Coverage      float64 `json:"coverage_90"`
}

// id tells results apart.
type id struct {
	set, fingerprint, model string
	epochs                  int
	seed                    uint64
}

func (r *result) id() id { return id{r.Set, r.Fingerprint, r.Model, r.Epochs, r.Seed} }

// resultLines is what the lines of a file of results are.
var resultLines = resultfile.Format[id, result]{
	Begin: `{"set":"`,
	Key:   (*result).id,
	Check: func(r *result) error {
		if r.Set == "" || r.Model == "" {
			return fmt.Errorf("no set or model")
		}
		return nil
	},
}

type journal = resultfile.File[id, result]

// openJournal opens a file of results; without a path it keeps nothing.
func openJournal(path string, stderr io.Writer) (*journal, error) {
	if path == "" {
		return nil, nil
	}
	return resultLines.Open(path, func(warning string) { fmt.Fprintln(stderr, warning) })
}

// measure trains and scores what the journal does not have, and returns the table of the set.
func (o *order) measure(ctx context.Context, s *set, kept *journal, show *progress.Progress) (*table, error) {
	t := &table{set: s}
	fingerprint := s.training.Fingerprint()
	if s.truth != nil {
		got, err := scoresOf(ctx, s.truth, s, o.workers)
		if err != nil {
			return nil, fmt.Errorf("truth: %w", err)
		}
		validation, err := logLikelihood(ctx, s.truth, s, o.workers)
		if err != nil {
			return nil, fmt.Errorf("truth: %w", err)
		}
		t.rows = append(t.rows, row{name: "the truth", truth: true, scores: got, validation: validation})
	}
	for _, c := range candidates {
		seeds := o.seeds
		if !c.seeded {
			seeds = 1
		}
		var all []*result
		for i := range seeds {
			r := &result{Set: s.name, Fingerprint: fingerprint, Model: c.name, Epochs: o.epochs, Seed: uint64(i + 1)}
			if known := kept.Find(r.id()); known != nil {
				r = known
			} else {
				if err := o.fit(ctx, s, &c, r); err != nil {
					return nil, fmt.Errorf("%s with seed %d: %w", c.name, i+1, err)
				}
				if err := kept.Add(r); err != nil {
					return nil, err
				}
			}
			all = append(all, r)
		}
		t.rows = append(t.rows, averaged(c.name, all))
		show.Add(o.seeds, s.name+", "+c.name)
	}
	return t, nil
}

// fit trains a candidate and scores it.
func (o *order) fit(ctx context.Context, s *set, c *candidate, r *result) error {
	start := time.Now()
	m, err := c.fit(ctx, s, &o.training, r.Seed)
	if err != nil {
		return err
	}
	r.Seconds = time.Since(start).Seconds()
	if r.Validation, err = logLikelihood(ctx, m, s, o.workers); err != nil {
		return fmt.Errorf("validation part: %w", err)
	}
	if r.scores, err = scoresOf(ctx, m, s, o.workers); err != nil {
		return fmt.Errorf("test part: %w", err)
	}
	return nil
}

// logLikelihood returns the log-likelihood per event of the validation part.
func logLikelihood(ctx context.Context, m tpp.Model, s *set, workers int) (float64, error) {
	got, err := eval.Evaluate(ctx, m, s.validation, eval.EvaluateOptions{Workers: workers})
	return math.Log(s.scale) - got.NLL, err
}

// forecastStep is the number of events from one forecast of several events to the next.
const forecastStep = 5

// scoresOf returns the scores of the test part.
func scoresOf(ctx context.Context, m tpp.Model, s *set, workers int) (scores, error) {
	horizon, err := eval.DefaultHorizon(sequencesOf(s.training))
	if err != nil {
		return scores{}, err
	}
	got, err := eval.Evaluate(ctx, m, s.test, eval.EvaluateOptions{
		Resolution: s.resolution, Workers: workers, Forecasts: eval.ForecastOptions{Horizon: horizon, PrefixStep: forecastStep},
	})
	if err != nil {
		return scores{}, err
	}
	out := scores{
		LogLikelihood: math.Log(s.scale) - got.NLL, Error: 1 - got.Accuracy, RMSEMedian: got.RMSE / s.scale,
		TMAP: got.TMAP, OTD: got.OTD / s.scale, Coverage: got.Coverage90,
	}
	out.ErrorAtTime, out.RMSE, err = givenTime(ctx, m, s)
	return out, err
}

// givenTime returns the share of events whose mark was not the likeliest at the time at which it came, and the root mean squared error of the mean time,
// of which what lies beyond the longest gap of the training part counts as that.
func givenTime(ctx context.Context, m tpp.Model, s *set) (wrong, rmse float64, err error) {
	longest := 0.0
	for q := range sequencesOf(s.training) {
		for i := range q.Len() {
			if gap, ok := q.GapBefore(i); ok {
				longest = max(longest, gap)
			}
		}
	}
	events, errors, squares := 0.0, 0.0, 0.0
	var marks []float64
	for q := range sequencesOf(s.test) {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		last := q.Start()
		state := m.NewState(last)
		for i := range q.Len() {
			if gap, ok := q.GapBefore(i); ok {
				next := state.Next(last)
				marks = next.MarksAt(gap, marks)
				if likeliest(marks) != q.Mark(i) {
					errors++
				}
				diff := dist.RestrictedMean(next.Time, longest) - gap
				squares += diff * diff
				events++
			}
			last = q.ArrivalTimes[i]
			if err := state.Observe(tpp.Event{Time: last, Mark: q.Mark(i)}); err != nil {
				return 0, 0, err
			}
		}
	}
	return errors / events, math.Sqrt(squares/events) / s.scale, nil
}

func likeliest(marks []float64) int {
	best := 0
	for m, p := range marks {
		if p > marks[best] {
			best = m
		}
	}
	return best
}

func sequencesOf(d *tpp.Dataset) iter.Seq2[*tpp.Sequence, error] {
	return func(yield func(*tpp.Sequence, error) bool) {
		for i := range d.Sequences {
			if !yield(&d.Sequences[i], nil) {
				return
			}
		}
	}
}
