package classical

import (
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/internal/num"
)

// The expectation step of the EM algorithm is where a fit spends its time: each gap meets each component, some hundred times. So
// what depends on a component alone is computed once a step, a gap takes one exponential for each component that can matter, and
// components that cannot are left out for whole runs of neighbouring gaps.

// negligible is a log probability, relative to the sum that it belongs to, below which a term does not matter: fits end when the
// objective grows by less than 1e-8 an event, and e⁻³⁰ is 1e-13.
const negligible = -30

// runLength is the number of neighbouring gaps for which the components are chosen together.
const runLength = 64

// scratch is the memory of an expectation step.
type scratch struct {
	terms []gaussTerm
	live  []int     // components that matter for a run of gaps
	logs  []float64 // of each of them
	tails []tailTerm
	hits  []tailHit
}

// gaussTerm is a component prepared for the mean log density of log τ over the tick of a gap, with its weight:
// constant − precision·((mean − mu)² + variance).
type gaussTerm struct{ constant, precision, mu float64 }

// term returns the component prepared for an expectation step.
func (c *component) term() gaussTerm {
	return gaussTerm{math.Log(c.weight) - math.Log(c.sigma) - 0.5*math.Log(2*math.Pi), 0.5 / (c.sigma * c.sigma), c.mu}
}

// expect adds the gaps of the class, which are sorted, to the statistics of its components. It returns the sum of the log densities
// of the mixture.
func (c *gapClass) expect(stats []expected, s *scratch) (objective float64) {
	s.terms = s.terms[:0]
	for i := range c.components {
		s.terms = append(s.terms, c.components[i].term())
	}
	for run := range slices.Chunk(c.gaps, runLength) {
		s.live = liveTerms(s.terms, run, s.live[:0])
		for i := range run {
			gap := &run[i]
			s.logs = s.logs[:0]
			top := math.Inf(-1)
			for _, k := range s.live {
				t := &s.terms[k]
				d := gap.mean - t.mu
				v := t.constant - t.precision*(d*d+gap.variance)
				s.logs = append(s.logs, v)
				top = max(top, v)
			}
			total := 0.0
			for j, v := range s.logs {
				p := 0.0
				if v -= top; v > negligible {
					p = expNegative(v)
				}
				s.logs[j] = p
				total += p
			}
			objective += gap.count * (top + math.Log(total))
			scale := gap.count / total
			for j, k := range s.live {
				if p := scale * s.logs[j]; p > 0 {
					d := gap.mean - s.terms[k].mu
					stats[k].add(p, d, d*d+gap.variance)
				}
			}
		}
	}
	return objective
}

// expNegative returns exp(x) for −700 ≤ x ≤ 0 to 13 digits, in half the time of math.Exp. With x = k log 2 + r, |r| ≤ (log 2)/2, it is 2ᵏ
// times a Taylor polynomial of r.
func expNegative(x float64) float64 {
	const (
		round = 0x1.8p52                   // adding it rounds to a whole number
		high  = 6.93147180369123816490e-01 // log 2 in two parts (fdlibm), so that k·high is exact
		low   = 1.90821492927058770002e-10
	)
	k := float64(x*math.Log2E) + round
	exponent := int64(math.Float64bits(k)<<12) >> 12 // the last bits of k + round are k, in two's complement
	k -= round
	r := (x - k*high) - k*low
	r2 := r * r
	r4 := r2 * r2
	p := (1 + r) + r2*(1./2+r*(1./6)) + r4*((1./24+r*(1./120))+r2*(1./720+r*(1./5040))) + r4*r4*((1./40320+r*(1./362880))+r2*(1./3628800))
	return math.Float64frombits(math.Float64bits(p) + uint64(exponent)<<52)
}

// liveTerms appends the components that can matter for any of a run of sorted gaps: those whose highest log density over the run
// is not negligible beside the lowest of some other one.
func liveTerms(terms []gaussTerm, run []logGap, live []int) []int {
	first, last := run[0].mean, run[len(run)-1].mean
	narrow, wide := math.Inf(1), 0.0
	for i := range run {
		narrow, wide = min(narrow, run[i].variance), max(wide, run[i].variance)
	}
	floor := math.Inf(-1)
	for i := range terms {
		t := &terms[i]
		far := max(math.Abs(first-t.mu), math.Abs(last-t.mu))
		floor = max(floor, t.constant-t.precision*(far*far+wide))
	}
	for k := range terms {
		t := &terms[k]
		near := max(first-t.mu, t.mu-last, 0)
		if t.constant-t.precision*(near*near+narrow) >= floor+negligible {
			live = append(live, k)
		}
	}
	return live
}

// openGap is the time for which nothing came in sequences that were still running.
type openGap struct {
	log   float64
	count float64 // of sequences that waited as long
}

// newOpenGaps sorts times, and counts those that are equal.
func newOpenGaps(waited []float64) []openGap {
	var out []openGap
	for _, w := range slices.Sorted(slices.Values(waited)) {
		if last := len(out) - 1; last >= 0 && out[last].log == math.Log(w) {
			out[last].count++
		} else {
			out = append(out, openGap{math.Log(w), 1})
		}
	}
	return out
}

// tailTerm is a component of a class, prepared for the probability that an event of the class comes next from this component after a
// longer gap: share·Φ(−z).
type tailTerm struct {
	class, component int
	share, mu, sigma float64
}

// tailHit is a tailTerm that matters for one open gap.
type tailHit struct {
	term  int
	z     float64 // (log waited − mu)/sigma
	tail  float64 // Φ(−z)
	value float64 // share·Φ(−z)
}

// negligibleShare is exp(negligible).
const negligibleShare = 1e-13

// termsOfTails prepares the components, the backgrounds of all classes one after the other.
func (g *gapMixtures) termsOfTails() {
	tails := g.scratch.tails[:0]
	for _, background := range []bool{true, false} {
		for i := range g.classes {
			c := &g.classes[i]
			for k, comp := range c.components {
				if comp.weight > 0 && background == (k == len(c.components)-1) {
					tails = append(tails, tailTerm{i, k, c.share * comp.weight, comp.mu, comp.sigma})
				}
			}
		}
	}
	g.scratch.tails = tails
}

// expectOpen adds a sequence in which no event came for some time and which was over with the probability over. If it was
// not over, the next gap is longer: the part of a normal distribution beyond μ + σz has the mean μ + σh and the mean
// squared distance σ²(1 + zh) from μ, where h = φ(z)/Φ(−z). It returns the log probability that no event came, and the
// probability that the sequence was over given that.
func (g *gapMixtures) expectOpen(o openGap, over float64, stats [][]expected, added []float64) (objective, end float64) {
	s := &g.scratch
	s.hits = s.hits[:0]
	total := over
	var last tailHit
	for i := range s.tails {
		t := &s.tails[i]
		if z := (o.log - t.mu) / t.sigma; i == 0 || z != last.z { // the backgrounds of all classes are alike
			last = tailHit{z: z, tail: normalTail(z)}
		}
		if v := t.share * last.tail; v > negligibleShare*total {
			s.hits = append(s.hits, tailHit{i, last.z, last.tail, v})
			total += v
		}
	}
	if total < 1e-200 {
		return g.expectOpenFar(o, over, stats, added)
	}
	for _, hit := range s.hits {
		if hit.value < negligibleShare*total {
			continue
		}
		t := &s.tails[hit.term]
		p := o.count * hit.value / total
		h := math.Exp(-0.5*(hit.z*hit.z+math.Log(2*math.Pi))) / hit.tail
		stats[t.class][t.component].add(p, t.sigma*h, t.sigma*t.sigma*(1+hit.z*h))
		added[t.class] += p
	}
	return math.Log(total), over / total
}

// expectOpenFar is expectOpen where the probabilities underflow: it computes with their logarithms.
func (g *gapMixtures) expectOpenFar(o openGap, over float64, stats [][]expected, added []float64) (objective, end float64) {
	tails := g.scratch.tails
	logs := make([]float64, len(tails))
	total := math.Log(over)
	for i, t := range tails {
		logs[i] = math.Log(t.share) + logNormalTail((o.log-t.mu)/t.sigma)
		total = num.LogAddExp(total, logs[i])
	}
	for i, t := range tails {
		p := o.count * math.Exp(logs[i]-total)
		if p == 0 {
			continue
		}
		z := (o.log - t.mu) / t.sigma
		h := math.Exp(-0.5*(z*z+math.Log(2*math.Pi)) - logNormalTail(z))
		stats[t.class][t.component].add(p, t.sigma*h, t.sigma*t.sigma*(1+z*h))
		added[t.class] += p
	}
	return total, math.Exp(math.Log(over) - total)
}

// normalTail returns Φ(−z), the probability that a standard normal variable is above z.
func normalTail(z float64) float64 {
	if z < -8.5 { // 1 − Φ(−z) is below rounding
		return 1
	}
	return 0.5 * math.Erfc(z/math.Sqrt2)
}

// logNormalTail returns log Φ(−z), the log probability that a standard normal variable is above z.
func logNormalTail(z float64) float64 {
	switch {
	case z < -8.5: // 1 − Φ(−z) is below rounding
		return 0
	case z < 0:
		return math.Log1p(-0.5 * math.Erfc(-z/math.Sqrt2))
	case z < 35:
		return math.Log(0.5 * math.Erfc(z/math.Sqrt2))
	}
	// The asymptotic series (Abramowitz and Stegun 7.1.23), whose first term left out is below 1e-12 here.
	x := 1 / (z * z)
	return -0.5*(z*z+math.Log(2*math.Pi)) - math.Log(z) + math.Log1p(-x*(1-x*(3-x*(15-x*105))))
}
