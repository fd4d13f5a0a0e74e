package requests

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/tppfaas/tppfaas/internal/num"
)

// studentGap is a gap whose logarithm has Student's t distribution.
type studentGap struct{ log distuv.StudentsT }

func (g studentGap) LogProb(t float64) float64 { return g.log.LogProb(math.Log(t)) - math.Log(t) }

func (g studentGap) CDF(t float64) float64 { return g.log.CDF(math.Log(t)) }

func (g studentGap) LogSurvival(t float64) float64 {
	return math.Log(g.log.CDF(2*g.log.Mu - math.Log(t))) // by symmetry: 1 − CDF is not exact in the tail
}

// The prior of the standard deviation of the logarithm of a gap counts as priorGaps gaps that deviate by priorSpread: requests that come by a timer are
// taken for as exact as that only once they have come as often.
const priorGaps, priorSpread = 1, 0.1

// fitStudent returns the predictive distribution of the next gap where the logarithms are normal and neither their mean nor their variance is known: it is as
// wide as a few gaps leave it, and becomes log-normal. The prior of the mean is flat, that of the variance is conjugate (Gelman et al., "Bayesian
// Data Analysis" (2013), section 3.3).
func fitStudent(gaps []float64) (distribution, error) {
	var m num.Moments
	for _, g := range gaps {
		m.Add(math.Log(g))
	}
	n := float64(len(gaps))
	freedom := n - 1 + priorGaps
	variance := (m.SS + priorGaps*priorSpread*priorSpread) / freedom
	sigma := math.Sqrt(max(variance*(1+1/n), minSpread*minSpread))
	return studentGap{distuv.StudentsT{Mu: m.Mean, Sigma: sigma, Nu: freedom}}, nil
}

// steadily is the Bayes factor from which on a few gaps are taken to be more regular than those of a Poisson process.
const steadily = 20

// firstForetold is the first gap that counts for the comparison: those before say how long gaps are at all.
const firstForetold = 2

// steady reports whether a few gaps are more regular than those of a Poisson process: whether they are more likely by that factor, each foretold
// after those before it.
func steady(gaps []float64) bool {
	evidence := 0.0
	for i := firstForetold; i < len(gaps); i++ {
		before := gaps[:i]
		d, err := fitStudent(before)
		if err != nil {
			return false
		}
		p := gammaPoisson{a: float64(i) + 1, b: total(before), keep: 1}
		evidence += d.LogProb(gaps[i]) - p.logDensity(gaps[i])
	}
	return evidence > math.Log(steadily)
}
