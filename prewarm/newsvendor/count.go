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

// atLeast returns the probability that at least k of the events happen, approximately: by a binomial distribution that is shifted, with the
// same cumulants, where they are few, and otherwise by the normal distribution with Edgeworth's correction for the skewness. The first is
// exact if all that are not certain are equally likely.
func (c *cumulants) atLeast(k int) float64 {
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
	if c.variance > 6 {
		sigma := math.Sqrt(c.variance)
		x := (float64(k) - 0.5 - c.mean) / sigma
		skewness := c.third / (c.variance * sigma)
		p := math.Erfc(x/math.Sqrt2)/2 + skewness*(x*x-1)*math.Exp(-x*x/2)/(6*math.Sqrt(2*math.Pi))
		return min(max(p, 0), 1)
	}
	p := min(max((1-c.third/c.variance)/2, 1e-6), 1-1e-6)
	n := c.variance / (p * (1 - p))
	threshold := float64(k) - (c.mean - n*p)
	whole := math.Floor(threshold + 1e-9)
	share := max(threshold-whole, 0)
	// The distribution function at the threshold, linear between whole numbers.
	q := math.Exp(n * math.Log1p(-p))
	below, odds := 0.0, p/(1-p)
	for i := 0.0; i < whole; i++ {
		below += q
		q *= max(n-i, 0) / (i + 1) * odds
	}
	if whole >= 0 {
		below += share * q
	}
	return min(max(1-below, 0), 1)
}
