package simd

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// mixtureHead draws heads of k components for rows elements, and the elements.
func mixtureHead[T Float](seed uint64, rows, k int, scale float64) (head, x []T) {
	r := newRand(seed)
	return randomSlice[T](r, rows*3*k, scale), randomSlice[T](r, rows, 2)
}

// mixtureByDefinition returns log Σ π·N(x; μ, σ), term by term.
func mixtureByDefinition[T Float](head []T, x T) float64 {
	k := len(head) / 3
	pi, _ := softmaxOf(head[2*k:])
	terms := make([]float64, k)
	for i := range k {
		s := float64(head[k+i])
		u := (float64(x) - float64(head[i])) / math.Exp(s)
		terms[i] = math.Log(pi[i]) - u*u/2 - s - 0.5*math.Log(2*math.Pi)
	}
	_, logSumExp := softmaxOf(terms)
	return logSumExp
}

func TestNormalMixture(t *testing.T) {
	t.Run("differences", func(t *testing.T) {
		const k, scale = 5, 0.7
		head, x := mixtureHead[float64](1, 3, k, 1)
		logProb, grad := make([]float64, 3), make([]float64, len(head))
		NormalMixtureGrad(logProb, grad, head, x, k, scale)
		loss := func() (sum float64) {
			for i := range x {
				sum -= scale * mixtureByDefinition(head[i*3*k:][:3*k], x[i])
			}
			return sum
		}
		for i := range head {
			const step = 1e-5
			h := head[i]
			head[i] = h + step
			above := loss()
			head[i] = h - step
			below := loss()
			head[i] = h
			if want := (above - below) / (2 * step); math.Abs(grad[i]-want) > 1e-8*(1+math.Abs(want)) {
				t.Errorf("gradient %d is %g, want %g", i, grad[i], want)
			}
		}
	})
	eachSet(t, func(t *testing.T) {
		for k := 1; k < 70; k++ {
			for _, rows := range []int{0, 1, 3} {
				checkMixture(t, uint64(k), rows, k, 1)
			}
		}
		checkMixture(t, 1, 300, 10, 0.5)
		checkMixture(t, 2, 2, 1024, 1)
		checkMixture(t, 3, 2, 1025, 1)
		checkMixture(t, 4, 5, 64, 3)
	})
}

func checkMixture(t *testing.T, seed uint64, rows, k int, spread float64) {
	t.Helper()
	const scale = 0.25
	head, x := mixtureHead[float32](seed, rows, k, spread)
	logProb, alone, grad := newGuarded[float32](rows), newGuarded[float32](rows), newGuarded[float32](len(head))
	NormalMixtureLogProb(alone.data, head, x, k)
	NormalMixtureGrad(logProb.data, grad.data, head, x, k, scale)
	alone.check(t, "NormalMixtureLogProb")
	logProb.check(t, "NormalMixtureGrad")
	grad.check(t, "NormalMixtureGrad")
	if !slices.Equal(alone.data, logProb.data) {
		t.Fatalf("%d components: log densities differ with and without gradient", k)
	}
	wide, wideX := make([]float64, len(head)), make([]float64, rows)
	for i := range head {
		wide[i] = float64(head[i])
	}
	for i := range x {
		wideX[i] = float64(x[i])
	}
	wantLog, want := make([]float64, rows), make([]float64, len(head))
	NormalMixtureGrad(wantLog, want, wide, wideX, k, scale)
	for i := range rows {
		byDefinition := mixtureByDefinition(head[i*3*k:][:3*k], x[i])
		if math.Abs(wantLog[i]-byDefinition) > 1e-12*(1+math.Abs(byDefinition)) {
			t.Fatalf("%d components: log density %d is %g in float64, want %g", k, i, wantLog[i], byDefinition)
		}
		if math.Abs(float64(logProb.data[i])-byDefinition) > 2e-6*(1+math.Abs(byDefinition)) {
			t.Fatalf("%d components: log density %d is %g, want %g", k, i, logProb.data[i], byDefinition)
		}
		// The rounding of u²/2 is a relative error of the responsibilities.
		tolerance := 0.0
		for _, g := range want[i*3*k:][:3*k] {
			tolerance = max(tolerance, 1e-5*(math.Abs(g)+scale))
		}
		for j, w := range want[i*3*k:][:3*k] {
			if got := float64(grad.data[i*3*k+j]); !(math.Abs(got-w) <= tolerance) {
				t.Fatalf("%d components: gradient %d of row %d is %g, want %g", k, j, i, got, w)
			}
		}
	}
	NormalMixtureGrad(logProb.data, head, head, x, k, scale)
	if !slices.Equal(head, grad.data) {
		t.Fatalf("%d components in place differ", k)
	}
}

// TestNormalMixtureExtreme checks for finite results far away from all components and for tiny and huge scales.
func TestNormalMixtureExtreme(t *testing.T) {
	const k = 19
	eachSet(t, func(t *testing.T) {
		for _, x := range []float32{0, 1, -1e4, 1e10} {
			for _, s := range []float32{-1e3, -100, -60, -41, 0, 41, 60, 100} {
				for _, w := range []float32{0, -200, 200, -1e30} {
					head := make([]float32, 3*k)
					for i := range k {
						head[i], head[k+i], head[2*k+i] = float32(i), s, 1
					}
					head[2*k+1] = w
					logProb, grad := make([]float32, 1), make([]float32, 3*k)
					NormalMixtureGrad(logProb, grad, head, []float32{x}, k, 1)
					for i, g := range append(grad, logProb...) {
						if math.IsNaN(float64(g)) || math.IsInf(float64(g), 0) {
							t.Fatalf("x %g, log scale %g, logit %g: result %d is %g", x, s, w, i, g)
						}
					}
				}
			}
		}
		head, logProb := make([]float32, 3*k), make([]float32, 1)
		NormalMixtureLogProb(logProb, head, []float32{float32(math.NaN())}, k)
		if logProb[0] == logProb[0] {
			t.Error("NaN was lost")
		}
	})
}

func FuzzNormalMixture(f *testing.F) {
	f.Add(uint64(1), uint8(2), uint8(64))
	f.Fuzz(func(t *testing.T, seed uint64, rows, k uint8) {
		for _, name := range Sets() {
			use(t, name)
			checkMixture(t, seed, int(rows), 1+int(k), 1)
		}
	})
}

func TestSoftmaxCrossEntropy(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for classes := 1; classes < 40; classes++ {
			for _, rows := range []int{0, 1, 5, 130} {
				const scale = 0.125
				r := newRand(uint64(classes))
				logits := newGuarded[float32](rows * classes)
				targets := make([]int, rows)
				for i := range logits.data {
					logits.data[i] = float32(3 * r.NormFloat64())
				}
				for i := range targets {
					targets[i] = r.IntN(classes)
				}
				before := slices.Clone(logits.data)
				nll, logProb := newGuarded[float32](rows), newGuarded[float32](rows)
				LogSoftmaxAt(logProb.data, logits.data, targets, classes)
				SoftmaxCrossEntropy(nll.data, logits.data, targets, classes, scale)
				nll.check(t, "SoftmaxCrossEntropy")
				logits.check(t, "SoftmaxCrossEntropy")
				logProb.check(t, "LogSoftmaxAt")
				for i, target := range targets {
					p, logSumExp := softmaxOf(before[i*classes:][:classes])
					want := logSumExp - float64(before[i*classes+target])
					if math.Abs(float64(nll.data[i])-want) > 2e-6*(1+want) || math.Abs(float64(logProb.data[i])+want) > 2e-6*(1+want) {
						t.Fatalf("%d classes, row %d: −log p is %g and %g, want %g", classes, i, nll.data[i], -logProb.data[i], want)
					}
					p[target]--
					for j := range p {
						if got := float64(logits.data[i*classes+j]); math.Abs(got-scale*p[j]) > 1e-6 {
							t.Fatalf("%d classes, row %d: gradient %d is %g, want %g", classes, i, j, got, scale*p[j])
						}
					}
				}
			}
		}
	})
}

func BenchmarkNormalMixture(b *testing.B) {
	const rows, k = 128, 64
	for _, name := range Sets() {
		head, x := mixtureHead[float32](1, rows, k, 1)
		grad, logProb := make([]float32, len(head)), make([]float32, rows)
		for _, c := range []struct {
			name string
			f    func()
		}{
			{"LogProb", func() { NormalMixtureLogProb(logProb, head, x, k) }},
			{"Grad", func() { NormalMixtureGrad(logProb, grad, head, x, k, 1) }},
		} {
			b.Run(fmt.Sprintf("%s/%s/%dx%d", name, c.name, rows, k), func(b *testing.B) {
				use(b, name)
				for b.Loop() {
					c.f()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
			})
		}
	}
}

func BenchmarkSoftmaxCrossEntropy(b *testing.B) {
	const rows, classes = 128, 22
	for _, name := range Sets() {
		b.Run(fmt.Sprintf("%s/%dx%d", name, rows, classes), func(b *testing.B) {
			use(b, name)
			logits, nll, targets := randomSlice[float32](newRand(1), rows*classes, 1), make([]float32, rows), make([]int, rows)
			for b.Loop() {
				SoftmaxCrossEntropy(nll, logits, targets, classes, 0.01)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
		})
	}
}
