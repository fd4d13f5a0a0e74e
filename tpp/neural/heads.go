package neural

import (
	"math"

	"github.com/tppfaas/tppfaas/internal/nn"
)

// timeHead is what differs between the kinds of models: how the outputs of the time layer are scored.
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

// pointHead is a timeHead that predicts one value.
type pointHead interface{ predict(out float32) float64 }

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

// tickHead scores gaps by the probability of their tick of the clock.
type tickHead[F nn.Float] struct{ densityHead[F] }

func (tickHead[F]) density() bool { return false }

func (tickHead[F]) score(out []F, t *targets[F], memory []F, scale F) float64 {
	return nn.MixtureTickNLL(out, t.tick, t.width, memory, scale)
}

// softplusHead predicts one value, softplus(out), and is scored by its absolute error.
type softplusHead[F nn.Float] struct{}

func (softplusHead[F]) outputs(*Config) (string, int) { return "time_linear", 1 }

func (softplusHead[F]) density() bool { return false }

func (softplusHead[F]) score(out []F, t *targets[F], _ []F, scale F) float64 {
	return -nn.AbsoluteErrorSoftplus(out, t.gap, scale)
}

func (softplusHead[F]) predict(out float32) float64 { return nn.Softplus(float64(out)) }

// logHead predicts one value, exp(mean + std·out). Its absolute error counts in units of the error that the median of all
// gaps makes, so that the marks keep their weight in the loss at any scale of time.
type logHead[F nn.Float] struct{ norm normalisation }

func (logHead[F]) outputs(*Config) (string, int) { return "time_linear", 1 }

func (logHead[F]) density() bool { return false }

func (h logHead[F]) score(out []F, t *targets[F], _ []F, scale F) float64 {
	return -nn.AbsoluteErrorLog(out, t.gap, h.norm.Mean, h.norm.Std, h.norm.MAE, scale)
}

func (h logHead[F]) predict(out float32) float64 {
	return math.Exp(h.norm.Mean + h.norm.Std*float64(out))
}
