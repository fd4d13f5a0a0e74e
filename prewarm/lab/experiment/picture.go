package experiment

import (
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/tppfaas/tppfaas/internal/figure"
)

// Colours that stay apart for every kind of colour vision (Okabe and Ito 2008, Color Universal Design).
var (
	blue  = color.NRGBA{0x00, 0x5a, 0x9c, 0xff}
	red   = color.NRGBA{0xd5, 0x5e, 0x00, 0xff}
	grey  = color.NRGBA{0x99, 0x99, 0x99, 0xff}
	black = color.NRGBA{0x33, 0x33, 0x33, 0xff}
)

// mostBins is about how many intervals a picture has.
const mostBins = 120

// panel is a row of the picture.
type panel struct {
	label string
	// lines returns the lines of a run.
	lines func(r *Run, rows []Row) []line
	// scarce: of quantities of requests that end, of which short intervals may have few.
	scarce bool
	// marked: with a line where replicas were added.
	marked bool
	// The axis is logarithmic if the largest value is more than within times the least one above 0, or the largest value of a run more than
	// between times that of another; 0: never.
	within, between float64
}

// line is a line of a panel; it has gaps where a value is NaN.
type line struct {
	points plotter.XYs
	steps  bool
	style  draw.LineStyle
}

var (
	loadStyle   = draw.LineStyle{Color: black, Width: 1.2}
	wantedStyle = draw.LineStyle{Color: grey, Width: 2.6}
	readyStyle  = draw.LineStyle{Color: blue, Width: 1.2}
	meanStyle   = draw.LineStyle{Color: blue, Width: 1.2}
	p95Style    = draw.LineStyle{Color: red, Width: 1.2}
	addedStyle  = draw.LineStyle{Color: grey, Width: 0.8, Dashes: []vg.Length{2, 2}}
)

// panels returns the rows of the picture of an experiment.
func panels(e *Experiment) []panel {
	of := func(value func(*Row) float64, style draw.LineStyle) func(*Run, []Row) line {
		return func(_ *Run, rows []Row) line {
			l := line{style: style}
			for i := range rows {
				l.points = append(l.points, plotter.XY{X: (rows[i].From + rows[i].To) / 120, Y: value(&rows[i])})
			}
			return l
		}
	}
	all := func(lines ...func(*Run, []Row) line) func(*Run, []Row) []line {
		return func(r *Run, rows []Row) (out []line) {
			for _, l := range lines {
				out = append(out, l(r, rows))
			}
			return out
		}
	}
	loadName := map[LoadKind]string{Users: "users", Rate: "requests/s", Messages: "messages"}[e.Load.Kind]
	return []panel{
		{label: loadName, lines: all(of(func(r *Row) float64 { return r.Load }, loadStyle))},
		{label: "replicas", lines: all(
			func(r *Run, _ []Row) line { return r.stepsLine(r.wanted, wantedStyle) },
			func(r *Run, _ []Row) line { return r.stepsLine(r.ready, readyStyle) },
		)},
		{label: "in flight", between: 20, lines: all(of(func(r *Row) float64 { return r.InFlight }, loadStyle))},
		{label: "latency (s)", scarce: true, marked: true, within: 30, between: 20, lines: all(
			of(func(r *Row) float64 { return float64(r.P95) }, p95Style), of(func(r *Row) float64 { return float64(r.Mean) }, meanStyle),
		)},
		{label: "429/s", lines: all(of(func(r *Row) float64 { return r.Refused }, p95Style))},
	}
}

// stepsLine returns steps as a line, from the beginning of the load to the end of the run.
func (r *Run) stepsLine(s steps, style draw.LineStyle) line {
	l := line{style: style, steps: true, points: plotter.XYs{{}}}
	for _, one := range s {
		if one.at <= 0 {
			l.points[0].Y = one.value
			continue
		}
		l.points = append(l.points, plotter.XY{X: one.at.Minutes(), Y: one.value})
	}
	last := l.points[len(l.points)-1].Y
	l.points = append(l.points, plotter.XY{X: r.End.Minutes(), Y: last})
	return l
}

// Picture draws the course of runs: a column for each, and in it one above the other the load, replicas, requests in flight, latency, and
// answers 429. All panels of a row have the same axes.
func Picture(e *Experiment, runs []*Run) *figure.Sheet {
	columns := len(runs)
	width := min(max(24/vg.Length(columns), 6.5), 11) * vg.Centimeter
	s := &figure.Sheet{Columns: columns, PanelWidth: width, PanelHeight: 4 * vg.Centimeter}
	s.Title = e.Title
	s.Source = "means of intervals; latency from the first try to the answer 200"
	s.Explain(sign{wantedStyle}, "replicas wanted")
	s.Explain(sign{readyStyle}, "ready; mean latency")
	s.Explain(sign{p95Style}, "95 %% quantile of the latency; 429 a second")
	s.Explain(sign{addedStyle}, "replicas were added")

	bin := (runs[0].End / mostBins).Round(time.Second)
	bin = max(bin, time.Second)
	longer := longerBin(runs, bin)
	rows, longRows := make([][]Row, columns), make([][]Row, columns)
	for i, r := range runs {
		rows[i], longRows[i] = r.Rows(bin), r.Rows(longer)
	}
	titles := titlesOf(runs)
	all := panels(e)
	for k, one := range all {
		lines := make([][]line, columns)
		for i, r := range runs {
			lines[i] = one.lines(r, rows[i])
			if one.scarce {
				lines[i] = one.lines(r, longRows[i])
			}
		}
		axis := one.axis(lines)
		for i, r := range runs {
			title, x := "", ""
			if k == 0 {
				title = titles[i]
			}
			if k == len(all)-1 {
				x = "minutes since the load began"
			}
			p := figure.NewPanel(title, x, one.label)
			if one.marked {
				r.markAdded(p, axis)
			}
			for _, l := range lines[i] {
				l.addTo(p, axis.logarithmic)
			}
			p.X.Min, p.X.Max = 0, r.End.Minutes()
			p.X.Tick.Marker = minutes(p.X.Max, int(width/(1.2*vg.Centimeter)))
			if axis.logarithmic {
				figure.LogAxis(&p.Y, axis.low, axis.high)
			} else {
				p.Y.Min, p.Y.Max = axis.low, axis.high
			}
			s.Panels = append(s.Panels, p)
		}
	}
	return s
}

// longerBin returns the length of intervals in which about ten requests end in each run, at most four times bin.
func longerBin(runs []*Run, bin time.Duration) time.Duration {
	fewest := len(runs[0].answers)
	for _, r := range runs {
		fewest = min(fewest, len(r.answers))
	}
	bins := float64(runs[0].End) / float64(bin)
	return bin * time.Duration(min(max(math.Ceil(10*bins/float64(max(fewest, 1))), 1), 4))
}

// markAdded draws a line at each time at which replicas were added.
func (r *Run) markAdded(p *plot.Plot, a axis) {
	for _, c := range r.Around() {
		if c.To > c.From {
			x := c.At.Minutes()
			p.Add(&plotter.Line{XYs: plotter.XYs{{X: x, Y: a.low}, {X: x, Y: a.high}}, LineStyle: addedStyle})
		}
	}
}

// axis is a vertical axis.
type axis struct {
	low, high   float64
	logarithmic bool
}

// axis returns the axis on which the lines of all runs have room.
func (p *panel) axis(runs [][]line) axis {
	low, high := math.Inf(1), 0.0
	leastHigh := math.Inf(1) // of the runs
	for _, lines := range runs {
		runHigh := 0.0
		for _, l := range lines {
			for _, point := range l.points {
				if point.Y > 0 { // not NaN
					low, runHigh = min(low, point.Y), max(runHigh, point.Y)
				}
			}
		}
		high, leastHigh = max(high, runHigh), min(leastHigh, runHigh)
	}
	switch {
	case high == 0:
		return axis{0, 1, false}
	case p.within > 0 && high > p.within*low, p.between > 0 && leastHigh > 0 && high > p.between*leastHigh:
		return axis{low / 1.2, high * 1.3, true}
	}
	return axis{0, 1.08 * high, false}
}

// titlesOf returns the specs of runs, all in as many lines, so that the axes below them have the same height.
func titlesOf(runs []*Run) []string {
	const most = 26 // letters in a line
	titles := make([]string, len(runs))
	lines := make([]int, len(runs))
	for i, r := range runs {
		length := 0
		for part := range strings.SplitAfterSeq(r.Policy, ":") {
			if length > 0 && length+len(part) > most {
				titles[i] += "\n"
				lines[i]++
				length = 0
			}
			titles[i] += part
			length += len(part)
		}
	}
	for i := range titles {
		titles[i] += strings.Repeat("\n ", slices.Max(lines)-lines[i])
	}
	return titles
}

// minutes returns ticks at whole minutes up to the last, of which about most have a label.
func minutes(last float64, most int) plot.ConstantTicks {
	every := 1.0
	for _, step := range []float64{2, 5, 10, 15, 30, 60, 120, 240} {
		if last/every > float64(most) {
			every = step
		}
	}
	small := every
	if last <= 30 {
		small = 1
	}
	var ticks plot.ConstantTicks
	for m := 0.0; m <= last; m += small {
		t := plot.Tick{Value: m}
		if math.Mod(m, every) == 0 {
			t.Label = strconv.Itoa(int(m))
		}
		ticks = append(ticks, t)
	}
	return ticks
}

// addTo adds the line to a plot, in pieces between its gaps. What is 0 is a gap on a logarithmic axis, below which it lies.
func (l *line) addTo(p *plot.Plot, logarithmic bool) {
	var piece plotter.XYs
	end := func() {
		if len(piece) == 1 { // a line of one point is not seen
			p.Add(&plotter.Scatter{XYs: piece, GlyphStyle: draw.GlyphStyle{Color: l.style.Color, Radius: 1.5, Shape: draw.CircleGlyph{}}})
		}
		if len(piece) > 1 {
			added := &plotter.Line{XYs: piece, LineStyle: l.style}
			if l.steps {
				added.StepStyle = plotter.PostStep
			}
			p.Add(added)
		}
		piece = nil
	}
	for _, point := range l.points {
		if math.IsNaN(point.Y) || logarithmic && point.Y <= 0 {
			end()
			continue
		}
		piece = append(piece, point)
	}
	end()
}

// sign is a line in the key.
type sign struct{ style draw.LineStyle }

// Thumbnail draws the line.
func (s sign) Thumbnail(c *draw.Canvas) {
	y := (c.Min.Y + c.Max.Y) / 2
	c.StrokeLine2(s.style, c.Min.X, y, c.Max.X, y)
}
