package race

import (
	"math"
	"math/bits"
	"slices"

	"github.com/tppfaas/tppfaas/internal/simd"
)

func onesCount(x uint64) int { return bits.OnesCount64(x) }

// background is the distribution of events that the graph does not explain: after each step, with a small probability the next event is
// one of these, whatever is due. The gap before it has a distribution of its own, a mixture of logistics over asinh(gap/scale) truncated
// to gaps above 0.
type background struct {
	structure *structure
	mixture   []float64 // locations, log scales, weights
	marks     []float64 // probabilities
	rate      float64   // the probability after a step after which something is due
	emptyRate float64   // after one after which nothing is due

	products, precisions, weights, densities [backgroundComponents]float32 // of the mixture, for survival
}

const (
	backgroundComponents = 24
	// minBackground is the least probability of the background: what has never been seen is never taken to be impossible.
	minBackground = 1e-3
	// backgroundPrior is how many events the rate of training counts for, when a sequence shows how much of it is unexplained.
	backgroundPrior = 10
)

// share returns the probability that the next event is of the background. It grows in a sequence in which much is unexplained, such as
// one that was joined in the middle.
func (b *background) share(t *tracker) float64 {
	rate := b.rate
	if len(t.due) == 0 {
		rate = b.emptyRate
	}
	return (rate*backgroundPrior + float64(t.unexplained)) / (backgroundPrior + float64(max(t.events, t.unexplained)))
}

// prepare computes what survival needs. It must be called when the mixture is set.
func (b *background) prepare() {
	const k = backgroundComponents
	whole := 0.0
	for i := range k {
		whole += b.mixture[2*k+i] / (1 + math.Exp(-b.mixture[i]*math.Exp(-b.mixture[k+i])))
	}
	for i := range k {
		precision, weight := math.Exp(-b.mixture[k+i]), b.mixture[2*k+i]/whole
		b.products[i], b.precisions[i] = float32(b.mixture[i]*precision), float32(precision)
		b.weights[i], b.densities[i] = float32(weight), float32(weight*precision)
	}
}

// survival returns the probability that the gap exceeds t, and the density at t in the time unit.
func (b *background) survival(t float64) (survival, density float64) {
	var s, slope [backgroundComponents]float32
	simd.AddScaled(s[:], b.products[:], -float32(b.structure.log(t)), b.precisions[:])
	simd.Sigmoid(s[:], s[:])
	for i, v := range s {
		slope[i] = v * (1 - v)
	}
	survival = float64(simd.Dot(b.weights[:], s[:]))
	density = float64(simd.Dot(b.densities[:], slope[:]))
	return survival, density / math.Hypot(t, b.structure.scale)
}

// cell returns the probability of an event with the mark in the tick around a gap.
func (b *background) cell(gap float64, mark int) float64 {
	tick := b.structure.tick
	lower, upper := max(gap-tick/2, 0), gap+tick/2
	from, _ := b.survival(lower)
	to, _ := b.survival(upper)
	_, density := b.survival((lower + upper) / 2)
	// Half of the density is less than the mass but where the difference has no digits left.
	return max(from-to, density*(upper-lower)/2, 1e-12*(upper-lower)/tick) * b.marks[mark]
}

// fit sets the distribution to that of the gaps, and the rates and marks to what was counted.
func (b *background) fit(gaps []float64, marks []float64, unexplained, events, unexplainedEmpty, empty float64) {
	b.rate = max((unexplained+0.5)/(events+1), minBackground)
	b.emptyRate = max((unexplainedEmpty+0.5)/(empty+1), minBackground)
	b.rate, b.emptyRate = min(b.rate, 1-minBackground), min(b.emptyRate, 1-minBackground)
	total := 0.0
	b.marks = make([]float64, len(marks))
	for _, n := range marks {
		total += n + 1
	}
	for i, n := range marks {
		b.marks[i] = (n + 1) / total
	}
	b.mixture = make([]float64, 3*backgroundComponents)
	logs := make([]float64, len(gaps))
	for i, g := range gaps {
		logs[i] = b.structure.log(g)
	}
	slices.Sort(logs)
	k := backgroundComponents
	locations, scales, weights := b.mixture[:k], b.mixture[k:2*k], b.mixture[2*k:]
	spread(locations, scales, weights, logs, b.structure)
	b.prepare()
}
