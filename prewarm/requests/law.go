package requests

import "math"

// A law is the distribution of a time above 0, in seconds, as its quantiles at fixed levels. Between two of them the density is constant,
// below the first it is a power of the time, and beyond the last the hazard is constant: it is neither 0 nor infinite anywhere. The levels are evenly
// spaced in the logit, so that both tails have as many as the middle, and sharp and heavy-tailed laws are described equally well.
type law struct {
	x    [levels]float64 // strictly increasing
	head float64         // below the first, the probability of less than t goes with t to this power
	none float64         // the probability of less than this is below 1e-6, and counts as 0
	all  float64         // that of more than this is below 1e-9, and counts as 0 in cdf
	tail float64         // mean of the excess over the last
	mean float64
}

// Levels: logits from −maxLogit to maxLogit.
const (
	maxLogit      = 9
	levelsPerUnit = 8
	levels        = 2*maxLogit*levelsPerUnit + 1
)

// below and above are the probabilities of each level and their complements.
var below, above = func() (p, q [levels]float64) {
	for i := range levels {
		z := float64(i)/levelsPerUnit - maxLogit
		p[i], q[i] = 1/(1+math.Exp(-z)), 1/(1+math.Exp(z))
	}
	return p, q
}()

// newLaw tabulates a distribution whose density is positive somewhere above 0.
func newLaw(d distribution) *law {
	l := &law{}
	low := -60.0 // log of a time
	for i := range levels {
		high := max(low, 0) + 1
		for !reaches(d, math.Exp(high), i) && high < 60 {
			high = high + (high - low) + 1
		}
		a := low
		for high-a > 1e-7*(1+math.Abs(a)) {
			if m := a + (high-a)/2; reaches(d, math.Exp(m), i) {
				high = m
			} else {
				a = m
			}
		}
		low = a
		l.x[i] = math.Exp(high)
	}
	l.finish()
	return l
}

// reaches reports whether the level is reached at t.
func reaches(d distribution, t float64, level int) bool {
	if level < levels/2 {
		return d.CDF(t) >= below[level]
	}
	return d.LogSurvival(t) <= math.Log(above[level])
}

// finish makes the quantiles strictly increasing, and computes the tail and the mean.
func (l *law) finish() {
	l.x[0] = max(l.x[0], math.SmallestNonzeroFloat64)
	for i := 1; i < levels; i++ {
		l.x[i] = max(l.x[i], l.x[i-1]*(1+1e-12), math.Nextafter(l.x[i-1], math.Inf(1)))
	}
	// The survival falls by a factor e over the last unit of the logit, but for rounding.
	l.tail = max((l.x[levels-1]-l.x[levels-1-levelsPerUnit])/levelOdds, 1e-9*l.x[levels-1])
	l.head = min(max(levelOdds/math.Log(l.x[levelsPerUnit]/l.x[0]), 0.05), 1e6)
	l.none = l.x[0] * math.Exp(-5/l.head)
	l.all = l.x[levels-1] + 12*l.tail
	l.mean = below[0]*l.x[0]*l.headMean() + above[levels-1]*(l.x[levels-1]+l.tail)
	for i := 1; i < levels; i++ {
		l.mean += l.mass(i) * (l.x[i-1] + l.x[i]) / 2
	}
}

// levelOdds is the logarithm of the ratio of the probabilities of the two outermost whole units of the logit.
var levelOdds = math.Log(below[levelsPerUnit] / below[0])

// headMean returns the mean of what is below the first level, relative to that.
func (l *law) headMean() float64 { return l.head / (l.head + 1) }

// mass returns the probability of the cell between level i−1 and level i.
func (l *law) mass(i int) float64 {
	if i < levels/2 {
		return below[i] - below[i-1]
	}
	return above[i-1] - above[i]
}

// spread returns the distance of two quantiles around the middle, with about half of the probability between them.
func (l *law) spread() float64 { return l.x[levels/2+levelsPerUnit] - l.x[levels/2-levelsPerUnit] }

// cell returns the first level above t, levels if there is none.
func (l *law) cell(t float64) int {
	i, j := 0, levels
	for i < j {
		if h := int(uint(i+j) >> 1); l.x[h] <= t {
			i = h + 1
		} else {
			j = h
		}
	}
	return i
}

// cdf returns the probability of at most t.
func (l *law) cdf(t float64) float64 {
	switch {
	case !(t > l.none):
		return 0
	case t > l.all:
		return 1
	}
	return l.cdfIn(l.cell(t), t)
}

func (l *law) cdfIn(i int, t float64) float64 {
	switch {
	case !(t > l.none):
		return 0
	case t > l.all:
		return 1
	case i == 0:
		return below[0] * math.Exp(l.head*math.Log(t/l.x[0]))
	case i == levels:
		return 1 - above[levels-1]*math.Exp(-(t-l.x[levels-1])/l.tail)
	}
	return below[i-1] + (below[i]-below[i-1])*(t-l.x[i-1])/(l.x[i]-l.x[i-1])
}

// survival returns the probability of more than t. It is 0 only where the number underflows.
func (l *law) survival(t float64) float64 {
	i := l.cell(t)
	switch {
	case !(t > 0):
		return 1
	case i == 0:
		return 1 - below[0]*math.Pow(t/l.x[0], l.head)
	case i == levels:
		return above[levels-1] * math.Exp(-(t-l.x[levels-1])/l.tail)
	}
	return above[i-1] - (above[i-1]-above[i])*(t-l.x[i-1])/(l.x[i]-l.x[i-1])
}

// logSurvival returns the log probability of more than t, which is finite for every finite t.
func (l *law) logSurvival(t float64) float64 {
	if t > l.x[levels-1] {
		return math.Log(above[levels-1]) - (t-l.x[levels-1])/l.tail
	}
	return math.Log(l.survival(t))
}

// logDensity returns the log density at t.
func (l *law) logDensity(t float64) float64 {
	switch i := l.cell(t); i {
	case 0:
		return math.Log(below[0]*l.head/l.x[0]) + (l.head-1)*math.Log(t/l.x[0])
	case levels:
		return math.Log(above[levels-1]/l.tail) - (t-l.x[levels-1])/l.tail
	default:
		return math.Log(l.mass(i) / (l.x[i] - l.x[i-1]))
	}
}

// plus returns the law of the sum of two independent times with the laws l and o, no quantile of which is below that of least. It is computed
// at the sums of the quantiles, which are wider than the result, and once more at what that gives.
func (l *law) plus(o, least *law) *law {
	sum := &law{}
	for i := range levels {
		sum.x[i] = l.x[i] + o.x[i]
	}
	for range 2 {
		var points, logits [levels]float64
		points = sum.x
		for i, x := range points {
			logits[i] = logit(l.sumAt(o, x))
			if i > 0 {
				logits[i] = max(logits[i], logits[i-1])
			}
		}
		j := 0
		for i := range levels {
			z := float64(i)/levelsPerUnit - maxLogit
			for j < levels && logits[j] < z {
				j++
			}
			switch {
			case j == 0:
				sum.x[i] = points[0] * math.Exp(z-logits[0]) // the density is about constant there
			case j == levels:
				sum.x[i] = points[levels-1] + (l.tail+o.tail)*(z-logits[levels-1])
			default:
				sum.x[i] = points[j-1] + (points[j]-points[j-1])*(z-logits[j-1])/(logits[j]-logits[j-1])
			}
		}
		for i := range levels {
			sum.x[i] = max(sum.x[i], least.x[i])
		}
		sum.finish()
		sum.head, sum.tail = max(sum.head, least.head), max(sum.tail, least.tail)
		sum.none, sum.all = max(sum.none, least.none), max(sum.all, least.all)
	}
	return sum
}

// sumAt returns the probability that the sum of two independent times is at most x, and its complement.
func (l *law) sumAt(o *law, x float64) (at, over float64) {
	i := levels // cell of o at x − y, which falls as y grows
	cdf := func(t float64) float64 {
		for i > 0 && (i == levels && o.x[levels-1] > t || i < levels && o.x[i-1] > t) {
			i--
		}
		return o.cdfIn(i, t)
	}
	add := func(mass, y float64) {
		p := cdf(x - y)
		at += mass * p
		over += mass * (1 - p)
	}
	if x <= l.x[0] {
		part := l.cdfIn(0, x)
		add(part, x*l.headMean())
		return at, over + 1 - part
	}
	add(below[0], l.x[0]*l.headMean())
	for c := 1; c < levels; c++ {
		a, b, m := l.x[c-1], l.x[c], l.mass(c)
		if x <= b {
			part := m * (x - a) / (b - a)
			add(part, (a+x)/2)
			return at, over + m - part + above[c]
		}
		add(m, (a+b)/2)
	}
	// The tail: the exponential beyond the last level, in two halves of equal probability.
	add(above[levels-1]/2, l.x[levels-1]+0.3069*l.tail)
	add(above[levels-1]/2, l.x[levels-1]+1.6931*l.tail)
	return at, over
}

// logit returns log(p/q).
func logit(p, q float64) float64 {
	return math.Log(max(p, math.SmallestNonzeroFloat64)) - math.Log(max(q, math.SmallestNonzeroFloat64))
}
