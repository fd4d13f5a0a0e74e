package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// product is one call of Gemm with its operands.
type product[T Float] struct {
	m, n, k, ars, acs, brs, crs int
	accumulate                  bool
	a, b                        []T
	c                           guarded[T]
}

// newProduct draws the operands: A in rows or transposed, rows of all three with gaps of up to pad elements.
func newProduct[T Float](r *rand.Rand, m, n, k, pad int, transposed, accumulate bool) product[T] {
	p := product[T]{m: m, n: n, k: k, accumulate: accumulate}
	p.ars, p.acs = k+pad, 1
	if transposed {
		p.ars, p.acs = 1, m+pad
	}
	p.brs, p.crs = n+pad, n+2*pad
	last := func(rows, cols, rs, cs int) int {
		if rows == 0 || cols == 0 {
			return 0
		}
		return (rows-1)*rs + (cols-1)*cs + 1
	}
	p.a = randomSlice[T](r, last(m, k, p.ars, p.acs), 1)
	p.b = randomSlice[T](r, last(k, n, p.brs, 1), 1)
	p.c = newGuarded[T](last(m, n, p.crs, 1))
	for i := range p.c.data {
		p.c.data[i] = canary
	}
	for i := range m {
		for j := range n {
			p.c.data[i*p.crs+j] = T(r.NormFloat64())
		}
	}
	return p
}

func (p product[T]) run() {
	Gemm(p.m, p.n, p.k, p.a, p.ars, p.acs, p.b, p.brs, p.c.data, p.crs, p.accumulate)
}

// check runs the product and compares every element with the sum in float64, within the bound of its rounding errors.
func (p product[T]) check(t fataler) {
	t.Helper()
	before := slices.Clone(p.c.data)
	p.run()
	name := fmt.Sprintf("%d×%d×%d, strides %d %d %d %d, accumulate %t", p.m, p.n, p.k, p.ars, p.acs, p.brs, p.crs, p.accumulate)
	p.c.check(t, name)
	for i, got := range p.c.data {
		row, col := i/p.crs, i%p.crs
		if col >= p.n {
			if got != canary {
				t.Fatalf("%s: gap after row %d was written", name, row)
			}
			continue
		}
		var want, size float64
		if p.accumulate {
			want, size = float64(before[i]), math.Abs(float64(before[i]))
		}
		for q := range p.k {
			term := float64(p.a[row*p.ars+q*p.acs]) * float64(p.b[q*p.brs+col])
			want += term
			size += math.Abs(term)
		}
		// Each step rounds once, by at least the smallest denormal.
		if bound := float64(p.k+2) * (epsilon[T]()*size + math.SmallestNonzeroFloat32); !(math.Abs(float64(got)-want) <= bound) {
			t.Fatalf("%s: C[%d, %d] is %g, want %g ± %g", name, row, col, got, want, bound)
		}
	}
}

func TestGemm(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		t.Run("shapes", func(t *testing.T) {
			r := newRand(1)
			for m := range 20 {
				for n := range 53 {
					newProduct[float32](r, m, n, 3, 1, n%2 == 0, m%2 == 0).check(t)
				}
			}
			for _, k := range []int{0, 1, 2, 191, 192, 193, 400} {
				for _, accumulate := range []bool{false, true} {
					newProduct[float32](r, 11, 67, k, 2, false, accumulate).check(t)
					newProduct[float32](r, 1, 500, k, 2, true, accumulate).check(t)
					newProduct[float64](r, 5, 7, k, 1, true, accumulate).check(t)
				}
			}
		})
		t.Run("random", rapid.MakeCheck(func(t *rapid.T) {
			m, n := rapid.IntRange(0, 40).Draw(t, "m"), rapid.IntRange(0, 220).Draw(t, "n")
			k, pad := rapid.IntRange(0, 70).Draw(t, "k"), rapid.IntRange(0, 3).Draw(t, "pad")
			transposed, accumulate := rapid.Bool().Draw(t, "transposed"), rapid.Bool().Draw(t, "accumulate")
			r := newRand(rapid.Uint64().Draw(t, "seed"))
			newProduct[float32](r, m, n, k, pad, transposed, accumulate).check(t)
		}))
	})
}

// TestGemmSpecial checks that NaN and Inf propagate to exactly the elements that depend on them.
func TestGemmSpecial(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		const m, n, k = 9, 50, 5
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			p := newProduct[float32](newRand(2), m, n, k, 0, false, false)
			p.a[3*k+2] = float32(bad)
			p.run()
			for i, x := range p.c.data {
				if finite := !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0); finite == (i/n == 3) {
					t.Fatalf("A[3, 2] = %g: C[%d, %d] = %g", bad, i/n, i%n, x)
				}
			}
		}
	})
}

func TestGemmDenormal(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		p := newProduct[float32](newRand(2), 9, 50, 30, 0, false, false)
		for i := range p.a {
			p.a[i] *= 1e-40
		}
		p.check(t)
	})
}

// TestGemmRowsAlone checks that each row computed alone has the same bits as in the batch.
func TestGemmRowsAlone(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		const m, n, k = 37, 203, 300
		p := newProduct[float32](newRand(3), m, n, k, 0, false, false)
		p.run()
		row := make([]float32, n)
		for i := range m {
			GemvT(p.a[i*k:][:k], p.b, n, row, false)
			if !slices.Equal(row, p.c.data[i*n:][:n]) {
				t.Fatalf("row %d alone differs from the batch", i)
			}
		}
	})
}

// TestGemmSetsAgree checks that the two sets of assembly give the same bits.
func TestGemmSetsAgree(t *testing.T) {
	if len(Sets()) < 3 {
		t.Skip("needs a processor with AVX-512")
	}
	var c [2][]float32
	for i, name := range []string{"avx2", "avx512"} {
		use(t, name)
		p := newProduct[float32](newRand(4), 33, 90, 250, 0, true, true)
		p.run()
		c[i] = p.c.data
	}
	if !slices.Equal(c[0], c[1]) {
		t.Error("AVX2 and AVX-512 give different products")
	}
}

func FuzzGemm(f *testing.F) {
	f.Add(uint8(8), uint8(48), uint8(64), uint8(0), uint64(1), true, false)
	f.Add(uint8(1), uint8(22), uint8(1), uint8(3), uint64(2), false, true)
	f.Fuzz(func(t *testing.T, m, n, k, pad uint8, seed uint64, transposed, accumulate bool) {
		for _, name := range Sets() {
			use(t, name)
			newProduct[float32](newRand(seed), int(m), int(n), int(k), int(pad), transposed, accumulate).check(t)
		}
	})
}

func BenchmarkGemm(b *testing.B) {
	for _, name := range Sets() {
		for _, s := range []struct {
			m, n, k    int
			transposed bool
		}{
			{64, 192, 64, false}, {64, 192, 64, true}, {192, 64, 400, true}, {64, 192, 400, true}, {64, 192, 1344, true}, {64, 64, 192, false}, {64, 22, 64, false},
			{22, 64, 64, true}, {16, 192, 64, false}, {4, 192, 64, false}, {1, 192, 64, false}, {1, 22, 64, false}, {256, 256, 256, false},
		} {
			layout := ""
			if s.transposed {
				layout = "T"
			}
			b.Run(fmt.Sprintf("%s/%dx%dx%d%s", name, s.m, s.n, s.k, layout), func(b *testing.B) {
				use(b, name)
				p := newProduct[float32](newRand(1), s.m, s.n, s.k, 0, s.transposed, false)
				for b.Loop() {
					p.run()
				}
				b.ReportMetric(2*float64(s.m*s.n*s.k)*float64(b.N)/1e9/b.Elapsed().Seconds(), "GFLOP/s")
			})
		}
	}
}
