package requests

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// negativeBinomial returns the probability of at least k ≥ 1, where that of j is Γ(a + j)/(Γ(a) j!) (1 − q)ᵃ qʲ. It is the number of events of a
// Poisson process in a time t whose rate has a gamma distribution of shape a and rate b, with q = t/(b + t).
func negativeBinomial(k int, a, q float64) float64 {
	none := a * math.Log1p(-q)
	if k > 40 || none < -100 {
		return mathext.RegIncBeta(float64(k), a, q)
	}
	term := math.Exp(none)
	sum := term
	for j := range k - 1 {
		term *= q * (a + float64(j)) / float64(j+1)
		sum += term
	}
	return max(1-sum, 0)
}

// waitPoints is the largest number of points of a wait.
const waitPoints = 56

// wait is the distribution of the time to the next request: the survival at some points, straight lines between, and beyond the last an
// exponential.
type wait struct {
	n        int
	at       [waitPoints]float64 // ascending, the first is 0
	survives [waitPoints]float64 // descending, the first is 1
	tail     float64             // mean of the excess over the last
}

// set makes w the law l scaled, given that elapsed seconds have passed already; if that is below 0 the time begins so much later. Points are close where the time is unlikely to be shorter, or
// longer, so that small probabilities are as exact as large ones.
func (w *wait) set(l *law, scale, elapsed float64) {
	u := elapsed / scale
	i := l.cell(u)
	w.at[0], w.survives[0], w.n = 0, 1, 1
	w.tail = l.tail * scale
	if i == levels {
		return
	}
	inverse := 1 / l.survival(u)
	last := 1.0
	for ; i < levels; i++ {
		now := above[i] * inverse
		if drop := last - now; drop >= 1./20 || i == levels-1 || drop >= 0.45*now || drop >= 0.6*max(1-now, 1e-3) {
			w.at[w.n], w.survives[w.n] = (l.x[i]-u)*scale, now
			last = now
			if w.n++; w.n == waitPoints {
				return
			}
		}
	}
}

// cell returns the first point after t, n if there is none.
func (w *wait) cell(t float64) int {
	i, j := 1, w.n
	for i < j {
		if h := int(uint(i+j) >> 1); w.at[h] <= t {
			i = h + 1
		} else {
			j = h
		}
	}
	return i
}

func (w *wait) survival(t float64) float64 {
	i := w.cell(t)
	if i >= w.n {
		return w.survives[w.n-1] * math.Exp(-(t-w.at[w.n-1])/w.tail)
	}
	return w.survives[i-1] - (w.survives[i-1]-w.survives[i])*(t-w.at[i-1])/(w.at[i]-w.at[i-1])
}

// convolve returns the probability that the wait and k gaps more take at most t. Each cell of the wait stands at its middle, the one that t is in
// at the middle of the part before t: so the result grows with t. Neighbours that are close beside the spread of the gaps stand at their mean.
func (w *wait) convolve(t float64, rest *rest, k int) float64 {
	reader := newReader(rest, k)
	p, begin, mass, moment := 0.0, 0.0, 0.0, 0.0 // of the cells that are taken together
	for i := 1; i < w.n; i++ {
		a, b := w.at[i-1], w.at[i]
		if a >= t {
			break
		}
		m := w.survives[i-1] - w.survives[i]
		if b > t {
			m *= (t - a) / (b - a)
			b = t
		}
		if mass > 0 && (b-begin > reader.width || mass+m > mostTogether) {
			q := reader.cdf(t - moment/mass)
			if q < 1e-7 {
				return p // later cells leave less time
			}
			p += mass * q
			begin, mass, moment = a, 0, 0
		}
		mass += m
		moment += m * (a + b) / 2
	}
	if mass > 0 {
		p += mass * reader.cdf(t-moment/mass)
	}
	// The exponential beyond the last point, in slices of equal length, and what is beyond them.
	a, s := w.at[w.n-1], w.survives[w.n-1]
	if a >= t {
		return p
	}
	parts, most := 2, 5.0
	if s > 0.01 {
		parts = 16
	}
	length := min(t-a, most*w.tail) / float64(parts)
	left, factor := s, math.Exp(-length/w.tail)
	for j := range parts {
		p += left * (1 - factor) * reader.cdf(t-a-(float64(j)+0.5)*length)
		left *= factor
	}
	if beyond := t - a - (most+1)*w.tail; beyond > 0 {
		p += (left - s*math.Exp(-(t-a)/w.tail)) * reader.cdf(beyond)
	}
	return p
}

// mostTogether is the largest probability of cells that stand together in convolve.
const mostTogether = 0.12

// reader reads rest.cdf for some number of gaps, at times each of which is below the one before.
type reader struct {
	rest          *rest
	k             int
	width         float64 // that is small beside the spread of the gaps
	law           *law    // nil for bursts
	shift, factor float64
	cell          int // of the last time
}

func newReader(r *rest, k int) reader {
	if r.places != nil {
		return reader{rest: r, k: k, width: closeTogether * r.spread(k)}
	}
	l, shift, factor := r.gaps.read(k)
	factor /= r.scale
	return reader{law: l, shift: shift, factor: factor, cell: -1, width: closeTogether * l.spread() / factor}
}

// closeTogether is the width of cells that stand together, relative to the spread of the gaps.
const closeTogether = 0.25

func (r *reader) cdf(t float64) float64 {
	if r.law == nil {
		return r.rest.cdf(r.k, t)
	}
	x := r.shift + r.factor*t
	if r.cell < 0 {
		r.cell = r.law.cell(x)
	}
	for r.cell > 0 && r.law.x[r.cell-1] > x {
		r.cell--
	}
	return r.law.cdfIn(r.cell, x)
}
