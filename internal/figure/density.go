package figure

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/plot"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// AfterAnyMark stands for no choice of a mark.
const AfterAnyMark = -1

// maxDensityEvents is about how many events a density is averaged over: of larger data every so many sequences.
const maxDensityEvents = 20_000

// Density draws how the gaps of a dataset are distributed over logarithmic time, as observed and as the model predicts:
// the mean of the distributions that it predicted for these gaps, one by one. With a mark it draws the gaps after events
// of that mark. The clock's resolution says which gaps the data can hold; gaps of zero are told in the legend. The marks
// of the data are numbered as the model's.
func Density(ctx context.Context, m tpp.Model, d *tpp.Dataset, after int, resolution float64, title string) (*plot.Plot, error) {
	g, err := collectGaps(ctx, m, d, after, resolution)
	if err != nil {
		return nil, err
	}
	p := newPlot(title, "gap ("+tpp.UnitOf(m)+")", "share of gaps per factor of ten")
	observed := &steps{edges: g.edges, heights: g.perDecade(g.observed), fill: observedFill, line: observedLine, width: 0.8}
	predicted := &steps{edges: g.edges, heights: g.perDecade(g.predicted), line: predictedLine, width: 1.8}
	highest := 0.0
	for i := range observed.heights {
		highest = max(highest, observed.heights[i], predicted.heights[i])
	}
	p.X.Scale = plot.LogScale{}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = g.edges[0], g.edges[len(g.edges)-1], 0, highest*1.25
	p.X.Tick.Marker = plot.TickerFunc(logTicks)
	p.Y.Tick.Marker = plot.TickerFunc(func(a, b float64) []plot.Tick { return ticks(a, b) })
	addGrid(p, true, true)
	p.Add(observed, predicted)
	n := float64(g.events)
	zeros := func(share float64) string {
		if g.zeroObserved == 0 && g.zeroPredicted < 5e-4*n {
			return ""
		}
		return fmt.Sprintf(", %.1f %% of them 0", 100*share/n)
	}
	p.Legend.Add(fmt.Sprintf("observed: %d gaps%s", g.events, zeros(g.zeroObserved)), observed)
	p.Legend.Add("predicted"+zeros(g.zeroPredicted), predicted)
	return p, nil
}

// gaps are sums over gaps: the observed ones in each bin, and the probabilities of the bins.
type gaps struct {
	edges                       []float64
	observed, predicted         []float64
	zeroObserved, zeroPredicted float64 // below the first edge, half a tick
	events                      int
}

// binsPerDecade is how fine the bins are, where the clock is finer.
const binsPerDecade = 16

// newGaps has bins from half a tick to the largest gap. Bounds are halves of ticks, so that no bin has the luck of
// holding one tick more than the next.
func newGaps(largest, resolution float64) *gaps {
	g := &gaps{edges: []float64{resolution / 2}}
	for edge := g.edges[0]; edge <= largest; {
		wide := edge * math.Pow(10, 1./binsPerDecade)
		edge = max((math.Round(wide/resolution-0.5)+0.5)*resolution, edge+resolution)
		g.edges = append(g.edges, edge)
	}
	if len(g.edges) == 1 {
		g.edges = append(g.edges, 1.5*resolution)
	}
	g.observed, g.predicted = make([]float64, len(g.edges)-1), make([]float64, len(g.edges)-1)
	return g
}

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
}

// perDecade are counts as densities of log₁₀ of the gap.
func (g *gaps) perDecade(counts []float64) []float64 {
	out := make([]float64, len(counts))
	for i, c := range counts {
		out[i] = c / float64(g.events) / math.Log10(g.edges[i+1]/g.edges[i])
	}
	return out
}

func collectGaps(ctx context.Context, m tpp.Model, d *tpp.Dataset, after int, resolution float64) (*gaps, error) {
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
		state := m.NewState(s.ArrivalTimes[0])
		for j := range s.Len() - 1 {
			if err := state.Observe(s.Event(j, m.CovariateNames(), nil)); err != nil {
				return nil, fmt.Errorf("sequence %d: event %d: %w", i, j, err)
			}
			if after != AfterAnyMark && s.Mark(j) != after {
				continue
			}
			time := state.Next(s.ArrivalTimes[j]).Time
			if !dist.HasDensity(time) {
				return nil, fmt.Errorf("a %s predicts a single time, it has no density", m.Kind())
			}
			g.add(s.ArrivalTimes[j+1]-s.ArrivalTimes[j], time)
		}
	}
	if g.events == 0 {
		return nil, fmt.Errorf("there are no gaps to draw")
	}
	return g, nil
}
