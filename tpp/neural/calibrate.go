package neural

import (
	"cmp"
	"context"
	"fmt"
	"math"
)

// calibration is what a training ends with: the widths of the components of a LogNormMix are multiplied by one factor, and the logits of the
// marks by another. A network that has seen the training part many times is surer of what comes than it may be, which the validation part, of which it
// has seen nothing, tells (temperature scaling, Guo et al. 2017, section 4.2). Medians and the likeliest mark hardly change.
type calibration struct{ widths, logits int } // steps of calibrationStep

// Factors are powers of calibrationStep, up to mostSteps and down to −mostSteps.
const (
	calibrationStep = 1.05
	mostSteps       = 30
)

// leastCalibrationGain is the gain in the log likelihood of an event that makes a calibration worth its place, in nats, and likelyGain that of all events
// of the validation part which chance alone exceeds in one of twenty (the likelihood-ratio test of one parameter).
const (
	leastCalibrationGain = 1e-3
	likelyGain           = 1.92
)

// apply multiplies widths and logits of the parameters.
func (c calibration) apply(n *network[float32], params []float32) {
	if n.cfg.Kind == LogNormMix {
		_, bias := n.time.Tensors(params)
		for k := range n.cfg.NumComponents {
			bias[n.cfg.NumComponents+k] += float32(float64(c.widths) * math.Log(calibrationStep)) // the second third are logarithms of the widths
		}
	}
	factor := float32(math.Pow(calibrationStep, float64(c.logits)))
	weight, bias := n.mark.Tensors(params)
	for _, values := range [][]float32{weight, bias} {
		for i := range values {
			values[i] *= factor
		}
	}
}

// calibrate replaces the best parameters by the calibrated ones. It climbs, a step at a time as long as each is better than the one before: first by the
// widths, then by the logits, and goes back where the validation part gains too little by one of them. An error leaves parameters and summary as they were.
func (t *trainer) calibrate(ctx context.Context) error {
	if t.summary.ValidationSequences == 0 {
		return nil // the training part does not tell
	}
	var c calibration
	var err error
	loss := t.summary.ValidationLoss
	if t.net.cfg.Kind == LogNormMix {
		if loss, err = t.climb(ctx, &c, &c.widths, loss); err != nil {
			return err
		}
	}
	if t.net.numClasses() > 1 {
		if loss, err = t.climb(ctx, &c, &c.logits, loss); err != nil {
			return err
		}
	}
	c.apply(t.net, t.best)
	t.summary.ValidationLoss = loss
	return nil
}

// climb changes steps, one of those of c, for the better, and returns the validation loss with them; without, it is loss.
func (t *trainer) climb(ctx context.Context, c *calibration, steps *int, loss float64) (float64, error) {
	lowest := loss
	for _, direction := range []int{1, -1} {
		for *steps != direction*mostSteps {
			*steps += direction
			copy(t.params, t.best)
			c.apply(t.net, t.params)
			sum, err := t.validate(ctx)
			if err = cmp.Or(err, ctx.Err()); err != nil {
				return 0, fmt.Errorf("calibration: %w", err)
			}
			if next := sum.perEvent(); next < lowest {
				lowest = next
				continue
			}
			*steps -= direction
			break
		}
		if *steps != 0 {
			break
		}
	}
	events := float64(t.validation.counts().events)
	if !(loss-lowest >= max(leastCalibrationGain, likelyGain/events)) {
		*steps = 0
		return loss, nil
	}
	return lowest, nil
}
