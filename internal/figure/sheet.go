package figure

import (
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Sheet is a picture of many small plots, in rows, under one title and one key.
//
//	s := &figure.Sheet{Header: figure.Header{Title: "Waits"}, Columns: 4, PanelWidth: 6 * vg.Centimeter, PanelHeight: 5 * vg.Centimeter}
//	s.Panels = append(s.Panels, figure.NewPanel("high_tree_small_det", "wait (s)", "share of invocations"))
//	err := figure.Write("waits.png", s)
type Sheet struct {
	Header
	Panels                  []*plot.Plot // row by row
	Columns                 int
	PanelWidth, PanelHeight vg.Length
}

// NewPanel returns an empty plot for a sheet, with labels that name the axes and their units. A title may have several lines.
func NewPanel(title, x, y string) *plot.Plot {
	p := newAxes(x, y, 8.5)
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(panelTicks), plot.TickerFunc(panelTicks)
	p.X.Tick.Length, p.Y.Tick.Length = 4, 4
	p.Title.Text = title
	p.Title.TextStyle.Font.Variant, p.Title.TextStyle.Font.Size = "Sans", 9.5
	p.Title.Padding = 5
	addGrid(p, true, true)
	return p
}

// LogAxis makes an axis logarithmic, from a number above 0 to another.
func LogAxis(axis *plot.Axis, from, to float64) {
	axis.Scale, axis.Tick.Marker = plot.LogScale{}, plot.TickerFunc(logTicks)
	axis.Min, axis.Max = from, to
}

func (s *Sheet) rows() int { return (len(s.Panels) + s.Columns - 1) / s.Columns }

// Size returns the width and the height of the sheet.
func (s *Sheet) Size() (width, height vg.Length) {
	width = vg.Length(s.Columns) * s.PanelWidth
	return width, margin + s.headerHeight(width-2*margin) + vg.Length(s.rows())*s.PanelHeight
}

// Draw draws the sheet over the whole canvas.
func (s *Sheet) Draw(c draw.Canvas) {
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
	header := draw.Crop(c, margin, -margin, 0, -margin)
	s.drawHeader(&header)
	tiles := draw.Tiles{Rows: s.rows(), Cols: s.Columns, PadBottom: 8, PadLeft: 8, PadRight: 14, PadX: 14, PadY: 14}
	c.Max.Y = header.Max.Y
	for i, p := range s.Panels {
		drawPlot(p, tiles.At(c, i%s.Columns, i/s.Columns))
	}
}
