package figure

import (
	"fmt"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Blue and vermilion stay apart for every kind of colour vision (Okabe and Ito 2008, Color Universal Design).
var (
	predictedLine = color.NRGBA{0x00, 0x5a, 0x9c, 0xff}
	predictedFill = color.NRGBA{0x56, 0xa0, 0xd3, 0xff}
	observedLine  = color.NRGBA{0xd5, 0x5e, 0x00, 0xff}
	observedFill  = color.NRGBA{0xf3, 0xc9, 0x9f, 0xff}
	guideLine     = color.NRGBA{0x55, 0x55, 0x55, 0xff}
	gridLine      = color.NRGBA{0xe6, 0xe6, 0xe6, 0xff}
	bandFill      = color.NRGBA{0xee, 0xee, 0xee, 0xff}
	ink           = color.NRGBA{0x22, 0x22, 0x22, 0xff}
)

// newPlot is an empty picture in the common style.
func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	for _, f := range []*font.Font{
		&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font,
		&p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font,
	} {
		f.Variant = "Sans"
		f.Size = 11
	}
	p.Title.TextStyle.Font.Size = 13
	p.Title.Padding = 10
	p.X.Label.Padding, p.Y.Label.Padding = 5, 5
	p.X.Padding, p.Y.Padding = 0, 0
	for _, style := range []*draw.LineStyle{&p.X.LineStyle, &p.Y.LineStyle, &p.X.Tick.LineStyle, &p.Y.Tick.LineStyle} {
		style.Color, style.Width = guideLine, 0.6
	}
	p.Legend.Top = true
	p.Legend.Padding = 3
	p.Legend.ThumbnailWidth = 22
	p.Legend.XOffs, p.Legend.YOffs = -6, -6
	return p
}

// addGrid adds a grid behind everything that is added later.
func addGrid(p *plot.Plot, vertical, horizontal bool) {
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = gridLine, gridLine
	grid.Vertical.Width, grid.Horizontal.Width = 0, 0
	if vertical {
		grid.Vertical.Width = 0.6
	}
	if horizontal {
		grid.Horizontal.Width = 0.6
	}
	p.Add(grid)
}

// ticks are gonum's, with numbers as people write them: 250 instead of 250.00.
func ticks(from, to float64) []plot.Tick {
	out := plot.DefaultTicks{}.Ticks(from, to)
	for i := range out {
		if out[i].Label != "" {
			out[i].Label = strconv.FormatFloat(math.Round(out[i].Value*1e9)/1e9, 'f', -1, 64)
		}
	}
	return out
}

// logTicks are powers of ten, with small ticks between.
func logTicks(from, to float64) []plot.Tick {
	var out []plot.Tick
	for e := math.Floor(math.Log10(from)); e <= math.Ceil(math.Log10(to)); e++ {
		for digit := 1.0; digit < 10; digit++ {
			v := digit * math.Pow(10, e)
			if v < from || v > to {
				continue
			}
			t := plot.Tick{Value: v}
			if digit == 1 {
				t.Label = spaced(v)
			}
			out = append(out, t)
		}
	}
	return out
}

// spaced writes 10000 as 10 000, and very large or small numbers as powers of ten.
func spaced(v float64) string {
	if v < 1e-3 || v >= 1e7 {
		return fmt.Sprintf("1e%.0f", math.Log10(v))
	}
	text := strconv.FormatFloat(v, 'f', -1, 64)
	if v < 10_000 {
		return text
	}
	return text[:len(text)-3] + " " + text[len(text)-3:]
}

// shorten cuts a name in the middle to a number of characters.
func shorten(name string, most int) string {
	runes := []rune(name)
	if len(runes) <= most {
		return name
	}
	head := (most - 1) / 2
	return string(runes[:head]) + "…" + string(runes[len(runes)-(most-1-head):])
}

// steps is a histogram as an area or a line: heights[i] from edges[i] to edges[i+1], in data coordinates.
type steps struct {
	edges, heights []float64
	fill, line     color.Color // nil: none
	width          vg.Length
}

// Plot draws the steps.
func (s *steps) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	top := func(h float64) vg.Length { return y(min(max(h, p.Y.Min), p.Y.Max)) }
	outline := []vg.Point{{X: x(s.edges[0]), Y: y(p.Y.Min)}}
	for i, h := range s.heights {
		outline = append(outline, vg.Point{X: x(s.edges[i]), Y: top(h)}, vg.Point{X: x(s.edges[i+1]), Y: top(h)})
	}
	outline = append(outline, vg.Point{X: x(s.edges[len(s.heights)]), Y: y(p.Y.Min)})
	if s.fill != nil {
		c.FillPolygon(s.fill, outline)
	}
	if s.line != nil {
		c.StrokeLines(draw.LineStyle{Color: s.line, Width: s.width}, outline)
	}
}

// Thumbnail draws the sign of the steps in a legend.
func (s *steps) Thumbnail(c *draw.Canvas) {
	if s.fill != nil {
		c.FillPolygon(s.fill, []vg.Point{{X: c.Min.X, Y: c.Min.Y}, {X: c.Min.X, Y: c.Max.Y}, {X: c.Max.X, Y: c.Max.Y}, {X: c.Max.X, Y: c.Min.Y}})
	}
	if s.line != nil {
		mid := (c.Min.Y + c.Max.Y) / 2
		c.StrokeLine2(draw.LineStyle{Color: s.line, Width: s.width}, c.Min.X, mid, c.Max.X, mid)
	}
}

// band fills everything between two heights.
type band struct {
	from, to float64
	fill     color.Color
}

// Plot draws the band.
func (b *band) Plot(c draw.Canvas, p *plot.Plot) {
	_, y := p.Transforms(&c)
	low, high := y(max(b.from, p.Y.Min)), y(min(b.to, p.Y.Max))
	c.FillPolygon(b.fill, []vg.Point{{X: c.Min.X, Y: low}, {X: c.Min.X, Y: high}, {X: c.Max.X, Y: high}, {X: c.Max.X, Y: low}})
}

// Thumbnail draws the sign of the band in a legend.
func (b *band) Thumbnail(c *draw.Canvas) {
	c.FillPolygon(b.fill, []vg.Point{{X: c.Min.X, Y: c.Min.Y}, {X: c.Min.X, Y: c.Max.Y}, {X: c.Max.X, Y: c.Max.Y}, {X: c.Max.X, Y: c.Min.Y}})
}

// straight is a line between two points.
func straight(x0, y0, x1, y1 float64, style draw.LineStyle) *plotter.Line {
	return &plotter.Line{XYs: plotter.XYs{{X: x0, Y: y0}, {X: x1, Y: y1}}, LineStyle: style}
}

var dashed = draw.LineStyle{Color: guideLine, Width: 1, Dashes: []vg.Length{4, 3}}
