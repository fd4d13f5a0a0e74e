package figure

import (
	"image/color"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// edge is a side of the axes.
type edge int

const (
	leftEdge edge = iota
	rightEdge
	topEdge
)

// cut says which data lie beyond an edge of the axes and are not drawn.
type cut struct {
	edge edge
	text string
}

// column is a column of notes to the right of the axes.
type column struct {
	heading string
	cells   []cell
}

// cell is a note at a height of the vertical axis.
type cell struct {
	y      float64
	text   string
	second string // a second line, which follows on the first if there is no room below it
	color  color.Color
	cut    bool // marks what is cut off at the right edge
}

// Sizes in points.
const (
	margin    = vg.Length(10) // around a picture
	axesGap   = vg.Length(8)  // between the axes and the first column
	arrowSize = vg.Length(6)
	// twoLines is the distance of rows from which on there is room for two lines in each.
	twoLines = 2 * vg.Length(11)
	// mostColumns is the share of the width that the columns take at most.
	mostColumns = 0.45
)

// leastSize returns how much smaller than the size that suits it the picture may be with letters of full size. Columns leave no room.
func (f *Figure) leastSize() vg.Length {
	if len(f.columns) > 0 {
		return 1
	}
	return 0.85
}

// Draw draws the picture over the whole canvas. On a small canvas everything becomes smaller, the letters too.
func (f *Figure) Draw(c draw.Canvas) {
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
	size, least := c.Size(), f.leastSize()
	if scale := min(size.X/(least*f.suitsWidth), size.Y/(least*f.suitsHeight)); scale < 1 {
		c.Push()
		defer c.Pop()
		c.Scale(float64(scale), float64(scale))
		c.Min, c.Max = c.Min.Scale(1/scale), c.Max.Scale(1/scale)
	}
	c = draw.Crop(c, margin, -margin, margin, -margin)
	f.drawHeader(&c)

	bottom := c // of it the axes get the part below the headings and left of the columns
	headings := f.headingLines(c)
	bottom.Max.Y -= vg.Length(headings) * lineHeight
	widths, stacked := f.columnWidths(bottom)
	axes := bottom
	for i, w := range widths {
		axes.Max.X -= columnGap(i) + w
	}
	data := drawPlot(f.Plot, axes)
	f.drawCuts(data, headings)
	f.drawColumns(c, data, widths, stacked)
}

// headingLines returns how many lines between the key and the axes the cuts and the headings of columns take.
func (f *Figure) headingLines(c draw.Canvas) int {
	lines := 0
	if len(f.columns) > 0 || f.rowHeading != "" {
		lines = 1
	}
	return max(lines, len(f.cutLines(dataCanvas(f.Plot, c))))
}

// cutLines arranges the cuts in lines above the axes: what is cut off at the left and at the right share a line if there is room.
func (f *Figure) cutLines(data draw.Canvas) [][]cut {
	style := textStyle(ink, draw.XLeft)
	if len(f.cuts) == 2 && f.cuts[0].edge != rightEdge && f.cuts[1].edge == rightEdge &&
		style.Width(f.cuts[0].text)+style.Width(f.cuts[1].text)+2*(arrowSize+wordGap)+entryGap < data.Max.X-data.Min.X {
		return [][]cut{f.cuts}
	}
	var lines [][]cut
	for _, one := range f.cuts {
		lines = append(lines, []cut{one})
	}
	return lines
}

// drawCuts draws an arrow and a text for each cut, above the axes.
func (f *Figure) drawCuts(data draw.Canvas, headings int) {
	width := data.Max.X - data.Min.X - arrowSize - wordGap
	for i, cuts := range f.cutLines(data) {
		y := data.Max.Y + lineHeight*(vg.Length(headings-i)-0.5)
		for _, one := range cuts {
			style, at, x := textStyle(ink, draw.XLeft), data.Min.X, data.Min.X+arrowSize+wordGap
			if one.edge == rightEdge {
				style, at, x = textStyle(ink, draw.XRight), data.Max.X-arrowSize, data.Max.X-arrowSize-wordGap
			}
			drawArrow(data, one.edge, at, y)
			data.FillText(style, vg.Point{X: x, Y: y}, fit(style, one.text, width))
		}
	}
}

// drawArrow draws an arrow from x on, with its middle at y, that points over an edge.
func drawArrow(c draw.Canvas, e edge, x, y vg.Length) {
	const half = arrowSize / 2
	y -= letterShift
	switch e {
	case leftEdge:
		c.FillPolygon(cutColor, []vg.Point{{X: x, Y: y}, {X: x + arrowSize, Y: y + half}, {X: x + arrowSize, Y: y - half}})
	case rightEdge:
		c.FillPolygon(cutColor, []vg.Point{{X: x + arrowSize, Y: y}, {X: x, Y: y + half}, {X: x, Y: y - half}})
	default:
		c.FillPolygon(cutColor, []vg.Point{{X: x + half, Y: y + half}, {X: x, Y: y - half}, {X: x + arrowSize, Y: y - half}})
	}
}

// columnWidths returns the width of each column, and whether its cells have room for two lines.
func (f *Figure) columnWidths(c draw.Canvas) (widths []vg.Length, stacked bool) {
	if len(f.columns) == 0 {
		return nil, false
	}
	data := dataCanvas(f.Plot, c)
	_, y := f.Plot.Transforms(&data)
	stacked = y(1)-y(0) >= twoLines
	style := textStyle(ink, draw.XLeft)
	sum := vg.Length(0)
	for _, col := range f.columns {
		width := style.Width(col.heading)
		for _, one := range col.cells {
			for _, words := range one.lines(stacked) {
				width = max(width, one.indent()+style.Width(words))
			}
		}
		widths = append(widths, width)
		sum += width
	}
	if most := mostColumns * (c.Max.X - c.Min.X); sum > most { // the last column has the long texts
		last := len(widths) - 1
		widths[last] = max(widths[last]-(sum-most), 0)
	}
	return widths, stacked
}

// lines returns the text of the cell, in two lines if it has them and there is room.
func (one cell) lines(stacked bool) []string {
	switch {
	case one.second == "":
		return []string{one.text}
	case stacked:
		return []string{one.text, one.second}
	}
	return []string{one.text + ", " + one.second}
}

// indent returns the room that the mark of the cell takes.
func (one cell) indent() vg.Length {
	if one.cut {
		return arrowSize + wordGap
	}
	return 0
}

// drawColumns draws the columns in the room right of the axes, and the headings in the line above them.
func (f *Figure) drawColumns(c, data draw.Canvas, widths []vg.Length, stacked bool) {
	style := textStyle(faintInk, draw.XLeft)
	y := data.Max.Y + lineHeight/2
	if f.rowHeading != "" {
		c.FillText(style, vg.Point{X: c.Min.X, Y: y}, f.rowHeading)
	}
	_, at := f.Plot.Transforms(&data)
	x := data.Max.X
	for i, col := range f.columns {
		x += columnGap(i)
		c.FillText(style, vg.Point{X: x, Y: y}, fit(style, col.heading, widths[i]))
		for _, one := range col.cells {
			if one.cut {
				drawArrow(c, rightEdge, x, at(one.y))
			}
			lines := one.lines(stacked)
			style := textStyle(one.color, draw.XLeft)
			for j, words := range lines {
				// The lines of a cell stand around its middle.
				lower := (vg.Length(j) - vg.Length(len(lines)-1)/2) * twoLines / 2
				c.FillText(style, vg.Point{X: x + one.indent(), Y: at(one.y) - lower}, fit(style, words, widths[i]-one.indent()))
			}
		}
		x += widths[i]
	}
}

// columnGap returns the room left of a column.
func columnGap(i int) vg.Length {
	if i == 0 {
		return axesGap
	}
	return entryGap
}
