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

// PIT draws the histogram of the probability integral transform of the inter times, 1 everywhere for a right model: high
// ends say that the model is too sure, a high middle that it is not sure enough, a slope that it is late or early.
func PIT(d *eval.Diagnostics, title string) (*plot.Plot, error) {
	if d.PIT == nil {
		return nil, errors.New("the model has no distribution of the time, or there are no events to score")
	}
	p := newPlot(title, "predicted probability of a shorter gap, F(τ)", "share of gaps relative to a right model")
	bins := len(d.PIT)
	s := &steps{fill: predictedFill, line: predictedLine, width: 1.2}
	highest := 0.0
	for i, share := range d.PIT {
		s.edges = append(s.edges, float64(i)/float64(bins))
		s.heights = append(s.heights, share*float64(bins))
		highest = max(highest, share*float64(bins))
	}
	s.edges = append(s.edges, 1)
	chance := 1.96 * math.Sqrt(float64(bins-1)/float64(d.Scores.Events))
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, max(highest, 1+chance)*1.3
	addGrid(p, false, true)
	right := straight(0, 1, 1, 1, dashed)
	within := &band{from: 1 - chance, to: 1 + chance, fill: bandFill}
	edges := []*straightEdge{{1 - chance}, {1 + chance}}
	p.Add(within, s, right, edges[0], edges[1])
	sc := d.Scores
	p.Legend.Add(fmt.Sprintf("%d gaps", sc.Events), s)
	p.Legend.Add("a right model; 95 % of its bins lie between the fine lines", right)
	p.Legend.Add(fmt.Sprintf("in the 50 %% interval: %.1f %%   in the 90 %% interval: %.1f %%   KS %.3f (p %s)",
		100*sc.Coverage50, 100*sc.Coverage90, sc.KS, pValue(sc.KSPValue)))
	p.X.Tick.Marker = plot.TickerFunc(func(a, b float64) []plot.Tick { return ticks(a, b) })
	p.Y.Tick.Marker = p.X.Tick.Marker
	return p, nil
}

// straightEdge is a fine line across the picture.
type straightEdge struct{ at float64 }

// Plot draws the line.
func (e *straightEdge) Plot(c draw.Canvas, p *plot.Plot) {
	_, y := p.Transforms(&c)
	if e.at > p.Y.Min && e.at < p.Y.Max {
		line(c, guideLine, 0.5, vg.Point{X: c.Min.X, Y: y(e.at)}, vg.Point{X: c.Max.X, Y: y(e.at)})
	}
}

func pValue(p float64) string {
	if p < 0.001 {
		return "< 0.001"
	}
	return fmt.Sprintf("%.3f", p)
}

// Reliability draws how often the likeliest mark came against the probability that the model gave it: on the diagonal for
// a right model, below it for one that is too sure. The area of a dot goes with the number of its events.
func Reliability(d *eval.Diagnostics, title string) (*plot.Plot, error) {
	if d.Scores.Events == 0 {
		return nil, errors.New("there are no events to score")
	}
	p := newPlot(title, "predicted probability of the likeliest mark", "share of events whose mark it was")
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1.02, 0, 1.02
	p.X.Tick.Marker = plot.TickerFunc(func(float64, float64) []plot.Tick { return ticks(0, 1) })
	p.Y.Tick.Marker = p.X.Tick.Marker
	addGrid(p, true, true)
	diagonal := straight(0, 0, 1, 1, dashed)
	dots := &bubbles{bins: d.Calibration, events: d.Scores.Events}
	p.Add(diagonal, dots)
	p.Legend.Top = false // below the diagonal there is room
	p.Legend.YOffs = 6
	p.Legend.Add("a right model", diagonal)
	p.Legend.Add(fmt.Sprintf("%d events, 95 %% intervals", d.Scores.Events), dots)
	p.Legend.Add(fmt.Sprintf("expected calibration error %.4f", d.Scores.ECE))
	return p, nil
}

// bubbles are the bins of calibration.
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

// Thumbnail draws the sign of a bin in a legend.
func (b *bubbles) Thumbnail(c *draw.Canvas) {
	dot(*c, predictedLine, 4, (c.Min.X+c.Max.X)/2, (c.Min.Y+c.Max.Y)/2)
}

// wilson is the 95 % score interval of a share of n events.
func wilson(share float64, n int) (low, high float64) {
	const z = 1.96
	count := float64(n)
	center := (share + z*z/(2*count)) / (1 + z*z/count)
	half := z / (1 + z*z/count) * math.Sqrt(share*(1-share)/count+z*z/(4*count*count))
	return center - half, center + half
}
