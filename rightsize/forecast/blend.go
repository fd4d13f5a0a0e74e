package forecast

import (
	"math"
	"slices"
)

const (
	// blendRate is how fast weights follow losses: an expert that lost as much more as the first one loses on average loses a factor e^−blendRate.
	blendRate = 0.2
	// scaleKeep is the weight of the past in the mean loss of the first expert, which the others' are measured in.
	scaleKeep = 0.999
)

// Blend forecasts the mean of the quantiles of several forecasters, each weighted by how well it did so far: weights fall exponentially with
// the sum of pinball losses, for each horizon and level by itself. What has overlapping samples counts as one: a loss is divided by the steps of its horizon. Losses
// are forgotten with a half-life of window samples.
//
// Quantiles from 0.99 on, short of the largest, are no smaller than what the residuals of the whole window say both as differences and as ratios, the first two experts: from
// jump to jump those lose least that forget jumps.
//
// It learns for horizons from the first time that each is asked for: until losses are known all weigh the same.
type Blend struct {
	window   int
	experts  []Forecaster
	seen     int
	horizons []*blendHorizon
	one      []float64 // quantiles of one expert
}

// NewBlend returns a forecaster on the last window samples, of which day make a day; 0 where there is none. Its experts are the last value, the mean of
// the last few, the time since the last change, where the value lies among the last ones, the time of day, and boosted trees.
func NewBlend(window, day int) *Blend {
	short := max(window/42, 60) // four hours of a week
	experts := []Forecaster{
		NewPersistence(window),
		newResidual(residualOptions{window: window, smoothing: 0.8, relative: true}), // see Blend
		NewConditional(window),
		NewConditional(short),
		newResidual(residualOptions{window: window, by: byPosition}),
		newResidual(residualOptions{window: window, by: byLevel}),
		newResidual(residualOptions{window: window, smoothing: 0.8}),
		NewBoosted(window, day),
	}
	if day > 0 {
		experts = append(experts, newResidual(residualOptions{window: window, by: byTime, smoothing: 0.8, day: day}))
	}
	return &Blend{window: max(window, 1), experts: experts}
}

// Observe takes the next sample; NaN where it is missing.
func (b *Blend) Observe(value float64) {
	for _, e := range b.experts {
		e.Observe(value)
	}
	for _, h := range b.horizons {
		h.observe(b, value)
	}
	b.seen++
}

// Quantiles writes the quantiles of the largest of the next steps samples, as Forecaster says.
func (b *Blend) Quantiles(steps int, levels, out []float64) {
	h := b.horizon(steps)
	b.one = append(b.one[:0], out...)
	b.experts[0].Quantiles(steps, levels, out)
	if len(out) == 0 || math.IsNaN(out[0]) {
		return
	}
	total := make([]float64, len(levels))
	sum := make([]float64, len(levels))
	least := slices.Clone(out)
	for k, e := range b.experts {
		e.Quantiles(steps, levels, b.one)
		if math.IsNaN(b.one[0]) {
			continue
		}
		for i, level := range levels {
			w := 1.0
			if h != nil {
				w = h.weight(k, level)
			}
			total[i] += w
			sum[i] += w * b.one[i]
			if k == 1 {
				least[i] = min(least[i], b.one[i])
			}
		}
	}
	for i := range out {
		out[i] = sum[i] / total[i]
		if levels[i] >= upper && levels[i] < 1 {
			out[i] = max(out[i], least[i])
		}
		if i > 0 { // each level has weights of its own
			out[i] = max(out[i], out[i-1])
		}
	}
}

// horizon returns what is followed of the next steps samples; nil where that cannot be.
func (b *Blend) horizon(steps int) *blendHorizon {
	if i := slices.IndexFunc(b.horizons, func(h *blendHorizon) bool { return h.steps == steps }); i >= 0 {
		return b.horizons[i]
	}
	if steps < 1 || steps > b.window || len(b.horizons) == maxHorizons {
		return nil
	}
	h := &blendHorizon{
		steps: steps, from: b.seen, keep: math.Exp2(-1 / float64(b.window)), future: make([]float64, steps),
		pending: make([]float64, steps*len(b.experts)*len(Levels)), lost: make([]float64, len(b.experts)*len(Levels)),
	}
	b.horizons = append(b.horizons, h)
	return h
}

// blendHorizon holds what the experts lost on one horizon.
type blendHorizon struct {
	steps, from int
	keep        float64

	future  []float64 // ring of the last steps samples
	next    trailing  // these
	pending []float64 // ring of the forecasts of the last steps samples: steps × experts × levels
	lost    []float64 // experts × levels, in mean losses of the first
	mean    [4]smoothedLoss
}

// smoothedLoss is a mean loss, of which the first counts as much as later ones.
type smoothedLoss struct{ sum, weight float64 }

// observe settles the forecasts made steps samples ago, and notes the new ones.
func (h *blendHorizon) observe(b *Blend, value float64) {
	i := b.seen - h.from
	slot := i % h.steps
	if i >= h.steps {
		h.next.pop(i-h.steps, h.future[slot])
	}
	h.next.push(i, value)
	h.future[slot] = value
	n := len(h.lost)
	forecasts := h.pending[slot*n : (slot+1)*n]
	if i >= h.steps {
		h.settle(forecasts)
	}
	for k, e := range b.experts {
		e.Quantiles(h.steps, Levels, forecasts[k*len(Levels):(k+1)*len(Levels)])
	}
}

func (h *blendHorizon) settle(forecasts []float64) {
	if !enough(h.next.known, h.steps) || math.IsNaN(forecasts[0]) {
		return
	}
	y := h.next.max()
	for l, level := range Levels {
		first := Pinball(level, forecasts[l], y)
		m := &h.mean[l]
		m.sum, m.weight = scaleKeep*m.sum+(1-scaleKeep)*first, scaleKeep*m.weight+1-scaleKeep
		if m.sum == 0 {
			continue
		}
		unit := m.sum / m.weight * float64(h.steps)
		for k := l; k < len(forecasts); k += len(Levels) {
			loss := first // of one who says nothing
			if !math.IsNaN(forecasts[k]) {
				loss = Pinball(level, forecasts[k], y)
			}
			h.lost[k] = h.keep*h.lost[k] + loss/unit
		}
	}
}

// weight returns the weight of expert k at a level, by the losses at the nearest of Levels.
func (h *blendHorizon) weight(k int, level float64) float64 {
	l := 0
	for i := range Levels {
		if math.Abs(Levels[i]-level) < math.Abs(Levels[l]-level) {
			l = i
		}
	}
	least := math.Inf(1)
	for j := l; j < len(h.lost); j += len(Levels) {
		least = min(least, h.lost[j])
	}
	return math.Exp(-blendRate * (h.lost[k*len(Levels)+l] - least))
}
