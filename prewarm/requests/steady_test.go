package requests

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tppfaas/tppfaas/prewarm"
)

// TestFewRegularGaps checks that eight gaps which vary by a tenth are enough to foresee the next request, that what is foreseen is not more certain than so
// few gaps leave it, and that as many gaps of a Poisson process are taken for one.
func TestFewRegularGaps(t *testing.T) {
	const runs = 60
	rng := rand.New(rand.NewPCG(1, 2))
	early, late, width, mistaken := 0, 0, 0.0, 0
	for range runs {
		gaps, random := make([]float64, 8), make([]float64, 8)
		for i := range gaps {
			gaps[i], random[i] = 12*(0.9+0.2*rng.Float64()), 12*rng.ExpFloat64()
		}
		m, err := Fit(gaps)
		if err != nil {
			t.Fatal(err)
		}
		if m.Name() != "steady renewal" {
			t.Fatalf("gaps %v are taken for a %s", gaps, m.Name())
		}
		p := m.New(0)
		p.Observe(0)
		var f Forecast
		p.Forecast(prewarm.Time(0), &f)
		low, high := f.Quantile(1, 0.1), f.Quantile(1, 0.9)
		width += (high - low) / runs
		switch next := 12 * (0.9 + 0.2*rng.Float64()); {
		case next < low:
			early++
		case next > high:
			late++
		}
		if m, err = Fit(random); err != nil {
			t.Fatal(err)
		}
		if m.Name() != "Poisson" {
			mistaken++
		}
	}
	// Of a fifth that should be outside, less is: the distribution ends at its bounds.
	if early > runs/6 || late > runs/6 {
		t.Errorf("of %d requests %d came before the tenth percentile, and %d after the ninetieth", runs, early, late)
	}
	if width > 4 {
		t.Errorf("from the tenth to the ninetieth percentile it is %.2f s on average, with requests from 10.8 to 13.2 s", width)
	}
	if mistaken > runs/20 {
		t.Errorf("%d of %d Poisson processes are not taken for one", mistaken, runs)
	}
}

// TestStudentGap compares the survival with the distribution function, and checks that it is finite far out.
func TestStudentGap(t *testing.T) {
	d, err := fitStudent([]float64{11, 12, 13})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []float64{8, 11, 12, 13, 20} {
		if s := math.Exp(d.LogSurvival(x)); math.Abs(s+d.CDF(x)-1) > 1e-9 {
			t.Errorf("at %v: survival %v, distribution function %v", x, s, d.CDF(x))
		}
	}
	if s := d.LogSurvival(1e6); math.IsInf(s, 0) || math.IsNaN(s) || s > -10 {
		t.Errorf("log survival at 1e6 is %v", s)
	}
}
