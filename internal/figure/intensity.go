package figure

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/live"
)

// markLines are colours that stay apart for every kind of colour vision (Okabe and Ito 2008), without the yellow, which is too pale for a line.
var markLines = []color.Color{
	color.NRGBA{0x00, 0x72, 0xb2, 0xff}, color.NRGBA{0xd5, 0x5e, 0x00, 0xff}, color.NRGBA{0x00, 0x9e, 0x73, 0xff},
	color.NRGBA{0xcc, 0x79, 0xa7, 0xff}, color.NRGBA{0x56, 0xb4, 0xe9, 0xff}, color.NRGBA{0xe6, 0x9f, 0x00, 0xff},
}

// Intensity draws the conditional intensities of a model along a sequence, as live.Intensity returns them: a line for each of the marks whose
// intensities add up to most, and one for all others together; below, the events. Peaks that are high above all else are cut off, and a line above
// the axes says so. The sequence is as the model sees it.
func Intensity(m tpp.Model, s *tpp.Sequence, points []live.IntensityPoint, source string) (*Figure, error) {
	if len(points) < 2 || !(points[len(points)-1].Time > points[0].Time) {
		return nil, errors.New("the sequence has no length: there is no time to draw an intensity over")
	}
	unit, name := tpp.UnitOf(m), namer(m.MarkNames())
	f := newFigure("Conditional intensity", source, "time ("+unit+" from the start)", "events per "+unit)
	p := f.Plot
	first := points[0].Time
	addGrid(p, false, true)
	lines := intensityLines(points)
	high, highest := intensityTop(points), 0.0
	for i, l := range lines {
		values := make(plotter.XYs, len(points))
		for j, at := range points {
			v := l.of(at)
			highest = max(highest, v)
			values[j] = plotter.XY{X: at.Time - first, Y: min(v, high)}
		}
		line := &plotter.Line{XYs: values, LineStyle: draw.LineStyle{Color: markLines[i%len(markLines)], Width: 1.2}}
		if l.others > 0 {
			line.Color = guideLine
		}
		p.Add(line)
		if l.others > 0 {
			f.Explain(line, "%d other marks", l.others)
		} else {
			f.Explain(line, "%s", name(l.mark))
		}
	}
	events := &rug{colour: func(mark int) color.Color {
		for i, l := range lines {
			if l.others == 0 && l.mark == mark {
				return markLines[i%len(markLines)]
			}
		}
		return guideLine
	}}
	for i, at := range s.ArrivalTimes {
		events.at, events.marks = append(events.at, at-first), append(events.marks, s.Mark(i))
	}
	p.Add(events)
	if s.Len() > 0 {
		f.Explain(sign(func(c *draw.Canvas) {
			x := (c.Min.X + c.Max.X) / 2
			line(*c, guideLine, 1, vg.Point{X: x, Y: c.Min.Y}, vg.Point{X: x, Y: c.Max.Y})
		}), "%d events", s.Len())
	}
	p.X.Min, p.X.Max = 0, points[len(points)-1].Time-first
	p.Y.Min, p.Y.Max = 0, high*1.04
	if highest > high {
		f.cuts = append(f.cuts, cut{topEdge, fmt.Sprintf("cut off: peaks up to %.4g", highest)})
	}
	return f, nil
}

// intensityLine is a line of the picture: of one mark, or of some others together.
type intensityLine struct {
	mark   int
	others int
	drawn  []int // the marks that are not among the others
}

// of returns the height of the line at a point.
func (l intensityLine) of(p live.IntensityPoint) float64 {
	if l.others == 0 {
		return p.Marks[l.mark]
	}
	rest := p.Total
	for _, m := range l.drawn {
		rest -= p.Marks[m]
	}
	return max(rest, 0)
}

// intensityLines returns the lines: of the marks with the largest integrals, in the order of those, and of all others if they are too many.
func intensityLines(points []live.IntensityPoint) []intensityLine {
	marks := len(points[0].Marks)
	integral, order := make([]float64, marks), make([]int, marks)
	for i := 1; i < len(points); i++ {
		for m := range integral {
			integral[m] += (points[i].Time - points[i-1].Time) * (points[i].Marks[m] + points[i-1].Marks[m])
		}
	}
	for m := range order {
		order[m] = m
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case integral[a] > integral[b]:
			return -1
		case integral[a] < integral[b]:
			return 1
		}
		return 0
	})
	shown := order[:min(marks, len(markLines))]
	var lines []intensityLine
	for _, m := range shown {
		lines = append(lines, intensityLine{mark: m})
	}
	if rest := marks - len(shown); rest > 0 {
		lines = append(lines, intensityLine{others: rest, drawn: shown})
	}
	return lines
}

// intensityTop returns the height up to which intensities are drawn: all, unless a few peaks are far above everything else.
func intensityTop(points []live.IntensityPoint) float64 {
	var tops []float64
	for _, p := range points {
		top := 0.0
		for _, v := range p.Marks {
			top = max(top, v)
		}
		if !math.IsInf(top, 0) && !math.IsNaN(top) {
			tops = append(tops, top)
		}
	}
	slices.Sort(tops)
	if len(tops) == 0 || tops[len(tops)-1] == 0 {
		return 1
	}
	high := tops[len(tops)-1]
	if usual := tops[len(tops)*98/100]; usual > 0 && high > 4*usual {
		high = 1.5 * usual
	}
	return high
}

// rug draws a short line for each event at the lower edge of the axes.
type rug struct {
	at     []float64
	marks  []int
	colour func(mark int) color.Color
}

// Plot draws the events.
func (r *rug) Plot(c draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&c)
	for i, at := range r.at {
		line(c, r.colour(r.marks[i]), 1, vg.Point{X: x(at), Y: c.Min.Y}, vg.Point{X: x(at), Y: c.Min.Y + 6})
	}
}
