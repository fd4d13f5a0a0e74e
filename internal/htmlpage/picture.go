package htmlpage

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// Picture is an SVG picture in the making. Its colours are classes, which the page sets for light and dark.
type Picture struct {
	text          strings.Builder
	width, height float64
}

// Width is the width of pictures in the units in which letters are 10 high: about that of a phone.
const Width = 400

// NewPicture returns an empty picture of the usual width.
func NewPicture(height float64) *Picture { return NewPictureOf(Width, height) }

// NewPictureOf returns an empty picture.
func NewPictureOf(width, height float64) *Picture { return &Picture{width: width, height: height} }

// Width returns the width of the picture.
func (p *Picture) Width() float64 { return p.width }

// Line draws a line; class names its colour, and what else the page says of it.
func (p *Picture) Line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&p.text, `<line class="%s" x1="%s" y1="%s" x2="%s" y2="%s"/>`, class, num(x1), num(y1), num(x2), num(y2))
}

// Rect draws a rectangle that is filled.
func (p *Picture) Rect(class string, x, y, w, h float64) {
	fmt.Fprintf(&p.text, `<rect class="%s" x="%s" y="%s" width="%s" height="%s"/>`, class, num(x), num(y), num(max(w, 0)), num(max(h, 0)))
}

// Circle draws a circle that is filled.
func (p *Picture) Circle(class string, x, y, r float64) {
	fmt.Fprintf(&p.text, `<circle class="%s" cx="%s" cy="%s" r="%s"/>`, class, num(x), num(y), num(r))
}

// Label writes a text; anchor is start, middle or end.
func (p *Picture) Label(anchor string, x, y float64, text string) {
	fmt.Fprintf(&p.text, `<text x="%s" y="%s" text-anchor="%s">%s</text>`, num(x), num(y), anchor, html.EscapeString(text))
}

// Polyline draws a line through points.
func (p *Picture) Polyline(class string, points [][2]float64) {
	p.points("polyline", class, points)
}

// Polygon fills what lies between points.
func (p *Picture) Polygon(class string, points [][2]float64) { p.points("polygon", class, points) }

func (p *Picture) points(element, class string, points [][2]float64) {
	fmt.Fprintf(&p.text, `<%s class="%s" points="`, element, class)
	for i, at := range points {
		if i > 0 {
			p.text.WriteByte(' ')
		}
		p.text.WriteString(num(at[0]) + "," + num(at[1]))
	}
	p.text.WriteString(`"/>`)
}

// Done returns the picture with a title for those who cannot see it.
func (p *Picture) Done(title string) template.HTML {
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %s %s" role="img" aria-label="%s">%s</svg>`, num(p.width), num(p.height), html.EscapeString(title), p.text.String()))
}

// num writes a coordinate.
func num(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

// Scale takes values to coordinates.
type Scale struct {
	Low, High, From, To float64
	Log                 bool
}

// At returns the coordinate of a value, that of the nearest end where it lies beyond.
func (s Scale) At(v float64) float64 {
	v = min(max(v, s.Low), s.High)
	low, high := s.Low, s.High
	if s.Log {
		v, low, high = math.Log(v), math.Log(low), math.Log(high)
	}
	if high <= low {
		return s.From
	}
	return s.From + (v-low)/(high-low)*(s.To-s.From)
}

// leastSecond is the smallest time on logarithmic axes.
const leastSecond = 0.001

// TimeScale returns a logarithmic scale of times whose ends are powers of ten, and its ticks.
func TimeScale(least, most, from, to float64) (Scale, []float64) {
	low := math.Pow(10, math.Floor(math.Log10(max(least, leastSecond))+1e-9))
	high := math.Pow(10, math.Ceil(math.Log10(max(most, 2*low))-1e-9))
	var ticks []float64
	step := 10.0
	for high/low > math.Pow(step, 6) {
		step *= 10
	}
	for t := low; t <= high*1.01; t *= step {
		ticks = append(ticks, t)
	}
	return Scale{low, high, from, to, true}, ticks
}

// Linear returns a scale from 0 to a round number, and its ticks.
func Linear(most, from, to float64) (Scale, []float64) {
	if most <= 0 {
		most = 1
	}
	step := math.Pow(10, math.Floor(math.Log10(most)))
	switch {
	case most/step < 1.5:
		step /= 4
	case most/step < 3:
		step /= 2
	case most/step > 6:
		step *= 2
	}
	high := math.Ceil(most/step-1e-9) * step
	var ticks []float64
	for k := 0.0; k*step <= high*1.001; k++ {
		ticks = append(ticks, k*step)
	}
	return Scale{0, high, from, to, false}, ticks
}
