package figure

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/eval"
)

var (
	ridgeFill  = color.NRGBA{0x4c, 0x8f, 0xc4, 0x90}
	ridgeLine  = predictedLine
	baseline   = color.NRGBA{0xd0, 0xd0, 0xd0, 0xff}
	observed   = observedLine
	history    = color.NRGBA{0x33, 0x33, 0x33, 0xff}
	rightColor = predictedLine
	wrongColor = color.NRGBA{0xb3, 0x46, 0x00, 0xff}
)

// step is one row of a timeline: the prediction made when an event had arrived.
type step struct {
	from       float64   // arrival, since the first event
	mass       []float64 // predicted probability of each cell of the time axis, relative to the largest
	lower      float64   // 5 % quantile, since the first event
	upper      float64   // 95 %
	next       float64   // when the next event came; NaN if none did
	nextMark   string
	nextProb   float64 // predicted probability of its mark
	wasFirst   bool    // its mark was predicted as the likeliest
	likeliest  string
	likeliestP float64
}

// noteShare is the room for notes at the right end of the rows, as a share of the time axis.
const noteShare = 0.2

// timeline draws steps over a common time axis.
type timeline struct {
	steps []step
	end   float64 // right end of the time axis
	cells int
	// unmarked: there is nothing to say about marks.
	unmarked bool
}

// Timeline draws one sequence: a row for each event, on it the distribution over time of the event to come as the model
// saw it at that moment (each row scaled to its own highest point), the interval that has 90 % of the probability, and
// the event that came. Beside each row stands the mark that came, with the probability that the model gave it. Of a long
// sequence it draws up to count events from the first one on, predicted from all events before.
func Timeline(m tpp.Model, s *tpp.Sequence, first, count int, title string) (*plot.Plot, error) {
	if s.Len() < 2 {
		return nil, fmt.Errorf("a picture needs a sequence of at least 2 events, this one has %d", s.Len())
	}
	if count < 2 {
		return nil, fmt.Errorf("a picture needs at least 2 events, not %d", count)
	}
	if first < 0 || first > s.Len()-2 {
		return nil, fmt.Errorf("a picture cannot begin at event %d of %d: two are needed", first, s.Len())
	}
	tl, labels, err := newTimeline(m, s, first, min(first+count, s.Len()))
	if err != nil {
		return nil, err
	}
	p := newPlot(title, "time since the first event drawn ("+tpp.UnitOf(m)+")", "")
	p.Title.Padding = 12
	p.X.Min, p.X.Max = -tl.end*0.01, tl.end*(1+noteShare)
	p.Y.Padding = 6
	p.X.Tick.Marker = plot.TickerFunc(func(_, _ float64) []plot.Tick { return ticks(0, tl.end) })
	n := len(tl.steps)
	p.Y.Min, p.Y.Max = -0.4, float64(n)-1+1.9
	rows := make(plot.ConstantTicks, n)
	for i := range rows {
		rows[i] = plot.Tick{Value: float64(n - 1 - i), Label: labels[i]}
	}
	p.Y.Tick.Marker = rows
	p.Y.Tick.Length = 0
	p.Y.LineStyle.Width = 0
	addGrid(p, true, false)
	p.Add(tl)
	return p, nil
}

// newTimeline has the steps of events from first to before end, and the labels of their rows.
func newTimeline(m tpp.Model, s *tpp.Sequence, first, end int) (*timeline, []string, error) {
	name := namer(m.MarkNames())
	origin := s.ArrivalTimes[first]
	tl := &timeline{end: (s.ArrivalTimes[end-1] - origin) * 1.12, cells: 900, unmarked: len(m.MarkNames()) < 2}
	if tl.end == 0 {
		tl.end = 1
	}
	width := tl.end / float64(tl.cells)
	var labels []string
	start := s.ArrivalTimes[0]
	if s.TStart != nil {
		start = *s.TStart
	}
	state := m.NewState(start)
	for i := range end {
		if err := state.Observe(s.Event(i, m.CovariateNames(), nil)); err != nil {
			return nil, nil, fmt.Errorf("event %d: %w", i, err)
		}
		if i < first {
			continue
		}
		next := state.Next(s.ArrivalTimes[i])
		from := s.ArrivalTimes[i] - origin
		st := step{from: from, lower: from + next.Time.Quantile(0.05), upper: from + next.Time.Quantile(0.95), next: math.NaN()}
		likeliest := next.LikeliestMark()
		st.likeliest, st.likeliestP = name(likeliest), next.Marks[likeliest]
		if i+1 < end {
			mark := s.Mark(i + 1)
			st.next, st.nextMark, st.nextProb = s.ArrivalTimes[i+1]-origin, name(mark), next.Marks[mark]
			st.wasFirst = mark == likeliest
		}
		// The mass of a cell rather than the density at a point: a narrow peak between two points would be lost.
		st.mass = make([]float64, tl.cells)
		before := 0.0
		for c := range st.mass {
			cdf := next.Time.CDF(float64(c+1)*width - from)
			st.mass[c] = cdf - before
			before = cdf
		}
		if top := slices.Max(st.mass); top > 0 {
			for c := range st.mass {
				st.mass[c] /= top
			}
		}
		tl.steps = append(tl.steps, st)
		if tl.unmarked {
			labels = append(labels, fmt.Sprintf("event %d", i))
		} else {
			labels = append(labels, name(s.Mark(i)))
		}
	}
	if s.TEnd == nil || end < s.Len() {
		// What comes after the last event drawn is not drawn; after the last one of a sequence that is over, nothing came.
		tl.steps, labels = tl.steps[:len(tl.steps)-1], labels[:len(labels)-1]
	}
	return tl, labels, nil
}

// maxNameLength is how much of a mark's name a picture has room for.
const maxNameLength = 24

// namer names marks without the beginning that all names share.
func namer(names []string) func(int) string {
	if len(names) == 0 {
		return strconv.Itoa
	}
	short, _ := eval.ShortNames(names)
	return func(mark int) string { return shorten(short[mark], maxNameLength) }
}

// Plot draws the rows.
func (tl *timeline) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	n := len(tl.steps)
	tl.key(c, x, y(float64(n)+0.5))
	for i, st := range tl.steps {
		row := float64(n - 1 - i)
		line(c, baseline, 0.6, vg.Point{X: c.Min.X, Y: y(row)}, vg.Point{X: x(tl.end), Y: y(row)})
		tl.ridge(c, x, y, row, st)
		right := min(st.upper, tl.end)
		if st.lower < tl.end {
			line(c, ridgeLine, 2, vg.Point{X: x(st.lower), Y: y(row - 0.10)}, vg.Point{X: x(right), Y: y(row - 0.10)})
		}
		dot(c, history, 2.2, x(st.from), y(row))
		if !math.IsNaN(st.next) {
			line(c, observed, 1.4, vg.Point{X: x(st.next), Y: y(row - 0.18)}, vg.Point{X: x(st.next), Y: y(row + 0.86)})
			if !tl.unmarked {
				tl.outcome(c, y(row+0.34), st)
			}
		}
	}
}

// ridge draws where the model expects the next event.
func (tl *timeline) ridge(c draw.Canvas, x, y func(float64) vg.Length, row float64, st step) {
	width := tl.end / float64(tl.cells)
	last := len(st.mass) - 1
	for last > 0 && st.mass[last] < 0.002 {
		last--
	}
	area := []vg.Point{{X: x(st.from), Y: y(row)}}
	for i := int(st.from / width); i <= last; i++ {
		at := max((float64(i)+0.5)*width, st.from)
		area = append(area, vg.Point{X: x(at), Y: y(row + ridgeHeight*st.mass[i])})
	}
	area = append(area, vg.Point{X: x(max((float64(last)+1)*width, st.from)), Y: y(row)})
	c.FillPolygon(ridgeFill, area)
	c.StrokeLines(draw.LineStyle{Color: ridgeLine, Width: 0.7}, area)
}

// ridgeHeight is the height of a ridge's highest point, in rows.
const ridgeHeight = 0.82

// outcome says, at the right end of a row, which mark came and how likely it was held.
func (tl *timeline) outcome(c draw.Canvas, y vg.Length, st step) {
	style := textStyle(rightColor, draw.XRight)
	note := fmt.Sprintf("%s  %.0f %%", st.nextMark, 100*st.nextProb)
	if !st.wasFirst {
		style.Color = wrongColor
		note = fmt.Sprintf("%s  %.0f %%  (%s  %.0f %%)", st.nextMark, 100*st.nextProb, st.likeliest, 100*st.likeliestP)
	}
	c.FillText(style, vg.Point{X: c.Max.X, Y: y}, note)
}

// key explains the signs, in a line above the rows.
func (tl *timeline) key(c draw.Canvas, x func(float64) vg.Length, y vg.Length) {
	const gap, size = 4, 9
	at := x(0)
	entry := func(sign func(left, right vg.Length), words string) {
		sign(at, at+1.6*size)
		at += 1.6*size + gap
		style := textStyle(history, draw.XLeft)
		c.FillText(style, vg.Point{X: at, Y: y}, words)
		at += style.Width(words) + 4*gap
	}
	entry(func(l, _ vg.Length) { dot(c, history, 2.2, l+size, y) }, "an event")
	entry(func(l, r vg.Length) {
		c.FillPolygon(ridgeFill, []vg.Point{{X: l, Y: y - size/2}, {X: l, Y: y + size/2}, {X: r, Y: y + size/2}, {X: r, Y: y - size/2}})
	}, "when the next one is expected")
	entry(func(l, r vg.Length) { line(c, ridgeLine, 2, vg.Point{X: l, Y: y}, vg.Point{X: r, Y: y}) }, "90 % interval")
	entry(func(l, _ vg.Length) {
		line(c, observed, 1.4, vg.Point{X: l + size, Y: y - size/2}, vg.Point{X: l + size, Y: y + size/2})
	}, "when it came")
	if !tl.unmarked {
		c.FillText(textStyle(history, draw.XRight), vg.Point{X: c.Max.X, Y: y}, "what came, and its probability")
	}
}

func textStyle(col color.Color, align text.XAlignment) text.Style {
	s := text.Style{Color: col, Font: plot.DefaultFont, Handler: plot.DefaultTextHandler, XAlign: align, YAlign: draw.YCenter}
	s.Font.Size = 9
	s.Font.Variant = "Sans"
	return s
}

func line(c draw.Canvas, col color.Color, width vg.Length, points ...vg.Point) {
	c.StrokeLines(draw.LineStyle{Color: col, Width: width}, points)
}

func dot(c draw.Canvas, col color.Color, radius, x, y vg.Length) {
	c.DrawGlyph(draw.GlyphStyle{Color: col, Radius: radius, Shape: draw.CircleGlyph{}}, vg.Point{X: x, Y: y})
}
