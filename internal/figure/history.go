package figure

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg/draw"

	"github.com/tppfaas/tppfaas/tpp/neural"
)

// History draws the losses of a training by epoch, and which epoch was the best. The first epochs are cut off above if the loss falls
// from far; a line above the axes then says so.
func History(epochs []neural.Epoch, source string) (*Figure, error) {
	if len(epochs) == 0 {
		return nil, errors.New("the history has no epochs")
	}
	f := newFigure("Losses of a training", source, "epoch", "negative log-likelihood per event (nats)")
	p := f.Plot
	training, validation := make(plotter.XYs, 0, len(epochs)), make(plotter.XYs, 0, len(epochs))
	var losses []float64
	for i, e := range epochs {
		if i > 0 && e.Epoch <= epochs[i-1].Epoch {
			return nil, fmt.Errorf("epoch %d stands behind epoch %d", e.Epoch, epochs[i-1].Epoch)
		}
		for _, l := range []struct {
			to   *plotter.XYs
			loss float64
		}{{&training, e.TrainingLoss}, {&validation, e.ValidationLoss}} {
			if !(math.Abs(l.loss) < 1e100) { // a training that failed, not a loss to draw
				continue
			}
			*l.to = append(*l.to, plotter.XY{X: float64(e.Epoch), Y: l.loss})
			losses = append(losses, l.loss)
		}
	}
	if len(losses) == 0 {
		return nil, errors.New("the history has no finite loss")
	}
	last := epochs[len(epochs)-1]
	slices.Sort(losses)
	low, highest := losses[0], losses[len(losses)-1]
	high := highest
	if usual := losses[len(losses)*96/100]; high-low > 3*(usual-low) && usual > low {
		high = usual + 0.3*(usual-low)
	}
	room := max(high-low, 1e-3*math.Abs(low), 1e-9) * 0.06
	low, high = low-room, high+room
	p.X.Tick.Marker = plot.TickerFunc(integerTicks)
	addGrid(p, false, true)
	best := straight(float64(last.BestEpoch), low, float64(last.BestEpoch), high, dashed)
	trainingLine := &plotter.Line{XYs: training, LineStyle: draw.LineStyle{Color: observedLine, Width: 1.2}}
	validationLine := &plotter.Line{XYs: validation, LineStyle: draw.LineStyle{Color: predictedLine, Width: 1.6}}
	p.Add(best, trainingLine, validationLine)
	if len(epochs) == 1 { // a line of one point is not seen
		for _, l := range []*plotter.Line{trainingLine, validationLine} {
			p.Add(&plotter.Scatter{XYs: l.XYs, GlyphStyle: draw.GlyphStyle{Color: l.Color, Radius: 3, Shape: draw.CircleGlyph{}}})
		}
	}
	p.Y.Min, p.Y.Max = low, high // adding has widened them to all the losses
	p.X.Min, p.X.Max = 0, float64(last.Epoch)+0.5
	f.Explain(trainingLine, "training")
	f.Explain(validationLine, "validation")
	f.Explain(best, "best validation: epoch %d, %.4f", last.BestEpoch, last.BestLoss)
	if highest > high {
		f.cuts = append(f.cuts, cut{topEdge, fmt.Sprintf("cut off: %d losses up to %.4g", above(losses, high), highest)})
	}
	return f, nil
}

// above returns how many of the ascending values are larger than limit.
func above(values []float64, limit float64) int {
	i, _ := slices.BinarySearchFunc(values, limit, func(v, limit float64) int {
		if v > limit {
			return 1
		}
		return -1
	})
	return len(values) - i
}
