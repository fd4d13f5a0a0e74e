package lab

import (
	"cmp"
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/tppfaas/tppfaas/internal/figure"
)

// frontKind is the kind of policy whose front is drawn as such, boundKind the one that all oracles are of.
const (
	frontKind = "newsvendor"
	boundKind = "oracle"
)

// inks are colours that stay apart for every kind of colour vision (Okabe and Ito 2008, Color Universal Design), shapes the glyphs that go
// with them: more kinds than colours differ in their glyphs.
var (
	frontInk = color.NRGBA{0x00, 0x72, 0xb2, 0xff}
	boundInk = color.NRGBA{0x44, 0x44, 0x44, 0xff}
	inks     = []color.NRGBA{
		{0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff}, {0xe6, 0x9f, 0x00, 0xff}, {0x56, 0xb4, 0xe9, 0xff},
		{0x88, 0x88, 0x88, 0xff},
	}
	shapes = []draw.GlyphDrawer{draw.BoxGlyph{}, draw.PyramidGlyph{}, draw.TriangleGlyph{}, draw.CircleGlyph{}}
)

// knob splits a policy at the number that is turned from point to point: the first one of a newsvendor (λ), the last one of all others. What is
// left is the same for all points of a curve.
func knob(policy string) (curve string, value float64) {
	parts := strings.Split(policy, ":")
	order := make([]int, 0, len(parts))
	for i := 1; i < len(parts); i++ {
		order = append(order, i)
	}
	if parts[0] != frontKind {
		slices.Reverse(order)
	}
	for _, i := range order {
		name, text, named := strings.Cut(parts[i], "=")
		if !named {
			name, text = "", parts[i]
		}
		if v, err := strconv.ParseFloat(text, 64); err == nil {
			parts[i] = name
			return strings.Join(parts, ":"), v
		}
	}
	return policy, math.NaN()
}

// curve is the points of a policy along its knob.
type curve struct {
	name   string // of the key
	kind   string
	values []float64
	points plotter.XYs
}

// curves returns the points of a group, by curve, along the knob of each.
func (g *Group) curves() []*curve {
	var all []*curve
	for _, p := range g.Policies {
		name, value := knob(p.Policy)
		i := slices.IndexFunc(all, func(c *curve) bool { return c.name == name })
		if i < 0 {
			i = len(all)
			kind, _, _ := strings.Cut(name, ":")
			if IsBound(kind) {
				kind = boundKind
			}
			all = append(all, &curve{name: name, kind: kind})
		}
		c := all[i]
		at, _ := slices.BinarySearch(c.values, value)
		c.values = slices.Insert(c.values, at, value)
		c.points = slices.Insert(c.points, at, plotter.XY{X: p.Mean((*Measures).Memory).Mean, Y: p.Mean(p95).Mean})
	}
	return all
}

// leastLogarithmic is the least latency in seconds that a logarithmic axis shows.
const leastLogarithmic = 0.02

// Picture draws the 95 % quantile of the added latency over the memory, a panel for each group: the front of the newsvendor as a line through
// λ, others as points that are thinly joined along their knob, oracles as what no policy can be better than.
func Picture(groups []*Group) *figure.Sheet {
	s := &figure.Sheet{Columns: min(len(groups), 3), PanelWidth: 9.5 * vg.Centimeter, PanelHeight: 8 * vg.Centimeter}
	if len(groups) == 1 {
		s.PanelWidth, s.PanelHeight = 17*vg.Centimeter, 12*vg.Centimeter
	}
	s.Title = "What prewarming brings, and what it costs"
	s.Source = "means over seeds: p95 of the added latency of requests over the memory-time of containers that are starting and idle; better is lower and to the left"
	var kinds []string // in the order of the key, but for the front and the bounds
	for _, g := range groups {
		for _, c := range g.curves() {
			if c.kind != frontKind && c.kind != boundKind && !slices.Contains(kinds, c.kind) {
				kinds = append(kinds, c.kind)
			}
		}
	}
	signs := map[string]plot.Thumbnailer{}
	for _, g := range groups {
		s.Panels = append(s.Panels, g.panel(kinds, signs))
	}
	for _, kind := range slices.Concat([]string{frontKind}, kinds, []string{boundKind, beyondSign}) {
		sign := signs[kind]
		switch {
		case sign == nil:
		case kind == frontKind:
			s.Explain(sign, "%s, along λ", kind)
		case kind == boundKind:
			s.Explain(sign, "oracles")
		case kind == beyondSign:
			s.Explain(sign, beyondSign)
		default:
			s.Explain(sign, "%s", kind)
		}
	}
	return s
}

// beyondSign is the sign of what lies beyond an axis.
const beyondSign = "beyond the axis"

// edgeOf returns where the axes end at the latest, so that the front stays readable beside policies that cost, or wait, many times as much.
func edgeOf(curves []*curve) plotter.XY {
	const times = 2.5 // the front's most
	edge := plotter.XY{}
	for _, c := range curves {
		if c.kind != frontKind {
			continue
		}
		for _, p := range c.points {
			edge = plotter.XY{X: max(edge.X, times*p.X), Y: max(edge.Y, times*p.Y)}
		}
	}
	if edge.X <= 0 || edge.Y <= 0 {
		return plotter.XY{X: math.Inf(1), Y: math.Inf(1)}
	}
	return edge
}

// within returns the points up to the edge, and where at the edge the others are shown.
func (c *curve) within(edge plotter.XY) (within, beyond plotter.XYs) {
	for _, p := range c.points {
		if p.X <= edge.X && p.Y <= edge.Y {
			within = append(within, p)
		} else {
			beyond = append(beyond, plotter.XY{X: min(p.X, edge.X), Y: min(p.Y, edge.Y)})
		}
	}
	return within, beyond
}

// panel draws a group, and notes a sign for each kind.
func (g *Group) panel(kinds []string, signs map[string]plot.Thumbnailer) *plot.Plot {
	title := g.App + ", " + g.Load
	if _, rest, ok := strings.Cut(g.Settings, ","); ok {
		title += " (" + rest + ")"
	}
	panel := figure.NewPanel(title, "memory (MB·s a request)", "p95 of the added latency (s)")
	curves := g.curves()
	rank := func(c *curve) int { // what is drawn later lies above
		switch c.kind {
		case frontKind:
			return 2
		case boundKind:
			return 0
		}
		return 1
	}
	slices.SortStableFunc(curves, func(a, b *curve) int { return cmp.Compare(rank(a), rank(b)) })
	edge := edgeOf(curves)
	least, most := plotter.XY{X: math.Inf(1), Y: math.Inf(1)}, plotter.XY{X: math.Inf(-1), Y: math.Inf(-1)}
	for _, c := range curves {
		for _, p := range c.points {
			least = plotter.XY{X: min(least.X, p.X), Y: min(least.Y, p.Y)}
			most = plotter.XY{X: min(max(most.X, p.X), edge.X), Y: min(max(most.Y, p.Y), edge.Y)}
		}
	}
	for _, c := range curves {
		i := slices.Index(kinds, c.kind)
		glyph := draw.GlyphStyle{Radius: 2.5}
		line := draw.LineStyle{Width: 0.6}
		switch c.kind {
		case frontKind:
			glyph.Color, glyph.Shape, line.Width = frontInk, draw.CircleGlyph{}, 1.6
			if _, model, named := strings.Cut(strings.TrimPrefix(c.name, frontKind+":"), ":"); named && model != "" { // of another model than the usual one
				glyph.Shape, line.Dashes, line.Width = draw.RingGlyph{}, []vg.Length{4, 2}, 1
			}
		case boundKind:
			glyph.Color, glyph.Shape, glyph.Radius = boundInk, draw.PlusGlyph{}, 3
			line.Dashes = []vg.Length{3, 2}
		default:
			glyph.Color, glyph.Shape = inks[i%len(inks)], shapes[i/len(inks)%len(shapes)]
		}
		line.Color = glyph.Color
		within, beyond := c.within(edge)
		if len(within) > 1 {
			panel.Add(&plotter.Line{XYs: within, LineStyle: line})
		}
		scatter := &plotter.Scatter{XYs: within, GlyphStyle: glyph}
		panel.Add(scatter)
		if len(beyond) > 0 {
			hollow := glyph
			hollow.Shape = draw.RingGlyph{}
			ring := &plotter.Scatter{XYs: beyond, GlyphStyle: hollow}
			panel.Add(ring)
			if signs[beyondSign] == nil {
				ring := *ring
				ring.GlyphStyle.Color = boundInk
				signs[beyondSign] = &ring
			}
		}
		switch c.kind {
		case boundKind: // which one it is stands beside it
			label(panel, c.points[:1], func(int) string { return strings.TrimRight(c.name, ":") })
		case frontKind: // its ends have their prices, unless it is that of another model
			if line.Dashes != nil {
				break
			}
			label(panel, c.points, func(i int) string {
				if i > 0 && i < len(c.points)-1 || math.IsNaN(c.values[i]) || c.points[i].X > edge.X || c.points[i].Y > edge.Y {
					return ""
				}
				return "λ " + strconv.FormatFloat(c.values[i], 'f', -1, 64)
			})
		}
		if signs[c.kind] == nil {
			signs[c.kind] = scatter
		}
	}
	if least.X > 0 {
		figure.LogAxis(&panel.X, least.X/1.15, most.X*1.15)
	}
	if least.Y >= leastLogarithmic {
		figure.LogAxis(&panel.Y, least.Y/1.15, most.Y*1.15)
	} else {
		room := max(0.05*(most.Y-least.Y), 0.01)
		panel.Y.Min, panel.Y.Max = least.Y-room, most.Y+room
	}
	return panel
}

// label writes small texts beside points.
func label(panel *plot.Plot, points plotter.XYs, text func(i int) string) {
	names := make([]string, len(points))
	for i := range names {
		names[i] = "  " + text(i)
	}
	labels, err := plotter.NewLabels(plotter.XYLabels{XYs: points, Labels: names})
	if err != nil { // a point that is no number is not drawn either
		return
	}
	for i := range labels.TextStyle {
		labels.TextStyle[i].Font.Variant, labels.TextStyle[i].Font.Size = "Sans", 7
	}
	panel.Add(labels)
}
