package tpp

import (
	"math"

	"github.com/tppfaas/tppfaas/internal/num"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// Drawer draws next events from a Next by inversion. It reuses its buffers between draws. The zero value is ready for
// Reset; it must be Reset before Draw.
type Drawer struct {
	next         *Next
	marks        []float64
	distribution dist.Distribution // of the time
	mix          *dist.LogNormMix  // the distribution of the time if it is a mixture, else nil
	elapsed      float64
	given        GivenMarkJoint // by which the mark is drawn first, else nil
	weights      []float64      // of the components of mix, given survival until elapsed
	total        float64        // sum of weights
}

// Reset sets the distribution to draw from. The distribution must not change until the last draw.
func (d *Drawer) Reset(n *Next) {
	if n == nil {
		n = &Next{}
	}
	d.next = n
	if d.given, _ = n.Joint.(GivenMarkJoint); d.given == nil {
		d.setTime(n.distribution())
	}
}

// setTime sets the distribution of the time.
func (d *Drawer) setTime(time dist.Distribution) {
	d.distribution, d.mix, d.elapsed = time, nil, 0
	switch t := time.(type) {
	case *dist.Conditional:
		time, d.elapsed = t.Dist, t.Elapsed
	case dist.Conditional:
		time, d.elapsed = t.Dist, t.Elapsed
	}
	switch t := time.(type) {
	case *dist.LogNormMix:
		d.mix = t
	case dist.LogNormMix:
		d.mix = &t
	}
	if d.mix != nil {
		d.computeWeights()
	}
}

// Draw returns the next event for two independent uniform numbers in (0, 1): u decides whether the sequence is over
// and the mark, v decides the time. The draw is exact. It returns over = true if the sequence has ended. With a
// defective distribution tau may be +Inf, which means that the event never comes.
func (d *Drawer) Draw(u, v float64) (tau float64, mark int, over bool) {
	n := d.next
	if n == nil || u < n.End {
		return 0, 0, true
	}
	u = (u - n.End) / (1 - n.End)
	if d.given != nil {
		mark, _ = num.DrawIndex(n.Marks, 1, u)
		d.setTime(d.given.GivenMark(mark))
		return d.time(v), mark, false
	}
	tau = d.time(v)
	if math.IsInf(tau, 1) {
		return tau, 0, false
	}
	marks := n.Marks
	if n.Joint != nil {
		d.marks = n.MarksAt(tau, d.marks)
		marks = d.marks
	}
	mark, _ = num.DrawIndex(marks, 1, u)
	return tau, mark, false
}

// time returns the time for a uniform number v in (0, 1). Quantiles of a log-normal mixture need a root search, so for
// a mixture it draws a component, by its weight given survival until elapsed, and inverts the distribution of that
// component.
func (d *Drawer) time(v float64) float64 {
	if d.mix == nil {
		return d.distribution.Quantile(v)
	}
	if d.total == 0 {
		return 0 // all weights underflow: the event is overdue
	}
	k, rest := num.DrawIndex(d.weights, d.total, v)
	if d.elapsed == 0 {
		return num.DrawLogNormal(d.mix.Mu[k], d.mix.Sigma[k], rest)
	}
	c := singleComponent(d.mix, k)
	rest = min(max(rest, num.MinUniform), 1-num.MinUniform)
	return max(c.QuantileLogSurvival(c.LogSurvival(d.elapsed)+math.Log1p(-rest))-d.elapsed, 0)
}

// computeWeights sets the weights of the components, relative to the largest, given that no event came in the elapsed
// time.
func (d *Drawer) computeWeights() {
	d.weights = d.weights[:0]
	top := math.Inf(-1)
	for k, w := range d.mix.LogWeights {
		if d.elapsed > 0 {
			w += singleComponent(d.mix, k).LogSurvival(d.elapsed)
		}
		d.weights = append(d.weights, w)
		top = max(top, w)
	}
	d.total = 0
	if math.IsInf(top, -1) {
		return
	}
	for k, w := range d.weights {
		d.weights[k] = math.Exp(w - top)
		d.total += d.weights[k]
	}
}

// singleComponent returns component k of the mixture as a distribution of its own, without allocating.
func singleComponent(mix *dist.LogNormMix, k int) dist.LogNormMix {
	return dist.LogNormMix{LogWeights: oneComponent[:], Mu: mix.Mu[k : k+1], Sigma: mix.Sigma[k : k+1]}
}

var oneComponent [1]float64
