package figure

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/tppfaas/tppfaas/internal/pngtest"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// marked reports whether the picture has a text that contains words, with an arrow beside it.
func marked(f *Figure, words string) bool {
	l := layout(f)
	return slices.ContainsFunc(l.Texts, func(t pngtest.Text) bool {
		return strings.Contains(t.Text, words) && slices.ContainsFunc(l.Shapes, func(s pngtest.Shape) bool {
			return s.Filled && s.Color == cutColor && beside(s.Points[0], t.Box)
		})
	})
}

// beside reports whether a point is left or right of a text, on its line.
func beside(p vg.Point, box vg.Rectangle) bool {
	const near = 20
	return p.X > box.Min.X-near && p.X < box.Max.X+near && p.Y > box.Min.Y-near && p.Y < box.Max.Y+near
}

// fixed is a model that predicts the same distribution and marks at every event.
type fixed struct {
	time  dist.Distribution
	names []string
	marks []float64
}

func (m fixed) Kind() string               { return "fixed" }
func (m fixed) MarkNames() []string        { return m.names }
func (m fixed) CovariateNames() []string   { return nil }
func (m fixed) NewState(float64) tpp.State { return m }
func (m fixed) Observe(tpp.Event) error    { return nil }
func (m fixed) Clone() tpp.State           { return m }
func (m fixed) Next(float64) *tpp.Next     { return &tpp.Next{Time: m.time, Marks: m.marks} }

// longNames returns names of 50 characters that differ in the middle.
func longNames(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("an-application-step-%02d-with-a-name-that-does-not-end", i))
	}
	return out
}

// certain returns the probabilities of n marks of which one is nearly certain.
func certain(n, mark int) []float64 {
	marks := make([]float64, n)
	for i := range marks {
		marks[i] = 0.1 / float64(n-1)
	}
	marks[mark] = 0.9
	return marks
}

// TestTextsOfTimelinesStandClear draws rows whose notes are long and whose curves reach the end of the axis.
func TestTextsOfTimelinesStandClear(t *testing.T) {
	m := fixed{time: dist.Exponential{Rate: 1e-2}, names: longNames(22), marks: certain(22, 21)}
	for _, c := range []struct {
		name  string
		times []float64
	}{
		{"one row", []float64{0, 90}},
		{"one row, no gap", []float64{0, 0}},
		{"no gaps", []float64{5, 5, 5, 5}},
		{"a huge gap", []float64{0, 1, 2, 1e10}},
		{"rows", []float64{0, 10, 40, 200, 230, 260}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := tpp.Sequence{ArrivalTimes: c.times}
			for i := range c.times {
				s.Marks = append(s.Marks, (7*i)%22)
			}
			f, err := Timeline(m, &s, 0, 40, "a-model-with-a-name-of-some-length.safetensors on a-dataset-with-a-long-name.json.gz, sequence 0")
			if err != nil {
				t.Fatal(err)
			}
			write(t, "timeline of long notes, "+c.name, f)
			for _, words := range []string{"time since the first event drawn (ms)", "last event"} {
				if _, ok := layout(f).Find(words); !ok {
					t.Errorf("the picture does not say %q", words)
				}
			}
		})
	}
}

// TestTimelineSaysWhatIsCutOff compares the notes with the survival at the end of the axis.
func TestTimelineSaysWhatIsCutOff(t *testing.T) {
	s := tpp.Sequence{ArrivalTimes: []float64{0, 100}, Marks: []int{0, 1}}
	m := fixed{time: dist.Exponential{Rate: 0.01}, names: names(2), marks: []float64{0.5, 0.5}}
	f, err := Timeline(m, &s, 0, 40, "")
	if err != nil {
		t.Fatal(err)
	}
	// The axis ends at 1.12 times the last gap.
	if want := fmt.Sprintf("%.0f %% later", 100*math.Exp(-1.12)); !marked(f, want) {
		t.Errorf("no arrow says %q", want)
	}
	m.time = dist.Exponential{Rate: 1}
	if f, err = Timeline(m, &s, 0, 40, ""); err != nil {
		t.Fatal(err)
	}
	if marked(f, "later") {
		t.Error("a curve that ends on the axis is marked as cut off")
	}
}

// TestDensityStartsWhereTheDataAre checks the ends of the axis against the gaps.
func TestDensityStartsWhereTheDataAre(t *testing.T) {
	d := &tpp.Dataset{}
	for i := range 200 {
		d.Sequences = append(d.Sequences, tpp.Sequence{ArrivalTimes: []float64{0, 1000 + 10*float64(i)}, Marks: []int{0, 0}})
	}
	narrow := fixed{time: &dist.LogNormMix{LogWeights: []float64{0}, Mu: []float64{math.Log(1800)}, Sigma: []float64{0.1}}, marks: []float64{1}}
	wide := fixed{time: dist.Exponential{Rate: 1. / 2000}, marks: []float64{1}}
	for _, c := range []struct {
		name            string
		model           tpp.Model
		least, most     float64 // of the axis
		above, belowCut bool
	}{
		{"within the observed", narrow, 700, 4000, false, false},
		{"a long tail", wide, 1, 4000, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := Density(t.Context(), c.model, d, AfterAnyMark, 1, "")
			if err != nil {
				t.Fatal(err)
			}
			if p := f.Plot; p.X.Min < c.least || p.X.Min > 1000 || p.X.Max > c.most || p.X.Max < 2990 {
				t.Errorf("the axis goes from %v to %v for gaps from 1000 to 2990", p.X.Min, p.X.Max)
			}
			if got := marked(f, "above "); got != c.above {
				t.Errorf("the longer gaps that are not drawn are told: %v, want %v", got, c.above)
			}
			if got := marked(f, "below "); got != c.belowCut {
				t.Errorf("the shorter gaps that are not drawn are told: %v, want %v", got, c.belowCut)
			}
			write(t, "density, "+c.name, f)
		})
	}
}

// TestDensityOfZeros checks that gaps which a logarithmic axis cannot show are told.
func TestDensityOfZeros(t *testing.T) {
	d := &tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{5, 5, 5, 5}, Marks: []int{0, 0, 0, 0}}}}
	m := fixed{time: dist.Exponential{Rate: 1e3}, marks: []float64{1}}
	f, err := Density(t.Context(), m, d, AfterAnyMark, 1, "")
	if err != nil {
		t.Fatal(err)
	}
	write(t, "density of zeros", f)
	if !marked(f, "below 0.5 ms: observed 100.0 %, predicted 100.0 %") {
		t.Error("the gaps of zero are not told")
	}
	if _, ok := layout(f).Find("all 3 gaps are 0: a logarithmic axis cannot show them"); !ok {
		t.Error("nothing says why the axes are empty")
	}
}

func TestTicks(t *testing.T) {
	labels := func(from, to float64, of func(from, to float64) []string) string {
		return strings.Join(of(from, to), " | ")
	}
	linear := func(from, to float64) (out []string) {
		for _, tick := range ticks(from, to) {
			if tick.Label != "" {
				out = append(out, tick.Label)
			}
		}
		return out
	}
	whole := func(from, to float64) (out []string) {
		for _, tick := range integerTicks(from, to) {
			out = append(out, tick.Label)
		}
		return out
	}
	logarithmic := func(from, to float64) (out []string) {
		for _, tick := range logTicks(from, to) {
			if tick.Label != "" {
				out = append(out, tick.Label)
			}
		}
		return out
	}
	for _, c := range []struct {
		from, to float64
		of       func(from, to float64) []string
		want     string
	}{
		{0, 1, linear, "0 | 0.2 | 0.4 | 0.6 | 0.8 | 1"},
		{-3, 30_000, linear, "0 | 5000 | 10 000 | 15 000 | 20 000 | 25 000 | 30 000"},
		{0, 1.5e7, linear, "0 | 2e6 | 4e6 | 6e6 | 8e6 | 1e7 | 1.2e7 | 1.4e7"},
		{-1e-6, 1e-6, linear, "-1e-6 | -5e-7 | 0 | 5e-7 | 1e-6"},
		{0, 3.5, whole, "0 | 1 | 2 | 3"},
		{5, 5, linear, ""},
		{0.5, 2000, logarithmic, "1 | 10 | 100 | 1000"},
		{0.5, 1e11, logarithmic, "1 | 100 | 1e4 | 1e6 | 1e8 | 1e10"},
		{3, 60, logarithmic, "5 | 10 | 20 | 50"},
		{1000, 1500, logarithmic, "1000 | 1100 | 1200 | 1300 | 1400 | 1500"},
	} {
		if got := labels(c.from, c.to, c.of); got != c.want {
			t.Errorf("from %v to %v: %s, want %s", c.from, c.to, got, c.want)
		}
	}
}

func TestWrap(t *testing.T) {
	style := textStyle(ink, 0)
	for _, c := range []struct {
		text  string
		width vg.Length
		lines int
	}{
		{"a few words", 200, 1}, {"a few words", 30, 2}, {"", 100, 0}, {"one-word-that-is-much-too-long", 50, 1},
	} {
		lines := wrap(style, c.text, c.width)
		if len(lines) != c.lines {
			t.Errorf("%q in %v points: %q, want %d lines", c.text, c.width, lines, c.lines)
		}
		for _, words := range lines {
			if style.Width(words) > c.width {
				t.Errorf("%q is wider than %v points", words, c.width)
			}
		}
	}
}

// TestPredictionOfNoWidthIsSeen checks that a prediction of a single time, which came, is wider than the line of the event that came.
func TestPredictionOfNoWidthIsSeen(t *testing.T) {
	s := tpp.Sequence{ArrivalTimes: []float64{0, 100, 200}, Marks: []int{0, 0, 0}}
	f, err := Timeline(fixed{time: dist.Point{Value: 100}, marks: []float64{1}}, &s, 0, 40, "")
	if err != nil {
		t.Fatal(err)
	}
	widest := vg.Length(0)
	for _, shape := range layout(f).Shapes {
		if shape.Filled && shape.Color == ridgeFill && len(shape.Points) == 4 { // a triangle, closed
			widest = max(widest, shape.Points[2].X-shape.Points[0].X)
		}
	}
	if widest != leastWidth {
		t.Errorf("the prediction is %v points wide, want %v", widest, leastWidth)
	}
}

// TestLogarithmicAxesReachTheEdge checks that the label of a logarithmic axis takes no room at its end.
func TestLogarithmicAxesReachTheEdge(t *testing.T) {
	p := NewPanel("a title", "a label of some length (ms)", "another label (ms)")
	LogAxis(&p.X, 0.8, 1000)
	LogAxis(&p.Y, 0.8, 1000)
	var c, data draw.Canvas
	pngtest.Record(170, 150, func(all draw.Canvas) { c, data = all, drawPlot(p, all) })
	if right, top := c.Max.X-data.Max.X, c.Max.Y-data.Max.Y; right > 15 || top > 30 { // half a number, a title
		t.Errorf("right of the data %v points are free, above them %v", right, top)
	}
}
