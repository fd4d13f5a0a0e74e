// Trace draws docs/trace.png: two requests of an application over one time axis, the first on a platform where nothing is warm, the
// second a minute later.
//
//	go run ./docs/trace -o docs/trace.png
package main

import (
	"context"
	"fmt"
	"image/color"
	"io"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/sampler"
)

const usage = `Usage: trace [-o FILE]

Draws two requests of an application: one that finds everything cold, one that finds everything warm.
`

func main() {
	cli.Main(func(ctx context.Context, args []string, stdout, stderr io.Writer) int {
		return cli.Exit(stderr, "trace", run(ctx, args, stdout))
	})
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	fs := cli.NewFlagSet("trace", stdout, usage)
	output := fs.String("o", "docs/trace.png", "the `file` to write, PNG")
	if rest, err := cli.Parse(fs, args); err != nil {
		return err
	} else if len(rest) > 0 {
		return cli.Usagef("unexpected argument %q", rest[0])
	}
	traces, err := sampled(ctx)
	if err != nil {
		return err
	}
	return atomicfile.Write(*output, func(w io.Writer) error { return write(w, traces) })
}

const application = "tree_small"

// sampled returns the traces of two requests, a minute apart, on the local platform in virtual time.
func sampled(ctx context.Context) ([]sampler.Trace, error) {
	app, err := apps.Load(application)
	if err != nil {
		return nil, err
	}
	target, err := sampler.NewLocal(3)
	if err != nil {
		return nil, err
	}
	planner, err := sampler.NewPlanner(app, sampler.Config{Requests: 2, MinInterval: time.Minute, MaxInterval: time.Minute, Seed: 1})
	if err != nil {
		return nil, err
	}
	if err := target.Deploy(ctx, app); err != nil {
		return nil, err
	}
	traces := make([]sampler.Trace, 2)
	var failed error
	for r, ok := planner.Next(); ok; r, ok = planner.Next() {
		target.AfterFunc(r.Time, func() {
			err := target.Send(r, func(t sampler.Trace, err error) { traces[r.Index], failed = t, err })
			if err != nil {
				failed = err
			}
		})
	}
	if err := target.Wait(ctx); err != nil {
		return nil, err
	}
	return traces, failed
}

// Sizes in points, with the origin at the lower left.
const (
	width             = 860
	left, right       = 60, 40
	rowHeight, rowGap = 13, 4
	top, bottom       = 34, 44 // the key, the time axis with its label
	titleHeight       = 30     // of a panel
	panelGap          = 16
)

var (
	ink   = color.Gray{40}
	faint = color.Gray{100}
	grid  = color.Gray{228}
	// Apart for every kind of colour vision.
	waits = color.RGBA{0xd0, 0xd0, 0xd0, 0xff}
	inits = color.RGBA{0xd5, 0x5e, 0x00, 0xff}
	execs = color.RGBA{0x56, 0xa0, 0xd3, 0xff}
)

// write draws the traces into a PNG.
func write(w io.Writer, traces []sampler.Trace) error {
	canvas := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height(traces)), vgimg.UseDPI(144), vgimg.UseBackgroundColor(color.White))}
	paint(draw.New(canvas), traces)
	_, err := canvas.WriteTo(w)
	return err
}

// height returns the height of the picture of traces.
func height(traces []sampler.Trace) vg.Length {
	h := bottom + top - panelGap
	for _, t := range traces {
		h += titleHeight + len(t)*(rowHeight+rowGap) + panelGap
	}
	return vg.Length(h)
}

// paint draws the traces one below the other, over one time axis.
func paint(c draw.Canvas, traces []sampler.Trace) {
	p := pen{c, text.Plain{Fonts: font.NewCache(liberation.Collection())}}
	total := 0.0
	for _, t := range traces {
		total = max(total, span(t).Seconds())
	}
	axis := timeAxis{total}
	p.key(height(traces) - 18)
	y := float64(height(traces) - top)
	for i, t := range traces {
		y = p.panel(t, axis, y, []string{"The first request: every container has to be started", "A minute later: every container is warm"}[i])
	}
	p.ticks(axis, bottom)
}

// span returns the time from the first arrival of a trace to its last end.
func span(t sampler.Trace) time.Duration {
	start, end := t[0].Arrival, t[0].End
	for _, a := range t {
		if a.Arrival.Before(start) {
			start = a.Arrival
		}
		if a.End.After(end) {
			end = a.End
		}
	}
	return end.Sub(start)
}

// timeAxis is the time axis of all traces, from 0 to total seconds.
type timeAxis struct{ total float64 }

// at returns the place of a time since the start of a trace.
func (axis timeAxis) at(since time.Duration) float64 {
	return left + since.Seconds()/axis.total*(width-left-right)
}

// pen draws on a canvas.
type pen struct {
	c    draw.Canvas
	text text.Handler
}

func (p pen) label(x, y, size vg.Length, c color.Color, align draw.XAlignment, s string) {
	style := p.style(size, c)
	style.XAlign = align
	p.c.FillText(style, vg.Point{X: x, Y: y + 0.12*size}, s) // most letters have nothing below the line
}

func (p pen) style(size vg.Length, c color.Color) draw.TextStyle {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
	return draw.TextStyle{Color: c, Font: f, Handler: p.text, YAlign: draw.YCenter}
}

func (p pen) bar(x0, x1, y float64, c color.Color) {
	if x1 <= x0 {
		return
	}
	p.c.FillPolygon(c, []vg.Point{
		{X: vg.Length(x0), Y: vg.Length(y)}, {X: vg.Length(x1), Y: vg.Length(y)},
		{X: vg.Length(x1), Y: vg.Length(y + rowHeight)}, {X: vg.Length(x0), Y: vg.Length(y + rowHeight)},
	})
}

// key explains the colours.
func (p pen) key(y vg.Length) {
	const size, signWidth = 12, 20
	x := vg.Length(left)
	for _, l := range []struct {
		c    color.Color
		text string
	}{{waits, "waits for a container"}, {inits, "the container initialises"}, {execs, "runs"}} {
		p.bar(float64(x), float64(x)+signWidth, float64(y)-rowHeight/2, l.c)
		p.label(x+signWidth+6, y, size, ink, draw.XLeft, l.text)
		x += signWidth + 6 + p.style(size, ink).Width(l.text) + 24
	}
}

// ticks draws the axis at y.
func (p pen) ticks(axis timeAxis, y float64) {
	step := roundStep(axis.total)
	for k := 0; float64(k)*step <= axis.total; k++ {
		x := vg.Length(axis.at(time.Duration(float64(k) * step * float64(time.Second))))
		p.c.StrokeLine2(draw.LineStyle{Color: faint, Width: 0.7}, x, vg.Length(y), x, vg.Length(y-4))
		p.label(x, vg.Length(y-12), 11, faint, draw.XCenter, fmt.Sprintf("%.3g", float64(k)*step))
	}
	p.c.StrokeLine2(draw.LineStyle{Color: faint, Width: 0.7}, left, vg.Length(y), width-right, vg.Length(y))
	p.label((left+width-right)/2, vg.Length(y-30), 12, ink, draw.XCenter, "time since the request (s)")
}

// panel draws a trace below y and returns where the next one begins.
func (p pen) panel(t sampler.Trace, axis timeAxis, y float64, title string) float64 {
	t = slices.Clone(t)
	slices.SortStableFunc(t, func(a, b sampler.Activation) int { return a.Arrival.Compare(b.Arrival) })
	start, total := t[0].Arrival, span(t)
	p.label(left, vg.Length(y-titleHeight/2), 13, ink, draw.XLeft, fmt.Sprintf("%s, done after %.1f s", title, total.Seconds()))
	y -= titleHeight
	rows := float64(len(t) * (rowHeight + rowGap))
	step := roundStep(axis.total)
	for k := 0; float64(k)*step <= axis.total; k++ {
		x := vg.Length(axis.at(time.Duration(float64(k) * step * float64(time.Second))))
		p.c.StrokeLine2(draw.LineStyle{Color: grid, Width: 0.7}, x, vg.Length(y), x, vg.Length(y-rows))
	}
	end := vg.Length(axis.at(total))
	p.c.StrokeLine2(draw.LineStyle{Color: ink, Width: 1, Dashes: []vg.Length{3, 2}}, end, vg.Length(y), end, vg.Length(y-rows))
	for _, a := range t {
		y -= rowHeight + rowGap
		arrival := a.Arrival.Sub(start)
		begin := arrival + a.Wait
		run := begin + a.Init
		p.bar(axis.at(arrival), axis.at(begin), y, waits)
		p.bar(axis.at(begin), axis.at(run), y, inits)
		p.bar(axis.at(run), axis.at(a.End.Sub(start)), y, execs)
		p.label(left-8, vg.Length(y+rowHeight/2), 11, ink, draw.XRight, strings.TrimPrefix(a.Name, application+"-dev-"))
	}
	return y - panelGap
}

// roundStep returns a round number of seconds that divides a total into some five to ten parts.
func roundStep(total float64) float64 {
	for _, step := range []float64{0.05, 0.1, 0.2, 0.5, 1, 2, 5} {
		if total/step <= 10 {
			return step
		}
	}
	return 10
}
