package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// picture is an SVG picture in the making. Its colours are classes, which the page sets for light and dark.
type picture struct {
	text          strings.Builder
	width, height float64
}

// pictureWidth is the width of pictures in the units in which letters are 10 high: about that of a phone.
const pictureWidth = 400

func newPicture(height float64) *picture { return &picture{width: pictureWidth, height: height} }

func (p *picture) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&p.text, `<line class="%s" x1="%s" y1="%s" x2="%s" y2="%s"/>`, class, num(x1), num(y1), num(x2), num(y2))
}

func (p *picture) rect(class string, x, y, w, h float64) {
	fmt.Fprintf(&p.text, `<rect class="%s" x="%s" y="%s" width="%s" height="%s"/>`, class, num(x), num(y), num(max(w, 0)), num(max(h, 0)))
}

func (p *picture) circle(class string, x, y, r float64) {
	fmt.Fprintf(&p.text, `<circle class="%s" cx="%s" cy="%s" r="%s"/>`, class, num(x), num(y), num(r))
}

// label writes a text; anchor is start, middle or end.
func (p *picture) label(anchor string, x, y float64, text string) {
	fmt.Fprintf(&p.text, `<text x="%s" y="%s" text-anchor="%s">%s</text>`, num(x), num(y), anchor, html.EscapeString(text))
}

func (p *picture) polyline(class string, points [][2]float64) {
	fmt.Fprintf(&p.text, `<polyline class="%s" points="`, class)
	for i, at := range points {
		if i > 0 {
			p.text.WriteByte(' ')
		}
		p.text.WriteString(num(at[0]) + "," + num(at[1]))
	}
	p.text.WriteString(`"/>`)
}

// done returns the picture with a title for those who cannot see it.
func (p *picture) done(title string) template.HTML {
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %s %s" role="img" aria-label="%s">%s</svg>`, num(p.width), num(p.height), html.EscapeString(title), p.text.String()))
}

// num writes a coordinate.
func num(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

// scale takes values to coordinates.
type scale struct {
	low, high, from, to float64
	log                 bool
}

func (s scale) at(v float64) float64 {
	v = min(max(v, s.low), s.high)
	low, high := s.low, s.high
	if s.log {
		v, low, high = math.Log(v), math.Log(low), math.Log(high)
	}
	if high <= low {
		return s.from
	}
	return s.from + (v-low)/(high-low)*(s.to-s.from)
}

// leastSecond is the smallest time on logarithmic axes.
const leastSecond = 0.001

// timeScale returns a logarithmic scale of times whose ends are powers of ten, and its ticks.
func timeScale(least, most, from, to float64) (scale, []float64) {
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
	return scale{low, high, from, to, true}, ticks
}

// linear returns a scale from 0 to a round number, and its ticks.
func linear(most, from, to float64) (scale, []float64) {
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
	return scale{0, high, from, to, false}, ticks
}

// seconds writes a time for people.
func seconds(s float64) string {
	switch a := math.Abs(s); {
	case math.IsInf(s, 1) || s == -1:
		return "for ever"
	case a == 0:
		return "0"
	case a < 0.0095:
		return trimmed(fmt.Sprintf("%.1f", 1000*s)) + " ms"
	case a < 0.9995:
		return fmt.Sprintf("%.0f ms", 1000*s)
	case a < 9.995:
		return trimmed(fmt.Sprintf("%.2f", s)) + " s"
	case a < 120:
		return trimmed(fmt.Sprintf("%.1f", s)) + " s"
	case a < 7200:
		return trimmed(fmt.Sprintf("%.1f", s/60)) + " min"
	case a < 48*3600:
		return trimmed(fmt.Sprintf("%.1f", s/3600)) + " h"
	}
	return trimmed(fmt.Sprintf("%.1f", s/86400)) + " days"
}

// trimmed takes zeros off the end of decimals.
func trimmed(s string) string {
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// amount writes a large number for people, with three digits: 1.35 M.
func amount(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e12, "\u00a0T"}, {1e9, "\u00a0G"}, {1e6, "\u00a0M"}, {1e3, "\u00a0k"}} {
		if math.Abs(v) >= unit.size*0.9995 {
			return digits(v/unit.size) + unit.name
		}
	}
	return digits(v)
}

// digits writes three digits.
func digits(v float64) string {
	switch a := math.Abs(v); {
	case a >= 99.95 || a == 0:
		return fmt.Sprintf("%.0f", v)
	case a >= 9.995:
		return trimmed(fmt.Sprintf("%.1f", v))
	}
	return trimmed(fmt.Sprintf("%.2f", v))
}

// percent writes a share.
func percent(share float64) string {
	switch {
	case share == 0 || share >= 0.9995:
		return fmt.Sprintf("%.0f\u00a0%%", 100*share)
	case share < 0.001:
		return fmt.Sprintf("%.2f\u00a0%%", 100*share)
	}
	return fmt.Sprintf("%.1f\u00a0%%", 100*share)
}

// tick writes a share on an axis.
func tick(share float64) string { return fmt.Sprintf("%.3g\u00a0%%", 100*share) }

// shortened cuts a name for a picture.
func shortened(name string, most int) string {
	r := []rune(name)
	if len(r) <= most {
		return name
	}
	return string(r[:most/2]) + "…" + string(r[len(r)-(most-most/2-1):])
}

// clock writes how long after the beginning something was.
func clock(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if s >= 48*3600 {
		return trimmed(fmt.Sprintf("%.1f", s/86400)) + " d"
	}
	return fmt.Sprintf("%d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
}
