package requests

import (
	"math"

	"gonum.org/v1/gonum/mathext"

	"github.com/tppfaas/tppfaas/prewarm"
)

// Forecast says when the next requests come, as seen at the moment At: times count in seconds from then on. It is a value: it may be copied,
// and does not change when the process goes on. The zero value says that no request ever comes.
//
// It is a mixture of a few branches, which differ in the model that they follow and in what the next request is (in a burst the next of it, or the
// first of another). In each the time to the next request has a piecewise constant density, and of those after it the sums are tabulated.
type Forecast struct {
	// At is when the forecast was made.
	At prewarm.Time

	numBranches int
	branches    [maxBranches]branch
}

const maxBranches = 8

// branch is one way in which requests may come.
type branch struct {
	weight float64
	// a and b are those of a Poisson process whose rate has a gamma distribution of shape a and rate b, in seconds. If a is 0 the branch is a
	// renewal process whose first gap is a wait of its own, and rest are the sums of the others, in units of scale seconds.
	a, b  float64
	first wait
	rest  *sums
	scale float64
}

// add returns a branch more, of which the caller sets everything but the weight.
func (f *Forecast) add(weight float64) *branch {
	b := &f.branches[f.numBranches]
	f.numBranches++
	b.weight = weight
	return b
}

// AtLeast returns the probability that at least k requests come within t seconds. It falls as k grows, and grows with t.
func (f *Forecast) AtLeast(k int, t float64) float64 {
	if k <= 0 {
		return 1
	}
	if !(t > 0) {
		return 0
	}
	p := 0.0
	for i := range f.branches[:f.numBranches] {
		b := &f.branches[i]
		p += b.weight * b.atLeast(k, t)
	}
	return min(p, 1)
}

// Survival returns the probability that no request comes within t seconds.
func (f *Forecast) Survival(t float64) float64 { return 1 - f.AtLeast(1, t) }

// Quantile returns the time in seconds by which the k-th request from now, k ≥ 1, has come with probability p. It is +Inf if that is never.
func (f *Forecast) Quantile(k int, p float64) float64 {
	if !(p > 0) {
		return 0
	}
	// Bracket the quantile by factors, and then halve the bracket in the logarithm until it is tight.
	high := 1.0
	if f.AtLeast(k, high) < p {
		for f.AtLeast(k, high) < p {
			if high > maxSeconds {
				return math.Inf(1)
			}
			high *= 8
		}
	} else {
		for high > minSeconds && f.AtLeast(k, high/8) >= p {
			high /= 8
		}
	}
	low := high / 8
	if high <= minSeconds {
		low = 0
	}
	pLow, pHigh := f.AtLeast(k, low), f.AtLeast(k, high)
	for side := 0; high-low > 1e-4*high; {
		// The Illinois variant of the rule of false position (Dowell and Jarratt, BIT 11, 1971), kept off the ends.
		m := low + (high-low)*min(max((p-pLow)/(pHigh-pLow), 0.02), 0.98)
		at := f.AtLeast(k, m)
		if at >= p {
			high, pHigh = m, at
			if side == 1 {
				pLow = p - (p-pLow)/2
			}
			side = 1
		} else {
			low, pLow = m, at
			if side == -1 {
				pHigh = p + (pHigh-p)/2
			}
			side = -1
		}
		if !(pHigh > pLow) {
			break
		}
	}
	return high
}

// Bounds of the times that quantiles are looked for in, in seconds.
const (
	minSeconds = 1e-9
	maxSeconds = 1e12
)

func (b *branch) atLeast(k int, t float64) float64 {
	switch {
	case b.a > 0 && k == 1:
		return -math.Expm1(-b.a * math.Log1p(t/b.b))
	case b.a > 0:
		return negativeBinomial(k, b.a, t/(b.b+t))
	case k == 1:
		return 1 - b.first.survival(t)
	}
	return b.first.convolve(t, b.rest, k-1, b.scale)
}

// negativeBinomial returns the probability of at least k ≥ 1, where that of j is Γ(a + j)/(Γ(a) j!) (1 − q)ᵃ qʲ.
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
const waitPoints = 64

// wait is the distribution of the time to the next request: the survival at some points, straight lines between, and beyond the last an
// exponential.
type wait struct {
	n        int
	at       [waitPoints]float64 // ascending, the first is 0
	survives [waitPoints]float64 // descending, the first is 1
	tail     float64             // mean of the excess over the last
}

// set makes w the law l scaled, given that elapsed seconds have passed already. Points are close where the time is unlikely to be shorter, or
// longer, so that small probabilities are as exact as large ones.
func (w *wait) set(l *law, scale, elapsed float64) {
	u := max(elapsed, 0) / scale
	i := l.cell(u)
	w.at[0], w.survives[0], w.n = 0, 1, 1
	w.tail = l.tail * scale
	if i == levels {
		return
	}
	s := l.survival(u)
	last := 1.0
	for ; i < levels; i++ {
		now := above[i] / s
		if last-now >= min(1./24, 0.6*max(1-now, 1e-3), 0.45*now) || i == levels-1 {
			w.at[w.n], w.survives[w.n] = (l.x[i]-u)*scale, now
			last = now
			if w.n++; w.n == waitPoints {
				break
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
// at the middle of the part before t: so the result grows with t.
func (w *wait) convolve(t float64, rest *sums, k int, scale float64) float64 {
	p := 0.0
	for i := 1; i < w.n; i++ {
		a, b := w.at[i-1], w.at[i]
		if a >= t {
			return p
		}
		mass := w.survives[i-1] - w.survives[i]
		if b > t {
			mass *= (t - a) / (b - a)
			b = t
		}
		l, x := rest.at(k, (t-(a+b)/2)/scale)
		p += mass * l.cdf(x)
	}
	// The exponential beyond the last point, in slices of equal length, and what is beyond them.
	a, s := w.at[w.n-1], w.survives[w.n-1]
	if a >= t {
		return p
	}
	const parts, most = 16, 5.0
	length := min(t-a, most*w.tail) / parts
	left := s
	for j := range parts {
		next := s * math.Exp(-float64(j+1)*length/w.tail)
		l, x := rest.at(k, (t-a-(float64(j)+0.5)*length)/scale)
		p += (left - next) * l.cdf(x)
		left = next
	}
	if beyond := t - a - (most+1)*w.tail; beyond > 0 {
		l, x := rest.at(k, beyond/scale)
		p += (left - s*math.Exp(-(t-a)/w.tail)) * l.cdf(x)
	}
	return p
}
