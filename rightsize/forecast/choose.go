package forecast

import (
	"math"
	"time"
)

// Candidate is a kind of forecaster that may be chosen.
type Candidate struct {
	Name, Help string
	New        func() Forecaster
}

const (
	window    = 7 * 24 * time.Hour
	maxWindow = 50_000 // samples: a week at 15 s is 40,320

	// worth is how much less than the first candidate another one must lose in validation to be chosen: less is not told from chance.
	worth = 0.02
)

// Window returns how many samples the candidates look back, a week, and how many make a day, 0 where a sample is longer than an hour.
func Window(step time.Duration) (samples, day int) {
	samples = max(min(int(window/step), maxWindow), minResiduals)
	if step <= time.Hour {
		day = int(math.Round(float64(24*time.Hour) / float64(step)))
	}
	return samples, day
}

// Candidates returns the forecasters among which is chosen, for samples at a step, the simplest first: the one that others must beat.
func Candidates(step time.Duration, seed uint64) []Candidate {
	window, day := Window(step)
	return []Candidate{
		{"persistence", "the last value and all residuals of a week", func() Forecaster { return NewPersistence(window) }},
		{"conditional", "the last value and the residuals after as long without a change", func() Forecaster { return NewConditional(window) }},
		{"boosted", "gradient boosting of the residuals' quantiles", func() Forecaster { return NewBoosted(window, day) }},
		{"lstm", "the published LSTM with quantiles as outputs", func() Forecaster { return NewLSTM(window, seed) }},
		{"blend", "the mean of nine, weighted by their losses so far", func() Forecaster { return NewBlend(window, day) }},
	}
}

// Best returns the candidate that lost least in validation, given the scores of all: the first one unless another's loss is at least 2 % lower. It is
// the first, too, where nothing was scored.
func Best(scores []Score) int {
	best := 0
	for k := range scores {
		if scores[k].Pinball < scores[best].Pinball && scores[k].Pinball <= (1-worth)*scores[0].Pinball {
			best = k
		}
	}
	return best
}

// Relative returns the loss of a score as a multiple of that of the first of the same horizon: 1 where both lose nothing.
func Relative(score, first Score) float64 {
	if score.Pinball == first.Pinball {
		return 1
	}
	return score.Pinball / first.Pinball
}

// Selected forecasts each horizon with a forecaster of its own.
type Selected struct {
	horizons    []Horizon
	best        []int
	forecasters []Forecaster // the first is the one for other horizons, and for what the chosen says nothing of
}

// NewSelected returns a forecaster that says for each horizon what the forecaster with that index in best says.
func NewSelected(horizons []Horizon, best []int, forecasters []Forecaster) *Selected {
	return &Selected{horizons, best, forecasters}
}

// Observe takes the next sample; NaN where it is missing.
func (s *Selected) Observe(value float64) {
	for _, f := range s.forecasters {
		f.Observe(value)
	}
}

// Quantiles writes the quantiles of the largest of the next steps samples, as Forecaster says.
func (s *Selected) Quantiles(steps int, levels, out []float64) {
	for j, h := range s.horizons {
		if h.Steps == steps {
			s.forecasters[s.best[j]].Quantiles(steps, levels, out)
			if len(out) > 0 && !math.IsNaN(out[0]) {
				return
			}
		}
	}
	s.forecasters[0].Quantiles(steps, levels, out)
}
