package figure

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/tppfaas/tppfaas/tpp/neural"
)

// History draws the losses of a training by epoch, and which epoch was the best. The first epochs may be cut off above,
// where the loss falls from far.
func History(epochs []neural.Epoch, title string) (*plot.Plot, error) {
	if len(epochs) == 0 {
		return nil, errors.New("the history has no epochs")
	}
	p := newPlot(title, "epoch", "loss per event (nats)")
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
	low, high := losses[0], losses[len(losses)-1]
	if usual := losses[len(losses)*96/100]; high-low > 3*(usual-low) && usual > low {
		high = usual + 0.3*(usual-low)
	}
	room := max(high-low, 1e-3*math.Abs(low), 1e-9) * 0.06
	low, high = low-room, high+2*room
	p.X.Tick.Marker = plot.TickerFunc(func(a, b float64) []plot.Tick { return ticks(a, b) })
	p.Y.Tick.Marker = p.X.Tick.Marker
	addGrid(p, false, true)
	best := straight(float64(last.BestEpoch), low, float64(last.BestEpoch), high-0.22*(high-low), dashed)
	trainingLine := &plotter.Line{XYs: training, LineStyle: draw.LineStyle{Color: observedLine, Width: 1.2}}
	validationLine := &plotter.Line{XYs: validation, LineStyle: draw.LineStyle{Color: predictedLine, Width: 1.6}}
	p.Add(best, trainingLine, validationLine)
	if len(epochs) == 1 {
		for _, series := range []plotter.XYs{training, validation} {
			p.Add(&plotter.Scatter{XYs: series, GlyphStyle: draw.GlyphStyle{Color: ink, Radius: vg.Points(2.5), Shape: draw.CircleGlyph{}}})
		}
	}
	p.Y.Min, p.Y.Max = low, high // adding has widened them to all the losses
	p.X.Min, p.X.Max = 0, float64(last.Epoch)+0.5
	p.Legend.Add("training", trainingLine)
	p.Legend.Add("validation", validationLine)
	p.Legend.Add(fmt.Sprintf("best: epoch %d, %.4f", last.BestEpoch, last.BestLoss), best)
	return p, nil
}
