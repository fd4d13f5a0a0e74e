package main

import (
	"fmt"
	"image/color"
	"io"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	canvas "gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
)

// draw shows the time of an event against each quantity, side by side.
func draw(path string, all []*series) error {
	format := strings.TrimPrefix(filepath.Ext(path), ".")
	width, height := vg.Length(len(all))*6*vg.Centimeter, 7*vg.Centimeter
	c, err := canvas.NewFormattedCanvas(width, height, format)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if format == "png" {
		c = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(144))}
	}
	tiles := canvas.Tiles{Rows: 1, Cols: len(all), PadTop: 8, PadBottom: 8, PadLeft: 8, PadRight: 12, PadX: 10}
	whole := canvas.New(c)
	for i, s := range all {
		p, err := panel(s)
		if err != nil {
			return err
		}
		p.Draw(tiles.At(whole, i, 0))
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := c.WriteTo(w)
		return err
	})
}

func panel(s *series) (*plot.Plot, error) {
	p := plot.New()
	p.X.Label.Text = s.name
	p.Y.Label.Text = "ns an event"
	p.X.Scale = plot.LogScale{}
	p.Y.Scale = plot.LogScale{}
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
	p.X.Tick.Marker = ticks
	p.Y.Min, p.Y.Max = 100, 20000
	p.Y.Tick.Marker = plot.ConstantTicks{{Value: 100, Label: "100"}, {Value: 1000, Label: "1000"}, {Value: 10000, Label: "10000"}}
	line, points, err := plotter.NewLinePoints(xys)
	if err != nil {
		return nil, err
	}
	blue := color.NRGBA{0x2f, 0x4b, 0x6e, 0xff}
	line.Color, points.Color = blue, blue
	line.Width = 1.5
	points.Shape = canvas.CircleGlyph{}
	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	grid.Horizontal.Color = color.NRGBA{0xdd, 0xdd, 0xdd, 0xff}
	p.Add(grid, line, points)
	for _, f := range []*plot.Axis{&p.X, &p.Y} {
		f.Label.TextStyle.Font.Variant = "Sans"
		f.Label.TextStyle.Font.Size = 10
		f.Tick.Label.Font.Variant = "Sans"
		f.Tick.Label.Font.Size = 8
	}
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
