package figure

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/tppfaas/tppfaas/internal/starts"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
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

// step is a row of a timeline: the prediction made when an event had arrived.
type step struct {
	from       float64   // arrival, since the first event drawn
	mass       []float64 // predicted probability of each cell of the time axis, relative to the largest
	later      float64   // predicted probability of the time after the axis
	lower      float64   // 5 % quantile, since the first event drawn
	upper      float64   // 95 %
	next       float64   // when the next event came; NaN if none did
	nextMark   string
	nextProb   float64 // predicted probability of its mark
	wasFirst   bool    // its mark was predicted as the likeliest
	likeliest  string
	likeliestP float64
}

// timeline draws steps over a common time axis.
type timeline struct {
	steps    []step
	end      float64 // right end of the time axis
	unmarked bool    // the model has no marks to speak of
}

// timelineCells is how many cells the time axis has.
const timelineCells = 900

// leastLater is the probability from which on a row says that a part of it lies after the time axis.
const leastLater = 0.005

// Timeline draws a sequence: a row for each event, on it the distribution over time of the event to come as the model
// saw it at that moment (each row scaled to its own highest point), the interval that has 90 % of the probability, and
// the event that came. Beside each row stands the mark that came, with the probability that the model gave it, and how much of the
// distribution lies after the end of the time axis. Of a long sequence it draws up to count events from the first one on, predicted
// from all events before.
func Timeline(m tpp.Model, s *tpp.Sequence, first, count int, source string) (*Figure, error) {
	s, err := starts.Seen(m, s)
	if err != nil {
		return nil, err
	}
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
	f := newFigure("When is the next event due?", source, "time since the first event drawn ("+tpp.UnitOf(m)+")", "")
	p, n := f.Plot, len(tl.steps)
	f.resize(24*vg.Centimeter, vg.Length(4.2+1.1*float64(max(n, 2)))*vg.Centimeter)
	p.X.Min, p.X.Max = -tl.end*0.01, tl.end
	p.X.Tick.Marker = plot.TickerFunc(func(_, _ float64) []plot.Tick { return ticks(0, tl.end) })
	p.Y.Padding = 6
	p.Y.Min, p.Y.Max = -0.4, float64(n)-1+0.95
	labelRows(p, n, func(i int) string { return labels[i] })
	p.Add(tl)
	tl.explain(f)
	return f, nil
}

// labelRows labels the n rows of a plot, the first on top, and draws a line through each.
func labelRows(p *plot.Plot, n int, label func(row int) string) {
	rows := make(plot.ConstantTicks, n)
	for i := range rows {
		rows[i] = plot.Tick{Value: float64(n - 1 - i), Label: label(i)}
	}
	p.Y.Tick.Marker = rows
	p.Y.Tick.Length = 0
	p.Y.LineStyle.Width = 0
	addGrid(p, true, false)
}

// newTimeline returns the steps of the events from first to before end, and the labels of their rows.
func newTimeline(m tpp.Model, s *tpp.Sequence, first, end int) (*timeline, []string, error) {
	name := namer(m.MarkNames())
	origin := s.ArrivalTimes[first]
	tl := &timeline{end: (s.ArrivalTimes[end-1] - origin) * 1.12, unmarked: len(m.MarkNames()) < 2}
	if tl.end == 0 {
		tl.end = 1
	}
	var labels []string
	drawn := s.First(end)
	err := starts.Follow(m, &drawn, func(state tpp.State, i int) error {
		if i < first {
			return nil
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
		st.mass = cellMass(next.Time, from, tl.end)
		st.later = 1 - next.Time.CDF(tl.end-from)
		tl.steps = append(tl.steps, st)
		if tl.unmarked {
			labels = append(labels, fmt.Sprintf("event %d", i))
		} else {
			labels = append(labels, name(s.Mark(i)))
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if s.TEnd == nil || end < s.Len() {
		// What comes after the last event drawn is not drawn; after the last one of a sequence that is over, nothing came.
		tl.steps, labels = tl.steps[:len(tl.steps)-1], labels[:len(labels)-1]
	}
	return tl, labels, nil
}

// cellMass returns the probability of each cell of the time axis for a distribution that begins at from, relative to the largest. It is
// the mass of a cell rather than the density at a point: a narrow peak between two points would be lost.
func cellMass(d dist.Distribution, from, end float64) []float64 {
	width := end / timelineCells
	mass := make([]float64, timelineCells)
	before := 0.0
	for c := range mass {
		cdf := d.CDF(float64(c+1)*width - from)
		mass[c] = cdf - before
		before = cdf
	}
	if top := slices.Max(mass); top > 0 {
		for c := range mass {
			mass[c] /= top
		}
	}
	return mass
}

// maxNameLength is how many characters of a mark's name a picture has room for.
const maxNameLength = 24

// namer returns a function that names marks without the beginning that all names share.
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
	for i, st := range tl.steps {
		row := float64(n - 1 - i)
		line(c, baseline, 0.6, vg.Point{X: c.Min.X, Y: y(row)}, vg.Point{X: x(tl.end), Y: y(row)})
		drawRidge(c, x, y, row, st, tl.end, ridgeFill)
		if st.lower < tl.end {
			left, right := widened(x(st.lower), x(min(st.upper, tl.end)))
			line(c, ridgeLine, 2, vg.Point{X: left, Y: y(row - 0.10)}, vg.Point{X: right, Y: y(row - 0.10)})
		}
		dot(c, history, 2.2, x(st.from), y(row))
		if !math.IsNaN(st.next) {
			line(c, observed, 1.4, vg.Point{X: x(st.next), Y: y(row - 0.18)}, vg.Point{X: x(st.next), Y: y(row + 0.88)})
		}
	}
}

// leastWidth is the least width of an interval and of a ridge, in points. The line of the event that came would hide narrower ones.
const leastWidth = vg.Length(6)

// widened returns the interval, or one of leastWidth around its middle.
func widened(left, right vg.Length) (vg.Length, vg.Length) {
	if right-left >= leastWidth {
		return left, right
	}
	middle := (left + right) / 2
	return middle - leastWidth/2, middle + leastWidth/2
}

// drawRidge draws where the model expects an event, on a time axis up to end. A narrow ridge becomes a triangle.
func drawRidge(c draw.Canvas, x, y func(float64) vg.Length, row float64, st step, end float64, fill color.Color) {
	const leastMass = 0.002
	width := end / timelineCells
	first, last := 0, len(st.mass)-1
	for first < last && st.mass[first] < leastMass {
		first++
	}
	for last > 0 && st.mass[last] < leastMass {
		last--
	}
	if left, right := x(max(float64(first)*width, st.from)), x(float64(last+1)*width); right-left < leastWidth && st.mass[last] >= leastMass {
		line(c, ridgeLine, 0.7, vg.Point{X: x(st.from), Y: y(row)}, vg.Point{X: left, Y: y(row)})
		left, right = widened(left, right)
		spike := []vg.Point{{X: left, Y: y(row)}, {X: (left + right) / 2, Y: y(row + ridgeHeight)}, {X: right, Y: y(row)}}
		c.FillPolygon(fill, spike)
		c.StrokeLines(draw.LineStyle{Color: ridgeLine, Width: 0.7}, spike)
		if st.later >= leastLater {
			line(c, ridgeLine, 0.7, vg.Point{X: right, Y: y(row)}, vg.Point{X: x(end), Y: y(row)})
		}
		return
	}
	if st.later >= leastLater {
		last = len(st.mass) - 1
	}
	area := []vg.Point{{X: x(st.from), Y: y(row)}}
	for i := int(st.from / width); i <= last; i++ {
		at := max((float64(i)+0.5)*width, st.from)
		area = append(area, vg.Point{X: x(at), Y: y(row + ridgeHeight*st.mass[i])})
	}
	right := x(max((float64(last)+1)*width, st.from))
	c.FillPolygon(fill, append(slices.Clone(area), vg.Point{X: right, Y: y(row)}))
	if st.later < leastLater { // else the curve goes on: no line closes it
		area = append(area, vg.Point{X: right, Y: y(row)})
	}
	c.StrokeLines(draw.LineStyle{Color: ridgeLine, Width: 0.7}, area)
}

// ridgeHeight is the height of a ridge's highest point, in rows.
const ridgeHeight = 0.82

// explain adds the key and the notes beside the rows to the picture.
func (tl *timeline) explain(f *Figure) {
	middle := func(c *draw.Canvas) (x, y vg.Length) { return (c.Min.X + c.Max.X) / 2, (c.Min.Y + c.Max.Y) / 2 }
	f.Explain(sign(func(c *draw.Canvas) {
		x, y := middle(c)
		dot(*c, history, 2.2, x, y)
	}), "an event, its name at the left")
	f.Explain(patch{ridgeFill}, "when the next one was expected")
	f.Explain(sign(func(c *draw.Canvas) {
		_, y := middle(c)
		line(*c, ridgeLine, 2, vg.Point{X: c.Min.X, Y: y}, vg.Point{X: c.Max.X, Y: y})
	}), "90 %% interval")
	f.Explain(sign(func(c *draw.Canvas) {
		x, _ := middle(c)
		line(*c, observed, 1.4, vg.Point{X: x, Y: c.Min.Y - 1}, vg.Point{X: x, Y: c.Max.Y + 1})
	}), "when it came")

	later := column{heading: "cut off"}
	outcome := column{heading: "what came, its probability"}
	for i, st := range tl.steps {
		y := float64(len(tl.steps)-1-i) + 0.34
		if st.later >= leastLater {
			later.cells = append(later.cells, cell{y: y, text: percent(st.later) + " later", color: rightColor, cut: true})
		}
		if math.IsNaN(st.next) {
			continue
		}
		one := cell{y: y, text: fmt.Sprintf("%s  %s", st.nextMark, percent(st.nextProb)), color: rightColor}
		if !st.wasFirst {
			one.second, one.color = fmt.Sprintf("likeliest: %s  %s", st.likeliest, percent(st.likeliestP)), wrongColor
		}
		outcome.cells = append(outcome.cells, one)
	}
	f.rowHeading = "last event"
	if len(later.cells) > 0 {
		f.columns = append(f.columns, later)
	}
	if !tl.unmarked {
		f.columns = append(f.columns, outcome)
	}
}

// percent writes a probability in percent, and the smallest as less than 1 %.
func percent(p float64) string {
	if p > 0 && p < 0.005 {
		return "< 1 %"
	}
	return fmt.Sprintf("%.0f %%", 100*p)
}
