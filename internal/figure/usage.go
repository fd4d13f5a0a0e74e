package figure

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Usage is what was used of a resource, and forecasts of how much the largest sample until a time will be.
type Usage struct {
	Name, Unit    string
	Hours, Values []float64 // samples: when, relative to the last one, and how much; NaN where it is missing

	Last      float64     // known value
	Ahead     []float64   // hours ahead, increasing
	Quantiles [][]float64 // of the largest sample until each of them, for each level
}

// fanFills are the colours of the fan, from the innermost band outwards.
var fanFills = []color.Color{color.NRGBA{0x7f, 0xb2, 0xd9, 0xff}, color.NRGBA{0xac, 0xcf, 0xe8, 0xff}, color.NRGBA{0xd5, 0xe7, 0xf4, 0xff}}

// UsageFan draws what was used of some resources, one below the other, and how much the largest sample until then will be: the median as a line, and a band up to
// each further level (at most three). Levels increase, the first is the median.
func UsageFan(usages []Usage, levels []float64, source string) *Sheet {
	s := &Sheet{Header: Header{Title: "What was used, and how much will be at most?", Source: source}, Columns: 1, PanelWidth: 22 * vg.Centimeter, PanelHeight: 7.5 * vg.Centimeter}
	for i := range usages {
		s.Panels = append(s.Panels, usages[i].panel())
	}
	s.Explain(sign(func(c *draw.Canvas) {
		y := (c.Min.Y + c.Max.Y) / 2
		line(*c, observedLine, 1.2, vg.Point{X: c.Min.X, Y: y}, vg.Point{X: c.Max.X, Y: y})
	}), "used")
	s.Explain(sign(func(c *draw.Canvas) {
		y := (c.Min.Y + c.Max.Y) / 2
		line(*c, predictedLine, 1.6, vg.Point{X: c.Min.X, Y: y}, vg.Point{X: c.Max.X, Y: y})
		dot(*c, predictedLine, 2.2, (c.Min.X+c.Max.X)/2, y)
	}), "the largest until then: median")
	for i, level := range levels[1:] {
		words := "%s"
		if i == 0 {
			words = "below with %s"
		}
		s.Explain(patch{fanFills[i]}, words, percent(level))
	}
	return s
}

// panel draws one resource.
func (u *Usage) panel() *plot.Plot {
	p := NewPanel(u.Name, "hours from the last sample", fmt.Sprintf("%s (%s)", u.Name, u.Unit))
	p.Title.Text = ""
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(ticks), plot.TickerFunc(ticks)
	f := &fan{usage: u}
	p.Add(f)
	low, high := math.Inf(1), math.Inf(-1)
	widen := func(v float64) {
		if !math.IsNaN(v) {
			low, high = min(low, v), max(high, v)
		}
	}
	for _, v := range u.Values {
		widen(v)
	}
	for _, q := range u.Quantiles {
		for _, v := range q {
			widen(v)
		}
	}
	if low > high {
		low, high = 0, 1
	}
	room := max(0.06*(high-low), 1e-3*math.Abs(high), 1e-9)
	p.Y.Min, p.Y.Max = max(low-room, 0), high+room
	p.X.Min, p.X.Max = -0.1, 0.1
	if n := len(u.Hours); n > 0 {
		p.X.Min = min(p.X.Min, u.Hours[0])
	}
	if n := len(u.Ahead); n > 0 {
		p.X.Max = max(p.X.Max, u.Ahead[n-1])
	}
	p.Add(straight(0, p.Y.Min, 0, p.Y.Max, dashed))
	for _, run := range known(u.Hours, u.Values) {
		p.Add(&plotter.Line{XYs: run, LineStyle: draw.LineStyle{Color: observedLine, Width: 1.2}})
		if len(run) == 1 { // a line of one point is not seen
			p.Add(&plotter.Scatter{XYs: run, GlyphStyle: draw.GlyphStyle{Color: observedLine, Radius: 1, Shape: draw.CircleGlyph{}}})
		}
	}
	return p
}

// known returns the runs of values that are not missing.
func known(x, y []float64) (runs []plotter.XYs) {
	broken := true
	for i := range y {
		if math.IsNaN(y[i]) {
			broken = true
			continue
		}
		if broken {
			runs = append(runs, nil)
		}
		broken = false
		last := len(runs) - 1
		runs[last] = append(runs[last], plotter.XY{X: x[i], Y: y[i]})
	}
	return runs
}

// fan draws the forecasts of usage.
type fan struct{ usage *Usage }

// Plot draws the bands and the median.
func (f *fan) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	u := f.usage
	edge := func(level int) []vg.Point {
		points := []vg.Point{}
		for i, hours := range u.Ahead {
			if q := u.Quantiles[i]; !math.IsNaN(q[level]) {
				if len(points) == 0 { // the fan opens at the last value, whatever the next sample
					points = append(points, vg.Point{X: x(0), Y: y(u.Last)})
				}
				points = append(points, vg.Point{X: x(hours), Y: y(q[level])})
			}
		}
		return points
	}
	if len(u.Quantiles) == 0 {
		return
	}
	for level := len(u.Quantiles[0]) - 1; level > 0; level-- {
		outline := edge(level)
		below := edge(level - 1)
		for i := len(below) - 1; i >= 0; i-- {
			outline = append(outline, below[i])
		}
		if len(outline) > 0 {
			c.FillPolygon(fanFills[min(level, len(fanFills))-1], outline)
		}
	}
	if median := edge(0); len(median) > 0 {
		line(c, predictedLine, 1.6, median...)
		for _, point := range median[1:] {
			dot(c, predictedLine, 2.2, point.X, point.Y)
		}
	}
}
