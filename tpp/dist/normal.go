package dist

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

//go:generate go run gen_mills.go

const (
	sqrt2Pi    = 2.50662827463100050241576528481104525 // √(2π)
	logSqrt2Pi = 0.918938533204672741780329736405617640
)

const (
	millsPerOne = 16 // grid points per unit
	millsLast   = 12 // from here on the asymptotic series is exact to rounding
	millsDegree = 8
)

// millsTaylor holds the Taylor coefficients of Mills' ratio around each grid point. They follow from the value by
// M' = x M − 1, that is c₁ = x c₀ − 1 and n cₙ = x cₙ₋₁ + cₙ₋₂.
var millsTaylor = func() (table [len(millsNodes)][millsDegree + 1]float64) {
	for i, m := range millsNodes {
		x := float64(i) / millsPerOne
		c := &table[i]
		c[0], c[1] = m, x*m-1
		for n := 2; n <= millsDegree; n++ {
			c[n] = (x*c[n-1] + c[n-2]) / float64(n)
		}
	}
	return table
}()

// mills returns Mills' ratio M(x) = (1 − Φ(x))/φ(x) of the standard normal distribution for x ≥ 0, to rounding. It is
// the tail without the factor φ, so it neither underflows nor cancels.
func mills(x float64) float64 {
	if x < millsLast {
		i := int(x*millsPerOne + 0.5)
		d := x - float64(i)*(1./millsPerOne)
		c := &millsTaylor[i]
		d2 := d * d
		low := c[0] + c[1]*d + (c[2]+c[3]*d)*d2
		high := c[4] + c[5]*d + (c[6]+c[7]*d+c[8]*d2)*d2
		return low + high*(d2*d2)
	}
	return millsFar(x)
}

// millsFar returns Mills' ratio by its asymptotic series 1/x Σ (−1)ⁿ (2n−1)!!/x²ⁿ (Abramowitz & Stegun 26.2.12), x ≥ 12.
func millsFar(x float64) float64 {
	u := 1 / (x * x)
	sum := 1.0
	for n := 14; n > 0; n-- {
		sum = 1 - float64(2*n-1)*u*sum
	}
	return sum / x
}

// normTail returns 1 − Φ(x) for x ≥ 0.
func normTail(x float64) float64 {
	if x > 40 {
		return 0 // below the smallest float64, and M(∞) times exp(−∞) must not reach the table
	}
	return expNeg(-0.5*x*x) * mills(x) * (1 / sqrt2Pi)
}

// logNormCDF returns log Φ(x), with full relative accuracy over the whole range.
func logNormCDF(x float64) float64 {
	if x > 0 {
		return math.Log1p(-normTail(x))
	}
	return -0.5*x*x - logSqrt2Pi + math.Log(mills(-x))
}

// normQuantileLog returns the z ≤ 0 with log Φ(z) = logP, for logP ≤ −log 2.
func normQuantileLog(logP float64) float64 {
	if logP > -600 {
		return mathext.NormalQuantile(math.Exp(logP))
	}
	if math.IsInf(logP, -1) {
		return logP
	}
	// Newton on log Φ, whose derivative is 1/M(−z). −√(−2 log P) lies left of the root, and since log Φ is concave the
	// steps climb to it without passing it.
	z := -math.Sqrt2 * math.Sqrt(-logP)
	for range 8 {
		step := (logP - logNormCDF(z)) * mills(-z)
		z += step
		if math.Abs(step) <= 1e-16*math.Abs(z) {
			break
		}
	}
	return z
}

// logSum sums terms given by their logarithms. It is made by newLogSum; the zero value is not valid.
type logSum struct{ max, scaled float64 }

func newLogSum() logSum { return logSum{max: math.Inf(-1)} }

func (s *logSum) add(x float64) {
	x = math.Min(x, math.MaxFloat64) // two infinities would make a NaN
	switch {
	case math.IsInf(x, -1):
	case x <= s.max:
		s.scaled += math.Exp(x - s.max)
	default:
		s.scaled = s.scaled*math.Exp(s.max-x) + 1
		s.max = x
	}
}

func (s *logSum) log() float64 {
	if s.scaled == 0 {
		return math.Inf(-1)
	}
	return s.max + math.Log(s.scaled)
}

// logSubExp returns log(exp(x) − exp(y)) for x ≥ y.
func logSubExp(x, y float64) float64 {
	if math.IsInf(y, -1) {
		return x
	}
	return x + log1mExp(y-x)
}

// log1mExp returns log(1 − exp(x)) for x ≤ 0 (Mächler 2012, Accurately computing log(1 − exp(−|a|))).
func log1mExp(x float64) float64 {
	if x > -math.Ln2 {
		return math.Log(-math.Expm1(x))
	}
	return math.Log1p(-math.Exp(x))
}
