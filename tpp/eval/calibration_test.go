package eval

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

// exponentialGaps are sequences with gaps of the given mean, read by a clock of the given tick, and marks as clockwork
// predicts them.
func exponentialGaps(seed uint64, sequences, events int, mean, tick float64) *tpp.Dataset {
	rng := rand.New(rand.NewPCG(seed, 4))
	d := &tpp.Dataset{MarkNames: []string{"a", "b", "c"}}
	for range sequences {
		var s tpp.Sequence
		at := 0.25 // clockwork refuses an event at 666
		for range events {
			s.ArrivalTimes = append(s.ArrivalTimes, at)
			s.Marks = append(s.Marks, [6]int{0, 1, 1, 2, 2, 2}[rng.IntN(6)])
			at += math.Round(mean*rng.ExpFloat64()/tick) * tick
		}
		d.Sequences = append(d.Sequences, s)
	}
	return d
}

func TestRescaledTimes(t *testing.T) {
	for _, c := range []struct {
		mean, tick float64 // clockwork expects a mean of 10
		right      bool
	}{
		{10, 1e-6, true}, {10, 1, true},
		{10, 5, true}, // a fifth of the gaps are 0, and the ticks are a fifth of the distribution wide
		{12, 1e-6, false}, {12, 1, false}, {12, 5, false}, {5, 5, false},
	} {
		t.Run(fmt.Sprintf("mean %v in ticks of %v", c.mean, c.tick), func(t *testing.T) {
			d := exponentialGaps(1, 100, 51, c.mean, c.tick)
			got, err := Diagnose(t.Context(), tpptest.Clockwork{}, d, EvaluateOptions{Resolution: c.tick})
			if err != nil {
				t.Fatal(err)
			}
			s := got.Scores
			if c.right != (s.KSPValue > 0.01) {
				t.Errorf("KS is %.4f with a p-value of %.2g", s.KS, s.KSPValue)
			}
			// Three standard deviations of a share of 5000 events.
			sd := func(p float64) float64 { return math.Sqrt(p * (1 - p) / 5000) }
			off := math.Abs(s.Coverage50-0.5) > 3*sd(0.5) || math.Abs(s.Coverage90-0.9) > 3*sd(0.9)
			if off && c.right {
				t.Errorf("coverage is %.3f and %.3f", s.Coverage50, s.Coverage90)
			}
			total, worst := 0.0, 0.0
			for _, share := range got.PIT {
				total += share
				worst = max(worst, math.Abs(share-1./PITBins))
			}
			if !tpptest.Near(total, 1, 1e-9) || c.right != (worst < 4*sd(1./PITBins)) {
				t.Errorf("the histogram adds up to %v, one bin is off by %.4f", total, worst)
			}
		})
	}
}

func TestPITCells(t *testing.T) {
	e := dist.Exponential{Rate: 1}
	for _, c := range []struct {
		gap, resolution float64
		want            pitInterval
	}{
		{0, 1, pitInterval{0, 1 - math.Exp(-0.5)}},
		{0.5, 1, pitInterval{0, 1 - math.Exp(-1)}},
		{2, 1, pitInterval{1 - math.Exp(-1.5), 1 - math.Exp(-2.5)}},
	} {
		if got := pitCell(e, c.gap, c.resolution); !tpptest.Near(got.lower, c.want.lower, 1e-12) || !tpptest.Near(got.upper, c.want.upper, 1e-12) {
			t.Errorf("PIT of %v is %v, want %v", c.gap, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Float64Range(0, 1).Draw(t, "a"), rapid.Float64Range(0, 1).Draw(t, "b")
		cell := pitInterval{min(a, b), max(a, b)}
		if rapid.Bool().Draw(t, "point") {
			cell.upper = cell.lower
		}
		var p pitSums
		p.add(cell)
		total := 0.0
		for _, mass := range p.histogram {
			total += mass
		}
		if math.Abs(total-1) > 1e-9 {
			t.Errorf("%v adds up to %v in the histogram", cell, total)
		}
	})
}

// Two-sided critical values of the Kolmogorov-Smirnov statistic (Massey 1951, table 1).
func TestKSPValueAgainstTables(t *testing.T) {
	for _, c := range []struct {
		n      int
		d      float64
		p, off float64
	}{
		{5, 0.510, 0.10, 0.012}, {5, 0.565, 0.05, 0.01}, {5, 0.669, 0.01, 0.005},
		{10, 0.368, 0.10, 0.006}, {10, 0.410, 0.05, 0.004}, {10, 0.490, 0.01, 0.002},
		{20, 0.264, 0.10, 0.004}, {20, 0.294, 0.05, 0.003}, {20, 0.356, 0.01, 0.002},
		{35, 0.23, 0.05, 0.01},
		{1_000_000, 1.3581e-3, 0.05, 1e-4}, {1_000_000, 1.6276e-3, 0.01, 1e-4}, {1_000_000, 1.2238e-3, 0.10, 2e-4},
	} {
		if got := ksPValue(c.d, c.n); math.Abs(got-c.p) > c.off {
			t.Errorf("p-value of %v with %d draws is %.4f, the table says %v", c.d, c.n, got, c.p)
		}
	}
	for _, c := range []struct{ d, want float64 }{{0, 1}, {1, 0}} {
		if got := ksPValue(c.d, 1000); got != c.want {
			t.Errorf("p-value of %v is %v", c.d, got)
		}
	}
	if got := ksPValue(0.1, 0); !math.IsNaN(got) {
		t.Errorf("p-value of nothing is %v", got)
	}
	last := 1.0
	for d := 0.0; d < 0.2; d += 1e-4 {
		p := ksPValue(d, 100)
		if p > last {
			t.Fatalf("the p-value rises from %v to %v at %v", last, p, d)
		}
		last = p
	}
}

func TestKSStatisticAgainstSortedDraws(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	var counts ksCounts
	var z []float64
	for range 300 {
		u := math.Pow(rng.Float64(), 1.1)
		z = append(z, u)
		counts.add([]uint16{ksCell(u)})
	}
	want := 0.0
	for _, x := range z {
		below, notAbove := 0, 0
		for _, y := range z {
			if y < x {
				below++
			}
			if y <= x {
				notAbove++
			}
		}
		n := float64(len(z))
		want = max(want, math.Abs(float64(below)/n-x), math.Abs(float64(notAbove)/n-x))
	}
	if got := counts.statistic(); math.Abs(got-want) > 1./ksCells {
		t.Errorf("statistic is %v, of the sorted draws %v", got, want)
	}
}

func TestExpectedCalibrationError(t *testing.T) {
	var bins [CalibrationBins]CalibrationBin
	for i := range 10 { // said 0.95, right 6 times of 10
		addCalibration(&bins, 0.95, i < 6)
	}
	for i := range 30 { // said 0.5, right half the time
		addCalibration(&bins, 0.5, i < 15)
	}
	addCalibration(&bins, 1, true)
	total := totals{}
	total.calibration = bins
	if got, want := expectedCalibrationError(total.bins()), (math.Abs(10*0.95+1-7))/41; !tpptest.Near(got, want, 1e-12) {
		t.Errorf("ECE is %v, want %v", got, want)
	}
	if got := expectedCalibrationError(nil); !math.IsNaN(got) {
		t.Errorf("ECE of nothing is %v", got)
	}
}
