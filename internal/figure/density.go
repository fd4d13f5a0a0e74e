package figure

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/tppfaas/tppfaas/internal/starts"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// AfterAnyMark selects the gaps after events of all marks.
const AfterAnyMark = -1

// maxDensityEvents is about how many events a density is averaged over; of larger datasets every n-th sequence is used.
const maxDensityEvents = 20_000

// Density draws how the gaps of a dataset are distributed over logarithmic time, as observed and as the model predicts:
// the mean of the distributions that it predicted for these gaps, one by one. With a mark it draws the gaps after events
// of that mark. The clock's resolution says which gaps the data can hold. The axis reaches as far as there are gaps to draw; above it
// stands which share lies beyond its ends, gaps of zero among them. The marks of the data are numbered as the model's.
func Density(ctx context.Context, m tpp.Model, d *tpp.Dataset, after int, resolution float64, source string) (*Figure, error) {
	g, err := collectGaps(ctx, m, d, after, resolution)
	if err != nil {
		return nil, err
	}
	title, unit := "Gaps between events", tpp.UnitOf(m)
	if after != AfterAnyMark {
		title = "Gaps after " + namer(m.MarkNames())(after)
	}
	f := newFigure(title+": observed and predicted", source, "gap ("+unit+", logarithmic)", "share of gaps per factor of ten")
	first, end := g.drawn()
	edges := g.edges[first : end+1]
	observed := &steps{edges: edges, heights: g.perDecade(g.observed)[first:end], fill: observedFill, line: observedLine, width: 0.8}
	predicted := &steps{edges: edges, heights: g.perDecade(g.predicted)[first:end], line: predictedLine, width: 1.8}
	highest := 0.0
	for i := range observed.heights {
		highest = max(highest, observed.heights[i], predicted.heights[i])
	}
	p := f.Plot
	p.X.Scale = plot.LogScale{}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = edges[0], edges[len(edges)-1], 0, highest*1.05
	p.X.Tick.Marker = plot.TickerFunc(logTicks)
	addGrid(p, true, true)
	f.Explain(observed, "observed: %d gaps", g.events)
	f.Explain(predicted, "predicted")
	if g.allZero() {
		p.Y.Max = 1
		p.Add(remark(fmt.Sprintf("all %d gaps are 0: a logarithmic axis cannot show them", g.events)))
	} else {
		p.Add(observed, predicted)
	}
	if beyond := g.beyond(g.zeroObserved, g.zeroPredicted, 0, first); beyond != "" {
		f.cuts = append(f.cuts, cut{leftEdge, fmt.Sprintf("below %s %s: %s", grouped(edges[0]), unit, beyond)})
	}
	if beyond := g.beyond(0, g.laterPredicted, end, len(g.observed)); beyond != "" {
		f.cuts = append(f.cuts, cut{rightEdge, fmt.Sprintf("above %s %s: %s", grouped(edges[len(edges)-1]), unit, beyond)})
	}
	return f, nil
}

// remark is a text in the middle of empty axes.
type remark string

// Plot draws the text.
func (r remark) Plot(c draw.Canvas, _ *plot.Plot) {
	style := textStyle(ink, draw.XCenter)
	lines := wrap(style, string(r), 0.8*(c.Max.X-c.Min.X))
	for i, words := range lines {
		c.FillText(style, vg.Point{X: c.Center().X, Y: c.Center().Y - vg.Length(i)*lineHeight}, words)
	}
}

// gaps are sums over gaps: the observed ones in each bin, and the probabilities of the bins.
type gaps struct {
	edges                       []float64
	observed, predicted         []float64
	zeroObserved, zeroPredicted float64 // below the first edge, half a tick
	laterPredicted              float64 // above the last edge
	events                      int
}

const (
	// leastDrawn is the share of the predicted gaps that may lie in bins at either end which are not drawn.
	leastDrawn = 0.01
	// leastTold is the share of the predicted gaps beyond an end of the axis from which on the picture says so.
	leastTold = 0.0005
)

// drawn returns the bins that are drawn, first to before end: those with observed gaps, and those outwards from them until less than
// leastDrawn of the predicted gaps is left, with one more at either side so that the curves are seen to end.
func (g *gaps) drawn() (first, end int) {
	least := leastDrawn * float64(g.events)
	n := len(g.observed)
	end = n
	for left := 0.0; first < n-1 && g.observed[first] == 0 && left+g.predicted[first] < least; first++ {
		left += g.predicted[first]
	}
	for left := 0.0; end > first+1 && g.observed[end-1] == 0 && left+g.predicted[end-1] < least; end-- {
		left += g.predicted[end-1]
	}
	return max(first-1, 0), min(end+1, n)
}

// allZero reports whether there is nothing to draw: all gaps are 0, and predicted to be.
func (g *gaps) allZero() bool {
	n := float64(g.events)
	return g.zeroObserved == n && g.zeroPredicted >= (1-leastTold)*n
}

// beyond describes which share of the gaps lies beyond an end of the axis: in the bins from first to before end, and outside all bins,
// of which there are observed and predicted. It returns "" if there are hardly any.
func (g *gaps) beyond(observed, predicted float64, first, end int) string {
	for i := first; i < end; i++ {
		observed += g.observed[i]
		predicted += g.predicted[i]
	}
	n := float64(g.events)
	switch {
	case observed == 0 && predicted < leastTold*n:
		return ""
	case observed == 0:
		return fmt.Sprintf("predicted %.1f %%", 100*predicted/n)
	}
	return fmt.Sprintf("observed %.1f %%, predicted %.1f %%", 100*observed/n, 100*predicted/n)
}

// binsPerDecade is how many bins a factor of ten has, where the clock is finer.
const binsPerDecade = 16

// newGaps returns bins from half a tick to beyond the largest gap. Edges are halves of ticks, so that each bin holds the ticks that its
// width suggests.
func newGaps(largest, resolution float64) *gaps {
	g := &gaps{edges: []float64{resolution / 2}}
	for edge := g.edges[0]; edge <= largest; {
		wide := edge * math.Pow(10, 1./binsPerDecade)
		edge = max((math.Round(wide/resolution-0.5)+0.5)*resolution, edge+resolution)
		g.edges = append(g.edges, edge)
	}
	last := g.edges[len(g.edges)-1] // and one more, so that the curves end on the axis
	g.edges = append(g.edges, (math.Round(last*math.Pow(10, 1./binsPerDecade)/resolution+0.5)+0.5)*resolution)
	g.observed, g.predicted = make([]float64, len(g.edges)-1), make([]float64, len(g.edges)-1)
	return g
}

// add adds a gap and the distribution that was predicted for it.
func (g *gaps) add(gap float64, d dist.Distribution) {
	g.events++
	if gap < g.edges[0] {
		g.zeroObserved++
	}
	before := d.CDF(g.edges[0])
	g.zeroPredicted += before
	for i := range g.observed {
		if g.edges[i] <= gap && gap < g.edges[i+1] {
			g.observed[i]++
		}
		cdf := d.CDF(g.edges[i+1])
		g.predicted[i] += cdf - before
		before = cdf
	}
	g.laterPredicted += 1 - before
}

// perDecade returns counts as densities of log₁₀ of the gap.
func (g *gaps) perDecade(counts []float64) []float64 {
	out := make([]float64, len(counts))
	for i, c := range counts {
		out[i] = c / float64(g.events) / math.Log10(g.edges[i+1]/g.edges[i])
	}
	return out
}

// collectGaps follows the sequences with the model and adds up all gaps, or those after events of a mark.
func collectGaps(ctx context.Context, m tpp.Model, d *tpp.Dataset, after int, resolution float64) (*gaps, error) {
	d, err := starts.SeenDataset(m, d)
	if err != nil {
		return nil, err
	}
	largest := 0.0
	for i := range d.Sequences {
		for _, gap := range d.Sequences[i].InterTimes() {
			largest = max(largest, gap)
		}
	}
	g := newGaps(largest, resolution)
	every := max(d.NumEvents()/maxDensityEvents, 1)
	for i := 0; i < len(d.Sequences); i += every {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s := &d.Sequences[i]
		err := starts.Follow(m, s, func(state tpp.State, j int) error {
			if j+1 == s.Len() || after != AfterAnyMark && s.Mark(j) != after {
				return nil
			}
			time := state.Next(s.ArrivalTimes[j]).Time
			if !dist.HasDensity(time) {
				return fmt.Errorf("a %s predicts a single time, it has no density", m.Kind())
			}
			g.add(s.ArrivalTimes[j+1]-s.ArrivalTimes[j], time)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("sequence %d: %w", i, err)
		}
	}
	if g.events == 0 {
		return nil, fmt.Errorf("there are no gaps to draw")
	}
	return g, nil
}
