package requests

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"

	"github.com/tppfaas/tppfaas/internal/num"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// minSpread is the least standard deviation of the logarithm of a gap that a law is given: gaps that were all equal will not be so to more than
// one part in a thousand.
const minSpread = 1e-3

// minGap is the least gap in seconds; shorter ones count as that long.
const minGap = 1e-4

// distribution is the distribution of a gap in seconds, as dist.Distribution has it.
type distribution interface {
	LogProb(t float64) float64
	CDF(t float64) float64
	LogSurvival(t float64) float64
}

// fitGaps fits a distribution to gaps, of which there is at least one.
type fitGaps func(gaps []float64) (distribution, error)

// gapKinds are the distributions that gaps may have, the simplest first.
var gapKinds = []struct {
	name string
	fit  fitGaps
}{
	{"gamma", fitGamma},
	{"log-normal", fitLogNormal(1)},
	{"mixture of 2 log-normals", fitLogNormal(2)},
	{"mixture of 4 log-normals", fitLogNormal(4)},
	{"smoothed", fitKernel},
}

// withBackground mixes d with a broad log-normal that has the weight of one gap among n + 1: as if one more had been observed anywhere, so
// that no gap is impossible.
func withBackground(d distribution, gaps []float64) distribution {
	var m num.Moments
	for _, g := range gaps {
		m.Add(math.Log(g))
	}
	n := float64(len(gaps))
	return &blend{d, &dist.LogNormMix{LogWeights: []float64{0}, Mu: []float64{m.Mean}, Sigma: []float64{math.Sqrt(1 + m.SS/n)}}, 1 / (n + 1)}
}

// blend is a mixture of two distributions.
type blend struct {
	a, b   distribution
	weight float64 // of b
}

func (d *blend) LogProb(t float64) float64 {
	return num.LogAddExp(math.Log1p(-d.weight)+d.a.LogProb(t), math.Log(d.weight)+d.b.LogProb(t))
}

func (d *blend) CDF(t float64) float64 { return (1-d.weight)*d.a.CDF(t) + d.weight*d.b.CDF(t) }

func (d *blend) LogSurvival(t float64) float64 {
	return num.LogAddExp(math.Log1p(-d.weight)+d.a.LogSurvival(t), math.Log(d.weight)+d.b.LogSurvival(t))
}

// gammaGap is a gamma distribution with a shape and a rate.
type gammaGap struct{ shape, rate float64 }

func (g gammaGap) LogProb(t float64) float64 {
	l, _ := math.Lgamma(g.shape)
	return g.shape*math.Log(g.rate) + (g.shape-1)*math.Log(t) - g.rate*t - l
}

func (g gammaGap) CDF(t float64) float64 { return mathext.GammaIncReg(g.shape, g.rate*t) }

func (g gammaGap) LogSurvival(t float64) float64 {
	return math.Log(mathext.GammaIncRegComp(g.shape, g.rate*t))
}

// fitGamma fits by maximum likelihood, with the Newton steps of Minka ("Estimating a Gamma distribution", 2002), equation 10.
func fitGamma(gaps []float64) (distribution, error) {
	mean, logs := 0.0, 0.0
	for _, g := range gaps {
		mean += g / float64(len(gaps))
		logs += math.Log(g) / float64(len(gaps))
	}
	const most = 1 / (minSpread * minSpread)
	shape := most
	if d := math.Log(mean) - logs; d > 0.5/most {
		shape = 0.5 / d
		for range 50 {
			before := shape
			shape = 1 / (1/shape + (logs-math.Log(mean)+math.Log(shape)-mathext.Digamma(shape))/(shape*shape*(1/shape-mathext.Zeta(2, shape))))
			if math.Abs(shape-before) < 1e-10*shape {
				break
			}
		}
		shape = min(max(shape, 0.01), most)
	}
	return withBackground(gammaGap{shape, shape / mean}, gaps), nil
}

// fitLogNormal fits a mixture of at most k log-normals by EM, as the renewal process of package classical.
func fitLogNormal(k int) fitGaps {
	return func(gaps []float64) (distribution, error) {
		model, err := classical.FitRenewal(context.Background(), sequenceOf(gaps),
			classical.FitOptions{TimeUnit: "s", Resolution: minGap, Components: k})
		if err != nil {
			return nil, err
		}
		state := model.NewState(0)
		if err := state.Observe(tpp.Event{}); err != nil {
			return nil, fmt.Errorf("renewal process of requests: %w", err)
		}
		mix, ok := state.Next(0).Time.(*dist.LogNormMix)
		if !ok {
			return nil, fmt.Errorf("renewal process of requests: gaps are a %T, not a mixture of log-normals", state.Next(0).Time)
		}
		wide := dist.LogNormMix{LogWeights: mix.LogWeights, Mu: mix.Mu}
		for _, s := range mix.Sigma {
			wide.Sigma = append(wide.Sigma, max(s, minSpread))
		}
		return &wide, nil
	}
}

// fitKernel smooths the logarithms of the gaps by a normal kernel, whose width maximises the likelihood of each gap given the others (Duin,
// "On the choice of smoothing parameters for Parzen estimators of probability density functions", IEEE Transactions on Computers 25, 1976).
func fitKernel(gaps []float64) (distribution, error) {
	logs := make([]float64, len(gaps))
	var m num.Moments
	for i, g := range gaps {
		logs[i] = math.Log(g)
		m.Add(logs[i])
	}
	slices.Sort(logs)
	n := float64(len(gaps))
	spread := math.Sqrt(1 + m.SS/n) // of the background
	best, width := math.Inf(-1), 1.0
	others := make([]float64, len(gaps))
	for h := minSpread; h <= 1.1; h *= 1.6 {
		clear(others)
		for i, x := range logs {
			for j := i + 1; j < len(logs); j++ {
				d := (logs[j] - x) / h
				if d > 8 {
					break
				}
				k := math.Exp(-d * d / 2)
				others[i] += k
				others[j] += k
			}
		}
		sum := 0.0
		for i, x := range logs {
			d := (x - m.Mean) / spread
			sum += math.Log(others[i]/h + math.Exp(-d*d/2)/spread)
		}
		if sum > best {
			best, width = sum, h
		}
	}
	// Neighbours within a third of the width count as one, at their mean.
	mix := &dist.LogNormMix{}
	for i := 0; i < len(logs); {
		sum, j := 0.0, i
		for ; j < len(logs) && logs[j]-logs[i] <= width/3; j++ {
			sum += logs[j]
		}
		k := float64(j - i)
		mix.LogWeights, mix.Mu, mix.Sigma = append(mix.LogWeights, math.Log(k)), append(mix.Mu, sum/k), append(mix.Sigma, width)
		i = j
	}
	return withBackground(mix, gaps), nil
}

// heldOutGaps returns the log densities of the gaps by a fit to those before, where gaps are independent.
func heldOutGaps(gaps []float64, fit fitGaps) []float64 {
	var scores []float64
	eachBlock(len(gaps), func(from, to int) {
		d, err := fit(gaps[:from])
		if err != nil {
			return
		}
		for _, g := range gaps[from:to] {
			scores = append(scores, d.LogProb(g))
		}
	})
	return scores
}
