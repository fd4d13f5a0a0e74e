package classical

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/internal/num"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// logGap holds the mean and variance of log τ for a gap read off a clock, where τ is uniform within its tick.
type logGap struct {
	mean, variance float64
	count          float64 // how many gaps are equal
}

// newLogGap returns the moments of log τ for τ uniform on (a, b), half a tick on both sides of the gap, a ≥ 0. With r
// = a/b the mean is log b − 1 − r log r/(1−r) and the variance 1 − r (log r)²/(1−r)².
func newLogGap(gap, resolution float64) logGap {
	a, b := max(gap-resolution/2, 0), gap+resolution/2
	if a == 0 {
		return logGap{math.Log(b) - 1, 1, 1}
	}
	if h := resolution / 2 / gap; h < 0.01 { // where the differences cancel
		return logGap{math.Log(gap) - h*h*(1./6+h*h/20), h * h * (1./3 + h*h*7/45), 1}
	}
	r := a / b
	l := math.Log(r) / (1 - r)
	return logGap{math.Log(b) - 1 - r*l, 1 - r*l*l, 1}
}

// component is a log-normal component of a gap's distribution: weight, and mean and standard deviation of the logarithm.
type component struct{ weight, mu, sigma float64 }

// backgroundOf returns a broad component with the mean of the logarithms of all gaps, and their variance plus one. It
// gives every gap some probability.
func backgroundOf(gaps []logGap) component {
	var m num.Moments
	spread := 0.0
	for _, g := range gaps {
		m.Add(g.mean)
		spread += g.variance
	}
	return component{1, m.Mean, math.Sqrt(1 + (m.SS+spread)/m.N)}
}

// gapClass holds the gaps before events of one class and the mixture fitted to them. The last component is the
// background with the fixed weight 1/(n+1) for n gaps, as if one more gap had been observed anywhere: no gap is
// impossible, and a class without gaps has a distribution.
type gapClass struct {
	gaps       []logGap
	share      float64 // probability of the class among all and the end
	components []component
}

// gapsPerComponent is the number of gaps needed for each component.
const gapsPerComponent = 20

// newGapClass returns a class with at most k initial components, each fitted to an equal share of the sorted gaps, and
// the background.
func newGapClass(gaps []logGap, k int, background component) gapClass {
	n := len(gaps)
	gaps = slices.Clone(gaps)
	slices.SortFunc(gaps, func(a, b logGap) int {
		switch {
		case a.mean < b.mean:
			return -1
		case a.mean > b.mean:
			return 1
		}
		return 0
	})
	k = max(min(k, n/gapsPerComponent), min(n, 1))
	c := gapClass{}
	for i := range k {
		var m num.Moments
		spread := 0.0
		part := gaps[i*n/k : (i+1)*n/k]
		for _, g := range part {
			m.Add(g.mean)
			spread += g.variance
		}
		c.components = append(c.components, component{
			float64(n) / float64(n+1) / float64(k), m.Mean, floorSigma(math.Sqrt((m.SS+spread)/m.N), m.Mean),
		})
	}
	background.weight = 1 / float64(n+1)
	c.components = append(c.components, background)
	for _, g := range gaps {
		if last := len(c.gaps) - 1; last >= 0 && c.gaps[last].mean == g.mean {
			c.gaps[last].count++
		} else {
			c.gaps = append(c.gaps, g)
		}
	}
	return c
}

// numGaps returns the number of gaps.
func (c *gapClass) numGaps() float64 {
	n := 0.0
	for _, g := range c.gaps {
		n += g.count
	}
	return n
}

// floorSigma returns sigma, but at least what float32 resolves relative to the mean mu.
func floorSigma(sigma, mu float64) float64 { return max(sigma, 1e-6*(1+math.Abs(mu))) }

// gapMixtures models competing classes of events and the end of the sequence: which comes next, and after which gap.
type gapMixtures struct {
	classes []gapClass
	end     float64   // probability of the end, 0 without complete sequences
	ends    float64   // sequences that ended
	open    []openGap // of sequences still running
	empty   []openGap // of windows without any event, which cannot have been over
	scratch scratch
}

// newGapMixtures returns the mixtures with shares from the counts, smoothed by one event divided equally among the
// classes and the end.
func newGapMixtures(classes []gapClass, ends int, knowsEnd bool, open []float64) *gapMixtures {
	g := &gapMixtures{classes: classes, ends: float64(ends), open: newOpenGaps(open)}
	over := -1.0
	if knowsEnd {
		over = g.ends
	}
	g.setShares(make([]float64, len(classes)), over)
	return g
}

// setShares computes the shares from the counts plus added, the expected further events by class. Negative ends means
// that the end is not modelled.
func (g *gapMixtures) setShares(added []float64, ends float64) {
	numOutcomes := float64(len(g.classes))
	if ends >= 0 {
		numOutcomes++
	}
	total := 1 + max(ends, 0)
	for i := range g.classes {
		g.classes[i].share = g.classes[i].numGaps() + added[i] + 1/numOutcomes
		total += g.classes[i].numGaps() + added[i]
	}
	for i := range g.classes {
		g.classes[i].share /= total
	}
	g.end = 0
	if ends >= 0 {
		g.end = (ends + 1/numOutcomes) / total
	}
}

// fit runs the EM algorithm (Dempster, Laird & Rubin 1977). Where there are very many different gaps it runs on merged ones first, and then
// for some iterations on all: near the optimum few are needed.
func (g *gapMixtures) fit(ctx context.Context, maxIterations int) error {
	different := len(g.open) + len(g.empty)
	for i := range g.classes {
		different += len(g.classes[i].gaps)
	}
	if different < fewGaps {
		return g.iterate(ctx, maxIterations)
	}
	open, empty, gaps := g.open, g.empty, make([][]logGap, len(g.classes))
	g.open, g.empty = mergeOpenGaps(open, mergedOpenGaps), mergeOpenGaps(empty, mergedOpenGaps)
	for i := range g.classes {
		c := &g.classes[i]
		gaps[i] = c.gaps
		c.gaps = mergeGaps(c.gaps, mergedPerComponent*len(c.components))
	}
	err := g.iterate(ctx, maxIterations)
	g.open, g.empty = open, empty
	for i := range g.classes {
		g.classes[i].gaps = gaps[i]
	}
	if err != nil {
		return err
	}
	return g.iterate(ctx, min(maxIterations, unmergedIterations))
}

const (
	fewGaps            = 2000
	mergedPerComponent = 32 // merged gaps for each component
	mergedOpenGaps     = 64 // merged gaps of sequences that were still running
	unmergedIterations = 10
)

// mergeGaps merges neighbours among sorted gaps, so that about n remain. A gap has a variance of its logarithm anyway, so a merged one is
// exact but for the probabilities of the components, which are the same for all of it.
func mergeGaps(gaps []logGap, n int) []logGap {
	return mergeNeighbours(gaps, n, func(g logGap) float64 { return g.count }, func(m *logGap, g logGap) {
		count, d := m.count+g.count, g.mean-m.mean
		m.variance = (m.count*m.variance+g.count*g.variance)/count + d*d*m.count*g.count/(count*count)
		m.mean += d * g.count / count
		m.count = count
	})
}

// mergeOpenGaps merges neighbours among sorted times, so that about n remain.
func mergeOpenGaps(open []openGap, n int) []openGap {
	return mergeNeighbours(open, n, func(o openGap) float64 { return o.count }, func(m *openGap, o openGap) {
		m.count += o.count
		m.log += (o.log - m.log) * o.count / m.count
	})
}

// mergeNeighbours merges neighbours as long as their counts are together at most an n-th of all, rounded up.
func mergeNeighbours[T any](all []T, n int, count func(T) float64, merge func(into *T, one T)) []T {
	total := 0.0
	for _, one := range all {
		total += count(one)
	}
	most := math.Ceil(total / float64(n))
	var merged []T
	for _, one := range all {
		if last := len(merged) - 1; last >= 0 && count(merged[last])+count(one) <= most {
			merge(&merged[last], one)
		} else {
			merged = append(merged, one)
		}
	}
	return merged
}

// iterate runs EM iterations until the objective grows by less than 1e-8 per event.
func (g *gapMixtures) iterate(ctx context.Context, maxIterations int) error {
	events := 1.0
	for _, o := range g.open {
		events += o.count
	}
	for _, o := range g.empty {
		events += o.count
	}
	for i := range g.classes {
		events += g.classes[i].numGaps()
	}
	before := math.Inf(-1)
	for range maxIterations {
		if err := ctx.Err(); err != nil {
			return err
		}
		objective := g.step()
		if objective-before < 1e-8*events {
			break
		}
		before = objective
	}
	return nil
}

// expected holds the expected number of gaps of a component, and the sums of the distances of their logarithms from
// its mean and of the squared distances.
type expected struct{ n, sum, squares float64 }

// step runs one EM iteration and returns the objective before it, which no step decreases: the mean log density over
// the tick of each gap, the survival of open sequences, and the one event by which the shares are smoothed. Up to the
// width of the ticks it is, by Jensen's inequality, a lower bound of the likelihood at the clock's resolution; unlike
// the density at the gaps it is bounded even if many gaps are equal.
func (g *gapMixtures) step() float64 {
	objective := 0.0
	stats := make([][]expected, len(g.classes))
	numOutcomes := float64(len(g.classes))
	if g.end > 0 {
		numOutcomes++
		objective += (g.ends + 1/numOutcomes) * math.Log(g.end)
	}
	for i := range g.classes {
		c := &g.classes[i]
		stats[i] = make([]expected, len(c.components))
		objective += (c.numGaps()+1/numOutcomes)*math.Log(c.share) + c.expect(stats[i], &g.scratch)
	}
	added := make([]float64, len(g.classes))
	over := g.ends
	if len(g.open)+len(g.empty) > 0 {
		g.termsOfTails()
	}
	for _, o := range g.open {
		total, end := g.expectOpen(o, g.end, stats, added)
		objective += o.count * total
		over += o.count * end
	}
	ignored := make([]float64, len(g.classes)) // what comes first says nothing of how often a sequence ends
	for _, o := range g.empty {
		total, _ := g.expectOpen(o, 0, stats, ignored)
		objective += o.count * (total - math.Log1p(-g.end))
	}
	for i := range g.classes {
		g.classes[i].maximise(stats[i])
	}
	if g.end == 0 {
		over = -1
	}
	g.setShares(added, over)
	return objective
}

func (e *expected) add(n, mean, square float64) {
	e.n += n
	e.sum += n * mean
	e.squares += n * square
}

// maximise sets all components but the background to the maximum of the expected likelihood.
func (c *gapClass) maximise(stats []expected) {
	k := len(c.components) - 1
	total := 0.0
	for _, e := range stats[:k] {
		total += e.n
	}
	if total == 0 {
		return
	}
	for i, e := range stats[:k] {
		comp := &c.components[i]
		comp.weight = (1 - c.components[k].weight) * e.n / total
		if e.n < 1e-10 {
			continue // its weight is negligible
		}
		shift := e.sum / e.n
		comp.mu += shift
		comp.sigma = floorSigma(math.Sqrt(max(e.squares/e.n-shift*shift, 0)), comp.mu)
	}
}

// logNormalOf returns the mixture with the given weights, normalised, without components of weight 0.
func logNormalOf(weights, mu, sigma []float64) (*dist.LogNormMix, error) {
	mix := &dist.LogNormMix{}
	total := 0.0
	for i, w := range weights {
		if !(w >= 0) {
			return nil, fmt.Errorf("a component has the weight %v", w)
		}
		total += w
		if w > 0 {
			mix.LogWeights = append(mix.LogWeights, math.Log(w))
			mix.Mu = append(mix.Mu, mu[i])
			mix.Sigma = append(mix.Sigma, sigma[i])
		}
	}
	if total == 0 {
		return nil, errors.New("all components have the weight 0")
	}
	for i := range mix.LogWeights {
		mix.LogWeights[i] -= math.Log(total)
	}
	return mix, mix.Validate()
}
