// Package num provides numerical helpers: log-sum-exp, running moments, and drawing by inversion.
//
//	var m num.Moments
//	for _, gap := range gaps {
//		m.Add(math.Log(gap))
//	}
//	mean, std := m.Mean, m.Std()
package num

import "math"

// LogAddExp returns log(eᵃ + eᵇ), without overflow.
func LogAddExp(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(a, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}

// Moments accumulates mean and variance in one pass (Welford). The zero value has no values.
type Moments struct {
	N, Mean float64
	SS      float64 // sum of squared deviations from the mean
}

// Add adds a value.
func (m *Moments) Add(v float64) {
	m.N++
	delta := v - m.Mean
	m.Mean += delta / m.N
	m.SS += delta * (v - m.Mean)
}

// Std returns the unbiased standard deviation, 1 where all values are equal up to rounding.
func (m *Moments) Std() float64 {
	std := math.Sqrt(m.SS / (m.N - 1))
	if !(std > 1e-6*(1+math.Abs(m.Mean))) {
		return 1
	}
	return std
}

// MaxStandardised bounds what Standardised returns: float32, of which networks make products and sums, hold it with room.
const MaxStandardised = 1e15

// Standardised returns how many standard deviations a finite value is above a mean, at most MaxStandardised either way: an outlier must not become an
// infinity, of which a network makes numbers that are none.
func Standardised(v, mean, std float64) float64 {
	return min(max((v-mean)/std, -MaxStandardised), MaxStandardised)
}
