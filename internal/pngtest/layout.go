package pngtest

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Layout holds what a program drew and where, in points from the lower left corner of the picture.
type Layout struct {
	Width, Height vg.Length
	Texts         []Text
	Shapes        []Shape
}

// Text is a piece of text with the box around it.
type Text struct {
	Text string
	Box  vg.Rectangle
}

// Shape is a line, or the outline of a filled area.
type Shape struct {
	Points []vg.Point
	Color  color.Color
	Filled bool
}

// Record draws on a canvas that keeps everything that is drawn on it.
func Record(width, height vg.Length, paint func(draw.Canvas)) *Layout {
	r := &recorder{layout: &Layout{Width: width, Height: height}, current: drawingState{color: color.Black, lineWidth: 1, scaleX: 1, scaleY: 1}}
	paint(draw.NewCanvas(r, width, height))
	return r.layout
}

// Find returns the first text that is equal to s, and whether there is one.
func (l *Layout) Find(s string) (Text, bool) {
	for _, t := range l.Texts {
		if t.Text == s {
			return t, true
		}
	}
	return Text{}, false
}

// Faults describes what hinders reading: texts that reach over the edge of the picture, that cover each other, or that are crossed by a
// line or by the outline of an area. Lines in one of the colours of background, such as a grid's, may pass behind a text.
func (l *Layout) Faults(background ...color.Color) []string {
	var faults []string
	for i, t := range l.Texts {
		if b := t.Box; b.Min.X < 0 || b.Min.Y < 0 || b.Max.X > l.Width || b.Max.Y > l.Height {
			faults = append(faults, fmt.Sprintf("%q reaches over the edge of the picture, %v in %v by %v points", t.Text, b, l.Width, l.Height))
		}
		for _, other := range l.Texts[:i] {
			if overlap(t.Box, other.Box) {
				faults = append(faults, fmt.Sprintf("%q and %q cover each other", t.Text, other.Text))
			}
		}
		for _, s := range l.Shapes {
			if !slices.ContainsFunc(background, func(c color.Color) bool { return sameColor(c, s.Color) }) && s.crosses(t.Box) {
				faults = append(faults, fmt.Sprintf("%q is crossed by a shape of colour %v", t.Text, s.Color))
				break
			}
		}
	}
	return faults
}

// Legible fails the test for every fault of the layout.
func Legible(t testing.TB, l *Layout, background ...color.Color) {
	t.Helper()
	if len(l.Texts) == 0 {
		t.Error("the picture has no text")
	}
	for _, fault := range l.Faults(background...) {
		t.Error(fault)
	}
}

func sameColor(a, b color.Color) bool {
	r0, g0, b0, a0 := a.RGBA()
	r1, g1, b1, a1 := b.RGBA()
	return r0 == r1 && g0 == g1 && b0 == b1 && a0 == a1
}

func overlap(a, b vg.Rectangle) bool {
	return a.Min.X < b.Max.X && b.Min.X < a.Max.X && a.Min.Y < b.Max.Y && b.Min.Y < a.Max.Y
}

// crosses reports whether a segment of the shape passes through the box.
func (s Shape) crosses(box vg.Rectangle) bool {
	for i := 1; i < len(s.Points); i++ {
		if segmentCrosses(s.Points[i-1], s.Points[i], box) {
			return true
		}
	}
	return false
}

// segmentCrosses clips the segment to the box (Liang and Barsky 1984) and reports whether something is left.
func segmentCrosses(a, b vg.Point, box vg.Rectangle) bool {
	from, to := 0.0, 1.0
	for _, side := range []struct{ p, q float64 }{
		{float64(a.X - b.X), float64(a.X - box.Min.X)},
		{float64(b.X - a.X), float64(box.Max.X - a.X)},
		{float64(a.Y - b.Y), float64(a.Y - box.Min.Y)},
		{float64(b.Y - a.Y), float64(box.Max.Y - a.Y)},
	} {
		switch {
		case side.p == 0:
			if side.q <= 0 {
				return false
			}
		case side.p < 0:
			from = max(from, side.q/side.p)
		default:
			to = min(to, side.q/side.p)
		}
	}
	return from < to
}

// recorder is a vg.Canvas that keeps what is drawn on it.
type recorder struct {
	layout  *Layout
	current drawingState
	stack   []drawingState
}

// drawingState is what Push saves. A point p of the caller is at origin + turn(scale · p).
type drawingState struct {
	color          color.Color
	lineWidth      vg.Length
	origin         vg.Point
	scaleX, scaleY float64
	turn           float64 // radians
}

func (s *drawingState) at(p vg.Point) vg.Point {
	x, y := float64(p.X)*s.scaleX, float64(p.Y)*s.scaleY
	sin, cos := math.Sincos(s.turn)
	return vg.Point{X: s.origin.X + vg.Length(x*cos-y*sin), Y: s.origin.Y + vg.Length(x*sin+y*cos)}
}

func (r *recorder) SetLineWidth(w vg.Length)           { r.current.lineWidth = w }
func (r *recorder) SetLineDash([]vg.Length, vg.Length) {}
func (r *recorder) Rotate(angle float64)               { r.current.turn += angle }
func (r *recorder) Translate(p vg.Point)               { r.current.origin = r.current.at(p) }
func (r *recorder) Push()                              { r.stack = append(r.stack, r.current) }

func (r *recorder) SetColor(c color.Color) {
	if c == nil {
		c = color.Black
	}
	r.current.color = c
}

func (r *recorder) Scale(x, y float64) {
	r.current.scaleX *= x
	r.current.scaleY *= y
}

func (r *recorder) Pop() {
	r.current = r.stack[len(r.stack)-1]
	r.stack = r.stack[:len(r.stack)-1]
}

func (r *recorder) Stroke(path vg.Path) {
	if r.current.lineWidth > 0 {
		r.shapes(path, false)
	}
}

func (r *recorder) Fill(path vg.Path) { r.shapes(path, true) }

// shapes keeps the path, each of its parts as a shape. Arcs become polygons.
func (r *recorder) shapes(path vg.Path, filled bool) {
	var points []vg.Point
	end := func() {
		if len(points) > 1 {
			r.layout.Shapes = append(r.layout.Shapes, Shape{Points: points, Color: r.current.color, Filled: filled})
		}
		points = nil
	}
	for _, c := range path {
		switch c.Type {
		case vg.MoveComp:
			end()
			points = []vg.Point{r.current.at(c.Pos)}
		case vg.LineComp:
			points = append(points, r.current.at(c.Pos))
		case vg.ArcComp:
			const pieces = 16
			for i := range pieces + 1 {
				sin, cos := math.Sincos(c.Start + c.Angle*float64(i)/pieces)
				points = append(points, r.current.at(vg.Point{X: c.Pos.X + c.Radius*vg.Length(cos), Y: c.Pos.Y + c.Radius*vg.Length(sin)}))
			}
		case vg.CurveComp:
			for _, p := range append(slices.Clone(c.Control), c.Pos) {
				points = append(points, r.current.at(p))
			}
		case vg.CloseComp:
			if len(points) > 0 {
				points = append(points, points[0])
			}
		}
	}
	end()
}

// FillString keeps the text. Its box reaches from the baseline to the height of capital letters, so that a line right under the text
// does not cross it, and ends with the last letter.
func (r *recorder) FillString(f font.Face, at vg.Point, s string) {
	if s == "" || f.Font.Size == 0 {
		return
	}
	width, height := f.Width(strings.TrimRight(s, " ")), 0.7*f.Font.Size
	var box vg.Rectangle
	for i, corner := range []vg.Point{at, {X: at.X + width, Y: at.Y}, {X: at.X, Y: at.Y + height}, {X: at.X + width, Y: at.Y + height}} {
		p := r.current.at(corner)
		if i == 0 {
			box = vg.Rectangle{Min: p, Max: p}
		}
		box.Min.X, box.Min.Y = min(box.Min.X, p.X), min(box.Min.Y, p.Y)
		box.Max.X, box.Max.Y = max(box.Max.X, p.X), max(box.Max.Y, p.Y)
	}
	r.layout.Texts = append(r.layout.Texts, Text{Text: s, Box: box})
}

func (r *recorder) DrawImage(vg.Rectangle, image.Image) {}
