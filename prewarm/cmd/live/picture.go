//go:build unix

package main

import (
	"fmt"
	"image/color"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/tppfaas/tppfaas/internal/figure"
)

// Colours that stay apart for every kind of colour vision (Okabe and Ito 2008, Color Universal Design).
var (
	withoutInk = color.NRGBA{0xd5, 0x5e, 0x00, 0xff}
	withInk    = color.NRGBA{0x00, 0x72, 0xb2, 0xff}
)

// picture draws what became of each request of both runs.
func picture(o *options, outcomes []outcome, runs []summary) figure.Drawing {
	s := &figure.Sheet{Columns: 2, PanelWidth: 13 * vg.Centimeter, PanelHeight: 8 * vg.Centimeter}
	s.Title = fmt.Sprintf("%s, the same requests without and with prewarming", o.app)
	s.Source = fmt.Sprintf("a request every %v, a container removed after %v, starts as on: %s; policy %s", o.every, o.idle, o.starts, o.policy)
	added := figure.NewPanel("How much longer each request took than all-warm", "request", "added latency (s)")
	cold := figure.NewPanel("Cold starts beside the first function's", "request", "invocations that started cold")
	for _, panel := range []*plot.Plot{added, cold} {
		panel.Y.Min = 0
		s.Panels = append(s.Panels, panel)
	}
	for _, run := range runs {
		style := draw.GlyphStyle{Color: withoutInk, Radius: 3, Shape: draw.RingGlyph{}}
		if run.Run == withRun {
			style = draw.GlyphStyle{Color: withInk, Radius: 3, Shape: draw.CircleGlyph{}}
		}
		var a, c plotter.XYs
		for _, x := range outcomes {
			if x.Run == run.Run {
				a = append(a, plotter.XY{X: float64(x.Request + 1), Y: x.Added})
				c = append(c, plotter.XY{X: float64(x.Request + 1), Y: float64(x.Cold)})
			}
		}
		byRequest := func(p, q plotter.XY) int { return int(p.X - q.X) }
		slices.SortFunc(a, byRequest)
		slices.SortFunc(c, byRequest)
		line := draw.LineStyle{Color: style.Color, Width: 0.5}
		added.Add(&plotter.Line{XYs: a, LineStyle: line}, &plotter.Scatter{XYs: a, GlyphStyle: style})
		cold.Add(&plotter.Line{XYs: c, LineStyle: line}, &plotter.Scatter{XYs: c, GlyphStyle: style})
		s.Explain(&plotter.Scatter{GlyphStyle: style}, "%s the controller: p95 %.2f s, %.1f %% cold", run.Run, run.P95, 100*run.ColdShare)
	}
	if o.skip > 0 {
		s.Explain(nil, "the first %d requests do not count", o.skip)
	}
	return s
}
