package main

import (
	"fmt"
	"image/color"
	"math"
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
	shapes       = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}, draw.RingGlyph{}}
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

// sheet returns a picture with a panel for each score: a row for each dataset, in it a dot for each model, with its standard deviation.
func sheet(all []*comparison, p *publishedResults) (*figure.Sheet, error) {
	models := modelsOf(all)
	row := max(vg.Length(len(models))*modelHeight, 0.45*vg.Centimeter)
	s := &figure.Sheet{Columns: len(columns), PanelWidth: 9 * vg.Centimeter, PanelHeight: 2.4*vg.Centimeter + row*vg.Length(len(all))}
	s.Title = "Scores on the test parts of the datasets"
	splits := map[string]bool{}
	for _, c := range all {
		splits[c.splitsText()] = true
	}
	s.Source = "mean ± standard deviation over the splits"
	if len(splits) == 1 {
		s.Source = "mean ± standard deviation over " + all[0].splitsText()
	}
	for i, model := range models {
		s.Explain(&plotter.Scatter{GlyphStyle: modelGlyph(i)}, "%s", model)
	}
	for with, name := range publishedNames {
		for _, c := range all {
			if p != nil && !math.IsNaN(p.score(with, c.dataset, "mae")) {
				s.Explain(&plotter.Scatter{GlyphStyle: publishedGlyphs[with]}, "%s, best", name)
				break
			}
		}
	}
	for _, of := range columns {
		panel, err := panelOf(all, models, p, of)
		if err != nil {
			return nil, fmt.Errorf("picture: %s: %w", of.name, err)
		}
		s.Panels = append(s.Panels, panel)
	}
	return s, nil
}

// panelOf draws a score of all datasets, the first at the top.
func panelOf(all []*comparison, models []string, p *publishedResults, of column) (*plot.Plot, error) {
	panel := figure.NewPanel("", of.title, "")
	if !of.larger {
		panel.X.Label.Text += ", less is better"
	} else {
		panel.X.Label.Text += ", more is better"
	}
	least, most := math.Inf(1), math.Inf(-1)
	include := func(v float64) {
		if !math.IsInf(v, 0) && !math.IsNaN(v) {
			least, most = min(least, v), max(most, v)
		}
	}
	var ticks plot.ConstantTicks
	for i, c := range all {
		y := float64(len(all) - i)
		ticks = append(ticks, plot.Tick{Value: y, Label: strings.TrimSuffix(c.label, ".json")})
		for j, model := range models {
			score := c.score(model, of.name)
			if math.IsNaN(score.mean) || math.IsInf(score.mean, 0) {
				continue
			}
			at := y + rowShare*(0.5-(float64(j)+0.5)/float64(len(models)))
			low, high := score.mean, score.mean
			if score.deviation > 0 {
				low, high = score.mean-score.deviation, score.mean+score.deviation
			}
			if of.name == "mae" {
				low = max(low, score.mean/4) // the axis is logarithmic
			}
			include(low)
			include(high)
			bar, err := plotter.NewLine(plotter.XYs{{X: low, Y: at}, {X: high, Y: at}})
			if err != nil {
				return nil, err
			}
			bar.Color, bar.Width = modelGlyph(j).Color, 0.8
			dot, err := plotter.NewScatter(plotter.XYs{{X: score.mean, Y: at}})
			if err != nil {
				return nil, err
			}
			dot.GlyphStyle = modelGlyph(j)
			panel.Add(bar, dot)
		}
		for with, glyph := range publishedGlyphs {
			if p == nil {
				break
			}
			v := p.score(with, c.dataset, of.name)
			if math.IsNaN(v) {
				continue
			}
			include(v)
			mark, err := plotter.NewScatter(plotter.XYs{{X: v, Y: y}})
			if err != nil {
				return nil, err
			}
			mark.GlyphStyle = glyph
			panel.Add(mark)
		}
	}
	panel.Y.Tick.Marker = ticks
	panel.Y.Min, panel.Y.Max = 0.5, float64(len(all))+0.5
	if !(least <= most) {
		least, most = 0, 1 // no model has this score
	}
	if of.name == "mae" && least > 0 {
		figure.LogAxis(&panel.X, least/1.2, most*1.2)
		return panel, nil
	}
	room := max(0.05*(most-least), 1e-3)
	panel.X.Min, panel.X.Max = least-room, most+room
	return panel, nil
}
