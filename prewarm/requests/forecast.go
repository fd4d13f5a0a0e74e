package requests

import (
	"math"

	"github.com/tppfaas/tppfaas/prewarm"
)

// Forecast says when the next requests come, as seen at the moment At: times count in seconds from then on. It is a value: it may be copied,
// and does not change when the process goes on. The zero value says that no request ever comes.
//
// It is a mixture of a few branches, which differ in the model that they follow and in what the next request is (in a burst the next of it, or the
// first of another). In most the time to the next request has a piecewise constant density, and the sums of the gaps after it were tabulated when
// the model was fitted.
type Forecast struct {
	// At is when the forecast was made.
	At prewarm.Time

	numBranches int
	branches    [maxBranches]branch
}

// maxBranches is the largest number of branches; a process leaves out those of the least weight before it needs more.
const maxBranches = 10

// branch is one way in which requests may come.
type branch struct {
	weight float64
	kind   branchKind
	// a and b are the shape and the rate in seconds of the gamma distribution of the rate of a gammaPoissonBranch; of a timetableBranch the time
	// that has passed since the last request was due, and the period, in seconds.
	a, b float64
	// law is that of the time from when a request is due until the next one comes, of a timetableBranch.
	law *law
	// hawkes is the state of a hawkesBranch.
	hawkes excited
	// first is the wait for the first request, of a timetableBranch and a renewalBranch, and rest what follows it, of the latter.
	first wait
	rest  rest
	// cycle, if not nil, turns times from phase on into those in which the rate is constant on average.
	cycle *cycle
	phase float64
}

type branchKind uint8

const (
	gammaPoissonBranch branchKind = iota
	renewalBranch
	hawkesBranch
	timetableBranch
)

// add returns a branch more, of which the caller sets what its kind needs; nil if there is no room.
func (f *Forecast) add(kind branchKind, weight float64) *branch {
	if f.numBranches == maxBranches {
		return nil
	}
	b := &f.branches[f.numBranches]
	f.numBranches++
	b.kind, b.weight, b.cycle = kind, weight, nil
	return b
}

// AtLeast returns the probability that at least k requests come within t seconds. It falls as k grows, and grows with t, but for errors of
// at most 0.002.
func (f *Forecast) AtLeast(k int, t float64) float64 {
	if k <= 0 {
		return 1
	}
	if !(t > 0) {
		return 0
	}
	t = min(t, maxSeconds)
	p := 0.0
	for i := range f.branches[:f.numBranches] {
		b := &f.branches[i]
		p += b.weight * b.atLeast(k, t)
	}
	return min(p, 1)
}

// Survival returns the probability that no request comes within t seconds.
func (f *Forecast) Survival(t float64) float64 { return 1 - f.AtLeast(1, t) }

// Mean returns the expected number of requests within t seconds: the sum of AtLeast over all numbers, of which from 32 on only some are
// computed, and those between read off straight lines. It takes as long as so many calls of AtLeast.
func (f *Forecast) Mean(t float64) float64 {
	sum, last, step := 0.0, 0.0, 1
	for k := 1; k < 1e6; k += step {
		p := f.AtLeast(k, t)
		if k == 1 {
			last = p
			sum = p
		} else {
			// The numbers from k − step + 1 to k.
			n := float64(step)
			sum += p*n + (last-p)*(n-1)/2
			last = p
		}
		if p < 1e-6 {
			break
		}
		if k >= 32 {
			step = k / 16
		}
	}
	return sum
}

// Quantile returns a time in seconds by which the k-th request from now, k ≥ 1, has come with a probability from p to 1.01·p, or where the
// probability jumps, the time of it to three digits. It is +Inf if that is never.
func (f *Forecast) Quantile(k int, p float64) float64 {
	if !(p > 0) {
		return 0
	}
	// Bracket the quantile by factors.
	low, high := 0.0, 1.0
	pLow, pHigh := 0.0, f.AtLeast(k, high)
	if pHigh < p {
		for pHigh < p {
			if high >= maxSeconds {
				return math.Inf(1)
			}
			low, pLow = high, pHigh
			high *= 8
			pHigh = f.AtLeast(k, high)
		}
	} else {
		for low = high / 8; low > minSeconds; low /= 8 {
			if pLow = f.AtLeast(k, low); pLow < p {
				break
			}
			high, pHigh = low, pLow
		}
		if pLow >= p {
			low, pLow = 0, 0
		}
	}
	// The bracket is halved as long as the probability goes from far below to far above; then follows the Illinois variant of the rule of false
	// position (Dowell and Jarratt, BIT 11, 1971), kept off the ends of the bracket, and halving in every fourth step.
	side, a, b := 0, pLow-p, pHigh-p
	for n := 1; high-low > 2e-4*high && pHigh > 1.01*p && n < 80; n++ {
		m := low + (high-low)/2
		if n%4 != 0 && (pHigh < 3*p || pLow > p/3) {
			m = low + (high-low)*min(max(-a/(b-a), 0.01), 0.99)
		}
		at := f.AtLeast(k, m)
		if at >= p {
			high, pHigh, b = m, at, at-p
			if side == 1 {
				a /= 2
			}
			side = 1
		} else {
			low, pLow, a = m, at, at-p
			if side == -1 {
				b /= 2
			}
			side = -1
		}
	}
	return high
}

// Quantiles sets each of t to the time in seconds by which the k-th request from now, k ≥ 1, has come with the probability at the same place in
// p, which ascends. It is much faster than as many calls of Quantile, and less exact: the distribution is taken to be a straight line where the
// probability grows by no more than 0.06.
func (f *Forecast) Quantiles(k int, p, t []float64) {
	if len(p) == 0 {
		return
	}
	for i := range p {
		t[i] = math.Inf(1)
	}
	// Brackets from the first quantile on, each twice as far as the one before.
	low := f.Quantile(k, p[0])
	if math.IsInf(low, 1) {
		return
	}
	t[0] = low
	n := 1
	if low == 0 {
		low = minSeconds
	}
	pLow := f.AtLeast(k, low)
	for n < len(p) && low < maxSeconds {
		high := 2 * low
		pHigh := f.AtLeast(k, high)
		n = f.between(k, low, high, pLow, pHigh, p, t, n)
		low, pLow = high, pHigh
	}
}

// between sets those of t from the n-th on whose probabilities are at most that of high, and returns the first that is left.
func (f *Forecast) between(k int, low, high, pLow, pHigh float64, p, t []float64, n int) int {
	if n == len(p) || p[n] > pHigh {
		return n
	}
	if pHigh-pLow > straight && high-low > 1e-4*high {
		m := low + (high-low)/2
		pm := f.AtLeast(k, m)
		n = f.between(k, low, m, pLow, pm, p, t, n)
		return f.between(k, m, high, pm, pHigh, p, t, n)
	}
	for ; n < len(p) && p[n] <= pHigh; n++ {
		t[n] = low
		if p[n] > pLow {
			t[n] = low + (high-low)*(p[n]-pLow)/(pHigh-pLow)
		}
	}
	return n
}

// straight is how much the probability grows where Quantiles takes the distribution to be a straight line.
const straight = 0.06

// Bounds of the times that quantiles are looked for in, in seconds; what has not come until the last does not come.
const (
	minSeconds = 1e-9
	maxSeconds = 1e12
)

func (b *branch) atLeast(k int, t float64) float64 {
	if b.cycle != nil {
		t = b.cycle.between(b.phase, t)
	}
	switch {
	case b.kind == gammaPoissonBranch && k == 1:
		return -math.Expm1(-b.a * math.Log1p(t/b.b))
	case b.kind == gammaPoissonBranch:
		return negativeBinomial(k, b.a, t/(b.b+t))
	case b.kind == hawkesBranch:
		return b.hawkes.atLeast(k, t)
	case k == 1:
		return 1 - b.first.survival(t)
	case b.kind == timetableBranch:
		return min(b.law.cdf(b.a+t-float64(k-1)*b.b), 1-b.first.survival(t))
	}
	return b.first.convolve(t, &b.rest, k-1)
}
