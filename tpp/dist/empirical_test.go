package dist

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func newEmpirical(t testing.TB, resolution float64, sample ...float64) *Empirical {
	t.Helper()
	d, err := NewEmpirical(sample, resolution)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEmpiricalQuantilesOfTheSampleAlone(t *testing.T) {
	d := newEmpirical(t, 1, 40, 10, 30, 20)
	d.BackgroundWeight = 0
	for _, c := range []struct{ p, want float64 }{
		{0, 0}, {1e-9, 10}, {0.2, 10}, {0.25, 15}, {0.26, 20}, {0.5, 25}, {0.6, 30}, {0.75, 35}, {0.9, 40}, {1, 40},
	} {
		if got := d.Quantile(c.p); got != c.want {
			t.Errorf("Quantile(%v) = %v, want %v", c.p, got, c.want)
		}
		if got := d.QuantileLogSurvival(math.Log1p(-c.p)); got != c.want {
			t.Errorf("QuantileLogSurvival of the same = %v, want %v", got, c.want)
		}
	}
	if d.Mean() != 25 || d.RestrictedMean(25) != 20 || d.MeanResidual(20, math.Inf(1)) != 15 || d.MeanResidual(20, 12) != 11 {
		t.Errorf("Mean %v, RestrictedMean(25) %v, MeanResidual(20, ∞) %v, (20, 12) %v",
			d.Mean(), d.RestrictedMean(25), d.MeanResidual(20, math.Inf(1)), d.MeanResidual(20, 12))
	}
}

func TestSmoothingKeepsTheMedian(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sample := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) float64 {
			return float64(rapid.IntRange(1, 1000).Draw(t, "ms"))
		}), 1, 40).Draw(t, "sample")
		smooth, err := NewEmpirical(sample, 1)
		if err != nil {
			t.Fatal(err)
		}
		alone, err := NewEmpirical(sample, 1)
		if err != nil {
			t.Fatal(err)
		}
		alone.BackgroundWeight = 0
		if got, want := smooth.Median(), alone.Median(); !closeTo(got, want, 1e-12) {
			t.Errorf("median %v of %v, smoothed %v", want, sample, got)
		}
	})
}

func TestCellsOfTheClockAddUpToOne(t *testing.T) {
	for _, sample := range [][]float64{{0, 0, 3, 5, 5, 5, 60}, {0}, {0, 0, 0, 7}, {12}} {
		d := newEmpirical(t, 1, sample...)
		sum := 0.0
		for n := range 5000 {
			p := math.Exp(LogMass(d, float64(n), 1))
			if !(p > 0) {
				t.Errorf("%v: P(%d) = %v", sample, n, p)
			}
			sum += p
		}
		if want := d.CDF(4999.5); !closeTo(sum, want, 1e-10) || want < 0.99 {
			t.Errorf("%v: cells add up to %v, want %v", sample, sum, want)
		}
	}
}

func TestEmpiricalDensityIsCellMassOverWidth(t *testing.T) {
	d := newEmpirical(t, 2, 10, 10, 30)
	d.BackgroundWeight = 0
	for _, c := range []struct{ t, want float64 }{{10, 2. / 3 / 2}, {30, 1. / 3 / 2}, {20, 0}, {10.5, 2. / 3 / 2}, {12, 0}} {
		if got := d.Prob(c.t); !closeTo(got, c.want, 1e-14) {
			t.Errorf("Prob(%v) = %v, want %v", c.t, got, c.want)
		}
	}
	d.Resolution = 0
	if !math.IsInf(d.LogProb(10), 1) || !math.IsInf(d.LogProb(20), -1) {
		t.Errorf("without a clock: LogProb(10) = %v, LogProb(20) = %v", d.LogProb(10), d.LogProb(20))
	}
}

func TestNewEmpiricalNamesWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		sample     []float64
		resolution float64
		want       string
	}{
		{nil, 1, "the sample is empty"},
		{[]float64{1, -2}, 1, "time 1 of the sample is -2"},
		{[]float64{math.NaN()}, 1, "time 0 of the sample is NaN"},
		{[]float64{1, math.Inf(1)}, 1, "time 1 of the sample is +Inf"},
		{[]float64{1}, -1, "resolution is -1"},
	} {
		if _, err := NewEmpirical(c.sample, c.resolution); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("NewEmpirical(%v, %v): %v, want %q", c.sample, c.resolution, err, c.want)
		}
	}
}

func ExampleNewEmpirical() {
	gaps := []float64{15, 14, 15, 480, 15, 16, 15} // ms, after one function
	d, err := NewEmpirical(gaps, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("median %.0f ms\n", d.Median())
	fmt.Printf("15 ms: %.2f, 100 ms, never seen: %.5f\n", math.Exp(LogMass(d, 15, 1)), math.Exp(LogMass(d, 100, 1)))
	// Output:
	// median 15 ms
	// 15 ms: 0.50, 100 ms, never seen: 0.00015
}
