package main

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	canvas "gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
)

var (
	recordedInk = color.Gray{60}
	ourInk      = color.NRGBA{0xc0, 0x50, 0x20, 0xff}
	gridInk     = color.NRGBA{0xdd, 0xdd, 0xdd, 0xff}
)

const columns = 4

// drawing is what has a panel in the picture.
type drawing interface{ panel() (*plot.Plot, error) }

// drawFile draws a panel for each: of recordings of bursts the distribution of waits, of low loads the median gaps.
func drawFile(path string, all []drawing) error {
	format := strings.TrimPrefix(filepath.Ext(path), ".")
	rows := (len(all) + columns - 1) / columns
	width, height := columns*6*vg.Centimeter, vg.Length(rows)*5.2*vg.Centimeter
	c, err := canvas.NewFormattedCanvas(width, height, format)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if format == "png" {
		c = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(110))}
	}
	tiles := canvas.Tiles{Rows: rows, Cols: columns, PadTop: 8, PadBottom: 8, PadLeft: 8, PadRight: 14, PadX: 12, PadY: 12}
	whole := canvas.New(c)
	for i, one := range all {
		p, err := one.panel()
		if err != nil {
			return err
		}
		p.Draw(tiles.At(whole, i%columns, i/columns))
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := c.WriteTo(w)
		return err
	})
}

func (c *comparison) panel() (*plot.Plot, error) {
	p := newPanel(c.source.name)
	var err error
	if len(c.gaps) > 0 {
		err = c.drawGaps(p)
	} else {
		err = c.drawWaits(p)
	}
	fonts(p)
	return p, err
}

func newPanel(title string) *plot.Plot {
	p := plot.New()
	p.Title.Text = title
	p.Title.TextStyle.Font.Variant = "Sans"
	p.Title.TextStyle.Font.Size = 9
	if len(title) > 30 {
		p.Title.TextStyle.Font.Size = 7.5
	}
	p.Title.Padding = 4
	return p
}

func fonts(p *plot.Plot) {
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font.Variant = "Sans"
		a.Label.TextStyle.Font.Size = 8
		a.Tick.Label.Font.Variant = "Sans"
		a.Tick.Label.Font.Size = 7
	}
}

// drawGaps sets ours against the recorded medians, each with its bootstrap interval of 95 %.
func (c *comparison) drawGaps(p *plot.Plot) error {
	p.X.Label.Text, p.Y.Label.Text = "median gap recorded, ms", "simulated, ms"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	const least, most = 0.8, 1000
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = least, most, least, most
	ticks := plot.ConstantTicks{{Value: 1, Label: "1"}, {Value: 10, Label: "10"}, {Value: 100, Label: "100"}, {Value: 1000, Label: "1000"}}
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks, ticks
	same, err := plotter.NewLine(plotter.XYs{{X: least, Y: least}, {X: most, Y: most}})
	if err != nil {
		return err
	}
	same.Color = recordedInk
	p.Add(grid(), same)
	var points plotter.XYs
	for _, g := range c.gaps {
		y := min(max(g.ours, least), most)
		if math.IsNaN(y) {
			continue
		}
		points = append(points, plotter.XY{X: min(max(g.real, least), most), Y: y})
		spread, err := plotter.NewLine(plotter.XYs{{X: min(max(g.alone.lower, least), most), Y: y}, {X: min(max(g.alone.upper, least), most), Y: y}})
		if err != nil {
			return err
		}
		spread.Color = ourInk
		spread.Width = 0.6
		p.Add(spread)
	}
	scatter, err := plotter.NewScatter(points)
	if err != nil {
		return err
	}
	scatter.Shape, scatter.Color, scatter.Radius = canvas.CircleGlyph{}, ourInk, 1.8
	p.Add(scatter)
	return nil
}

// drawWaits draws the distribution functions of the waits of both.
func (c *comparison) drawWaits(p *plot.Plot) error {
	p.X.Label.Text, p.Y.Label.Text = "wait, s", "share of invocations"
	real, ours := delaysOf(c.real), delaysOf(c.ours)
	p.Y.Min, p.Y.Max = 0, 1
	p.Y.Tick.Marker = plot.ConstantTicks{{Value: 0, Label: "0"}, {Value: 0.5, Label: "0.5"}, {Value: 1, Label: "1"}}
	p.X.Min, p.X.Max = 0, 5*math.Ceil(quantile(real.wait, 0.995)/5000)
	step := p.X.Max / 5
	var ticks plot.ConstantTicks
	for x := 0.0; x <= p.X.Max; x += step {
		ticks = append(ticks, plot.Tick{Value: x, Label: fmt.Sprintf("%g", x)})
	}
	p.X.Tick.Marker = ticks
	p.Add(grid())
	if err := distribution(p, real.wait, 1000, recordedInk, "recorded"); err != nil {
		return err
	}
	if err := distribution(p, ours.wait, 1000, ourInk, "simulated"); err != nil {
		return err
	}
	legend(p)
	return nil
}

func legend(p *plot.Plot) {
	p.Legend.TextStyle.Font.Variant = "Sans"
	p.Legend.TextStyle.Font.Size = 7
	p.Legend.XOffs, p.Legend.YOffs = -4, 4
}

func grid() *plotter.Grid {
	g := plotter.NewGrid()
	g.Vertical.Color, g.Horizontal.Color = gridInk, gridInk
	return g
}

// distribution draws the distribution function of ascending times, in units of so many milliseconds, with a name in the legend if there
// is one.
func distribution(p *plot.Plot, times []float64, unit float64, ink color.Color, name string) error {
	const points = 200
	var xys plotter.XYs
	for i := range points {
		share := float64(i) / points
		xys = append(xys, plotter.XY{X: max(min(quantile(times, share)/unit, p.X.Max), p.X.Min), Y: share})
	}
	line, err := plotter.NewLine(xys)
	if err != nil {
		return err
	}
	line.Color, line.Width = ink, 1.4
	p.Add(line)
	if name != "" {
		p.Legend.Add(name, line)
	}
	return nil
}
