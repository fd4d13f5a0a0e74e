package simd

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

func TestReductions(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		r := newRand(7)
		for n := range 100 {
			a, b := randomSlice[float32](r, n, 1), randomSlice[float32](r, n, 3)
			var sum, dot, size float64
			for i := range a {
				sum += float64(a[i])
				dot += float64(a[i]) * float64(b[i])
				size += math.Abs(float64(a[i])) * (1 + math.Abs(float64(b[i])))
			}
			bound := float64(n) * epsilon[float32]() * size
			if got := float64(Sum(a)); math.Abs(got-sum) > bound {
				t.Fatalf("Sum of %d elements is %g, want %g", n, got, sum)
			}
			if got := float64(Dot(a, b)); math.Abs(got-dot) > bound {
				t.Fatalf("Dot of %d elements is %g, want %g", n, got, dot)
			}
			if n > 0 {
				if got, want := Max(a), slices.Max(a); got != want {
					t.Fatalf("Max of %d elements is %g, want %g", n, got, want)
				}
			}
			dst := newGuarded[float32](n)
			AddScaled(dst.data, a, -0.3, b)
			dst.check(t, "AddScaled")
			for i, got := range dst.data {
				want := float64(a[i]) + float64(float32(-0.3))*float64(b[i])
				if math.Abs(float64(got)-want) > 2e-7*(math.Abs(float64(a[i]))+math.Abs(float64(b[i]))) {
					t.Fatalf("AddScaled of %d elements: element %d is %g, want %g", n, i, got, want)
				}
			}
		}
		nan := float32(math.NaN())
		if x := []float32{1, nan, 2}; Sum(x) == Sum(x) || Max(x) == Max(x) || Dot(x, x) == Dot(x, x) {
			t.Error("NaN was lost")
		}
		if !math.IsInf(float64(Max[float32](nil)), -1) {
			t.Error("Max of nothing is not −Inf")
		}
	})
}

// softmaxOf returns the reference, in float64 whatever the type of the arguments.
func softmaxOf[T Float](x []T) (p []float64, logSumExp float64) {
	peak := math.Inf(-1)
	for _, v := range x {
		peak = max(peak, float64(v))
	}
	p = make([]float64, len(x))
	var total float64
	for i, v := range x {
		p[i] = math.Exp(float64(v) - peak)
		total += p[i]
	}
	for i := range p {
		p[i] /= total
	}
	return p, peak + math.Log(total)
}

func TestSoftmax(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		r := newRand(8)
		for n := 1; n < 80; n++ {
			for _, scale := range []float64{0.1, 3, 40} {
				x := randomSlice[float32](r, n, scale)
				p, want := softmaxOf(x)
				if got := float64(LogSumExp(x)); math.Abs(got-want) > 1e-6+3e-7*math.Abs(want) {
					t.Fatalf("LogSumExp of %d elements is %g, want %g", n, got, want)
				}
				dst := newGuarded[float32](n)
				Softmax(dst.data, x)
				dst.check(t, "Softmax")
				for i := range p {
					// The difference to the maximum is rounded.
					if tolerance := 1e-6 + 1e-7*(want-float64(x[i])); math.Abs(float64(dst.data[i])-p[i]) > tolerance*p[i]+1e-37 {
						t.Fatalf("Softmax of %d elements: element %d is %g, want %g", n, i, dst.data[i], p[i])
					}
				}
				Softmax(x, x)
				if !slices.Equal(x, dst.data) {
					t.Fatalf("Softmax of %d elements in place differs", n)
				}
			}
		}
	})
}

func TestLogSumExpSpecial(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	eachSet(t, func(t *testing.T) {
		for _, c := range []struct {
			x    []float64
			want float64
		}{
			{nil, -inf},
			{[]float64{-inf}, -inf},
			{[]float64{-inf, -inf, -inf}, -inf},
			{[]float64{-inf, 2}, 2},
			{[]float64{1, inf, 2}, inf},
			{[]float64{1, nan, 2}, nan},
			{[]float64{nan, inf}, nan},
			{[]float64{inf, nan}, nan},
			{[]float64{1e30, -1e30}, 1e30},
			{[]float64{-3e38, -3e38}, -3e38},
		} {
			x := make([]float32, len(c.x))
			for i := range x {
				x[i] = float32(c.x[i])
			}
			if got := float64(LogSumExp(x)); !sameNumber(got, float64(float32(c.want))) {
				t.Errorf("LogSumExp(%v) is %g in float32, want %g", c.x, got, c.want)
			}
			if got := LogSumExp(c.x); !sameNumber(got, c.want) {
				t.Errorf("LogSumExp(%v) is %g in float64, want %g", c.x, got, c.want)
			}
		}
	})
}

func BenchmarkReduce(b *testing.B) {
	for _, name := range Sets() {
		x, y := randomSlice[float32](newRand(1), 64, 1), randomSlice[float32](newRand(2), 64, 1)
		for _, c := range []struct {
			name string
			f    func()
		}{
			{"Sum", func() { Sum(x) }},
			{"Dot", func() { Dot(x, y) }},
			{"AddScaled", func() { AddScaled(y, x, 0.5, x) }},
			{"LogSumExp", func() { LogSumExp(x) }},
			{"Softmax", func() { Softmax(y, x) }},
		} {
			b.Run(fmt.Sprintf("%s/%s/64", name, c.name), func(b *testing.B) {
				use(b, name)
				for b.Loop() {
					c.f()
				}
			})
		}
	}
}
