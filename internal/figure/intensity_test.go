package figure

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/live"
)

// TestIntensity draws the intensities of processes of a few and of many marks, and of one that has a high peak.
func TestIntensity(t *testing.T) {
	draw := func(name string, m tpp.Model, s *tpp.Sequence) *Figure {
		t.Helper()
		points, err := live.Intensity(t.Context(), m, s, live.IntensityOptions{Points: 200})
		if err != nil {
			t.Fatal(err)
		}
		f, err := Intensity(m, s, points, name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, "intensity of "+name, f)
		return f
	}
	key := func(f *Figure) (texts []string) {
		for _, k := range f.key {
			texts = append(texts, k.text)
		}
		return texts
	}
	hawkes, err := classical.NewHawkes(classical.HawkesParameters{
		Base: []float64{0.1, 0.3}, Branching: [][]float64{{0.5, 0.1}, {0, 0.2}}, Decay: [][]float64{{0.5}},
	}, classical.ProcessOptions{MarkNames: []string{"rare", "common"}})
	if err != nil {
		t.Fatal(err)
	}
	s := tpp.Sequence{ArrivalTimes: []float64{12, 30, 35, 36}, Marks: []int{0, 1, 1, 0}, TStart: new(10.0), TEnd: new(60.0)}
	f := draw("two marks", hawkes, &s)
	if got := key(f); !slices.Equal(got, []string{"common", "rare", "4 events"}) || len(f.cuts) != 0 || f.Plot.X.Max != 50 {
		t.Errorf("the key is %q, %d cuts, the axis ends at %v", got, len(f.cuts), f.Plot.X.Max)
	}

	rates, names := make([]float64, 9), make([]string, 9)
	for m := range rates {
		rates[m], names[m] = float64(m+1), fmt.Sprint("mark", m)
	}
	poisson, err := classical.NewPoisson(rates, classical.ProcessOptions{MarkNames: names})
	if err != nil {
		t.Fatal(err)
	}
	f = draw("nine marks", poisson, &s)
	if got := key(f); !slices.Equal(got, []string{"mark8", "mark7", "mark6", "mark5", "mark4", "mark3", "3 other marks", "4 events"}) {
		t.Errorf("the key is %q", got)
	}

	sharp, err := classical.NewHawkes(classical.HawkesParameters{
		Base: []float64{1}, Branching: [][]float64{{0.5}}, Decay: [][]float64{{100}},
	}, classical.ProcessOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f = draw("peaks", sharp, &tpp.Sequence{ArrivalTimes: []float64{3, 7}, TStart: new(0.0), TEnd: new(10.0)})
	if len(f.cuts) != 1 || f.cuts[0].text != "cut off: peaks up to 51" {
		t.Errorf("%+v", f.cuts)
	}
	if _, err := Intensity(sharp, &s, []live.IntensityPoint{{Time: 1, Marks: []float64{1}}}, ""); err == nil || !strings.Contains(err.Error(), "no length") {
		t.Errorf("error %v", err)
	}
	if top := intensityTop([]live.IntensityPoint{{Marks: []float64{math.Inf(1)}}, {Marks: []float64{0}}}); top != 1 {
		t.Errorf("the top is %v", top)
	}
}
