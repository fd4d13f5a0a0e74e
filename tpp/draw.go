package tpp

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mathext"

	"github.com/tppfaas/tppfaas/tpp/dist"
)

// uniform draws from the open interval (0, 1), so that every quantile it asks for is finite.
func uniform(src rand.Source) float64 { return (float64(src.Uint64()>>12) + 0.5) / (1 << 52) }

// drawer draws next events, in memory of its own.
type drawer struct {
	next    *Next
	marks   []float64
	mix     *dist.LogNormMix // if that is what the times are drawn from, after the elapsed time
	elapsed float64
	weights []float64 // of the components by then
	total   float64
}

// from sets the distribution to draw from, which must not change while it is drawn from.
func (d *drawer) from(n *Next) {
	d.next, d.mix, d.elapsed = n, nil, 0
	switch t := n.Time.(type) {
	case *dist.LogNormMix:
		d.mix = t
	case *dist.Conditional:
		if mix, ok := t.Dist.(*dist.LogNormMix); ok {
			d.mix, d.elapsed = mix, t.Elapsed
		}
	}
	if d.mix != nil {
		d.weigh()
	}
}

// draw takes two independent uniform numbers in (0, 1) to the next event, exactly: u decides whether there is one and its
// mark, v when it comes. It is over if the sequence is; where the distribution is defective, tau may be +Inf: never.
func (d *drawer) draw(u, v float64) (tau float64, mark int, over bool) {
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
	mark, _ = drawIndex(marks, 1, u)
	return tau, mark, false
}

// time takes a uniform number in (0, 1) to a time. Quantiles of a mixture of log-normals have to be searched for, so of
// one it draws a component by the weight that it has after the elapsed time, and inverts the component's distribution.
func (d *drawer) time(v float64) float64 {
	if d.mix == nil {
		return d.next.Time.Quantile(v)
	}
	if d.total == 0 {
		return 0 // overdue beyond what numbers hold
	}
	k, rest := drawIndex(d.weights, d.total, v)
	if d.elapsed == 0 {
		return drawLogNormal(d.mix.Mu[k], d.mix.Sigma[k], rest)
	}
	c := singleComponent(d.mix, k)
	rest = min(max(rest, minUniform), 1-minUniform)
	return max(c.QuantileLogSurvival(c.LogSurvival(d.elapsed)+math.Log1p(-rest))-d.elapsed, 0)
}

// weigh computes the weights of the components, relative to the largest, given that nothing came for the elapsed time.
func (d *drawer) weigh() {
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

// drawIndex takes a uniform number in (0, 1) to an index drawn with the given weights, which add up to total, and to what
// is then left of the number: another one, independent of the index.
func drawIndex[F float32 | float64](weights []F, total, u float64) (index int, rest float64) {
	left := u * total
	for i, w := range weights {
		if w <= 0 {
			continue
		}
		index = i // the last one present, should rounding leave something over
		if left < float64(w) {
			return index, left / float64(w)
		}
		left -= float64(w)
	}
	return index, 0.5
}

// singleComponent is one component of a mixture, alone.
func singleComponent(mix *dist.LogNormMix, k int) dist.LogNormMix {
	return dist.LogNormMix{LogWeights: oneComponent[:], Mu: mix.Mu[k : k+1], Sigma: mix.Sigma[k : k+1]}
}

var oneComponent [1]float64

// minUniform keeps what is left of a uniform number inside the open interval.
const minUniform = 1.0 / (1 << 53)

// drawLogNormal is the quantile of a log-normal distribution at v.
func drawLogNormal(mu, sigma, v float64) float64 {
	v = min(max(v, minUniform), 1-minUniform)
	return math.Min(math.Exp(mu+sigma*mathext.NormalQuantile(v)), math.MaxFloat64)
}
