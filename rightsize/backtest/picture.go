package backtest

import (
	"fmt"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/tppfaas/tppfaas/internal/figure"
)

// inks are colours that stay apart for every kind of colour vision (Okabe and Ito 2008, Color Universal Design).
var inks = []color.NRGBA{
	{0x00, 0x72, 0xb2, 0xff}, {0xd5, 0x5e, 0x00, 0xff}, {0xe6, 0x9f, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff}, {0x56, 0xb4, 0xe9, 0xff},
}

// Picture draws what each recommender reserves of memory, to the base, a panel for each series, with the kills above the bars.
func Picture(comparisons []Comparison) *figure.Sheet {
	s := &figure.Sheet{Columns: min(len(comparisons), 3), PanelWidth: 8.2 * vg.Centimeter, PanelHeight: 6.4 * vg.Centimeter}
	s.Title = "Memory that recommenders reserve, and kills"
	base := comparisons[0].Base
	s.Source = fmt.Sprintf("limit × time, to that of %s, mean over seeds; above each bar the kills of all seeds together", base)
	for i, r := range comparisons[0].Rows {
		s.Explain(patch{inks[i%len(inks)]}, "%s", r.Recommender)
	}
	for _, c := range comparisons {
		s.Panels = append(s.Panels, c.panel())
	}
	return s
}

func (c *Comparison) panel() *plot.Plot {
	p := figure.NewPanel(c.Series, "", "reserved, to "+c.Base)
	p.X.Tick.Marker = plot.ConstantTicks{}
	p.X.Min, p.X.Max, p.Y.Min = -0.6, float64(len(c.Rows))-0.4, 0
	p.Add(&plotter.Line{XYs: plotter.XYs{{X: p.X.Min, Y: 1}, {X: p.X.Max, Y: 1}}, LineStyle: draw.LineStyle{
		Color: color.NRGBA{0x55, 0x55, 0x55, 0xff}, Width: 0.8, Dashes: []vg.Length{4, 3},
	}})
	for i, r := range c.Rows {
		bar := &bar{at: float64(i), height: r.Ratio.Mean, ink: inks[i%len(inks)], note: fmt.Sprintf("%.0f", r.Kills), style: p.X.Tick.Label}
		bar.style.YAlign, bar.style.XAlign = draw.YBottom, draw.XCenter
		p.Y.Max = max(p.Y.Max, r.Ratio.Mean*1.15)
		p.Add(bar)
	}
	return p
}

// bar is one with a note above.
type bar struct {
	at, height float64
	ink        color.Color
	note       string
	style      draw.TextStyle
}

// Plot draws the bar.
func (b *bar) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	left, right, top := x(b.at-0.38), x(b.at+0.38), y(b.height)
	c.FillPolygon(b.ink, []vg.Point{{X: left, Y: y(0)}, {X: left, Y: top}, {X: right, Y: top}, {X: right, Y: y(0)}})
	middle, width, height := (left+right)/2, b.style.Width(b.note), b.style.Height(b.note)
	c.FillPolygon(color.White, []vg.Point{{X: middle - width/2 - 1, Y: top + 1}, {X: middle - width/2 - 1, Y: top + height + 2}, {X: middle + width/2 + 1, Y: top + height + 2}, {X: middle + width/2 + 1, Y: top + 1}})
	c.FillText(b.style, vg.Point{X: middle, Y: top + 2}, b.note)
}

// patch is the sign of a bar in the key.
type patch struct{ ink color.Color }

// Thumbnail draws the patch.
func (p patch) Thumbnail(c *draw.Canvas) {
	c.FillPolygon(p.ink, []vg.Point{{X: c.Min.X, Y: c.Min.Y}, {X: c.Min.X, Y: c.Max.Y}, {X: c.Max.X, Y: c.Max.Y}, {X: c.Max.X, Y: c.Min.Y}})
}
