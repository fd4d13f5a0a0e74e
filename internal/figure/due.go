package figure

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/tppfaas/tppfaas/internal/starts"
	"github.com/tppfaas/tppfaas/tpp"
)

// lane is a row of a picture of what is due: all that came, comes and is expected with one mark.
type lane struct {
	mark        int
	name        string
	seen, came  []float64 // when events came until now, and after, since the first event
	probability float64   // that at least one comes
	median      float64   // of the time of all that is expected, weighted by their probabilities, since the first event
	ridge       step
}

// due draws lanes over a common time axis.
type due struct {
	lanes    []lane
	now, end float64 // since the first event
}

const (
	// leastExpected is the probability from which on a mark that does not come has a lane.
	leastExpected = 0.01
	// maxLanes is how many lanes a picture has at most.
	maxLanes = 60
)

// Due draws a sequence as the model saw it when an event had come: a lane for each mark, on it the events that had come, and where those
// that were yet to come were expected, with the probability that they come at all; and what came in fact. The density of each lane is
// scaled to its own highest point, and is the paler the less probable it is that anything comes there. The states of the model must be
// tpp.ForecastingStates.
func Due(m tpp.Model, s *tpp.Sequence, event int, source string) (*Figure, error) {
	if event < 0 || event >= s.Len() {
		return nil, fmt.Errorf("there is no event %d, the sequence has %d", event, s.Len())
	}
	s, err := starts.Seen(m, s)
	if err != nil {
		return nil, err
	}
	if event >= s.Len() {
		return nil, fmt.Errorf("there is no event %d, the sequence has %d at its starts", event, s.Len())
	}
	if _, ok := m.NewState(s.Start()).(tpp.ForecastingState); !ok {
		return nil, fmt.Errorf("a %s predicts the next event alone, not all that is due", m.Kind())
	}
	var d *due
	err = starts.Follow(m, s, func(state tpp.State, i int) error {
		if i < event {
			return nil
		}
		d = newDue(namer(m.MarkNames()), s, event, state.(tpp.ForecastingState).Arrivals(s.ArrivalTimes[event]))
		return errSeen
	})
	if err != nil && !errors.Is(err, errSeen) {
		return nil, err
	}
	left := max(len(d.lanes)-maxLanes, 0)
	d.lanes = d.lanes[:len(d.lanes)-left]
	f := newFigure("What is due, and when?", source, "time since the first event ("+tpp.UnitOf(m)+")", "")
	p, n := f.Plot, len(d.lanes)
	f.resize(24*vg.Centimeter, vg.Length(4.4+0.95*float64(max(n, 3)))*vg.Centimeter)
	p.X.Min, p.X.Max = -d.end*0.012, d.end
	p.X.Tick.Marker = plot.TickerFunc(func(_, _ float64) []plot.Tick { return ticks(0, d.end) })
	p.Y.Padding = 6
	p.Y.Min, p.Y.Max = -0.3, float64(n)-1+0.95
	labelRows(p, n, func(i int) string { return d.lanes[i].name })
	p.Add(d)
	d.explain(f, tpp.UnitOf(m), s.TEnd != nil)
	if left > 0 {
		f.Explain(nil, "%d more functions are not drawn", left)
	}
	return f, nil
}

// errSeen says that no more of a sequence is to be followed.
var errSeen = errors.New("seen")

// newDue returns the lanes of a sequence of which event was the last that the model had seen, in the order in which their first events come
// or are expected.
func newDue(name func(int) string, s *tpp.Sequence, event int, arrivals []tpp.ExpectedArrival) *due {
	origin := s.ArrivalTimes[0]
	d := &due{now: s.ArrivalTimes[event] - origin}
	byMark := map[int]*lane{}
	of := func(mark int) *lane {
		l := byMark[mark]
		if l == nil {
			l = &lane{mark: mark, name: name(mark), median: math.Inf(1)}
			byMark[mark] = l
		}
		return l
	}
	for i, t := range s.ArrivalTimes {
		if l := of(s.Mark(i)); i <= event {
			l.seen = append(l.seen, t-origin)
		} else {
			l.came = append(l.came, t-origin)
		}
		d.end = max(d.end, t-origin)
	}
	var memory []float64
	for i := range arrivals {
		l := of(arrivals[i].Mark)
		if l.probability == 0 {
			l.probability, memory = tpp.ArrivalsWithin(arrivals, l.mark, math.Inf(1), memory)
		}
	}
	for mark, l := range byMark {
		if len(l.seen)+len(l.came) == 0 && l.probability < leastExpected {
			continue
		}
		if l.probability > 0 {
			quantile := quantilesOf(arrivals, mark)
			l.median = d.now + quantile(0.5)
			if l.probability >= mostlyExpected {
				d.end = max(d.end, d.now+quantile(mostDrawn))
			}
		}
		d.lanes = append(d.lanes, *l)
	}
	slices.SortFunc(d.lanes, func(a, b lane) int {
		if x, y := a.first(), b.first(); x != y {
			if x < y {
				return -1
			}
			return 1
		}
		return a.mark - b.mark
	})
	d.end *= 1.05
	if d.end == 0 {
		d.end = 1
	}
	for i := range d.lanes {
		d.lanes[i].ridge = ridgeOf(arrivals, d.lanes[i].mark, d.now, d.end)
	}
	return d
}

// The time axis reaches to the quantile mostDrawn of each lane of at least the probability mostlyExpected.
const (
	mostlyExpected = 0.1
	mostDrawn      = 0.8
)

// first returns when the first event of the lane came or is expected.
func (l *lane) first() float64 {
	switch {
	case len(l.seen) > 0:
		return l.seen[0]
	case len(l.came) > 0:
		return min(l.came[0], l.median)
	}
	return l.median
}

// quantilesOf returns the quantile function of the times of all arrivals with a mark, each weighted by its probability.
func quantilesOf(arrivals []tpp.ExpectedArrival, mark int) func(q float64) float64 {
	type weighted struct{ time, weight float64 }
	var all []weighted
	total := 0.0
	for i := range arrivals {
		a := &arrivals[i]
		if a.Mark != mark {
			continue
		}
		for _, t := range a.Times {
			w := a.Probability / float64(len(a.Times))
			all = append(all, weighted{t, w})
			total += w
		}
	}
	slices.SortFunc(all, func(a, b weighted) int {
		switch {
		case a.time < b.time:
			return -1
		case a.time > b.time:
			return 1
		}
		return 0
	})
	return func(q float64) float64 {
		left := q * total
		for _, one := range all {
			if left -= one.weight; left <= 0 {
				return one.time
			}
		}
		return all[len(all)-1].time
	}
}

// ridgeOf returns the density of all arrivals with a mark, each weighted by its probability. Every time that an arrival has stands for an
// equal share of its distribution: it is spread with a kernel as wide as its neighbours are apart, so that peaks stay narrow and
// tails become smooth. What would lie before now is reflected.
func ridgeOf(arrivals []tpp.ExpectedArrival, mark int, now, end float64) step {
	st := step{from: now, mass: make([]float64, timelineCells)}
	width := end / timelineCells
	total := 0.0
	for i := range arrivals {
		a := &arrivals[i]
		if a.Mark != mark || a.Probability == 0 {
			continue
		}
		n := len(a.Times)
		share := a.Probability / float64(n)
		total += a.Probability
		for j, t := range a.Times {
			wide := max(spacing(a.Times, j), 0.7*width)
			below := func(v float64) float64 { return 0.5 * math.Erfc((t-v)/wide/math.Sqrt2) }
			within := func(v float64) float64 { return below(v) - below(-v) } // reflected at 0
			first := max(int((now+t-4*wide)/width), int(now/width))
			last := min(int((now+t+4*wide)/width), timelineCells-1)
			before := within(max(float64(first)*width-now, 0))
			for c := first; c <= last; c++ {
				upTo := within(max(float64(c+1)*width-now, 0))
				st.mass[c] += share * (upTo - before)
				before = upTo
			}
			st.later += share * (1 - within(end-now))
		}
	}
	if total > 0 {
		st.later /= total
	}
	if top := slices.Max(st.mass); top > 0 {
		for c := range st.mass {
			st.mass[c] /= top
		}
	}
	return st
}

// spacing returns how far apart time j and its neighbours are: the harmonic mean of the distances on both sides, so that beside a gap
// between two peaks those of its own peak count.
func spacing(times []float64, j int) float64 {
	low, high := max(j-neighbours, 0), min(j+neighbours, len(times)-1)
	switch {
	case low == high:
		return 0
	case low == j || high == j:
		return (times[high] - times[low]) / float64(high-low) * neighbours
	}
	before, after := (times[j]-times[low])/float64(j-low), (times[high]-times[j])/float64(high-j)
	if before+after == 0 {
		return 0
	}
	return neighbours * 2 * before * after / (before + after)
}

// neighbours is how many times to either side decide how wide the kernel of one is.
const neighbours = 6

// paled returns the colour of a ridge whose events come with a probability.
func paled(probability float64) color.Color {
	fill := ridgeFill
	fill.A = uint8(40 + 175*min(max(probability, 0), 1))
	return fill
}

// Plot draws the lanes.
func (d *due) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	c.FillPolygon(bandFill, []vg.Point{
		{X: c.Min.X, Y: c.Min.Y}, {X: x(d.now), Y: c.Min.Y}, {X: x(d.now), Y: c.Max.Y}, {X: c.Min.X, Y: c.Max.Y},
	})
	n := len(d.lanes)
	for i := range d.lanes {
		l := &d.lanes[i]
		row := float64(n - 1 - i)
		line(c, baseline, 0.6, vg.Point{X: c.Min.X, Y: y(row)}, vg.Point{X: x(d.end), Y: y(row)})
		if l.probability >= leastExpected {
			drawRidge(c, x, y, row, l.ridge, d.end, paled(l.probability))
		}
	}
	line(c, history, 0.9, vg.Point{X: x(d.now), Y: c.Min.Y}, vg.Point{X: x(d.now), Y: c.Max.Y})
	for i := range d.lanes {
		row := float64(n - 1 - i)
		for _, t := range d.lanes[i].seen {
			dot(c, history, 3, x(t), y(row))
		}
		for _, t := range d.lanes[i].came {
			line(c, observed, 1.6, vg.Point{X: x(t), Y: y(row - 0.14)}, vg.Point{X: x(t), Y: y(row + 0.88)})
		}
	}
}

// explain adds the key and the notes beside the lanes to the picture.
func (d *due) explain(f *Figure, unit string, running bool) {
	middle := func(c *draw.Canvas) (x, y vg.Length) { return (c.Min.X + c.Max.X) / 2, (c.Min.Y + c.Max.Y) / 2 }
	f.Explain(sign(func(c *draw.Canvas) {
		x, y := middle(c)
		patch{bandFill}.Thumbnail(c)
		line(*c, history, 0.9, vg.Point{X: c.Max.X, Y: c.Min.Y - 1}, vg.Point{X: c.Max.X, Y: c.Max.Y + 1})
		dot(*c, history, 3, x, y)
	}), "what had come by now")
	f.Explain(patch{paled(1)}, "when the next ones were expected")
	f.Explain(patch{paled(0.1)}, "the paler, the less likely to come at all")
	f.Explain(sign(func(c *draw.Canvas) {
		x, _ := middle(c)
		line(*c, observed, 1.6, vg.Point{X: x, Y: c.Min.Y - 1}, vg.Point{X: x, Y: c.Max.Y + 1})
	}), "when they came")

	probability, later, outcome := column{heading: "probability"}, column{heading: "cut off"}, column{heading: "what came"}
	for i := range d.lanes {
		l := &d.lanes[i]
		y := float64(len(d.lanes)-1-i) + 0.34
		if l.probability >= leastExpected {
			probability.cells = append(probability.cells, cell{y: y, text: percent(l.probability), color: rightColor})
			if l.ridge.later >= leastLater {
				later.cells = append(later.cells, cell{y: y, text: percent(l.ridge.later) + " later", color: rightColor, cut: true})
			}
		}
		if text, surprising := l.outcome(d.now, unit, running); text != "" {
			one := cell{y: y, text: text, color: rightColor}
			if surprising {
				one.color = wrongColor
			}
			outcome.cells = append(outcome.cells, one)
		}
	}
	f.rowHeading = "function"
	for _, c := range []column{probability, later, outcome} {
		if len(c.cells) > 0 {
			f.columns = append(f.columns, c)
		}
	}
}

// maxOutcomes is how many events of a lane are named.
const maxOutcomes = 3

// outcome says what came after now, and whether that was less likely than not.
func (l *lane) outcome(now float64, unit string, running bool) (text string, surprising bool) {
	if len(l.came) == 0 {
		switch {
		case l.probability < leastExpected:
			return "", false
		case running:
			return "not yet", false
		}
		return "never", l.probability > 0.5
	}
	var after []string
	for _, t := range l.came[:min(len(l.came), maxOutcomes)] {
		after = append(after, grouped(math.Round(t-now)))
	}
	text = strings.Join(after, ", ")
	if len(l.came) > maxOutcomes {
		text += ", …"
	}
	return "after " + text + " " + unit, l.probability < 0.5
}
