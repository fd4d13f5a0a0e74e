package figure

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/tppfaas/tppfaas/tpp/eval"
)

// PIT draws the histogram of the probability integral transform of the inter times, 1 everywhere for a calibrated model. High ends mean
// that the model is overconfident, a high middle that it is underconfident, a slope that it predicts too late or too early.
func PIT(d *eval.Diagnostics, source string) (*Figure, error) {
	if d.PIT == nil {
		return nil, errors.New("the model has no distribution of the time, or there are no events to score")
	}
	f := newFigure("Calibration of the predicted gaps: flat if the model is calibrated", source,
		"predicted probability of a shorter gap, F(τ)", "density (1: calibrated)")
	bins := len(d.PIT)
	s := &steps{fill: pitFill, line: predictedLine, width: 1.2}
	highest := 0.0
	for i, share := range d.PIT {
		s.edges = append(s.edges, float64(i)/float64(bins))
		s.heights = append(s.heights, share*float64(bins))
		highest = max(highest, share*float64(bins))
	}
	s.edges = append(s.edges, 1)
	chance := 1.96 * math.Sqrt(float64(bins-1)/float64(d.Scores.Events))
	p := f.Plot
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, max(highest, 1+chance)*1.05
	addGrid(p, false, true)
	calibrated := straight(0, 1, 1, 1, dashed)
	within := &band{from: 1 - chance, to: 1 + chance, fill: bandFill}
	p.Add(within, s, calibrated, &straightEdge{1 - chance}, &straightEdge{1 + chance})
	sc := d.Scores
	f.Explain(s, "%d gaps", sc.Events)
	f.Explain(calibrated, "a calibrated model")
	f.Explain(sign(func(c *draw.Canvas) {
		patch{bandFill}.Thumbnail(c)
		line(*c, guideLine, 0.5, vg.Point{X: c.Min.X, Y: c.Min.Y}, vg.Point{X: c.Max.X, Y: c.Min.Y})
		line(*c, guideLine, 0.5, vg.Point{X: c.Min.X, Y: c.Max.Y}, vg.Point{X: c.Max.X, Y: c.Max.Y})
	}), "where 95 %% of its bins lie")
	f.Explain(nil, "gaps in the 50 %% interval: %.1f %%, in the 90 %% interval: %.1f %%; Kolmogorov-Smirnov distance %.3f (p %s)",
		100*sc.Coverage50, 100*sc.Coverage90, sc.KS, pValue(sc.KSPValue))
	return f, nil
}

// straightEdge is a fine line across the axes.
type straightEdge struct{ at float64 }

// Plot draws the line.
func (e *straightEdge) Plot(c draw.Canvas, p *plot.Plot) {
	_, y := p.Transforms(&c)
	if e.at > p.Y.Min && e.at < p.Y.Max {
		line(c, guideLine, 0.5, vg.Point{X: c.Min.X, Y: y(e.at)}, vg.Point{X: c.Max.X, Y: y(e.at)})
	}
}

// pValue writes a p-value with three decimals, and the smallest as less than 0.001.
func pValue(p float64) string {
	if p < 0.001 {
		return "< 0.001"
	}
	return fmt.Sprintf("%.3f", p)
}

// Reliability draws how often the likeliest mark came against the probability that the model gave it: on the diagonal for
// a calibrated model, below it for an overconfident one. The area of a dot is proportional to the number of its events.
func Reliability(d *eval.Diagnostics, source string) (*Figure, error) {
	if d.Scores.Events == 0 {
		return nil, errors.New("there are no events to score")
	}
	f := newFigure("Calibration of the predicted marks", source, "predicted probability of the likeliest mark", "share of events that had it")
	f.resize(13*vg.Centimeter, 14.5*vg.Centimeter)
	p := f.Plot
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1.05, -0.03, 1.05
	unitTicks := plot.TickerFunc(func(float64, float64) []plot.Tick { return ticks(0, 1) })
	p.X.Tick.Marker, p.Y.Tick.Marker = unitTicks, unitTicks
	addGrid(p, true, true)
	diagonal := straight(0, 0, 1, 1, dashed)
	dots := &bubbles{bins: d.Calibration, events: d.Scores.Events}
	p.Add(diagonal, dots)
	f.Explain(diagonal, "a calibrated model")
	f.Explain(dots, "%d events by their probability, with 95 %% intervals", d.Scores.Events)
	f.Explain(nil, "expected calibration error %.4f", d.Scores.ECE)
	return f, nil
}

// bubbles draws the bins of a calibration as dots.
type bubbles struct {
	bins   []eval.CalibrationBin
	events int
}

// Plot draws a dot for each bin that has events, with the interval of its accuracy (Wilson 1927).
func (b *bubbles) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, bin := range b.bins {
		if bin.Events == 0 {
			continue
		}
		low, high := wilson(bin.Accuracy, bin.Events)
		at := x(bin.Confidence)
		line(c, predictedLine, 1, vg.Point{X: at, Y: y(low)}, vg.Point{X: at, Y: y(high)})
		dot(c, predictedLine, 2.5+9*vg.Length(math.Sqrt(float64(bin.Events)/float64(b.events))), at, y(bin.Accuracy))
	}
}

// Thumbnail draws the sign of a bin for the key.
func (b *bubbles) Thumbnail(c *draw.Canvas) {
	dot(*c, predictedLine, 4, (c.Min.X+c.Max.X)/2, (c.Min.Y+c.Max.Y)/2)
}

// wilson returns the 95 % score interval of a share of n events (Wilson 1927).
func wilson(share float64, n int) (low, high float64) {
	const z = 1.96
	count := float64(n)
	center := (share + z*z/(2*count)) / (1 + z*z/count)
	half := z / (1 + z*z/count) * math.Sqrt(share*(1-share)/count+z*z/(4*count*count))
	return center - half, center + half
}
