package newsvendor

import "math"

// cumulants are the first three cumulants of a count of independent events. Those of a sum of counts are the sums.
type cumulants struct{ mean, variance, third float64 }

// add adds an event with a probability, sign times.
func (c *cumulants) add(p, sign float64) {
	v := p * (1 - p)
	c.mean += sign * p
	c.variance += sign * v
	c.third += sign * v * (1 - 2*p)
}

// sum adds another count.
func (c *cumulants) sum(o *cumulants) {
	c.mean += o.mean
	c.variance += o.variance
	c.third += o.third
}

// tail answers how likely it is that at least k of the events of a count happen, for one k after the other. What does not depend on k is computed once,
// and the terms of the distribution are added up from where they were left: most is asked for k that grow one by one, of counts that seldom change.
type tail struct {
	of       cumulants
	prepared bool
	// Of a binomial distribution that is shifted: the number of events, the odds of each, by how much it is shifted, and the probability of none.
	n, odds, shift, none float64
	// Added up so far, and before the last term: how many terms, their sum, and the next one.
	now, before partial
	// Of Edgeworth's correction, where many are expected.
	sigma, skewness float64
}

// partial is a sum of the first terms of a distribution.
type partial struct{ terms, sum, next float64 }

// set has the tail answer for a count.
func (t *tail) set(c cumulants) {
	if t.of != c {
		t.of, t.prepared = c, false
	}
}

// atLeast returns the probability that at least k of the events happen, approximately: by a binomial distribution that is shifted, with the
// same cumulants, where they are few, and otherwise by the normal distribution with Edgeworth's correction for the skewness. The first is
// exact if all that are not certain are equally likely.
func (t *tail) atLeast(k int) float64 {
	c := &t.of
	if k <= 0 {
		return 1
	}
	if c.mean < 1e-9 || c.mean < 0.1 && k > 5 || c.mean < 0.01 && k > 2 { // it is at most the k-th power of the mean
		return 0
	}
	if c.variance < 1e-12 {
		if c.mean > float64(k)-0.5 {
			return 1
		}
		return 0
	}
	if over := float64(k) - 0.5 - c.mean; over*over > 16 && over*over > 49*c.variance {
		if over < 0 {
			return 1
		}
		return 0
	}
	if !t.prepared {
		t.prepare()
	}
	if c.variance > 6 {
		x := (float64(k) - 0.5 - c.mean) / t.sigma
		p := math.Erfc(x/math.Sqrt2)/2 + t.skewness*(x*x-1)*math.Exp(-x*x/2)/(6*math.Sqrt(2*math.Pi))
		return min(max(p, 0), 1)
	}
	threshold := float64(k) - t.shift
	whole := math.Floor(threshold + 1e-9)
	share := max(threshold-whole, 0)
	// The distribution function at the threshold, linear between whole numbers.
	s := &t.now
	if s.terms > whole {
		if s = &t.before; s.terms > whole {
			t.now = partial{next: t.none}
			s = &t.now
		}
	}
	for s.terms < whole {
		t.before = *s
		s.sum += s.next
		s.next *= max(t.n-s.terms, 0) / (s.terms + 1) * t.odds
		s.terms++
	}
	below := s.sum
	if whole >= 0 {
		below += share * s.next
	}
	return min(max(1-below, 0), 1)
}

// prepare computes what does not depend on how many are asked for.
func (t *tail) prepare() {
	c := &t.of
	t.prepared = true
	if c.variance > 6 {
		t.sigma = math.Sqrt(c.variance)
		t.skewness = c.third / (c.variance * t.sigma)
		return
	}
	p := min(max((1-c.third/c.variance)/2, 1e-6), 1-1e-6)
	t.n = c.variance / (p * (1 - p))
	t.shift = c.mean - t.n*p
	t.none, t.odds = math.Exp(t.n*math.Log1p(-p)), p/(1-p)
	t.now = partial{next: t.none}
	t.before = t.now
}
