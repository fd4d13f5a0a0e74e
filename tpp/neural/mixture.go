package neural

import (
	"cmp"
	"fmt"
	"math"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// LogNormMix predicts a mixture of log-normals for the inter time (Shchur et al. 2020, section 3.2; TppFaaS, III-B).
const LogNormMix Kind = "lognormmix"

func setMixtureDefaults(c *Config) { c.NumComponents = cmp.Or(c.NumComponents, 64) }

func validateMixture(c *Config) error {
	if c.NumComponents < 1 || c.NumComponents > maxSize {
		return fmt.Errorf("the number of components is %d, it must be from 1 to %d", c.NumComponents, maxSize)
	}
	if c.MarkTimeSize < 0 || c.MarkTimeSize > maxSize {
		return fmt.Errorf("the number of hidden units by which the time depends on the mark is %d, it must be from 0 to %d", c.MarkTimeSize, maxSize)
	}
	if c.TimeHead != "" {
		return fmt.Errorf("a %s has no time head %q", c.Kind, c.TimeHead)
	}
	return nil
}

// densityHead scores gaps by the density of a log-normal mixture, as the paper does.
type densityHead[F nn.Float] struct{}

func (densityHead[F]) outputs(c *Config) (string, int) { return "linear", 3 * c.NumComponents }

func (densityHead[F]) density() bool { return true }

func (densityHead[F]) score(out []F, t *targets[F], memory []F, scale F) float64 {
	return nn.MixtureNLL(out, t.x, memory, scale)
}

func (densityHead[F]) survival(out []F, t *targets[F], memory []F, scale F) float64 {
	return nn.MixtureSurvival(out, t.x[0], memory, scale)
}

// tickHead scores gaps by the probability of the tick of the clock that they lie in, gap ± Resolution/2.
type tickHead[F nn.Float] struct{ densityHead[F] }

func (tickHead[F]) density() bool { return false }

func (tickHead[F]) score(out []F, t *targets[F], memory []F, scale F) float64 {
	return nn.MixtureTickNLL(out, t.tick, t.width, memory, scale)
}

// mixturePredictor predicts a mixture of log-normals.
type mixturePredictor struct {
	norm      normalisation
	predicted nn.Mixture // the outputs of the time layer, as a mixture in standardised log time
	mix       dist.LogNormMix
}

func newMixturePredictor(c *Config, norm normalisation, out []float32) *mixturePredictor {
	k := c.NumComponents
	return &mixturePredictor{
		norm: norm, predicted: nn.NewMixture(out),
		mix: dist.LogNormMix{LogWeights: make([]float64, k), Mu: make([]float64, k), Sigma: make([]float64, k)},
	}
}

func (p *mixturePredictor) distribution() dist.Distribution { return &p.mix }

func (p *mixturePredictor) predict() {
	p.predicted.Exponentiate()
	mixtureOf(&p.mix, &p.predicted, p.norm)
}

// Median returns the median to about six digits. Computed in float32, it takes a fraction of the time of LogNormMix.Median.
func (p *mixturePredictor) Median() float64 {
	return math.Exp(p.norm.Mean + p.norm.Std*p.predicted.Median())
}

// mixtureOf converts a mixture of normals in standardised log time to one of log-normals in the time unit, by
// log τ = mean + std·x. The log weights are not normalised.
func mixtureOf(mix *dist.LogNormMix, predicted *nn.Mixture, norm normalisation) {
	for i := range mix.Mu {
		mix.Mu[i] = norm.Mean + norm.Std*float64(predicted.Locations[i])
		mix.Sigma[i] = norm.Std * nn.ClampScale(float64(predicted.Scales[i]))
		mix.LogWeights[i] = float64(predicted.Logits[i])
	}
}
