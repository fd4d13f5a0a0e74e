// Architecture draws docs/architecture.png: the parts of TppFaaS and what goes between them.
//
//	go run ./docs/architecture -o docs/architecture.png
package main

import (
	"context"
	"image/color"
	"io"
	"math"
	"strings"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
)

const usage = `Usage: architecture [-o FILE]

Draws the parts of TppFaaS and what goes between them.
`

func main() {
	cli.Main(func(_ context.Context, args []string, stdout, stderr io.Writer) int {
		return cli.Exit(stderr, "architecture", run(args, stdout))
	})
}

func run(args []string, stdout io.Writer) error {
	fs := cli.NewFlagSet("architecture", stdout, usage)
	output := fs.String("o", "docs/architecture.png", "the `file` to write, PNG")
	if rest, err := cli.Parse(fs, args); err != nil {
		return err
	} else if len(rest) > 0 {
		return cli.Usagef("unexpected argument %q", rest[0])
	}
	return atomicfile.Write(*output, write)
}

// Sizes in points, on a canvas of width × height with the origin at the lower left. A page shows a point as about a pixel.
const (
	width, height = 860, 476
	boxWidth      = 208
	boxHeight     = 88

	nameSize, lineSize, labelSize = 16, 12, 12
)

var (
	ink      = color.Gray{40}
	faint    = color.Gray{90}
	sampling = color.RGBA{222, 235, 247, 255}
	modeling = color.RGBA{226, 240, 217, 255}
	foreign  = color.Gray{236}
)

// box is a part: its name and what it does.
type box struct {
	x, y  float64 // lower left corner
	name  string
	lines string
	fill  color.Color
}

// Every part has its place in a grid of three rows and three columns.
const (
	column1, column2, column3 = 14, 326, 638
	row1, row2, row3          = 374, 214, 54
)

var (
	sampler   = box{column1, row1, "sampler", "deploys an application,\nsends requests, collects traces", sampling}
	openwhisk = box{column2, row1, "OpenWhisk", "a cluster, or the built-in\nplatform (localwhisk)", foreign}
	functions = box{column3, row1, "functions", "sleep, invoke the next ones,\nexport a span (apps/action)", sampling}
	collector = box{column3, row2, "collector", "adds wait and init times and\nthe phases of each invocation", sampling}
	prewarm   = box{column2, row2, "prewarm", "foresees which functions, and\nwhen; warms their containers", modeling}
	model     = box{column1, row2, "tpp", "trains and evaluates\na temporal point process", modeling}
	dataset   = box{column1, row3, "dataset", "arrival, wait and init times,\nwhich function (JSON)", modeling}
	zipkin    = box{column3, row3, "Zipkin", "a server, or the built-in one\n(localzipkin)", foreign}
)

// arrow goes from a box to another, from and to a side of each: 'r', 'l', 't', 'b'.
type arrow struct {
	from, to         box
	fromSide, toSide byte
	label            string
	leave, arrive    float64 // where on the sides, from their middles
}

// write draws the picture into a PNG.
func write(w io.Writer) error {
	canvas := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(144), vgimg.UseBackgroundColor(color.White))}
	paint(draw.New(canvas))
	_, err := canvas.WriteTo(w)
	return err
}

// paint draws the parts, what goes between them, and a key to the colours.
func paint(c draw.Canvas) {
	p := pen{c, text.Plain{Fonts: font.NewCache(liberation.Collection())}}
	for _, b := range []box{sampler, openwhisk, functions, collector, zipkin, dataset, model, prewarm} {
		p.box(b)
	}
	for _, a := range []arrow{
		{sampler, openwhisk, 'r', 'l', "requests (REST)", 0, 0},
		{openwhisk, functions, 'r', 'l', "starts, runs", 16, 16},
		{functions, openwhisk, 'l', 'r', "invoke", -16, -16},
		{functions, collector, 'b', 't', "spans,\nannouncements", 10, 10},
		{openwhisk, collector, 'b', 't', "activation records", 40, -60},
		{collector, prewarm, 'l', 'r', "announcements", 0, 0},
		{prewarm, openwhisk, 't', 'b', "warm-ups", -60, -60},
		{collector, zipkin, 'b', 't', "enriched\nspans", 10, 10},
		{zipkin, dataset, 'l', 'r', "complete traces, collected by the sampler", 0, 0},
		{dataset, model, 't', 'b', "trains", -60, -60},
		{model, prewarm, 'r', 'l', "model file", 0, 0},
	} {
		p.arrow(a)
	}
	x := vg.Length(column1)
	for _, k := range []struct {
		fill color.Color
		text string
	}{{sampling, "samples"}, {modeling, "models, predicts and warms"}, {foreign, "systems around it; OpenWhisk and Zipkin are built in too"}} {
		const y, size = 14, 12
		p.rectangle(x, y, 20, size, k.fill)
		style := p.style(labelSize, ink, false)
		style.XAlign = draw.XLeft
		p.c.FillText(style, vg.Point{X: x + 27, Y: y + size/2}, k.text)
		x += 27 + style.Width(k.text) + 28
	}
}

// pen draws on a canvas.
type pen struct {
	c    draw.Canvas
	text text.Handler
}

func (p pen) style(size vg.Length, c color.Color, bold bool) draw.TextStyle {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
	if bold {
		f.Weight = 3
	}
	return draw.TextStyle{Color: c, Font: f, Handler: p.text, XAlign: draw.XCenter, YAlign: draw.YCenter}
}

func (p pen) box(b box) {
	x, y := vg.Length(b.x), vg.Length(b.y)
	p.rectangle(x, y, boxWidth, boxHeight, b.fill)
	p.c.FillText(p.style(nameSize, ink, true), vg.Point{X: x + boxWidth/2, Y: y + boxHeight - 19}, b.name)
	for i, line := range strings.Split(b.lines, "\n") {
		p.c.FillText(p.style(lineSize, ink, false), vg.Point{X: x + boxWidth/2, Y: y + boxHeight - 45 - vg.Length(19*i)}, line)
	}
}

func (p pen) rectangle(x, y, width, height vg.Length, fill color.Color) {
	corners := []vg.Point{{X: x, Y: y}, {X: x + width, Y: y}, {X: x + width, Y: y + height}, {X: x, Y: y + height}}
	p.c.FillPolygon(fill, corners)
	p.c.StrokeLines(draw.LineStyle{Color: faint, Width: 0.8}, append(corners, corners[0]))
}

// side returns the middle of a side of b, shifted along it.
func (b box) side(s byte, shift float64) (x, y float64) {
	switch s {
	case 'r':
		return b.x + boxWidth, b.y + boxHeight/2 + shift
	case 'l':
		return b.x, b.y + boxHeight/2 + shift
	case 't':
		return b.x + boxWidth/2 + shift, b.y + boxHeight
	default:
		return b.x + boxWidth/2 + shift, b.y
	}
}

func (p pen) arrow(a arrow) {
	x0, y0 := a.from.side(a.fromSide, a.leave)
	x1, y1 := a.to.side(a.toSide, a.arrive)
	p.c.StrokeLine2(draw.LineStyle{Color: ink, Width: 1.1}, vg.Length(x0), vg.Length(y0), vg.Length(x1), vg.Length(y1))
	angle := math.Atan2(y1-y0, x1-x0)
	const length, spread = 8, 0.4
	head := []vg.Point{{X: vg.Length(x1), Y: vg.Length(y1)}}
	for _, turn := range []float64{-spread, spread} {
		head = append(head, vg.Point{X: vg.Length(x1 - length*math.Cos(angle+turn)), Y: vg.Length(y1 - length*math.Sin(angle+turn))})
	}
	p.c.FillPolygon(ink, head)

	for i, line := range strings.Split(a.label, "\n") {
		style, at := p.style(labelSize, faint, false), vg.Point{X: vg.Length((x0 + x1) / 2), Y: vg.Length((y0 + y1) / 2)}
		switch {
		case y0 == y1:
			at.Y += 10
		case x0 == x1:
			style.XAlign = draw.XLeft
			at.X += 8
			at.Y -= vg.Length(16 * i)
		default: // the slanted one falls to the right: above it is room
			style.XAlign = draw.XLeft
			at.X += 8
			at.Y += 10
		}
		p.c.FillText(style, at, line)
	}
}
