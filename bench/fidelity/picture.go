package main

import (
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/tppfaas/tppfaas/internal/figure"
)

var (
	recordedInk = color.Gray{60}
	ourInk      = color.NRGBA{0xd5, 0x5e, 0x00, 0xff}
)

// drawing is what has a panel in the picture.
type drawing interface{ panel() (*plot.Plot, error) }

// sheet returns a picture with a panel for each: the distributions of the waits of recordings of bursts, the median gaps under low loads.
func sheet(all []drawing) (*figure.Sheet, error) {
	s := &figure.Sheet{Columns: 4, PanelWidth: 6 * vg.Centimeter, PanelHeight: 5.2 * vg.Centimeter}
	s.Title = "What real platforms did, and what virtual time makes of the same load"
	curve := func(ink color.Color) *plotter.Line {
		return &plotter.Line{LineStyle: draw.LineStyle{Color: ink, Width: curveWidth}}
	}
	s.Explain(curve(recordedInk), "distribution recorded")
	s.Explain(curve(ourInk), "distribution simulated")
	s.Explain(&plotter.Scatter{GlyphStyle: gapGlyph}, "a pair of functions, with the 95 %% interval of the recorded median; on the line both are equal")
	for _, one := range all {
		p, err := one.panel()
		if err != nil {
			return nil, err
		}
		s.Panels = append(s.Panels, p)
	}
	return s, nil
}

const curveWidth = vg.Length(1.4)

var gapGlyph = draw.GlyphStyle{Color: ourInk, Radius: 1.8, Shape: draw.CircleGlyph{}}

func (c *comparison) panel() (*plot.Plot, error) {
	if len(c.gaps) > 0 {
		return c.drawGaps()
	}
	return c.drawWaits()
}

// drawGaps draws the simulated medians against the recorded ones, each with its bootstrap interval of 95 %.
func (c *comparison) drawGaps() (*plot.Plot, error) {
	p := figure.NewPanel(c.source.name, "median gap recorded (ms)", "simulated (ms)")
	const least, most = 0.8, 1000
	same, err := plotter.NewLine(plotter.XYs{{X: least, Y: least}, {X: most, Y: most}})
	if err != nil {
		return nil, err
	}
	same.Color = recordedInk
	p.Add(same)
	var points plotter.XYs
	for _, g := range c.gaps {
		y := min(max(g.ours, least), most)
		if math.IsNaN(y) {
			continue
		}
		points = append(points, plotter.XY{X: min(max(g.real, least), most), Y: y})
		spread, err := plotter.NewLine(plotter.XYs{{X: min(max(g.alone.lower, least), most), Y: y}, {X: min(max(g.alone.upper, least), most), Y: y}})
		if err != nil {
			return nil, err
		}
		spread.Color = ourInk
		spread.Width = 0.6
		p.Add(spread)
	}
	scatter, err := plotter.NewScatter(points)
	if err != nil {
		return nil, err
	}
	scatter.GlyphStyle = gapGlyph
	p.Add(scatter)
	figure.LogAxis(&p.X, least, most)
	figure.LogAxis(&p.Y, least, most)
	return p, nil
}

// drawWaits draws the distribution functions of the waits of both.
func (c *comparison) drawWaits() (*plot.Plot, error) {
	p := figure.NewPanel(c.source.name, "wait (s)", "share of invocations")
	real, ours := delaysOf(c.real), delaysOf(c.ours)
	p.X.Min, p.X.Max = 0, 5*math.Ceil(quantile(real.wait, 0.995)/5000)
	if err := distribution(p, real.wait, 1000, recordedInk); err != nil {
		return nil, err
	}
	if err := distribution(p, ours.wait, 1000, ourInk); err != nil {
		return nil, err
	}
	return p, nil
}

// distribution draws the distribution function of ascending times, in units of so many milliseconds, over the horizontal axis of p.
func distribution(p *plot.Plot, times []float64, unit float64, ink color.Color) error {
	const points = 200
	p.Y.Min, p.Y.Max = 0, 1
	var xys plotter.XYs
	for i := range points {
		share := float64(i) / points
		xys = append(xys, plotter.XY{X: max(min(quantile(times, share)/unit, p.X.Max), p.X.Min), Y: share})
	}
	line, err := plotter.NewLine(xys)
	if err != nil {
		return err
	}
	line.Color, line.Width = ink, curveWidth
	p.Add(line)
	return nil
}
