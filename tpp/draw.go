package tpp

import (
	"math"

	"github.com/tppfaas/tppfaas/internal/num"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// Drawer draws next events by inversion, in memory of its own. The zero value is ready for Reset.
type Drawer struct {
	next    *Next
	marks   []float64
	mix     *dist.LogNormMix // if that is what the times are drawn from, after the elapsed time
	elapsed float64
	weights []float64 // of the components by then
	total   float64
}

// Reset sets the distribution to draw from, which must not change while it is drawn from.
func (d *Drawer) Reset(n *Next) {
	d.next, d.mix, d.elapsed = n, nil, 0
	time := n.Time
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
		d.weigh()
	}
}

// Draw takes two independent uniform numbers in (0, 1) to the next event, exactly: u decides whether there is one and its
// mark, v when it comes. It is over if the sequence is; where the distribution is defective, tau may be +Inf: never.
func (d *Drawer) Draw(u, v float64) (tau float64, mark int, over bool) {
	n := d.next
	if u < n.End {
		return 0, 0, true
	}
	u = (u - n.End) / (1 - n.End)
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

// time takes a uniform number in (0, 1) to a time. Quantiles of a mixture of log-normals have to be searched for, so of
// one it draws a component by the weight that it has after the elapsed time, and inverts the component's distribution.
func (d *Drawer) time(v float64) float64 {
	if d.mix == nil {
		return d.next.Time.Quantile(v)
	}
	if d.total == 0 {
		return 0 // overdue beyond what numbers hold
	}
	k, rest := num.DrawIndex(d.weights, d.total, v)
	if d.elapsed == 0 {
		return num.DrawLogNormal(d.mix.Mu[k], d.mix.Sigma[k], rest)
	}
	c := singleComponent(d.mix, k)
	rest = min(max(rest, num.MinUniform), 1-num.MinUniform)
	return max(c.QuantileLogSurvival(c.LogSurvival(d.elapsed)+math.Log1p(-rest))-d.elapsed, 0)
}

// weigh computes the weights of the components, relative to the largest, given that nothing came for the elapsed time.
func (d *Drawer) weigh() {
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

// singleComponent is one component of a mixture, alone.
func singleComponent(mix *dist.LogNormMix, k int) dist.LogNormMix {
	return dist.LogNormMix{LogWeights: oneComponent[:], Mu: mix.Mu[k : k+1], Sigma: mix.Sigma[k : k+1]}
}

var oneComponent [1]float64
