package simd

import (
	"fmt"
	"math"
	"testing"
)

// millsByQuadrature returns M(x) = ∫ exp(−x·t − t²/2) dt over t ≥ 0, by Boole's rule: independent of erfc and its series.
func millsByQuadrature(x float64) float64 {
	const steps = 4000
	h := min(10, 50/max(x, 1e-9)) / steps
	f := func(i int) float64 { t := h * float64(i); return math.Exp(-x*t - t*t/2) }
	sum := 7*f(0) - 7*f(steps)
	for i := 0; i < steps; i += 4 {
		sum += 32*f(i+1) + 12*f(i+2) + 32*f(i+3) + 14*f(i+4)
	}
	return sum * h * 2 / 45
}

// normalByQuadrature returns log Φ(x) and its derivative.
func normalByQuadrature(x float64) (log, derivative float64) {
	m := millsByQuadrature(math.Abs(x))
	if x < 0 {
		return math.Log(m) - x*x/2 - 0.5*math.Log(2*math.Pi), 1 / m
	}
	phi := math.Exp(-x*x/2) / math.Sqrt(2*math.Pi)
	return math.Log1p(-phi * m), phi / (1 - phi*m)
}

func checkLogNormalCDF[T Float](t *testing.T, x, tolerance float64) {
	t.Helper()
	const n = 5 // elements, so that a tail is among them
	src, dst, derivative := make([]T, n), newGuarded[T](n), newGuarded[T](n)
	for i := range src {
		src[i] = T(x)
	}
	log, slope := normalByQuadrature(float64(T(x)))
	LogNormalCDFGrad(dst.data, derivative.data, src)
	dst.check(t, "LogNormalCDFGrad")
	derivative.check(t, "LogNormalCDFGrad")
	for i := range src {
		if got := float64(dst.data[i]); math.Abs(got-log) > tolerance*math.Abs(log)+0x1p-126 {
			t.Fatalf("log Φ(%g) is %g, want %g: relative error %g", x, got, log, got/log-1)
		}
		if got := float64(derivative.data[i]); math.Abs(got-slope) > tolerance*slope+0x1p-126 {
			t.Fatalf("φ/Φ(%g) is %g, want %g: relative error %g", x, got, slope, got/slope-1)
		}
	}
}

func TestLogNormalCDFGrad(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for x := -40.0; x < 14; x += 0.0625 {
			checkLogNormalCDF[float32](t, x, 1e-6)
			checkLogNormalCDF[float64](t, x, 5e-13)
		}
		for _, x := range []float64{-1e6, -12345, -100, -12.000001, -12, -11.99999, -1e-7, -1e-30, 0, 1e-30, 1e-7} {
			checkLogNormalCDF[float32](t, x, 1e-6)
			checkLogNormalCDF[float64](t, x, 5e-13)
		}
	})
}

func TestLogNormalCDFGradSpecial(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	eachSet(t, func(t *testing.T) {
		for _, c := range []struct{ x, log, derivative float64 }{
			{inf, 0, 0}, {-inf, -inf, inf}, {nan, nan, nan}, {1e10, 0, 0}, {-1e30, -inf, 1e30},
		} {
			x := []float32{float32(c.x)}
			log, derivative := make([]float32, 1), make([]float32, 1)
			LogNormalCDFGrad(log, derivative, x)
			if !sameNumber(float64(log[0]), c.log) {
				t.Errorf("log Φ(%g) is %g, want %g", c.x, log[0], c.log)
			}
			if !sameNumber(float64(derivative[0]), c.derivative) && math.Abs(float64(derivative[0])/c.derivative-1) > 1e-6 {
				t.Errorf("φ/Φ(%g) is %g, want %g", c.x, derivative[0], c.derivative)
			}
			exact := []float64{c.x}
			slope := make([]float64, 1)
			LogNormalCDFGrad(exact, slope, exact)
			if want := c.log; c.x != -1e30 && !sameNumber(exact[0], want) {
				t.Errorf("log Φ(%g) is %g in float64, want %g", c.x, exact[0], want)
			}
			if !sameNumber(slope[0], c.derivative) && math.Abs(slope[0]/c.derivative-1) > 1e-12 {
				t.Errorf("φ/Φ(%g) is %g in float64, want %g", c.x, slope[0], c.derivative)
			}
		}
	})
}

func TestNormalMixtureCDF(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		r := newRand(10)
		for k := range 40 {
			weights := make([]float32, k)
			logits, locations, precisions := randomSlice[float32](r, k, 1), randomSlice[float32](r, k, 2), randomSlice[float32](r, k, 0.5)
			Softmax(weights, logits)
			Exp(precisions, precisions)
			for _, x := range []float32{-30, -8, -1, 0, 0.5, 3, 12, 30} {
				cdf, survival, density := NormalMixtureCDF(weights, locations, precisions, x)
				var want [3]float64
				for i, w := range weights {
					u := (float64(x) - float64(locations[i])) * float64(precisions[i])
					phi := math.Exp(-u*u/2) / math.Sqrt(2*math.Pi)
					tail := phi * millsByQuadrature(math.Abs(u))
					low, high := tail, 1-tail
					if u > 0 {
						low, high = high, low
					}
					want[0] += float64(w) * low
					want[1] += float64(w) * high
					want[2] += float64(w) * float64(precisions[i]) * phi
				}
				for i, got := range []float32{cdf, survival, density} {
					// The argument x − μ is rounded, which the tail magnifies.
					if tolerance := 1e-5*want[i] + 1e-30; math.Abs(float64(got)-want[i]) > tolerance {
						t.Fatalf("%d components at %g: result %d is %g, want %g", k, x, i, got, want[i])
					}
				}
			}
		}
	})
}

func FuzzLogNormalCDFGrad(f *testing.F) {
	f.Add(float32(-3.5))
	f.Add(float32(2))
	f.Fuzz(func(t *testing.T, x float32) {
		if !(math.Abs(float64(x)) < 1e15) {
			t.Skip("special values have a test of their own")
		}
		for _, name := range Sets() {
			use(t, name)
			checkLogNormalCDF[float32](t, float64(x), 1e-6)
		}
	})
}

func BenchmarkNormal(b *testing.B) {
	const n = 64
	for _, name := range Sets() {
		x, y, z := randomSlice[float32](newRand(1), n, 2), make([]float32, n), make([]float32, n)
		for _, c := range []struct {
			name string
			f    func()
		}{
			{"LogNormalCDFGrad", func() { LogNormalCDFGrad(y, z, x) }},
			{"NormalMixtureCDF", func() { NormalMixtureCDF(x, x, x, 0.5) }},
		} {
			b.Run(fmt.Sprintf("%s/%s/%d", name, c.name, n), func(b *testing.B) {
				use(b, name)
				for b.Loop() {
					c.f()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/element")
			})
		}
	}
}
