package num

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/floats/scalar"
	"gonum.org/v1/gonum/stat"
	"pgregory.net/rapid"
)

func TestLogAddExp(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct{ a, b, want float64 }{
		{0, 0, math.Ln2},
		{1000, 1000, 1000 + math.Ln2},
		{-1000, -1001, -1000 + math.Log1p(math.Exp(-1))},
		{3, -inf, 3},
		{-inf, -inf, -inf},
	} {
		for _, got := range []float64{LogAddExp(c.a, c.b), LogAddExp(c.b, c.a)} {
			if got != c.want && !scalar.EqualWithinAbsOrRel(got, c.want, 1e-15, 1e-15) {
				t.Errorf("LogAddExp(%v, %v) = %v, want %v", c.a, c.b, got, c.want)
			}
		}
	}
}

// TestMoments checks the running moments against gonum's two-pass ones.
func TestMoments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 2, 50).Draw(t, "values")
		var m Moments
		for _, v := range values {
			m.Add(v)
		}
		mean, std := stat.MeanStdDev(values, nil)
		if std <= 2e-6*(1+math.Abs(mean)) {
			return
		}
		if !scalar.EqualWithinAbsOrRel(m.Mean, mean, 1e-8, 1e-9) || !scalar.EqualWithinAbsOrRel(m.Std(), std, 1e-8, 1e-9) {
			t.Fatalf("%v ± %v, want %v ± %v", m.Mean, m.Std(), mean, std)
		}
	})
}

func TestStdOfEqualValuesIsOne(t *testing.T) {
	var m Moments
	for range 3 {
		m.Add(0.1)
	}
	if m.Std() != 1 {
		t.Errorf("Std() = %v, want 1", m.Std())
	}
}

// TestStandardised checks that the farthest outliers stay numbers, and that others are what they are.
func TestStandardised(t *testing.T) {
	for _, c := range []struct{ v, mean, std, want float64 }{
		{5, 2, 1.5, 2}, {1e300, 0, 1e-3, MaxStandardised}, {-math.MaxFloat64, math.MaxFloat64, 1, -MaxStandardised}, {0, 0, math.SmallestNonzeroFloat64, 0},
	} {
		if got := Standardised(c.v, c.mean, c.std); got != c.want {
			t.Errorf("%v with the mean %v and the deviation %v is %v, want %v", c.v, c.mean, c.std, got, c.want)
		}
	}
}
