package forecast

import (
	"context"
	"math"
	"slices"
	"time"
)

// Candidate is a kind of forecaster that may be chosen.
type Candidate struct {
	Name, Help string
	New        func() Forecaster

	// Fallback marks the one that is taken where no other is surely better; without it that is the first.
	Fallback bool
}

const (
	window    = 7 * 24 * time.Hour
	maxWindow = 50_000 // samples: a week at 15 s is 40,320

	// worth is how much less than another one a candidate must lose in validation to be chosen instead, and sure by how many standard errors.
	worth = 0.02
	sure  = 1.7

	// dear is how much more than the first candidate the fallback may lose on a horizon: on one of five it is 2 % on average.
	dear = 0.1

	// spoken is the share of the forecasts in validation that a candidate must have made to be chosen.
	spoken = 0.75
)

// Window returns how many samples the candidates look back, a week, and how many make a day, 0 where a sample is longer than an hour.
func Window(step time.Duration) (samples, day int) {
	samples = max(min(int(window/step), maxWindow), minResiduals)
	if step <= time.Hour {
		day = int(math.Round(float64(24*time.Hour) / float64(step)))
	}
	return samples, day
}

// Candidates returns the forecasters among which is chosen, for samples at a step: first the one that the others are measured by, then the fallback, then
// by how little they may go wrong. All but the first are conservative.
func Candidates(step time.Duration, seed uint64) []Candidate {
	window, day := Window(step)
	conservative := func(of func() Forecaster) func() Forecaster {
		return func() Forecaster { return NewConservative(of(), window) }
	}
	persistence := func() Forecaster { return NewPersistence(window) }
	return []Candidate{
		{Name: "persistence", Help: "the last value and all residuals of a week: what losses are multiples of", New: persistence},
		{Name: "conservative", Help: "the same, its quantile 0.99 higher where a week has few windows of the horizon; so are all below", New: conservative(persistence), Fallback: true},
		{Name: "conditional", Help: "the last value and the residuals after as long without a change", New: conservative(func() Forecaster { return NewConditional(window) })},
		{Name: "blend", Help: "the mean of nine, weighted by their losses so far", New: conservative(func() Forecaster { return NewBlend(window, day) })},
		{Name: "boosted", Help: "gradient boosting of the residuals' quantiles", New: conservative(func() Forecaster { return NewBoosted(window, day) })},
		{Name: "lstm", Help: "the published LSTM with quantiles as outputs", New: conservative(func() Forecaster { return NewLSTM(window, seed) })},
	}
}

// fallback returns the candidate that is taken where no other is surely better.
func fallback(candidates []Candidate) int {
	return max(slices.IndexFunc(candidates, func(c Candidate) bool { return c.Fallback }), 0)
}

// Best returns the candidate to use, given the scores of all in validation and which is the fallback: the fallback, or the first where the fallback lost 10 % more; unless a
// later one's loss is at least 2 % below that of the one taken so far, and by more than chance: by 1.7 standard errors of the difference (one in twenty without merit passes), over
// 10 to 40 runs of origins that are at least as long as the horizon. One that said nothing at more than a quarter of the origins is not taken. It is the fallback,
// too, where nothing was scored.
func Best(scores []Score, fallback int) int {
	best := fallback
	if len(scores) > 0 && scores[best].Pinball > (1+dear)*scores[0].Pinball {
		best = 0
	}
	for k := 1; k < len(scores); k++ {
		said := float64(scores[k].Origins-scores[k].Silent) >= spoken*float64(scores[k].Origins)
		if k != fallback && said && scores[k].Pinball <= (1-worth)*scores[best].Pinball && surely(scores[k].blocks, scores[best].blocks) {
			best = k
		}
	}
	return best
}

// surely reports whether the sum of a is below that of b by more than chance.
func surely(a, b []float64) bool {
	n, mean, squares := float64(len(a)), 0.0, 0.0
	for i := range a {
		mean += (a[i] - b[i]) / n
	}
	for i := range a {
		squares += (a[i] - b[i] - mean) * (a[i] - b[i] - mean)
	}
	return mean < 0 && n > 1 && -mean >= sure*math.Sqrt(squares/(n-1)/n)
}

// Relative returns the loss of a score as a multiple of that of the first of the same horizon: 1 where both lose nothing.
func Relative(score, first Score) float64 {
	if score.Pinball == first.Pinball {
		return 1
	}
	return score.Pinball / first.Pinball
}

// ChooseOptions say how forecasters are chosen. Zero values are all candidates, with seed 0, chosen by all samples but the first sixth.
type ChooseOptions struct {
	Candidates []Candidate
	// Test holds back the last third of the samples: it is not chosen by it, and the choice is scored on it.
	Test     bool
	Progress func(samples int) // called with the number of samples seen; nil: not
}

// Choice says which forecaster to use for each horizon.
type Choice struct {
	Candidates []Candidate
	Horizons   []Horizon
	Best       []int      // of each horizon, an index of Candidates
	Validation [][]Score  // by horizon and candidate: what was chosen by; none where the samples are too few to score the horizon
	Test       [][]Score  // the same on the last third, with ChooseOptions.Test
	Forecaster Forecaster // the chosen ones, having seen all samples
}

// Choose chooses a forecaster for each horizon by how all of them do, rolling, on the values of one resource, at a regular step.
func Choose(ctx context.Context, values []float64, step time.Duration, o ChooseOptions) (*Choice, error) {
	if o.Candidates == nil {
		o.Candidates = Candidates(step, 0)
	}
	c := &Choice{Candidates: o.Candidates, Horizons: Horizons(step)}
	var forecasters []Forecaster
	for _, candidate := range c.Candidates {
		forecasters = append(forecasters, candidate.New())
	}
	n := len(values)
	parts := []Part{{n / 6, n}}
	if o.Test {
		parts = []Part{{n / 6, 2 * n / 3}, {2 * n / 3, n}}
	}
	scores, err := Rolling(ctx, values, parts, c.Horizons, forecasters, o.Progress)
	if err != nil {
		return nil, err
	}
	c.Validation = scores[0]
	if o.Test {
		c.Test = scores[1]
	}
	for j := range c.Horizons {
		c.Best = append(c.Best, Best(c.Validation[j], fallback(c.Candidates)))
	}
	c.Forecaster = newSelected(c.Horizons, c.Best, forecasters, fallback(c.Candidates))
	return c, nil
}

// selected forecasts each horizon with a forecaster of its own.
type selected struct {
	bySteps map[int]Forecaster
	all     []Forecaster // the first is the one for other horizons, and for what the chosen says nothing of
}

func newSelected(horizons []Horizon, best []int, forecasters []Forecaster, fallback int) *selected {
	s := &selected{bySteps: map[int]Forecaster{}, all: []Forecaster{forecasters[fallback]}}
	for k := range forecasters {
		for j, h := range horizons {
			if best[j] == k {
				s.bySteps[h.Steps] = forecasters[k]
			}
		}
		if k != fallback && slices.Contains(best, k) {
			s.all = append(s.all, forecasters[k])
		}
	}
	return s
}

// Observe takes the next sample; NaN where it is missing.
func (s *selected) Observe(value float64) {
	for _, f := range s.all {
		f.Observe(value)
	}
}

// Quantiles writes the quantiles of the largest of the next steps samples, as Forecaster says.
func (s *selected) Quantiles(steps int, levels, out []float64) {
	if f := s.bySteps[steps]; f != nil {
		f.Quantiles(steps, levels, out)
		if len(out) > 0 && !math.IsNaN(out[0]) {
			return
		}
	}
	s.all[0].Quantiles(steps, levels, out)
}
