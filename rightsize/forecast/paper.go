package forecast

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/tppfaas/tppfaas/internal/seed"
	"github.com/tppfaas/tppfaas/rightsize"
)

// The published model: the last three samples of memory and CPU in standard score, an LSTM of 64 units, a dense layer of 2, the mean absolute error,
// Adam, trained on the first 67 % of the windows.
const (
	paperSteps = 3
	paperUnits = 64
	paperShare = 0.67
)

// PaperOptions say how the published model is trained: its own number of epochs, size of batches and seed are not known. Zero values become
// 50 epochs, Keras's 32 windows, and seed 0.
type PaperOptions struct {
	Epochs, Batch int
	Seed          uint64
	Progress      func(epoch int, loss float64) // called after each epoch with the training loss; nil: not
}

// PointError is the error of forecasts that are one number.
type PointError struct{ MAE, RMSE float64 }

// Paper is how well the published model forecasts the next sample, beside repeating the last one. Errors are in bytes and cores.
type Paper struct {
	Options        PaperOptions
	Training, Test int           // windows
	Model, Last    [2]PointError // by resource
	Repeated       [2]float64    // share of all samples that equal the one before
	TrainingMAE    [2]float64    // of the model on the training windows
}

// PublishedPaper holds the errors published for the recording of ../shared/data/resources, by resource.
var PublishedPaper = [2]PointError{{50345.65, 154433.74}, {0.00090841, 0.00121232}}

// RunPaper trains and tests the published model. The samples of u must be known, and come at a regular step. The standard score is that of the
// samples in training windows. The same usage, options and machine give the same figures.
func RunPaper(ctx context.Context, u *rightsize.Usage, o PaperOptions) (*Paper, error) {
	if o.Epochs == 0 {
		o.Epochs = 50
	}
	if o.Batch == 0 {
		o.Batch = 32
	}
	windows := u.Len() - paperSteps
	training := int(paperShare * float64(windows))
	if o.Epochs < 0 || o.Batch < 0 {
		return nil, fmt.Errorf("published model: %d epochs of batches of %d windows", o.Epochs, o.Batch)
	}
	if training < 2 || training >= windows {
		return nil, fmt.Errorf("usage of %s: %d samples are too few for the published model", u.Function, u.Len())
	}
	var mean, deviation [2]float64
	for _, r := range rightsize.Resources {
		for i, v := range u.Of(r) {
			if math.IsNaN(v) {
				return nil, fmt.Errorf("usage of %s: %s is not known at %s: the published model takes no gaps", u.Function, r, u.Time(i))
			}
		}
		mean[r], deviation[r] = moments(u.Of(r)[:training+paperSteps])
	}
	x, y := make([]float32, 0, windows*paperSteps*2), make([]float32, 0, windows*2)
	score := func(i int) (memory, cpu float32) {
		return float32((u.Memory[i] - mean[rightsize.Memory]) / deviation[rightsize.Memory]), float32((u.CPU[i] - mean[rightsize.CPU]) / deviation[rightsize.CPU])
	}
	for i := range windows {
		for step := range paperSteps {
			memory, cpu := score(i + step)
			x = append(x, memory, cpu)
		}
		memory, cpu := score(i + paperSteps)
		y = append(y, memory, cpu)
	}
	n := newNetwork[float32](2, paperSteps, paperUnits, 2, rand.New(seed.Stream(o.Seed, "weights")))
	train := trainOptions{epochs: o.Epochs, batch: o.Batch, progress: o.Progress}
	if err := n.train(ctx, x[:training*paperSteps*2], y[:training*2], train, rand.New(seed.Stream(o.Seed, "batches")), absolute[float32](2)); err != nil {
		return nil, err
	}
	p := &Paper{Options: o, Training: training, Test: windows - training}
	out := n.forward(x)
	for _, r := range rightsize.Resources {
		values := u.Of(r)
		forecast := func(i int) float64 { return mean[r] + deviation[r]*float64(out[i*2+int(r)]) }
		last := func(i int) float64 { return values[i+paperSteps-1] }
		p.Model[r], p.Last[r] = pointError(values, forecast, training, windows), pointError(values, last, training, windows)
		p.TrainingMAE[r] = pointError(values, forecast, 0, training).MAE
		for i := 1; i < len(values); i++ {
			if values[i] == values[i-1] {
				p.Repeated[r] += 1 / float64(len(values)-1)
			}
		}
	}
	return p, nil
}

// moments returns the mean and the standard deviation (of the population), 1 where all values are the same.
func moments(values []float64) (mean, deviation float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		deviation += (v - mean) * (v - mean) / float64(len(values))
	}
	if deviation == 0 {
		return mean, 1
	}
	return mean, math.Sqrt(deviation)
}

// pointError returns the error of the forecasts of windows from to to−1.
func pointError(values []float64, forecast func(window int) float64, from, to int) (e PointError) {
	for i := from; i < to; i++ {
		d := forecast(i) - values[i+paperSteps]
		e.MAE += math.Abs(d)
		e.RMSE += d * d
	}
	n := float64(to - from)
	return PointError{e.MAE / n, math.Sqrt(e.RMSE / n)}
}
