package simd

import (
	"fmt"
	"math"
	"testing"
)

// TestAdam checks Adam against the published algorithm, evaluated in float64, for some steps.
func TestAdam(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, n := range []int{0, 1, 7, 8, 15, 16, 17, 33, 100} {
			for _, decay := range []float64{0, 0.1} {
				keep := decay * 9.5 // 0.95, or none
				r := newRand(uint64(n))
				p, m, v := newGuarded[float32](n), newGuarded[float32](n), newGuarded[float32](n)
				want, wm, wv := make([]float64, n), make([]float64, n), make([]float64, n)
				exact, em, ev := make([]float64, n), make([]float64, n), make([]float64, n)
				for i := range n {
					p.data[i], m.data[i], v.data[i] = float32(r.NormFloat64()), 0, 0
					want[i] = float64(p.data[i])
					exact[i] = want[i]
				}
				for step := 1; step <= 20; step++ {
					g := randomSlice[float32](r, n, 1)
					wide := make([]float64, n)
					for i := range g {
						wide[i] = float64(g[i])
					}
					s := AdamStep{LR: 1e-2, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: decay, Step: step, Keep: keep}
					Adam(p.data, g, m.data, v.data, s)
					Adam(exact, wide, em, ev, s)
					for i, g := range wide {
						if keep != 0 {
							want[i] *= keep
						}
						g += decay * want[i]
						wm[i] = 0.9*wm[i] + 0.1*g
						wv[i] = 0.999*wv[i] + 0.001*g*g
						mHat, vHat := wm[i]/(1-math.Pow(0.9, float64(step))), wv[i]/(1-math.Pow(0.999, float64(step)))
						want[i] -= 1e-2 * mHat / (math.Sqrt(vHat) + 1e-8)
					}
				}
				p.check(t, "Adam")
				m.check(t, "Adam")
				v.check(t, "Adam")
				for i := range want {
					if math.Abs(exact[i]-want[i]) > 1e-12 {
						t.Fatalf("parameter %d of %d is %g in float64, want %g", i, n, exact[i], want[i])
					}
					if math.Abs(float64(p.data[i])-want[i]) > 1e-5 {
						t.Fatalf("parameter %d of %d is %g, want %g", i, n, p.data[i], want[i])
					}
				}
			}
		}
	})
}

// TestAdamDenormals checks that moments that decay for long without gradient become almost zero, and nothing NaN.
func TestAdamDenormals(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		const n = 20
		p, g, m, v := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
		for i := range n {
			m[i], v[i] = 1e-37, 1e-40
		}
		for step := 1; step < 200; step++ {
			Adam(p, g, m, v, AdamStep{LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Step: step})
		}
		for i := range n {
			if !(math.Abs(float64(p[i])) < 1e-20) || !(m[i] < 1e-40) {
				t.Fatalf("parameter %d is %g, its moments %g and %g", i, p[i], m[i], v[i])
			}
		}
	})
}

func BenchmarkAdam(b *testing.B) {
	for _, name := range Sets() {
		const n = 40000
		b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
			use(b, name)
			r := newRand(1)
			p, g, m, v := randomSlice[float32](r, n, 1), randomSlice[float32](r, n, 1), make([]float32, n), make([]float32, n)
			for b.Loop() {
				Adam(p, g, m, v, AdamStep{LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 1e-5, Step: 10})
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/element")
		})
	}
}
