package main

import (
	"image/color"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/tppfaas/tppfaas/internal/figure"
)

// picture draws the time of an arrival over the number of requests in flight.
func picture(points []point) figure.Drawing {
	s := &figure.Sheet{Columns: 1, PanelWidth: 16 * vg.Centimeter, PanelHeight: 9 * vg.Centimeter}
	s.Title = "Processor time of the policy newsvendor for an arrival"
	s.Source = "of the thread, with all events and decisions until the next; a chain of ten functions, λ = 2560; both axes logarithmic"
	panel := figure.NewPanel("", "requests in flight", "time (µs)")
	byModel := map[string]plotter.XYs{}
	var models []string
	least, most := points[0].inFlight, points[0].inFlight
	low, high := 50.0, 200.0 // around the line
	for _, p := range points {
		if byModel[p.model] == nil {
			models = append(models, p.model)
		}
		byModel[p.model] = append(byModel[p.model], plotter.XY{X: p.inFlight, Y: p.nanoseconds / 1000})
		least, most = min(least, p.inFlight), max(most, p.inFlight)
		low, high = min(low, p.nanoseconds/1500), max(high, p.nanoseconds/700)
	}
	inks := []color.NRGBA{{0x00, 0x72, 0xb2, 0xff}, {0xd5, 0x5e, 0x00, 0xff}} // Okabe and Ito 2008
	for i, model := range models {
		ink := inks[i%len(inks)]
		glyph := draw.GlyphStyle{Color: ink, Radius: 3, Shape: []draw.GlyphDrawer{draw.CircleGlyph{}, draw.BoxGlyph{}}[i%2]}
		scatter := &plotter.Scatter{XYs: byModel[model], GlyphStyle: glyph}
		panel.Add(&plotter.Line{XYs: byModel[model], LineStyle: draw.LineStyle{Color: ink, Width: 1.4}}, scatter)
		s.Explain(scatter, "model %s", model)
	}
	figure.LogAxis(&panel.X, least, most)
	figure.LogAxis(&panel.Y, low, high)
	s.Panels = append(s.Panels, panel)
	return s
}
