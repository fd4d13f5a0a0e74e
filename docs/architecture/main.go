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
	return atomicfile.Write(*output, draws)
}

// Sizes in points, on a canvas of width × height with the origin at the lower left.
const (
	width, height = 860, 430
	boxWidth      = 178
	boxHeight     = 74
)

var (
	ink      = color.Gray{40}
	faint    = color.Gray{120}
	ours     = color.RGBA{222, 235, 247, 255}
	foreign  = color.Gray{236}
	learning = color.RGBA{226, 240, 217, 255}
)

// box is a part: its name and what it does.
type box struct {
	x, y  float64 // lower left corner
	name  string
	lines string
	fill  color.Color
}

// Every part has its place in a grid of three rows.
var (
	sampler   = box{24, 320, "sampler", "deploys an application,\nsends requests, collects traces", ours}
	openwhisk = box{341, 320, "OpenWhisk", "a cluster, or the built-in\nplatform (localwhisk)", foreign}
	functions = box{658, 320, "functions", "apps/action: sleep, invoke\nthe next ones, export a span", ours}
	collector = box{658, 178, "collector", "adds wait and init times,\ndraws the phases", ours}
	zipkin    = box{341, 178, "Zipkin", "a server, or the built-in one\n(localzipkin)", foreign}
	dataset   = box{24, 178, "dataset", "arrival times, marks,\nwaits, inits (JSON)", learning}
	model     = box{24, 36, "tpp", "trains a temporal point process,\nevaluates it", learning}
	forecast  = box{341, 36, "forecast", "which function, when:\nanew at each arrival", learning}
	warming   = box{658, 36, "your controller", "warms what will be\nneeded", foreign}
)

// arrow goes from one box to another, from and to a side of each: 'r', 'l', 't', 'b'.
type arrow struct {
	from, to         box
	fromSide, toSide byte
	label            string
	leave, arrive    float64 // where on the sides, from their middles
}

func draws(w io.Writer) error {
	canvas := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(144), vgimg.UseBackgroundColor(color.White))}
	c := draw.New(canvas)
	p := pen{c, text.Plain{Fonts: font.NewCache(liberation.Collection())}}
	for _, b := range []box{sampler, openwhisk, functions, collector, zipkin, dataset, model, forecast, warming} {
		p.box(b)
	}
	for _, a := range []arrow{
		{sampler, openwhisk, 'r', 'l', "requests (REST)", 0, 0},
		{openwhisk, functions, 'r', 'l', "starts, runs", 14, 14},
		{functions, openwhisk, 'l', 'r', "invoke", -14, -14},
		{functions, collector, 'b', 't', "spans\n(OTLP)", 30, 30},
		{openwhisk, collector, 'b', 't', "activation records", 40, -40},
		{collector, zipkin, 'l', 'r', "enriched spans", 0, 0},
		{zipkin, sampler, 't', 'b', "complete traces", -40, 40},
		{sampler, dataset, 'b', 't', "writes", -50, -50},
		{dataset, model, 'b', 't', "trains", -50, -50},
		{model, forecast, 'r', 'l', "model file", 0, 0},
		{forecast, warming, 'r', 'l', "what to warm", 0, 0},
	} {
		p.arrow(a)
	}
	_, err := canvas.WriteTo(w)
	return err
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
	corners := []vg.Point{{X: x, Y: y}, {X: x + boxWidth, Y: y}, {X: x + boxWidth, Y: y + boxHeight}, {X: x, Y: y + boxHeight}}
	p.c.FillPolygon(b.fill, corners)
	p.c.StrokeLines(draw.LineStyle{Color: faint, Width: 0.8}, append(corners, corners[0]))
	p.c.FillText(p.style(13, ink, true), vg.Point{X: x + boxWidth/2, Y: y + boxHeight - 16}, b.name)
	for i, line := range strings.Split(b.lines, "\n") {
		p.c.FillText(p.style(9.5, ink, false), vg.Point{X: x + boxWidth/2, Y: y + boxHeight - 36 - vg.Length(15*i)}, line)
	}
}

// side returns the middle of a side of b, moved along it.
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
		style, at := p.style(9, faint, false), vg.Point{X: vg.Length((x0 + x1) / 2), Y: vg.Length((y0 + y1) / 2)}
		switch {
		case y0 == y1:
			at.Y += 8
		case x0 == x1:
			style.XAlign = draw.XLeft
			at.X += 7
			at.Y -= vg.Length(12 * i)
		default: // both slanted ones fall to the right: above them is room
			style.XAlign = draw.XLeft
			at.X += 6
			at.Y += 8
		}
		p.c.FillText(style, at, line)
	}
}
