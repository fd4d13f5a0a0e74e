package simd

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// tickLog returns the log probability of N(0, 1) from b on for a length, by Simpson's rule for the density relative to its peak
// there, which lies at b or, for a negative b, within.
func tickLog(b, length float64) float64 {
	from := max(b, 0)
	integral := func(length float64) float64 {
		const steps = 1000
		length = min(length, 40/(1+from)) // beyond lies less than e^−40 of it
		f := func(t float64) float64 { return math.Exp(-from*t - t*t/2) }
		sum := f(0) + f(length)
		for i := 1; i < steps; i++ {
			sum += float64(2+2*(i&1)) * f(length*float64(i)/steps)
		}
		return sum * length / steps / 3
	}
	var sum float64
	if b < 0 {
		sum = integral(-b) + integral(b+length)
	} else {
		sum = integral(length)
	}
	return -from*from/2 - 0.5*math.Log(2*math.Pi) + math.Log(sum)
}

// tickByDefinition returns log Σ π·P(interval), term by term.
func tickByDefinition(head []float64, middle, width float64) float64 {
	k := len(head) / 3
	pi, _ := softmaxOf(head[2*k:])
	terms := make([]float64, k)
	for i := range k {
		sigma := math.Exp(head[k+i])
		u, w := (middle-head[i])/sigma, width/sigma
		b := math.Abs(u) - w/2
		if math.IsInf(width, 1) {
			b = -u
		}
		terms[i] = math.Log(pi[i]) + tickLog(b, w)
	}
	_, logSumExp := softmaxOf(terms)
	return logSumExp
}

// tickRows draws heads of k components and an interval for each: locations within spread of each other, scales from e^low
// to e^high, widths from a millionth of the least to ten thousand times the greatest, and a fifth all below the middle.
func tickRows(seed uint64, rows, k int, spread, low, high float64) (head, middle, width []float32) {
	r := newRand(seed)
	head, middle, width = newGuarded[float32](rows*3*k).data, newGuarded[float32](rows).data, newGuarded[float32](rows).data
	for i := range rows {
		part := head[i*3*k:][:3*k]
		for j := range k {
			part[j] = float32(spread * r.NormFloat64())
			part[k+j] = float32(low + (high-low)*r.Float64())
			part[2*k+j] = float32(2 * r.NormFloat64())
		}
		middle[i] = float32(spread * r.NormFloat64())
		width[i] = float32(math.Exp(low - 13.8 + (high-low+23)*r.Float64()))
		if r.IntN(5) == 0 {
			width[i] = float32(math.Inf(1))
		}
	}
	return head, middle, width
}

func float64s(x []float32) []float64 {
	wide := make([]float64, len(x))
	for i, v := range x {
		wide[i] = float64(v)
	}
	return wide
}

// TestNormalMixtureTickByDefinition checks the float64 form against quadrature, and its gradient against finite differences.
func TestNormalMixtureTickByDefinition(t *testing.T) {
	const rows, k, scale = 30, 3, 0.7
	for seed := range uint64(10) {
		head32, middle32, width32 := tickRows(seed, rows, k, 2, -3, 2)
		head, middle, width := float64s(head32), float64s(middle32), float64s(width32)
		logProb, grad := make([]float64, rows), make([]float64, len(head))
		NormalMixtureTickGrad(logProb, grad, head, middle, width, k, scale)
		for i := range rows {
			part := head[i*3*k:][:3*k]
			want := tickByDefinition(part, middle[i], width[i])
			if math.Abs(logProb[i]-want) > 1e-6+1e-9*math.Abs(want) {
				t.Errorf("seed %d, row %d: log probability %.12g, want %.12g", seed, i, logProb[i], want)
			}
			for j, h := range part {
				const step = 1e-4
				at := func(v float64) float64 {
					part[j] = v
					return tickByDefinition(part, middle[i], width[i])
				}
				// Richardson's extrapolation of the central difference
				near, far := at(h+step)-at(h-step), at(h+2*step)-at(h-2*step)
				part[j] = h
				want := -scale * (8*near - far) / (12 * step)
				if got := grad[i*3*k+j]; math.Abs(got-want) > 1e-5*(1+math.Abs(want)) {
					t.Errorf("seed %d, row %d: gradient %d is %.9g, want %.9g", seed, i, j, got, want)
				}
			}
		}
	}
}

func TestNormalMixtureTick(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, k := range []int{1, 3, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65, 1024, 1025} {
			rows := max(3, 400/k)
			for seed := range uint64(4) {
				checkTick(t, seed, rows, k, 1, -3, 2)
				checkTick(t, seed, rows, k, 1, -12, 0)
				checkTick(t, seed, rows, k, 5, 0, 30)
				checkTick(t, seed, rows, k, 100, -3, 1)
			}
			checkTick(t, 1, 0, k, 1, -3, 2)
			checkTick(t, 1, 1, k, 1, -3, 2)
		}
		checkTick(t, 1, 300, 10, 1, -3, 2)
	})
}

// checkTick checks the active kernels against the float64 form.
func checkTick(t *testing.T, seed uint64, rows, k int, spread, low, high float64) {
	t.Helper()
	const scale = 0.25
	head, middle, width := tickRows(seed, rows, k, spread, low, high)
	logProb, alone, grad := newGuarded[float32](rows), newGuarded[float32](rows), newGuarded[float32](len(head))
	NormalMixtureTick(alone.data, head, middle, width, k)
	NormalMixtureTickGrad(logProb.data, grad.data, head, middle, width, k, scale)
	alone.check(t, "NormalMixtureTick")
	logProb.check(t, "NormalMixtureTickGrad")
	grad.check(t, "NormalMixtureTickGrad")
	if !slices.Equal(alone.data, logProb.data) {
		t.Fatalf("%d components: log probabilities differ with and without gradient", k)
	}
	wantLog, want := make([]float64, rows), make([]float64, len(head))
	NormalMixtureTickGrad(wantLog, want, float64s(head), float64s(middle), float64s(width), k, scale)
	for i := range rows {
		name := fmt.Sprintf("seed %d, spread %g, %d components, row %d of width %g", seed, spread, k, i, width[i])
		// The rounding of u²/2, half of it that of 1/σ, is a relative error of the probability.
		tolerance := 1e-5 + 1e-6*math.Abs(wantLog[i])
		if got := float64(logProb.data[i]); !(math.Abs(got-wantLog[i]) <= tolerance) {
			t.Fatalf("%s: log probability is %g, want %g", name, got, wantLog[i])
		}
		for part := range 3 {
			norm, off := scale, 0.0
			for j := range k {
				at := i*3*k + part*k + j
				norm = math.Hypot(norm, want[at])
				off = math.Hypot(off, float64(grad.data[at])-want[at])
			}
			if !(off <= tolerance*norm) {
				t.Fatalf("%s: part %d of the gradient is off by %g, of %g", name, part, off, norm)
			}
		}
	}
	NormalMixtureTickGrad(logProb.data, head, head, middle, width, k, scale)
	if !slices.Equal(head, grad.data) || !slices.Equal(alone.data, logProb.data) {
		t.Fatalf("%d components in place differ", k)
	}
}

// TestNormalMixtureTickExtreme checks for finite results far away from all components, for tiny and huge scales, and for
// intervals from nothing to everything.
func TestNormalMixtureTickExtreme(t *testing.T) {
	const k = 19
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachSet(t, func(t *testing.T) {
		for _, x := range []float32{0, 1, -1e4, 1e10, 3e38, -3e38} {
			for _, width := range []float32{0, 1e-45, 1e-30, 1e-6, 1, 1e6, 1e30, 3e38, inf} {
				for _, s := range []float32{-1e30, -1e3, -100, -60, -41, -12, 0, 12, 41, 60, 100, 1e30} {
					for _, w := range []float32{0, -200, 200, -1e30} {
						head := make([]float32, 3*k)
						for i := range k {
							head[i], head[k+i], head[2*k+i] = float32(i), s, 1
						}
						head[2*k+1] = w
						head[k-1], head[k-2] = 3e38, -3e38 // whose distance from the middle may overflow
						logProb, grad := make([]float32, 1), make([]float32, 3*k)
						NormalMixtureTickGrad(logProb, grad, head, []float32{x}, []float32{width}, k, 1)
						for i, g := range append(grad, logProb...) {
							if math.IsNaN(float64(g)) || math.IsInf(float64(g), 0) {
								t.Fatalf("x %g, width %g, log scale %g, logit %g: result %d is %g", x, width, s, w, i, g)
							}
						}
						if logProb[0] > 1e-5 {
							t.Fatalf("x %g, width %g, log scale %g, logit %g: log probability %g", x, width, s, w, logProb[0])
						}
					}
				}
			}
		}
		for _, width := range []float32{1e-6, 1, inf} {
			for lost := range 3*k + 2 {
				head, x, width := make([]float32, 3*k), []float32{1}, []float32{width}
				logProb, grad := make([]float32, 1), make([]float32, 3*k)
				switch {
				case lost < len(head):
					head[lost] = nan
				case lost == len(head):
					x[0] = nan
				default:
					width[0] = nan
				}
				NormalMixtureTickGrad(logProb, grad, head, x, width, k, 1)
				if logProb[0] == logProb[0] || grad[2*k] == grad[2*k] {
					t.Errorf("NaN %d was lost: log probability %g, gradient %g", lost, logProb[0], grad[2*k])
				}
			}
		}
	})
}

// TestNormalMixtureTickEnds checks components far narrower than their distance from the middle at the ends of the interval:
// the rounding of that distance is of the order of their scale.
func TestNormalMixtureTickEnds(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, middle := range []float32{-1.7, 1.7, 0.1} {
			for i := range 200 {
				const width, logScale = 0.9, -14
				side := float32(1 - 2*(i&1))
				location := middle + side*width/2 + float32(i-100)*1e-7
				head := []float32{location, logScale, 0}
				wide, want := float64s(head), make([]float64, 1)
				grad, logProb := make([]float32, 3), make([]float32, 1)
				NormalMixtureTickGrad(logProb, grad, head, []float32{middle}, []float32{width}, 1, 1)
				NormalMixtureTickGrad(want, wide, wide, []float64{float64(middle)}, []float64{float64(float32(width))}, 1, 1)
				if math.Abs(float64(logProb[0])-want[0]) > 1e-5*(1+math.Abs(want[0])) {
					t.Fatalf("middle %g, location %g: log probability %g, want %g", middle, location, logProb[0], want[0])
				}
				for part := range 2 {
					if math.Abs(float64(grad[part])-wide[part]) > 1e-5*(1+math.Abs(wide[part])) {
						t.Fatalf("middle %g, location %g: gradient %d is %g, want %g", middle, location, part, grad[part], wide[part])
					}
				}
			}
		}
	})
}

// TestNormalMixtureTickEverything checks that an interval that covers all components has probability 1 and gradient 0.
func TestNormalMixtureTickEverything(t *testing.T) {
	const k = 5
	eachSet(t, func(t *testing.T) {
		head, logProb := make([]float32, 3*k), make([]float32, 1)
		NormalMixtureTickGrad(logProb, head, head, []float32{3}, []float32{1e5}, k, 1)
		for i, g := range append(head, logProb...) {
			if math.Abs(float64(g)) > 1e-6 {
				t.Errorf("result %d is %g", i, g)
			}
		}
	})
}

// TestNormalMixtureTickIsDensity checks that the probability of a tick whose ends round to one number is its width times the
// density.
func TestNormalMixtureTickIsDensity(t *testing.T) {
	const rows, k, width = 9, 21, 1e-12
	eachSet(t, func(t *testing.T) {
		head, x := mixtureHead[float32](1, rows, k, 1)
		widths := slices.Repeat([]float32{width}, rows)
		logProb, density := make([]float32, rows), make([]float32, rows)
		grad, want := make([]float32, len(head)), make([]float32, len(head))
		NormalMixtureTickGrad(logProb, grad, head, x, widths, k, 1)
		NormalMixtureGrad(density, want, head, x, k, 1)
		for i := range rows {
			if math.Abs(float64(logProb[i]-density[i])-math.Log(width)) > 1e-5 {
				t.Errorf("row %d: log probability %g, log density %g", i, logProb[i], density[i])
			}
		}
		for i := range grad {
			if math.Abs(float64(grad[i]-want[i])) > 1e-5*(1+math.Abs(float64(want[i]))) {
				t.Errorf("gradient %d is %g, of the density %g", i, grad[i], want[i])
			}
		}
	})
}

func FuzzNormalMixtureTick(f *testing.F) {
	f.Add(uint64(1), uint8(2), uint8(64), uint8(12), uint8(14))
	f.Add(uint64(2), uint8(9), uint8(2), uint8(3), uint8(40))
	f.Fuzz(func(t *testing.T, seed uint64, rows, k, low, scales uint8) {
		for _, name := range Sets() {
			use(t, name)
			checkTick(t, seed, int(rows), 1+int(k), 1, -float64(low%13), float64(scales%40)-float64(low%13))
		}
	})
}

func BenchmarkNormalMixtureTick(b *testing.B) {
	const rows, k = 128, 64
	for _, name := range Sets() {
		for _, c := range []struct {
			name  string
			width float32
		}{{"narrow", 1e-3}, {"wide", 1}, {"below", float32(math.Inf(1))}} {
			head, x := mixtureHead[float32](1, rows, k, 1)
			width := slices.Repeat([]float32{c.width}, rows)
			grad, logProb := make([]float32, len(head)), make([]float32, rows)
			b.Run(fmt.Sprintf("%s/%s/%dx%d", name, c.name, rows, k), func(b *testing.B) {
				use(b, name)
				for b.Loop() {
					NormalMixtureTickGrad(logProb, grad, head, x, width, k, 1)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
			})
		}
	}
}
