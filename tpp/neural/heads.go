package neural

import (
	"maps"
	"slices"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// family is what a kind of recurrent model has of its own beside the head that it is trained by.
type family struct {
	// setDefaults fills in the fields of a configuration that only this kind has, and validate checks them.
	setDefaults func(*Config)
	validate    func(*Config) error
	// newPredictor returns what turns out, the outputs of the time layer after an event, into a distribution.
	newPredictor func(c *Config, norm normalisation, out []float32) predictor
}

// families are all kinds of recurrent models. A new one has a row here, a case in newHead, and a file like mixture.go.
var families = map[Kind]family{
	LogNormMix: {setMixtureDefaults, validateMixture, asPredictor(newMixturePredictor)},
	TruncNorm:  {setPointDefaults, validatePoint, asPredictor(newPointPredictor)},
}

func asPredictor[P predictor](make func(*Config, normalisation, []float32) P) func(*Config, normalisation, []float32) predictor {
	return func(c *Config, norm normalisation, out []float32) predictor { return make(c, norm, out) }
}

// Kinds returns the kinds of recurrent models, by name.
func Kinds() []Kind {
	return slices.Sorted(maps.Keys(families))
}

// newHead returns the head that a model is trained by.
func newHead[F nn.Float](c *Config, norm normalisation, loss Loss) timeHead[F] {
	switch {
	case c.Kind == TruncNorm && c.TimeHead == SoftplusHead:
		return softplusHead[F]{}
	case c.Kind == TruncNorm:
		return logHead[F]{norm}
	case loss == LossDensity:
		return densityHead[F]{}
	}
	return tickHead[F]{}
}

// predictor makes the distribution of the inter time. One that knows a faster median has a method Median() float64 too.
type predictor interface {
	// distribution is where predict writes to: the same at each call.
	distribution() dist.Distribution
	// predict takes in the outputs of the time layer.
	predict()
}

// timeHead is how the outputs of the time layer are scored in training.
type timeHead[F nn.Float] interface {
	// outputs is the number of outputs of the layer, whose tensors are called name.weight and name.bias.
	outputs(*Config) (name string, n int)
	// score is the sum over events of the log likelihood of their gaps, or minus the loss that stands for it, up to the
	// constant in example.logJacobian. It replaces out, a row a target, by the gradient of scale times its negative.
	score(out []F, t *targets[F], memory []F, scale F) float64
	// density says that score is a density over standardised log time, to which the Jacobian belongs.
	density() bool
}

// survivalHead is a timeHead that predicts a distribution.
type survivalHead[F nn.Float] interface {
	// survival is what score is for an event: the log probability that a gap is longer than that of the only target.
	survival(out []F, t *targets[F], memory []F, scale F) float64
}
