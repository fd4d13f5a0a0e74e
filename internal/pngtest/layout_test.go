package pngtest

import (
	"image/color"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

func TestFaults(t *testing.T) {
	write := func(c draw.Canvas, x, y vg.Length, turn float64) {
		c.FillText(draw.TextStyle{Color: color.Black, Font: font.From(plot.DefaultFont, 12), Handler: plot.DefaultTextHandler, Rotation: turn}, vg.Point{X: x, Y: y}, "some text")
	}
	black := draw.LineStyle{Color: color.Black, Width: 1}
	for _, c := range []struct {
		name  string
		paint func(draw.Canvas)
		want  string // part of the only fault, "" for none
	}{
		{"one text", func(c draw.Canvas) { write(c, 20, 50, 0) }, ""},
		{"below each other", func(c draw.Canvas) { write(c, 20, 50, 0); write(c, 20, 65, 0) }, ""},
		{"on each other", func(c draw.Canvas) { write(c, 20, 50, 0); write(c, 40, 55, 0) }, "cover each other"},
		{"over the edge", func(c draw.Canvas) { write(c, 180, 50, 0) }, "over the edge"},
		{"upright, within", func(c draw.Canvas) { write(c, 180, 20, math.Pi/2) }, ""},
		{"upright, over the edge", func(c draw.Canvas) { write(c, 180, 80, math.Pi/2) }, "over the edge"},
		{"struck through", func(c draw.Canvas) { write(c, 20, 50, 0); c.StrokeLine2(black, 0, 53, 190, 54) }, "crossed by a shape"},
		{"underlined", func(c draw.Canvas) { write(c, 20, 50, 0); c.StrokeLine2(black, 0, 48, 190, 48) }, ""},
		{"on an area", func(c draw.Canvas) {
			write(c, 20, 50, 0)
			c.FillPolygon(color.White, []vg.Point{{X: 10, Y: 40}, {X: 120, Y: 40}, {X: 120, Y: 70}, {X: 10, Y: 70}})
		}, ""},
		{"on the edge of an area", func(c draw.Canvas) {
			write(c, 20, 50, 0)
			c.FillPolygon(color.White, []vg.Point{{X: 40, Y: 40}, {X: 120, Y: 40}, {X: 120, Y: 70}, {X: 40, Y: 70}})
		}, "crossed by a shape"},
		{"on a dot", func(c draw.Canvas) {
			write(c, 20, 50, 0)
			c.DrawGlyph(draw.GlyphStyle{Color: color.Black, Radius: 3, Shape: draw.CircleGlyph{}}, vg.Point{X: 40, Y: 53})
		}, "crossed by a shape"},
		{"on a grid", func(c draw.Canvas) {
			write(c, 20, 50, 0)
			c.StrokeLine2(draw.LineStyle{Color: color.Gray{200}, Width: 1}, 40, 0, 40, 90)
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			faults := Record(200, 100, c.paint).Faults(color.Gray{200})
			if c.want == "" && len(faults) > 0 || c.want != "" && (len(faults) != 1 || !strings.Contains(faults[0], c.want)) {
				t.Errorf("faults %q, want %q", faults, c.want)
			}
		})
	}
}
