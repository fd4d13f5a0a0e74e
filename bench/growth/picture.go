package main

import (
	"fmt"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/tppfaas/tppfaas/internal/figure"
)

// sheet returns a picture of the time of an event against each quantity, side by side on one scale.
func sheet(all []*series, workers int) (*figure.Sheet, error) {
	s := &figure.Sheet{Columns: len(all), PanelWidth: 5.8 * vg.Centimeter, PanelHeight: 6 * vg.Centimeter}
	s.Title = "Time of training per event and epoch, by one quantity at a time"
	s.Source = fmt.Sprintf("medians over the epochs, %d workers; both axes logarithmic", workers)
	for _, one := range all {
		p, err := panel(one)
		if err != nil {
			return nil, err
		}
		s.Panels = append(s.Panels, p)
	}
	least, most := s.Panels[0].Y.Min, s.Panels[0].Y.Max
	for _, p := range s.Panels {
		least, most = min(least, p.Y.Min), max(most, p.Y.Max)
	}
	for _, p := range s.Panels {
		figure.LogAxis(&p.Y, least, most)
	}
	return s, nil
}

// panel draws the median times of a series. The range of its vertical axis holds them with some room.
func panel(s *series) (*plot.Plot, error) {
	p := figure.NewPanel("", s.name, "time (ns)")
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	var xys plotter.XYs
	var ticks plot.ConstantTicks
	labelled := 0.0
	for _, q := range s.points {
		x := float64(q.value)
		xys = append(xys, plotter.XY{X: x, Y: q.median})
		label := ""
		if x > 2.9*labelled || len(s.points) < 7 {
			label, labelled = short(q.value), x
		}
		ticks = append(ticks, plot.Tick{Value: x, Label: label})
	}
	line, points, err := plotter.NewLinePoints(xys)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	blue := color.NRGBA{0x00, 0x5a, 0x9c, 0xff}
	line.Color, points.Color = blue, blue
	line.Width = 1.5
	points.Shape = draw.CircleGlyph{}
	p.Add(line, points)
	p.X.Tick.Marker = ticks
	p.Y.Min, p.Y.Max = min(100, p.Y.Min/2), max(10_000, p.Y.Max*2)
	return p, nil
}

// short writes 10 000 000 as 10M.
func short(n int) string {
	switch {
	case n >= 1_000_000:
		return fmt.Sprintf("%dM", n/1_000_000)
	case n >= 10_000:
		return fmt.Sprintf("%dk", n/1000)
	}
	return fmt.Sprint(n)
}
