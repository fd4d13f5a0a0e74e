package figure

import (
	"fmt"
	"image/color"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/recorder"
)

// Header is what stands above the axes.
type Header struct {
	Title  string // what the picture shows
	Source string // what it is drawn from: model, dataset, sequence
	key    []keyEntry
}

// keyEntry explains a sign of the picture. Without a sign it is a remark.
type keyEntry struct {
	sign plot.Thumbnailer
	text string
}

// Sizes in points.
const (
	signWidth  = vg.Length(22) // of a sign in the key
	signHeight = vg.Length(9)
	lineHeight = vg.Length(14) // of the key and the notes
	wordGap    = vg.Length(5)
	entryGap   = vg.Length(16) // between entries of the key, and between columns
	// letterShift is how much lower the middle of most letters is than that of a line of text, which has room for tails.
	letterShift = vg.Length(1)
)

// Explain adds an entry to the key: a sign of the picture and what it means. Without a sign it is a remark.
func (h *Header) Explain(sign plot.Thumbnailer, format string, args ...any) {
	h.key = append(h.key, keyEntry{sign, fmt.Sprintf(format, args...)})
}

// drawHeader draws the title, the source and the key at the top of c, and takes their room from it.
func (h *Header) drawHeader(c *draw.Canvas) {
	width := c.Max.X - c.Min.X
	for _, part := range []struct {
		text string
		size vg.Length
	}{{h.Title, 13}, {h.Source, 10}} {
		style := textStyle(ink, draw.XLeft)
		style.Font.Size = part.size
		for _, words := range wrap(style, part.text, width) {
			c.Max.Y -= part.size * 1.4
			c.FillText(style, vg.Point{X: c.Min.X, Y: c.Max.Y + part.size*0.7}, words)
		}
	}
	c.Max.Y -= 6
	at := c.Min.X
	style := textStyle(ink, draw.XLeft)
	for i, entry := range h.key {
		room := vg.Length(0)
		if entry.sign != nil {
			room = signWidth + wordGap
		}
		for j, words := range wrap(style, entry.text, width-room) {
			length := room + style.Width(words)
			if i == 0 && j == 0 || j > 0 || at+length > c.Max.X {
				c.Max.Y -= lineHeight
				at = c.Min.X
			}
			y := c.Max.Y + lineHeight/2
			if j == 0 && entry.sign != nil {
				sign := *c
				middle := y - letterShift
				sign.Min, sign.Max = vg.Point{X: at, Y: middle - signHeight/2}, vg.Point{X: at + signWidth, Y: middle + signHeight/2}
				entry.sign.Thumbnail(&sign)
			}
			c.FillText(style, vg.Point{X: at + room, Y: y}, words)
			at += length + entryGap
		}
	}
	c.Max.Y -= 6
}

// headerHeight returns the room that drawHeader takes on a canvas of a width.
func (h *Header) headerHeight(width vg.Length) vg.Length {
	const high = 10_000
	c := draw.NewCanvas(new(recorder.Canvas), width, high)
	h.drawHeader(&c)
	return high - c.Max.Y
}

// wrap breaks a text at spaces into lines of a width at most. A word that is wider is shortened.
func wrap(style text.Style, s string, width vg.Length) []string {
	var lines []string
	for word := range strings.FieldsSeq(s) {
		word = fit(style, word, width)
		if n := len(lines); n > 0 && style.Width(lines[n-1]+" "+word) <= width {
			lines[n-1] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

// fit shortens a text in the middle until it is not wider than width.
func fit(style text.Style, s string, width vg.Length) string {
	short := s
	for n := len([]rune(s)); n > 3 && style.Width(short) > width; n-- {
		short = shorten(s, n-1)
	}
	return short
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

func textStyle(col color.Color, align text.XAlignment) text.Style {
	s := text.Style{Color: col, Font: plot.DefaultFont, Handler: plot.DefaultTextHandler, XAlign: align, YAlign: draw.YCenter}
	s.Font.Size = 9.5
	s.Font.Variant = "Sans"
	return s
}
