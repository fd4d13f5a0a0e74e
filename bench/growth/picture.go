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

// sheet returns a picture of the time of an event against each quantity, side by side on one scale. What is read from a file is a second line in the
// panel of the series before it.
func sheet(all []*series, workers int) (*figure.Sheet, error) {
	var panels [][]*series
	for _, one := range all {
		if last := len(panels) - 1; one.stream && last >= 0 {
			panels[last] = append(panels[last], one)
		} else {
			panels = append(panels, []*series{one})
		}
	}
	s := &figure.Sheet{Columns: len(panels), PanelWidth: 5.8 * vg.Centimeter, PanelHeight: 6 * vg.Centimeter}
	s.Title = "Processor time of training per event and epoch, by one quantity at a time"
	s.Source = fmt.Sprintf("medians over the epochs, workers: %d; both axes logarithmic", workers)
	for _, lines := range panels {
		p, err := panel(lines)
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

// panel draws the median times of series of one quantity. The range of its vertical axis holds them with some room.
func panel(lines []*series) (*plot.Plot, error) {
	p := figure.NewPanel("", lines[0].name, "time (ns)")
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	longest := lines[0]
	for i, s := range lines {
		if len(s.points) > len(longest.points) {
			longest = s
		}
		var xys plotter.XYs
		for _, q := range s.points {
			xys = append(xys, plotter.XY{X: float64(q.value), Y: q.median})
		}
		line, points, err := plotter.NewLinePoints(xys)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		colour := []color.NRGBA{{0x00, 0x5a, 0x9c, 0xff}, {0xb4, 0x4b, 0x00, 0xff}}[i]
		line.Color, points.Color = colour, colour
		line.Width = 1.5
		points.Shape = draw.CircleGlyph{}
		p.Add(line, points)
		if len(lines) > 1 {
			p.Legend.Add([]string{"in memory", "from a file"}[i], line)
		}
	}
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.TextStyle.Font = p.X.Tick.Label.Font
	p.Legend.TextStyle.Handler = p.X.Tick.Label.Handler
	p.Legend.Padding, p.Legend.XOffs = vg.Millimeter, 2*vg.Millimeter
	p.Legend.ThumbnailWidth = 5 * vg.Millimeter
	p.X.Tick.Marker = ticks(longest)
	p.Y.Min, p.Y.Max = min(100, p.Y.Min/2), max(10_000, p.Y.Max*2)
	return p, nil
}

// ticks labels the values of a series where there is room.
func ticks(s *series) plot.ConstantTicks {
	var ticks plot.ConstantTicks
	labelled := 0.0
	for _, q := range s.points {
		x, label := float64(q.value), ""
		if x > 2.9*labelled || len(s.points) < 7 {
			label, labelled = short(q.value), x
		}
		ticks = append(ticks, plot.Tick{Value: x, Label: label})
	}
	return ticks
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
