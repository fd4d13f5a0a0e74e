package simd

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// elementary are the functions of one vector with their reference and their greatest errors for float32: an element is
// right if it is within either.
var elementary = []struct {
	name               string
	f32                func(dst, src []float32)
	f64                func(dst, src []float64)
	want               func(float64) float64
	relative, absolute float64
	lo, hi             float64 // range of arguments of random tests
}{
	{"Exp", Exp[float32], Exp[float64], math.Exp, 1.7e-7, 0x1p-126, -90, 90},
	{"Log", Log[float32], Log[float64], math.Log, 2.2e-7, 0, 0, 10},
	{"Sigmoid", Sigmoid[float32], Sigmoid[float64], func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, 3e-7, 0x1p-126, -90, 90},
	{"Tanh", Tanh[float32], Tanh[float64], math.Tanh, 3.5e-7, 0, -10, 10},
}

// awkward returns arguments at which elementary functions easily go wrong.
func awkward() []float32 {
	x := []float32{0, float32(math.Copysign(0, -1)), 1, -1, 0.5, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()),
		math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, 1e-39, -1e-39, 0x1p-126, -0x1p-126, 1e-30, 1e-20, -1e-10, 1e-5,
		math.MaxFloat32, -math.MaxFloat32, 87.3, 88, 88.72, 88.73, 89, 100, 1e10, -86.9, -87.2, -87.33, -87.34, -88, -103, -104, -1e10,
		9, 9.01, 9.02, 9.03, -9.01, -9.03, 0.625, 1e-4, math.Sqrt2, math.Sqrt2 / 2}
	for _, v := range slices.Clone(x) {
		x = append(x, math.Nextafter32(v, 1e30), math.Nextafter32(v, -1e30))
	}
	return x
}

func checkElementary(t *testing.T, i int, src []float32) {
	t.Helper()
	e := elementary[i]
	dst := newGuarded[float32](len(src))
	e.f32(dst.data, src)
	dst.check(t, e.name)
	for i, x := range src {
		got, want := float64(dst.data[i]), e.want(float64(x))
		if rounded := float64(float32(want)); math.IsInf(rounded, 0) || math.IsNaN(want) {
			if !sameNumber(got, rounded) && !(e.name == "Exp" && got > 3.40281e38 && want < 3.40283e38) {
				t.Fatalf("%s(%g) of %d elements is %g, want %g", e.name, x, len(src), got, want)
			}
			continue
		}
		if d := math.Abs(got - want); !(d <= e.relative*math.Abs(want) || d <= e.absolute) {
			t.Fatalf("%s(%g) of %d elements is %g, want %g: error %g, relative %g", e.name, x, len(src), got, want, d, d/math.Abs(want))
		}
	}
	inPlace := slices.Clone(src)
	e.f32(inPlace, inPlace)
	for i := range inPlace {
		if math.Float32bits(inPlace[i]) != math.Float32bits(dst.data[i]) {
			t.Fatalf("%s(%g) in place is %g, else %g", e.name, src[i], inPlace[i], dst.data[i])
		}
	}
}

func TestElementary(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for i, e := range elementary {
			t.Run(e.name, func(t *testing.T) {
				r := newRand(5)
				for n := range 70 {
					src := randomSlice[float32](r, n, 1)
					for j := range src {
						src[j] = float32(e.lo + (e.hi-e.lo)*r.Float64())
					}
					checkElementary(t, i, src)
				}
				checkElementary(t, i, awkward())
				// A walk over the exponents of float32 with random fractions.
				src := make([]float32, 1<<16)
				for j := range src {
					src[j] = math.Float32frombits(r.Uint32())
				}
				checkElementary(t, i, src)

				exact := make([]float64, 3)
				e.f64(exact, []float64{0.3, 2, 5})
				for j, x := range []float64{0.3, 2, 5} {
					if want := e.want(x); math.Abs(exact[j]-want) > 1e-15*math.Abs(want) {
						t.Errorf("%s(%g) is %g in float64, want %g", e.name, x, exact[j], want)
					}
				}
			})
		}
	})
}

// TestElementarySetsAgree asks the two sets of assembly for the same bits.
func TestElementarySetsAgree(t *testing.T) {
	if len(Sets()) < 3 {
		t.Skip("needs a processor with AVX-512")
	}
	src := append(randomSlice[float32](newRand(6), 1000, 5), awkward()...)
	for _, e := range elementary {
		var dst [2][]float32
		for i, name := range []string{"avx2", "avx512"} {
			use(t, name)
			dst[i] = make([]float32, len(src))
			e.f32(dst[i], src)
		}
		for i, x := range src {
			if a, b := dst[0][i], dst[1][i]; !sameNumber(float64(a), float64(b)) {
				t.Errorf("%s(%g) is %g with AVX2, %g with AVX-512", e.name, x, a, b)
			}
		}
	}
}

func FuzzElementary(f *testing.F) {
	f.Add(uint32(0x3f800000), uint8(3))
	f.Add(uint32(0x80000001), uint8(17))
	f.Fuzz(func(t *testing.T, bits uint32, n uint8) {
		src := make([]float32, n)
		for i := range src {
			src[i] = math.Float32frombits(bits + uint32(i))
		}
		for _, name := range Sets() {
			use(t, name)
			for i := range elementary {
				checkElementary(t, i, src)
			}
		}
	})
}

func BenchmarkElementary(b *testing.B) {
	for _, name := range Sets() {
		for _, e := range elementary {
			for _, n := range []int{64, 1000} {
				b.Run(fmt.Sprintf("%s/%s/%d", name, e.name, n), func(b *testing.B) {
					use(b, name)
					src, dst := make([]float32, n), make([]float32, n)
					for i := range src {
						src[i] = 0.1 + 3*float32(i)/float32(n)
					}
					for b.Loop() {
						e.f32(dst, src)
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/element")
				})
			}
		}
	}
}
