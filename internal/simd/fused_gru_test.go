package simd

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// gru is the operands of one step for rows sequences of d units.
type gru[T Float] struct {
	rows, d   int
	gx, gh, h []T
	next, act guarded[T] // act: r, z, gh_n and n, or the gradients of r, z and n of gh, and of n of gx
	dnext     []T
	dh        guarded[T]
}

func newGRU[T Float](seed uint64, rows, d int, scale float64) gru[T] {
	rand := newRand(seed)
	size := rows * d
	return gru[T]{
		rows: rows, d: d,
		gx: randomSlice[T](rand, 3*size, scale), gh: randomSlice[T](rand, 3*size, scale), h: randomSlice[T](rand, size, 1),
		next: newGuarded[T](size), act: newGuarded[T](4 * size),
		dnext: randomSlice[T](rand, size, 1), dh: newGuarded[T](size),
	}
}

func (g gru[T]) forward() {
	GRUForward(g.rows, g.d, g.next.data, g.act.data, g.gx, g.gh, g.h)
}

func (g gru[T]) backward() {
	GRUBackward(g.rows, g.d, g.act.data, g.dh.data, g.dnext, g.h)
}

// part returns element i (of rows × d) of a part of act.
func (g gru[T]) part(i, part int) T { return g.act.data[i/g.d*4*g.d+part*g.d+i%g.d] }

// gradients returns those of gx and gh (rows×3d) after backward.
func (g gru[T]) gradients() (dgx, dgh []T) {
	for row := range g.rows {
		act := g.act.data[row*4*g.d:][:4*g.d]
		dgx = append(append(dgx, act[:2*g.d]...), act[3*g.d:]...)
		dgh = append(dgh, act[:3*g.d]...)
	}
	return dgx, dgh
}

// loss returns Σ dnext·next, whose gradients the backward step computes.
func (g gru[T]) loss() float64 {
	g.forward()
	var sum float64
	for i, x := range g.next.data {
		sum += float64(x) * float64(g.dnext[i])
	}
	return sum
}

// widen returns the same step in float64.
func (g gru[T]) widen() gru[float64] {
	w := newGRU[float64](0, g.rows, g.d, 1)
	for _, c := range []struct {
		dst []float64
		src []T
	}{{w.gx, g.gx}, {w.gh, g.gh}, {w.h, g.h}, {w.dnext, g.dnext}} {
		for i, x := range c.src {
			c.dst[i] = float64(x)
		}
	}
	return w
}

// TestGRUForward checks the step against the equations, evaluated in float64.
func TestGRUForward(t *testing.T) {
	sigma := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	check := func(t *testing.T, name string, got, want, tolerance float64) {
		t.Helper()
		if !(math.Abs(got-want) <= tolerance) {
			t.Fatalf("%s is %g, want %g", name, got, want)
		}
	}
	eachSet(t, func(t *testing.T) {
		for d := range 70 {
			for rows := range 4 {
				g := newGRU[float32](uint64(d), rows, d, 3)
				g.forward()
				for name, s := range map[string]guarded[float32]{"next": g.next, "act": g.act} {
					s.check(t, "GRUForward "+name)
				}
				for i := range rows * d {
					at := func(x []float32, gate int) float64 { return float64(x[i/d*3*d+gate*d+i%d]) }
					r, z := sigma(at(g.gx, 0)+at(g.gh, 0)), sigma(at(g.gx, 1)+at(g.gh, 1))
					n := math.Tanh(at(g.gx, 2) + r*at(g.gh, 2))
					name := fmt.Sprintf("[%d] of %d×%d", i, rows, d)
					check(t, "r"+name, float64(g.part(i, 0)), r, 1e-6)
					check(t, "z"+name, float64(g.part(i, 1)), z, 1e-6)
					check(t, "n"+name, float64(g.part(i, 3)), n, 2e-6)
					check(t, "gh_n"+name, float64(g.part(i, 2)), at(g.gh, 2), 0)
					check(t, "next"+name, float64(g.next.data[i]), (1-z)*n+z*float64(g.h[i]), 3e-6)
				}
				next := slices.Clone(g.next.data)
				g.next.data = g.h // in place
				g.forward()
				if !slices.Equal(g.h, next) {
					t.Fatalf("%d×%d in place differs", rows, d)
				}
			}
		}
	})
}

// TestGRUBackward checks the gradients in float64 against finite differences, and those in float32 against float64.
func TestGRUBackward(t *testing.T) {
	t.Run("differences", func(t *testing.T) {
		g := newGRU[float64](3, 2, 5, 1)
		g.forward()
		g.backward()
		dgx, dgh := g.gradients()
		for _, c := range []struct {
			name     string
			x        []float64
			gradient []float64
		}{{"gx", g.gx, dgx}, {"gh", g.gh, dgh}, {"h", g.h, g.dh.data}} {
			for i := range c.x {
				const step = 1e-5
				x := c.x[i]
				c.x[i] = x + step
				above := g.loss()
				c.x[i] = x - step
				below := g.loss()
				c.x[i] = x
				if want := (above - below) / (2 * step); math.Abs(c.gradient[i]-want) > 1e-8 {
					t.Errorf("d%s[%d] is %g, want %g", c.name, i, c.gradient[i], want)
				}
			}
		}
	})
	eachSet(t, func(t *testing.T) {
		for d := range 70 {
			for rows := range 4 {
				g := newGRU[float32](uint64(d), rows, d, 2)
				g.forward()
				g.backward()
				w := g.widen()
				w.forward()
				w.backward()
				for _, c := range []struct {
					name string
					got  guarded[float32]
					want []float64
				}{{"act", g.act, w.act.data}, {"dh", g.dh, w.dh.data}} {
					c.got.check(t, "GRUBackward "+c.name)
					for i, want := range c.want {
						if got := float64(c.got.data[i]); !(math.Abs(got-want) <= 1e-5) {
							t.Fatalf("%s[%d] of %d×%d is %g, want %g", c.name, i, rows, d, got, want)
						}
					}
				}
				act, dh := slices.Clone(g.act.data), slices.Clone(g.dh.data)
				g.forward()
				g.dh.data = g.dnext // in place
				g.backward()
				if !slices.Equal(act, g.act.data) || !slices.Equal(dh, g.dnext) {
					t.Fatalf("%d×%d in place differs", rows, d)
				}
			}
		}
	})
}

// TestGRUSpecial checks that the state stays bounded under saturation and that NaN propagates.
func TestGRUSpecial(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		const d = 21
		g := newGRU[float32](1, 1, d, 1e30)
		for i := range g.h {
			g.h[i] = 0.5
		}
		g.gx[2*d+3] = float32(math.NaN())
		g.forward()
		for i, x := range g.next.data {
			if x := float64(x); i == 3 != math.IsNaN(x) || math.Abs(x) > 1 {
				t.Errorf("state of unit %d is %g", i, x)
			}
		}
	})
}

func BenchmarkGRU(b *testing.B) {
	for _, name := range Sets() {
		const rows, d = 64, 64
		g := newGRU[float32](1, rows, d, 1)
		for _, c := range []struct {
			name string
			f    func()
		}{{"Forward", g.forward}, {"Backward", g.backward}} {
			b.Run(fmt.Sprintf("%s/%s/%dx%d", name, c.name, rows, d), func(b *testing.B) {
				use(b, name)
				for b.Loop() {
					c.f()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
			})
		}
	}
}
