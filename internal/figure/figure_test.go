package figure

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	_ "image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"

	"github.com/tppfaas/tppfaas/internal/pngtest"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/neural"
)

var keep = flag.String("keep", "", "directory to keep the pictures in, for looking at them")

// background are the colours of what may pass behind a text.
var background = []color.Color{color.White, gridLine}

// layout records where everything stands in the picture.
func layout(f *Figure) *pngtest.Layout { return pngtest.Record(f.Width, f.Height, f.Draw) }

// write draws the picture and checks that it is one, with more in it than a blank sheet, and that its text can be read: in the size that
// suits it and in smaller ones.
func write(t *testing.T, name string, f *Figure) {
	t.Helper()
	for _, scale := range []vg.Length{1, 0.8, 0.5} {
		smaller := *f
		smaller.Width, smaller.Height = f.Width*scale, f.Height*scale
		pngtest.Legible(t, layout(&smaller), background...)
	}
	dir := *keep
	if dir == "" {
		dir = t.TempDir()
	}
	path := filepath.Join(dir, name+".png")
	if err := Write(path, f); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	picture, _, err := image.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	colours := map[[4]uint32]bool{}
	for x := range picture.Bounds().Dx() {
		for y := range picture.Bounds().Dy() {
			r, g, b, a := picture.At(x, y).RGBA()
			colours[[4]uint32{r, g, b, a}] = true
		}
	}
	if len(colours) < 8 {
		t.Errorf("%s has no more than %d colours", name, len(colours))
	}
}

// lookup returns a table fitted to random sequences with the given marks.
func lookup(t *testing.T, sequences, events int, names []string) (tpp.Model, *tpp.Dataset) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, uint64(events)))
	d := &tpp.Dataset{MarkNames: names}
	for range sequences {
		var s tpp.Sequence
		at, mark := 0.0, 0
		for range events {
			s.ArrivalTimes = append(s.ArrivalTimes, at)
			s.Marks = append(s.Marks, mark)
			at += math.Floor(30 * float64(mark%5+1) * rng.ExpFloat64() * rng.Float64())
			if n := len(names); n > 0 {
				mark = (mark + 1 + rng.IntN(2)) % n
			}
		}
		d.Sequences = append(d.Sequences, s)
	}
	m, err := classical.FitLookup(t.Context(), classical.LastMark, d, classical.FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m, d
}

func names(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("shop-dev-function%d", i))
	}
	return out
}

func TestTimelines(t *testing.T) {
	for _, c := range []struct {
		name         string
		events       int
		marks        []string
		first, count int
		rows         int
	}{
		{"short", 2, names(3), 0, 40, 1},
		{"part of thousands", 3000, names(4), 2000, 25, 24},
		{"end of thousands", 3000, names(4), 2990, 25, 9},
		{"unmarked", 12, nil, 0, 40, 11},
		{"long names", 8, []string{"checkout", "a-function-with-quite-a-long-name-for-a-picture", "b"}, 0, 40, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, d := lookup(t, 3, c.events, c.marks)
			f, err := Timeline(m, &d.Sequences[0], c.first, c.count, c.name)
			if err != nil {
				t.Fatal(err)
			}
			if got := len(f.Plot.Y.Tick.Marker.Ticks(0, 1)); got != c.rows {
				t.Errorf("%d rows, want %d", got, c.rows)
			}
			write(t, "timeline "+c.name, f)
		})
	}
	m, d := lookup(t, 3, 5, nil)
	for _, c := range []struct{ first, count int }{{4, 10}, {-1, 10}, {0, 1}} {
		if _, err := Timeline(m, &d.Sequences[0], c.first, c.count, ""); err == nil {
			t.Errorf("%d events from %d of 5 were drawn", c.count, c.first)
		}
	}
	// A sequence that still runs has a row for what comes after its last event.
	d.Sequences[0].TEnd = new(d.Sequences[0].ArrivalTimes[4] + 100)
	f, err := Timeline(m, &d.Sequences[0], 0, 40, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := len(f.Plot.Y.Tick.Marker.Ticks(0, 1)); got != 5 {
		t.Errorf("%d rows for 5 events of a running sequence", got)
	}
}

func TestDensity(t *testing.T) {
	m, d := lookup(t, 50, 20, names(5))
	f, err := Density(t.Context(), m, d, AfterAnyMark, 1, "all gaps")
	if err != nil {
		t.Fatal(err)
	}
	write(t, "density", f)
	if f, err = Density(t.Context(), m, d, 3, 1, "gaps after one function"); err != nil {
		t.Fatal(err)
	}
	write(t, "density after a mark", f)

	g, err := collectGaps(t.Context(), m, d, AfterAnyMark, 1)
	if err != nil {
		t.Fatal(err)
	}
	sum := func(first float64, values []float64) float64 {
		for _, v := range values {
			first += v
		}
		return first
	}
	if got := sum(g.zeroObserved, g.observed); got != 50*19 || g.events != 50*19 {
		t.Errorf("%v of %d gaps are in a bin, want %d", got, g.events, 50*19)
	}
	// The table was fitted to these very gaps: its mass is where they are.
	if got := sum(g.zeroPredicted, g.predicted); got < 0.97*50*19 || got > 50*19 {
		t.Errorf("%v of %d predicted gaps are in a bin", got, g.events)
	}
	for i, edge := range g.edges {
		if whole := edge - 0.5; math.Abs(whole-math.Round(whole)) > 1e-9 || i > 0 && edge <= g.edges[i-1] {
			t.Errorf("bound %d, %v, is not half a tick between two", i, edge)
		}
	}
	if _, err := Density(t.Context(), m, &tpp.Dataset{}, AfterAnyMark, 1, ""); err == nil {
		t.Error("no gaps were drawn")
	}
	if _, err := Density(t.Context(), single{m}, d, AfterAnyMark, 1, ""); err == nil || !strings.Contains(err.Error(), "no density") {
		t.Errorf("a single time was drawn as a density: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Density(ctx, m, d, AfterAnyMark, 1, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want the context's", err)
	}
}

// single is a model that predicts a single time.
type single struct{ tpp.Model }

func (s single) NewState(start float64) tpp.State { return singleState{s.Model.NewState(start)} }

type singleState struct{ tpp.State }

func (s singleState) Next(now float64) *tpp.Next {
	return &tpp.Next{Time: dist.Point{Value: 1}, Marks: s.State.Next(now).Marks}
}

func TestCalibrationPictures(t *testing.T) {
	m, d := lookup(t, 50, 20, names(5))
	diagnostics, err := eval.Diagnose(t.Context(), m, d, eval.EvaluateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, draw := range map[string]func(*eval.Diagnostics, string) (*Figure, error){"pit": PIT, "reliability": Reliability} {
		f, err := draw(diagnostics, name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, name, f)
		if _, err := draw(&eval.Diagnostics{}, name); err == nil {
			t.Errorf("%s of nothing was drawn", name)
		}
	}
	if _, err := eval.Diagnose(t.Context(), single{m}, d, eval.EvaluateOptions{}); err != nil {
		t.Errorf("a single time has diagnostics too: %v", err)
	}
}

func TestWilsonInterval(t *testing.T) {
	// By hand from the formula, z = 1.96: 0 of 10 is up to z²/(n + z²).
	if low, high := wilson(0, 10); math.Abs(low) > 1e-12 || math.Abs(high-1.96*1.96/(10+1.96*1.96)) > 1e-12 {
		t.Errorf("0 of 10 is from %v to %v", low, high)
	}
	if low, high := wilson(0.5, 1e8); math.Abs(low-0.5+0.98e-4) > 1e-7 || math.Abs(high-0.5-0.98e-4) > 1e-7 {
		t.Errorf("half of very many is from %v to %v", low, high)
	}
}

func TestConfusionMatrix(t *testing.T) {
	for _, n := range []int{2, 9, 30, 45} {
		m, d := lookup(t, 30, 120, names(n))
		diagnostics, err := eval.Diagnose(t.Context(), m, d, eval.EvaluateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		f, err := Confusion(diagnostics.Confusion, fmt.Sprintf("%d marks", n))
		if err != nil {
			t.Fatal(err)
		}
		write(t, fmt.Sprintf("confusion %d", n), f)
		table := newMatrix(diagnostics.Confusion)
		if want := min(n, maxConfusionMarks); len(table.labels) != want {
			t.Errorf("%d classes for %d marks, want %d", len(table.labels), n, want)
		}
		total := 0
		for _, row := range table.rows {
			for _, count := range row {
				total += count
			}
		}
		if total != diagnostics.Confusion.Events() {
			t.Errorf("%d events are in the matrix of %d", total, diagnostics.Confusion.Events())
		}
		if last := table.labels[len(table.labels)-1]; n == 45 && last != "16 others" {
			t.Errorf("the last class is %q", last)
		}
	}
	empty, err := eval.Diagnose(t.Context(), &clock{}, &tpp.Dataset{}, eval.EvaluateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Confusion(empty.Confusion, ""); err == nil {
		t.Error("no events were drawn")
	}
}

// clock is an unmarked model of gaps of rate 1.
type clock struct{}

func (*clock) Kind() string                 { return "clock" }
func (*clock) MarkNames() []string          { return nil }
func (*clock) CovariateNames() []string     { return nil }
func (c *clock) NewState(float64) tpp.State { return c }
func (*clock) Observe(tpp.Event) error      { return nil }
func (c *clock) Clone() tpp.State           { return c }
func (*clock) Next(float64) *tpp.Next {
	return &tpp.Next{Time: dist.Exponential{Rate: 1}, Marks: []float64{1}}
}

func TestHistory(t *testing.T) {
	var epochs []neural.Epoch
	best := neural.Epoch{BestLoss: math.Inf(1)}
	for i := range 300 {
		e := neural.Epoch{Epoch: i + 1, TrainingLoss: 3 + 40*math.Exp(-float64(i)/4) + 1/float64(i+1), BestEpoch: best.BestEpoch, BestLoss: best.BestLoss}
		e.ValidationLoss = e.TrainingLoss + 0.3 + 1e-5*float64(i*i)
		if e.ValidationLoss < e.BestLoss {
			e.BestEpoch, e.BestLoss = e.Epoch, e.ValidationLoss
		}
		best = e
		epochs = append(epochs, e)
	}
	f, err := History(epochs, "history")
	if err != nil {
		t.Fatal(err)
	}
	if p := f.Plot; p.Y.Max > 20 || p.Y.Min > 3 {
		t.Errorf("losses from %v to %v are drawn: the first epochs hide the rest", p.Y.Min, p.Y.Max)
	}
	write(t, "history", f)
	if found := marked(f, "cut off: 21 losses up to 44.3"); !found {
		t.Error("nothing says that the first epochs are cut off")
	}
	if f, err = History(epochs[:1], "one epoch"); err != nil {
		t.Fatal(err)
	}
	write(t, "history of one epoch", f)
	if len(f.cuts) > 0 {
		t.Errorf("of one epoch something is cut off: %v", f.cuts)
	}
	back := slices.Clone(epochs)
	slices.Reverse(back)
	for name, bad := range map[string][]neural.Epoch{
		"none": nil, "backwards": back, "not finite": {{Epoch: 1, TrainingLoss: math.NaN(), ValidationLoss: math.Inf(1)}},
	} {
		if _, err := History(bad, ""); err == nil {
			t.Errorf("%s: a picture was drawn", name)
		}
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{shorten("checkout", 8), "checkout"},
		{shorten("checkouts", 8), "che…outs"},
		{shorten("größenwahn", 5), "gr…hn"},
		{grouped(1), "1"}, {grouped(1000), "1000"}, {grouped(100_000), "100 000"}, {grouped(0.01), "0.01"}, {grouped(1e9), "1e9"}, {grouped(1e-6), "1e-6"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestWriteRefusesOtherFormats(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.bmp")
	if err := Write(path, newFigure("title", "source", "x", "y")); err == nil || !strings.Contains(err.Error(), ".png, .svg or .pdf") {
		t.Errorf("a .bmp: %v", err)
	}
	for _, format := range []string{"svg", "pdf"} {
		path := filepath.Join(t.TempDir(), "x."+format)
		if err := Write(path, newFigure("title", "source", "x", "y")); err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(path); err != nil || info.Size() < 500 {
			t.Errorf("%s: %v, %v", format, info, err)
		}
	}
}
