package figure

import (
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Blue and vermilion stay apart for every kind of colour vision (Okabe and Ito 2008, Color Universal Design).
var (
	predictedLine = color.NRGBA{0x00, 0x5a, 0x9c, 0xff}
	pitFill       = color.NRGBA{0x9c, 0xc6, 0xe4, 0xff}
	observedLine  = color.NRGBA{0xd5, 0x5e, 0x00, 0xff}
	observedFill  = color.NRGBA{0xf3, 0xc9, 0x9f, 0xff}
	guideLine     = color.NRGBA{0x55, 0x55, 0x55, 0xff}
	gridLine      = color.NRGBA{0xe6, 0xe6, 0xe6, 0xff}
	bandFill      = color.NRGBA{0xee, 0xee, 0xee, 0xff}
	cutColor      = color.NRGBA{0x33, 0x33, 0x33, 0xff}
	ink           = color.NRGBA{0x22, 0x22, 0x22, 0xff}
	faintInk      = color.NRGBA{0x66, 0x66, 0x66, 0xff}
)

// newFigure returns an empty picture in the common style and of the usual size.
func newFigure(title, source, x, y string) *Figure {
	p := newAxes(x, y, 10.5)
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(ticks), plot.TickerFunc(ticks)
	f := &Figure{Header: Header{Title: title, Source: source}, Plot: p}
	f.resize(usualWidth, usualHeight)
	return f
}

// newAxes returns empty axes in the common style, with letters of a size.
func newAxes(x, y string, size vg.Length) *plot.Plot {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = x, y
	for _, f := range []*font.Font{&p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Tick.Label.Font} {
		f.Variant = "Sans"
		f.Size = size
	}
	p.X.Label.Padding, p.Y.Label.Padding = 5, 5
	p.X.Padding, p.Y.Padding = 0, 0
	for _, style := range []*draw.LineStyle{&p.X.LineStyle, &p.Y.LineStyle, &p.X.Tick.LineStyle, &p.Y.Tick.LineStyle} {
		style.Color, style.Width = guideLine, 0.6
	}
	return p
}

// resize sets the size that suits the picture.
func (f *Figure) resize(width, height vg.Length) {
	f.Width, f.Height, f.suitsWidth, f.suitsHeight = width, height, width, height
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

// Thumbnail draws the sign of the steps for the key.
func (s *steps) Thumbnail(c *draw.Canvas) {
	if s.fill != nil {
		patch{s.fill}.Thumbnail(c)
	}
	if s.line != nil {
		y := (c.Min.Y + c.Max.Y) / 2
		if s.fill != nil { // the upper edge of the area
			y = c.Max.Y
		}
		c.StrokeLine2(draw.LineStyle{Color: s.line, Width: s.width}, c.Min.X, y, c.Max.X, y)
	}
}

// patch is the sign of an area in the key.
type patch struct{ fill color.Color }

// Thumbnail draws the patch.
func (p patch) Thumbnail(c *draw.Canvas) {
	c.FillPolygon(p.fill, []vg.Point{{X: c.Min.X, Y: c.Min.Y}, {X: c.Min.X, Y: c.Max.Y}, {X: c.Max.X, Y: c.Max.Y}, {X: c.Max.X, Y: c.Min.Y}})
}

// sign is a sign of the key that a function draws.
type sign func(c *draw.Canvas)

// Thumbnail draws the sign.
func (s sign) Thumbnail(c *draw.Canvas) { s(c) }

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

// Thumbnail draws the sign of the band for the key.
func (b *band) Thumbnail(c *draw.Canvas) { patch{b.fill}.Thumbnail(c) }

// straight returns a line between two points.
func straight(x0, y0, x1, y1 float64, style draw.LineStyle) *plotter.Line {
	return &plotter.Line{XYs: plotter.XYs{{X: x0, Y: y0}, {X: x1, Y: y1}}, LineStyle: style}
}

var dashed = draw.LineStyle{Color: guideLine, Width: 1, Dashes: []vg.Length{4, 3}}

func line(c draw.Canvas, col color.Color, width vg.Length, points ...vg.Point) {
	c.StrokeLines(draw.LineStyle{Color: col, Width: width}, points)
}

func dot(c draw.Canvas, col color.Color, radius, x, y vg.Length) {
	c.DrawGlyph(draw.GlyphStyle{Color: col, Radius: radius, Shape: draw.CircleGlyph{}}, vg.Point{X: x, Y: y})
}
