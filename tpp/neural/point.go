package neural

import (
	"cmp"
	"fmt"
	"math"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// TruncNorm predicts one value for the inter time, trained on its absolute error (TppFaaS, III-B). It has no density.
const TruncNorm Kind = "truncnorm"

func setPointDefaults(c *Config) { c.TimeHead = cmp.Or(c.TimeHead, LogHead) }

func validatePoint(c *Config) error {
	if c.TimeHead != LogHead && c.TimeHead != SoftplusHead {
		return fmt.Errorf("unknown time head %q, it is %s or %s", c.TimeHead, LogHead, SoftplusHead)
	}
	if c.MarkTimeSize != 0 {
		return fmt.Errorf("a %s has one time, whatever the mark: it takes no hidden units for that", c.Kind)
	}
	if c.NumComponents != 0 {
		return fmt.Errorf("a %s has no components", c.Kind)
	}
	return nil
}

// softplusHead predicts one value, softplus(out), and is scored by its absolute error.
type softplusHead[F nn.Float] struct{}

func (softplusHead[F]) outputs(*Config) (string, int) { return "time_linear", 1 }

func (softplusHead[F]) density() bool { return false }

func (softplusHead[F]) score(out []F, t *targets[F], _ []F, scale F) float64 {
	return -nn.AbsoluteErrorSoftplus(out, t.gap, scale)
}

func (softplusHead[F]) predict(out float32) float64 { return nn.Softplus(float64(out)) }

// logHead predicts one value, exp(mean + std·out). Its absolute error is divided by the mean absolute
// deviation of all gaps from their median, so that the weight of the marks in the loss does not depend on the time unit.
type logHead[F nn.Float] struct{ norm normalisation }

func (logHead[F]) outputs(*Config) (string, int) { return "time_linear", 1 }

func (logHead[F]) density() bool { return false }

func (h logHead[F]) score(out []F, t *targets[F], _ []F, scale F) float64 {
	return -nn.AbsoluteErrorLog(out, t.gap, h.norm.Mean, h.norm.Std, h.norm.MAE, scale)
}

func (h logHead[F]) predict(out float32) float64 {
	return math.Exp(h.norm.Mean + h.norm.Std*float64(out))
}

// pointPredictor predicts a single time.
type pointPredictor struct {
	out   []float32
	time  func(out float32) float64
	point dist.Point
}

func newPointPredictor(c *Config, norm normalisation, out []float32) *pointPredictor {
	p := &pointPredictor{out: out, time: logHead[float32]{norm}.predict}
	if c.TimeHead == SoftplusHead {
		p.time = softplusHead[float32]{}.predict
	}
	return p
}

func (p *pointPredictor) distribution() dist.Distribution { return &p.point }

func (p *pointPredictor) predict() { p.point.Value = p.time(p.out[0]) }
