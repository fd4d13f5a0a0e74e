// Trace draws docs/trace.png: two requests of one application, the first on a platform where nothing is warm, the second after it.
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
	return atomicfile.Write(*output, func(w io.Writer) error { return draws(w, traces) })
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
	left, right       = 60, 24
	rowHeight, rowGap = 13, 4
	panelGap, top     = 46, 30
	bottom            = 34
)

var (
	ink   = color.Gray{40}
	faint = color.Gray{120}
	grid  = color.Gray{228}
	// Apart for every kind of colour vision.
	waits = color.RGBA{0xd9, 0xd9, 0xd9, 0xff}
	inits = color.RGBA{0xd5, 0x5e, 0x00, 0xff}
	execs = color.RGBA{0x56, 0xa0, 0xd3, 0xff}
)

// pen draws on a canvas.
type pen struct {
	c    draw.Canvas
	text text.Handler
}

func draws(w io.Writer, traces []sampler.Trace) error {
	height := bottom + top
	for _, t := range traces {
		height += len(t)*(rowHeight+rowGap) + panelGap
	}
	canvas := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, vg.Length(height)), vgimg.UseDPI(144), vgimg.UseBackgroundColor(color.White))}
	p := pen{draw.New(canvas), text.Plain{Fonts: font.NewCache(liberation.Collection())}}
	p.legend(vg.Length(height) - 20)
	y := float64(height - top)
	for i, t := range traces {
		y = p.panel(t, y, []string{"the first request: every container has to be started", "a minute later: every container is warm"}[i])
	}
	_, err := canvas.WriteTo(w)
	return err
}

func (p pen) label(x, y vg.Length, size vg.Length, c color.Color, align float64, s string) {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
	style := draw.TextStyle{Color: c, Font: f, Handler: p.text, XAlign: draw.XAlignment(align), YAlign: draw.YCenter}
	p.c.FillText(style, vg.Point{X: x, Y: y}, s)
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

func (p pen) legend(y vg.Length) {
	x := float64(left)
	for _, l := range []struct {
		c    color.Color
		text string
	}{{waits, "waits for a container"}, {inits, "the container initialises"}, {execs, "runs"}} {
		p.bar(x, x+20, float64(y)-rowHeight/2, l.c)
		p.label(vg.Length(x+26), y, 10, ink, 0, l.text)
		x += 50 + 6*float64(len(l.text))
	}
}

// panel draws a trace below y, on a scale of its own, and returns where the next one begins.
func (p pen) panel(t sampler.Trace, y float64, title string) float64 {
	t = slices.Clone(t)
	slices.SortStableFunc(t, func(a, b sampler.Activation) int { return a.Arrival.Compare(b.Arrival) })
	start, end := t[0].Arrival, t[0].End
	for _, a := range t {
		if a.End.After(end) {
			end = a.End
		}
	}
	total := end.Sub(start).Seconds()
	at := func(moment time.Time) float64 {
		return left + moment.Sub(start).Seconds()/total*(width-left-right)
	}
	y -= 16
	p.label(left, vg.Length(y), 11, ink, 0, title)
	y -= 10
	rows := float64(len(t) * (rowHeight + rowGap))
	step := tick(total)
	for k := 0; float64(k)*step <= total; k++ {
		x := vg.Length(at(start.Add(time.Duration(float64(k) * step * float64(time.Second)))))
		p.c.StrokeLine2(draw.LineStyle{Color: grid, Width: 0.7}, x, vg.Length(y), x, vg.Length(y-rows))
		p.label(x, vg.Length(y-rows-8), 9, faint, -0.5, fmt.Sprintf("%.3g s", float64(k)*step))
	}
	for _, a := range t {
		y -= rowHeight + rowGap
		begin := a.Arrival.Add(a.Wait)
		p.bar(at(a.Arrival), at(begin), y, waits)
		p.bar(at(begin), at(begin.Add(a.Init)), y, inits)
		p.bar(at(begin.Add(a.Init)), max(at(a.End), at(begin.Add(a.Init))+1), y, execs)
		p.label(left-8, vg.Length(y+rowHeight/2), 10, ink, -1, strings.TrimPrefix(a.Name, application+"-dev-"))
	}
	return y - 20
}

// tick is a round number of seconds that divides a total into some five to ten parts.
func tick(total float64) float64 {
	for _, step := range []float64{0.05, 0.1, 0.2, 0.5, 1, 2, 5} {
		if total/step <= 10 {
			return step
		}
	}
	return 10
}
