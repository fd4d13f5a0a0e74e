package figure

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// drawPlot draws p over c, with the labels of its axes in the middle of each, and returns the canvas of its data. Draw of p alone would
// leave room for a label at the mean of the ends of its axis, which on a logarithmic one is near its upper end.
func drawPlot(p *plot.Plot, c draw.Canvas) draw.Canvas {
	var data draw.Canvas
	x, y := p.X.Label, p.Y.Label
	withoutLabels(p, c, func(inner draw.Canvas) {
		p.Draw(inner)
		data = p.DataCanvas(inner)
	})
	middle := data.Center()
	style := x.TextStyle
	style.XAlign, style.YAlign = draw.XCenter, draw.YCenter
	c.FillText(style, vg.Point{X: middle.X, Y: c.Min.Y + style.Font.Size/2}, x.Text)
	style = y.TextStyle
	style.XAlign, style.YAlign, style.Rotation = draw.XCenter, draw.YCenter, math.Pi/2
	c.FillText(style, vg.Point{X: c.Min.X + style.Font.Size/2, Y: middle.Y}, y.Text)
	return data
}

// dataCanvas returns the canvas of the data that drawPlot would draw over c.
func dataCanvas(p *plot.Plot, c draw.Canvas) (data draw.Canvas) {
	withoutLabels(p, c, func(inner draw.Canvas) { data = p.DataCanvas(inner) })
	return data
}

// withoutLabels calls do with the part of c that the labels of the axes leave, while p has none.
func withoutLabels(p *plot.Plot, c draw.Canvas, do func(inner draw.Canvas)) {
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		label := axis.Label.Text
		if label == "" {
			continue
		}
		room := axis.Label.TextStyle.Font.Size + axis.Label.Padding
		if axis == &p.X {
			c.Min.Y += room - 2 // the labels of ticks have room below them
		} else {
			c.Min.X += room
		}
		axis.Label.Text = ""
		defer func() { axis.Label.Text = label }()
	}
	do(c)
}
