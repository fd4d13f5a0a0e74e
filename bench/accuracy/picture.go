package main

import (
	"cmp"
	"image/color"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/tppfaas/tppfaas/internal/figure"
)

// inks are colours that stay apart for every kind of colour vision (Okabe and Ito 2008, Color Universal Design), shapes the glyphs that go
// with them: more models than colours differ in their glyphs.
var (
	inks = []color.NRGBA{
		{0x00, 0x72, 0xb2, 0xff}, {0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff},
		{0xe6, 0x9f, 0x00, 0xff}, {0x56, 0xb4, 0xe9, 0xff}, {0x88, 0x88, 0x88, 0xff},
	}
	shapes       = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}, draw.TriangleGlyph{}}
	publishedInk = color.Gray{0x22}
)

func modelGlyph(i int) draw.GlyphStyle {
	return draw.GlyphStyle{Color: inks[i%len(inks)], Radius: 2, Shape: shapes[i/len(inks)%len(shapes)]}
}

// publishedGlyphs are the signs of published results, without and with the cold-start feature.
var publishedGlyphs = [2]draw.GlyphStyle{
	{Color: publishedInk, Radius: 3, Shape: draw.PlusGlyph{}},
	{Color: publishedInk, Radius: 3, Shape: draw.CrossGlyph{}},
}

// Sizes of a row of the picture, which holds a dataset.
const (
	rowShare    = 0.8 // of a row, that models take
	modelHeight = 0.16 * vg.Centimeter
)

// panelKind is how a panel shows a score: in relation to the score of a reference, so that small differences are seen on all datasets alike.
type panelKind struct {
	column
	label    string
	relation func(a, b float64) float64
	same     float64 // the relation of equal scores
	// least and most bound the axis: what is beyond is drawn at the edge.
	least, most float64
	logarithmic bool
}

func panelKinds() []panelKind {
	difference := func(a, b float64) float64 { return a - b }
	return []panelKind{
		{column: columns[0], label: "mae / mae here  ← better", relation: func(a, b float64) float64 { return a / b }, same: 1, least: 1. / 3, most: 3, logarithmic: true},
		{column: columns[1], label: "accuracy − accuracy here  better →", relation: difference, least: -0.1, most: 0.1},
		{column: columns[2], label: "nll_resolution − that here (nats)  ← better", relation: difference, least: -2, most: 2},
	}
}

// reference is what the scores of a dataset are seen in relation to: the better model here, without one the best table or, without that too, the
// best of all.
func (c *comparison) reference(of column) string {
	return cmp.Or(c.best(here(), of), c.best(tables(), of), c.best(c.models, of))
}

// sheet returns a picture with a panel for each score: a row for each dataset, in it a dot for each model.
func sheet(all []*comparison, models []string, p *publishedResults) *figure.Sheet {
	row := max(vg.Length(len(models))*modelHeight, 0.45*vg.Centimeter)
	s := &figure.Sheet{Columns: len(columns), PanelWidth: 9.5 * vg.Centimeter, PanelHeight: 2.4*vg.Centimeter + row*vg.Length(len(all))}
	s.Title = "Scores on test parts, beside the better of " + strings.Join(here(), " and ") + " here"
	s.Source = "mean ± standard deviation of the relation on the same split"
	if splits := all[0].splitsText(); !slices.ContainsFunc(all, func(c *comparison) bool { return c.splitsText() != splits }) {
		s.Source += ", over " + splits
	}
	if slices.ContainsFunc(all, func(c *comparison) bool { return c.best(here(), columns[0]) == "" }) {
		s.Source += "; where there is no such model, beside the best table"
	}
	for i, model := range models {
		s.Explain(&plotter.Scatter{GlyphStyle: modelGlyph(i)}, "%s", model)
	}
	for with, name := range publishedNames {
		if p != nil && slices.ContainsFunc(all, func(c *comparison) bool { return !math.IsNaN(p.score(with, c.dataset, "mae")) }) {
			s.Explain(&plotter.Scatter{GlyphStyle: publishedGlyphs[with]}, "%s, best", name)
		}
	}
	beyond := false
	for _, kind := range panelKinds() {
		panel, cut := panelOf(all, models, p, kind)
		beyond = beyond || cut
		s.Panels = append(s.Panels, panel)
	}
	if beyond {
		s.Explain(&plotter.Scatter{GlyphStyle: beyondGlyph(publishedInk)}, "beyond the axis")
	}
	return s
}

// beyondGlyph marks at the edge of an axis what is beyond it.
func beyondGlyph(ink color.Color) draw.GlyphStyle {
	return draw.GlyphStyle{Color: ink, Radius: 2, Shape: draw.RingGlyph{}}
}

// panelOf draws a score of all datasets, the first at the top, and reports whether a number is beyond the axis.
func panelOf(all []*comparison, models []string, p *publishedResults, kind panelKind) (panel *plot.Plot, beyond bool) {
	panel = figure.NewPanel("", kind.label, "")
	least, most := kind.same, kind.same
	var ticks plot.ConstantTicks
	add := func(mean, deviation, y float64, glyph draw.GlyphStyle) {
		if math.IsNaN(mean) || math.IsInf(mean, 0) {
			return
		}
		at := min(max(mean, kind.least), kind.most)
		if at != mean {
			beyond = true
			glyph = beyondGlyph(glyph.Color)
		}
		from, to := at, at
		if deviation > 0 {
			from, to = min(max(mean-deviation, kind.least), kind.most), min(max(mean+deviation, kind.least), kind.most)
			panel.Add(&plotter.Line{XYs: plotter.XYs{{X: from, Y: y}, {X: to, Y: y}}, LineStyle: draw.LineStyle{Color: glyph.Color, Width: 0.8}})
		}
		least, most = min(least, at, from), max(most, at, to)
		panel.Add(&plotter.Scatter{XYs: plotter.XYs{{X: at, Y: y}}, GlyphStyle: glyph})
	}
	panel.Add(&plotter.Line{
		XYs:       plotter.XYs{{X: kind.same, Y: 0.5}, {X: kind.same, Y: float64(len(all)) + 0.5}},
		LineStyle: draw.LineStyle{Color: color.Gray{0x99}, Width: 0.8},
	})
	for i, c := range all {
		y := float64(len(all) - i)
		ticks = append(ticks, plot.Tick{Value: y, Label: c.label})
		reference := c.reference(kind.column)
		for j, model := range models {
			score := c.relative(model, reference, kind.name, kind.relation)
			add(score.mean, score.deviation, y+rowShare*(0.5-(float64(j)+0.5)/float64(len(models))), modelGlyph(j))
		}
		for with, glyph := range publishedGlyphs {
			if p != nil {
				add(kind.relation(p.score(with, c.dataset, kind.name), c.score(reference, kind.name).mean), math.NaN(), y, glyph)
			}
		}
	}
	panel.Y.Tick.Marker = ticks
	panel.Y.Min, panel.Y.Max = 0.5, float64(len(all))+0.5
	if kind.logarithmic {
		figure.LogAxis(&panel.X, min(least/1.05, 0.9), max(most*1.05, 1.1))
		return panel, beyond
	}
	room := max(0.04*(most-least), 0.001)
	panel.X.Min, panel.X.Max = least-room, most+room
	return panel, beyond
}
