package neural

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// family holds what differs between kinds of recurrent models, except for the head for training, which newHead makes.
type family struct {
	// setDefaults fills in the fields of a configuration that only this kind has, and validate checks them.
	setDefaults func(*Config)
	validate    func(*Config) error
	// newPredictor returns a predictor that converts out, the outputs of the time layer after an event, to a distribution.
	newPredictor func(c *Config, norm normalisation, out []float32) predictor
}

// families lists all kinds of recurrent models. A new one needs a row here, a case in newHead, a file like mixture.go, and
// variants in tpp/internal/modeltest/variants.json, from which the tests take their models.
var families = map[Kind]family{
	LogNormMix: {setMixtureDefaults, validateMixture, asPredictor(newMixturePredictor)},
	TruncNorm:  {setPointDefaults, validatePoint, asPredictor(newPointPredictor)},
}

func asPredictor[P predictor](make func(*Config, normalisation, []float32) P) func(*Config, normalisation, []float32) predictor {
	return func(c *Config, norm normalisation, out []float32) predictor { return make(c, norm, out) }
}

// Kinds returns all kinds of recurrent models, sorted by name.
func Kinds() []Kind {
	return slices.Sorted(maps.Keys(families))
}

// newHead returns the time head for training a model of the configuration.
func newHead[F nn.Float](c *Config, norm normalisation, loss Loss) (timeHead[F], error) {
	switch {
	case c.Kind == LogNormMix && loss == LossDensity:
		return densityHead[F]{}, nil
	case c.Kind == LogNormMix:
		return tickHead[F]{}, nil
	case c.Kind == TruncNorm && c.TimeHead == SoftplusHead:
		return softplusHead[F]{}, nil
	case c.Kind == TruncNorm:
		return logHead[F]{norm}, nil
	}
	return nil, fmt.Errorf("kind of model %q has no head", c.Kind)
}

// predictor computes the distribution of the inter time from the outputs of the time layer. It may also have a method
// Median() float64, which returns the approximate median faster than the distribution does.
type predictor interface {
	// distribution returns the distribution that predict updates, the same at each call.
	distribution() dist.Distribution
	// predict updates the distribution from the current outputs of the time layer.
	predict()
}

// timeHead computes the loss of the outputs of the time layer and its gradient, for training.
type timeHead[F nn.Float] interface {
	// outputs returns the number of outputs of the layer, whose tensors are called name.weight and name.bias.
	outputs(*Config) (name string, n int)
	// score returns the sum over the targets of the log likelihood of their gaps, up to the constant in
	// example.logJacobian, or minus the loss for a head without likelihood. It replaces out, one row per target, by the
	// gradient of −scale times that sum.
	score(out []F, t *targets[F], memory []F, scale F) float64
	// density reports whether score is a density over standardised log time, to which example.logJacobian must be added.
	density() bool
}

// survivalHead is implemented by every timeHead that predicts a distribution.
type survivalHead[F nn.Float] interface {
	// survival returns the log probability that the gap is longer than that of the only target, and replaces out by the
	// gradient as score does.
	survival(out []F, t *targets[F], memory []F, scale F) float64
}
