package dist

import (
	"math"
	"math/big"
	"testing"
)

// millsBig returns Mills' ratio by Laplace's continued fraction 1/(x + 1/(x + 2/(x + 3/(x + …)))) in 200-bit arithmetic.
func millsBig(x float64) float64 {
	num := func(v float64) *big.Float { return new(big.Float).SetPrec(200).SetFloat64(v) }
	tail := num(x)
	for n := 1000.0; n >= 1; n-- {
		tail.Add(num(x), new(big.Float).Quo(num(n), tail))
	}
	m, _ := new(big.Float).Quo(num(1), tail).Float64()
	return m
}

func TestMillsIsExactToRounding(t *testing.T) {
	for x := 0.75; x < 60; x += 0.117 { // from where the fraction converges
		if got, want := mills(x), millsBig(x); !closeTo(got, want, 4e-16) {
			t.Errorf("mills(%v) = %v, want %v", x, got, want)
		}
	}
	for x := 0.0; x < 3; x += 0.0137 { // math.Erfc is exact to rounding there
		want := math.Sqrt(math.Pi/2) * math.Exp(x*x/2) * math.Erfc(x/math.Sqrt2)
		if got := mills(x); !closeTo(got, want, 2e-15) {
			t.Errorf("mills(%v) = %v, want %v", x, got, want)
		}
	}
	for i := 1; i <= millsLast*millsPerOne; i++ { // no jumps where pieces meet
		x := (float64(i) - 0.5) / millsPerOne
		if a, b := mills(math.Nextafter(x, 0)), mills(x); !closeTo(a, b, 1e-15) {
			t.Errorf("mills jumps from %v to %v at %v", a, b, x)
		}
	}
}

func TestLogNormCDF(t *testing.T) {
	for _, c := range []struct{ x, want float64 }{ // by mpmath, log(ncdf(x)) at 50 digits
		{math.Inf(-1), math.Inf(-1)},
		{-1e8, -5000000000000019.33965187},
		{-1000, -500007.826694812191},
		{-40, -804.6084420137538},
		{-12, -75.41067300156879},
		{-1, -1.841021645009264},
		{0, -math.Ln2},
		{1, -0.17275377902344988},
		{8, -6.220960574271787e-16},
		{30, -4.906713927148187e-198},
		{math.Inf(1), 0},
	} {
		if got := logNormCDF(c.x); !closeTo(got, c.want, 2e-15) {
			t.Errorf("logNormCDF(%v) = %v, want %v", c.x, got, c.want)
		}
	}
}

func TestNormQuantileLogInverts(t *testing.T) {
	for _, logP := range []float64{-math.Ln2, -3, -100, -599, -601, -1e4, -1e12, -1e300, -math.MaxFloat64} {
		z := normQuantileLog(logP)
		if got := logNormCDF(z); logP > -1e300 && !closeTo(got, logP, 1e-13) || math.IsNaN(z) || z > 0 {
			t.Errorf("logNormCDF(normQuantileLog(%v)) = logNormCDF(%v) = %v", logP, z, got)
		}
	}
}

func TestLogSumExponents(t *testing.T) {
	sum := newLogSum()
	if !math.IsInf(sum.log(), -1) {
		t.Errorf("the empty sum is %v", sum.log())
	}
	for _, x := range []float64{math.Inf(-1), -1000, -999, -1001} {
		sum.add(x)
	}
	if want := -999 + math.Log(1+math.Exp(-1)+math.Exp(-2)); !closeTo(sum.log(), want, 1e-15) {
		t.Errorf("%v, want %v", sum.log(), want)
	}
}

func TestExpNeg(t *testing.T) {
	for x := 0.0; x > -760; x -= 0.00731 {
		if got, want := expNeg(x), math.Exp(x); !closeTo(got, want, 5e-16) && want > 1e-300 || math.Abs(got-want) > 5e-16 {
			t.Fatalf("expNeg(%v) = %v, want %v", x, got, want)
		}
	}
	if expNeg(0) != 1 || expNeg(math.Inf(-1)) != 0 || !math.IsNaN(expNeg(math.NaN())) {
		t.Errorf("expNeg(0) = %v, of -Inf %v, of NaN %v", expNeg(0), expNeg(math.Inf(-1)), expNeg(math.NaN()))
	}
}
