package race

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

// chains returns sequences of two events, the second of which comes the next of some delays after the first.
func chains(delays ...float64) *tpp.Dataset {
	d := &tpp.Dataset{MarkNames: []string{"first", "second"}}
	for _, delay := range delays {
		d.Sequences = append(d.Sequences, tpp.Sequence{ArrivalTimes: []float64{1000, 1000 + delay}, Marks: []int{0, 1}, Parents: []int{-1, 0}})
	}
	return d
}

// TestScalesAreLearned checks at which scales it is compared how late events are: at the fixed ones, and at those of the training part.
func TestScalesAreLearned(t *testing.T) {
	short, long := slices.Repeat([]float64{70}, 70), slices.Repeat([]float64{70}, 70)
	for i := range 30 {
		short[i], long[i] = 100, float64(1000*i) // of 70 delays, the median of which stays 70
	}
	for _, c := range []struct {
		name   string
		cfg    Config
		delays []float64
		want   []float64
	}{
		{"long delays", Config{}, long, []float64{20, 200, 3000, 5930, 24930, 27930}},
		{"the same in ticks of half a millisecond", Config{Resolution: 0.5}, long, []float64{20, 200, 3000, 11860, 49860, 55860}},
		{"short delays", Config{}, short, []float64{20, 200, 3000}},
		{"given ones", Config{Scales: []float64{5, 50}}, long, []float64{5, 50}},
	} {
		m, err := Train(t.Context(), c.cfg, chains(c.delays...), nil, TrainOptions{Epochs: 1})
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Config().Scales; !slices.Equal(got, c.want) {
			t.Errorf("%s: the scales are %v, not %v", c.name, got, c.want)
		}
		if got := reread(t, m).Config().Scales; !slices.Equal(got, c.want) {
			t.Errorf("%s: the scales of the file are %v, not %v", c.name, got, c.want)
		}
	}
}

// TestFilesWithoutScales checks that a file which names no scales has the fixed ones: such is one of a model that was told them.
func TestFilesWithoutScales(t *testing.T) {
	cfg := small
	cfg.Scales = fixedScales[:]
	m := untrained(t, cfg, tpptest.Calls(1, 20))
	if strings.Contains(tpptest.Encoded(t, m), `scales`) {
		t.Error("the file names the fixed scales")
	}
	if got := reread(t, m).Config().Scales; !slices.Equal(got, []float64{20, 200, 3000}) {
		t.Errorf("the scales of a file without are %v", got)
	}
}

// TestScalesAreChecked trains with scales that are none.
func TestScalesAreChecked(t *testing.T) {
	for _, scales := range [][]float64{{0}, {20, -1}, {20, math.SmallestNonzeroFloat64}, make([]float64, maxScales+1)} {
		_, err := Train(t.Context(), Config{Scales: scales, Resolution: 0.001}, chains(1, 2, 3), nil, TrainOptions{Epochs: 1})
		if err == nil || !strings.Contains(err.Error(), "scales") {
			t.Errorf("scales %v: error %v", scales, err)
		}
	}
}
