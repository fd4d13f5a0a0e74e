package forecast

import (
	"context"
	"math"
	"slices"
)

// Pinball returns the loss of a quantile q forecast at a level where y came: (y − q)·level above it, (q − y)·(1 − level) below. Its mean is
// smallest at the quantile of the distribution that y comes from.
func Pinball(level, q, y float64) float64 { return max((y-q)*level, (q-y)*(1-level)) }

// Score is how well a forecaster did on one horizon.
type Score struct {
	Horizon
	Origins  int       // forecasts scored
	Silent   int       // of these, scored by what the first forecaster said, since this one said nothing
	Pinball  float64   // mean over origins and levels, in the unit of the resource
	Coverage []float64 // share of origins at which what came was at most the quantile, for each level

	blocks []float64 // sums of the losses of runs of origins, each at least as long as the horizon
}

// maxBlocks is how many runs of origins a part is cut into at most.
const maxBlocks = 40

// scoredHorizons is how many times the part that is scored must hold a horizon.
const scoredHorizons = 10

// Largest returns for each sample the largest of the next steps ones: NaN where fewer than nine tenths of them are known, or the values end
// before.
func Largest(values []float64, steps int) []float64 {
	steps = min(steps, len(values)) // longer ones are never known
	out := make([]float64, len(values))
	var stack []place // of the next samples, from the last to the first: those that no earlier one exceeds
	known := 0
	for i := len(values) - 1; i >= 0; i-- {
		out[i] = math.NaN()
		if i+1 < len(values) && !math.IsNaN(values[i+1]) {
			known++
			for len(stack) > 0 && stack[len(stack)-1].value <= values[i+1] {
				stack = stack[:len(stack)-1]
			}
			stack = append(stack, place{i + 1, values[i+1]})
		}
		if beyond := i + steps + 1; beyond < len(values) && !math.IsNaN(values[beyond]) {
			known--
		}
		if len(stack) > 0 && stack[0].at > i+steps {
			stack = stack[1:]
		}
		if i+steps < len(values) && enough(known, steps) {
			out[i] = stack[0].value
		}
	}
	return out
}

// Part is a run of samples, from From to To−1.
type Part struct{ From, To int }

// Rolling scores forecasters on parts of the values, each forecast made from all samples before what it forecasts, which lies in the part as a whole. The forecasters
// see all values in their order, and are at the end of them afterwards. A horizon is scored in a part that holds ten of it, at the origins at which the first
// forecaster says something; where another says nothing there, it is scored by what the first said. The result is, for each part and horizon, a
// score for each forecaster; none where it is not scored. progress is called with the number of samples seen, unless it is nil.
func Rolling(ctx context.Context, values []float64, parts []Part, horizons []Horizon, forecasters []Forecaster, progress func(samples int)) ([][][]Score, error) {
	r := rolling{parts: parts, horizons: horizons, forecasters: forecasters, quantiles: make([][]float64, len(forecasters))}
	for k := range forecasters {
		r.quantiles[k] = make([]float64, len(Levels))
	}
	for _, p := range parts {
		scores := make([][]Score, len(horizons))
		for j, h := range horizons {
			if scoredHorizons*h.Steps > p.To-p.From {
				continue
			}
			for range forecasters {
				scores[j] = append(scores[j], Score{Horizon: h, Coverage: make([]float64, len(Levels)), blocks: make([]float64, blocks(p, h))})
			}
		}
		r.scores = append(r.scores, scores)
	}
	for _, h := range horizons {
		r.largest = append(r.largest, Largest(values, h.Steps))
	}
	for i, v := range values {
		if i%64 == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if progress != nil {
				progress(i)
			}
		}
		for _, f := range forecasters {
			f.Observe(v)
		}
		r.score(i)
	}
	for _, scores := range r.scores {
		for j, ss := range scores {
			if len(ss) > 0 && ss[0].Origins == 0 {
				scores[j] = nil // nothing was known there
			}
			for k := range scores[j] {
				ss[k].finish()
			}
		}
	}
	return r.scores, nil
}

// rolling is a run of Rolling.
type rolling struct {
	parts       []Part
	horizons    []Horizon
	forecasters []Forecaster
	largest     [][]float64 // by horizon
	scores      [][][]Score // by part, horizon and forecaster
	quantiles   [][]float64 // by forecaster
}

// score scores what the forecasters say after sample i.
func (r *rolling) score(i int) {
	for j, h := range r.horizons {
		part := slices.IndexFunc(r.parts, func(p Part) bool { return i+1 >= p.From && i+h.Steps < p.To })
		if part < 0 || r.scores[part][j] == nil {
			if i == 0 { // from the first sample on, those that learn on the way follow the horizon
				for _, f := range r.forecasters {
					f.Quantiles(h.Steps, Levels, r.quantiles[0])
				}
			}
			continue
		}
		y := r.largest[j][i]
		if math.IsNaN(y) {
			continue
		}
		for k, f := range r.forecasters {
			q := r.quantiles[k]
			f.Quantiles(h.Steps, Levels, q)
			if k == 0 && math.IsNaN(q[0]) {
				break
			}
			if math.IsNaN(q[0]) {
				q = r.quantiles[0]
				r.scores[part][j][k].Silent++
			}
			p := r.parts[part]
			r.scores[part][j][k].add(q, y, (i+1-p.From)*blocks(p, h)/(p.To-p.From))
		}
	}
}

// blocks returns how many runs of origins a part is cut into.
func blocks(p Part, h Horizon) int { return max(min((p.To-p.From)/h.Steps, maxBlocks), 1) }

func (s *Score) add(quantiles []float64, y float64, block int) {
	s.Origins++
	before := s.Pinball
	for i, level := range Levels {
		q := quantiles[i]
		s.Pinball += Pinball(level, q, y)
		if y <= q+1e-12*math.Abs(q) { // what is equal but for rounding is covered
			s.Coverage[i]++
		}
	}
	s.blocks[block] += s.Pinball - before
}

func (s *Score) finish() {
	s.Pinball /= float64(s.Origins * len(s.Coverage))
	for i := range s.Coverage {
		s.Coverage[i] /= float64(s.Origins)
	}
}
