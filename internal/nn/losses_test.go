package nn

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/tpp/dist"
)

// genHead returns a generator of the outputs of a mixture head: locations, log scales, logits.
func genHead(t *rapid.T) []float64 {
	k := rapid.IntRange(1, 5).Draw(t, "components")
	part := func(name string, lo, hi float64) []float64 {
		return rapid.SliceOfN(rapid.Float64Range(lo, hi), k, k).Draw(t, name)
	}
	return slices.Concat(part("locations", -3, 3), part("log scales", -5, 2), part("logits", -4, 4))
}

// mixture returns the mixture of such a head as a distribution of exp(x).
func mixture(head []float64) dist.LogNormMix {
	k := len(head) / 3
	m := dist.LogNormMix{Mu: head[:k], LogWeights: head[2*k:]}
	for _, s := range head[k : 2*k] {
		m.Sigma = append(m.Sigma, math.Exp(s))
	}
	return m
}

func narrow[F Float](head []float64) []F {
	out := make([]F, len(head))
	for i, v := range head {
		out[i] = F(v)
	}
	return out
}

// checkRow checks the loss of one row against a value, in both precisions, and its gradient against difference quotients.
func checkRow(t *rapid.T, head []float64, want float64,
	loss64 func(out []float64, scale float64) float64, loss32 func(out []float32, scale float32) float64) {
	if got := loss64(slices.Clone(head), 0); math.Abs(got-want) > 1e-5*(1+math.Abs(want)) {
		t.Fatalf("in float64 %.12g, want %.12g", got, want)
	}
	if got := loss32(narrow[float32](head), 0); math.Abs(got-want) > 1e-3*(1+math.Abs(want)) {
		t.Fatalf("in float32 %.9g, want %.9g", got, want)
	}
	if want < -200 {
		return // so far out that a quotient of differences has no digits left
	}
	grad := slices.Clone(head)
	const scale = 0.7
	loss64(grad, scale)
	for i := range head {
		const h = 1e-5
		at := func(v float64) float64 {
			moved := slices.Clone(head)
			moved[i] = v
			return loss64(moved, 0)
		}
		quotient := -scale * (at(head[i]+h) - at(head[i]-h)) / (2 * h)
		if math.Abs(grad[i]-quotient) > 2e-3*(1+math.Abs(quotient)) {
			t.Fatalf("derivative %d is %.9g, the difference quotient %.9g", i, grad[i], quotient)
		}
	}
}

// TestMixtureTickIsTheMassOfAnInterval checks the log probability of ticks from far narrower to far wider than a component,
// and of ticks without lower end.
func TestMixtureTickIsTheMassOfAnInterval(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		head := genHead(t)
		middle := rapid.Float64Range(-4, 4).Draw(t, "middle")
		width := math.Exp(rapid.Float64Range(-9, 1).Draw(t, "log width"))
		want := mixture(head).LogInterval(math.Exp(middle-width/2), math.Exp(middle+width/2))
		if rapid.IntRange(0, 4).Draw(t, "tailed") == 0 {
			width = math.Inf(1)
			want = mixture(head).LogCDF(math.Exp(middle))
		}
		if want < -1e4 {
			t.Skip("nothing lies there")
		}
		memory64, memory32 := make([]float64, 2*len(head)), make([]float32, 2*len(head))
		checkRow(t, head, want,
			func(out []float64, scale float64) float64 {
				return MixtureTickNLL(out, []float64{middle}, []float64{width}, memory64, scale)
			},
			func(out []float32, scale float32) float64 {
				return MixtureTickNLL(out, []float32{float32(middle)}, []float32{float32(width)}, memory32, scale)
			})
	})
}

func TestMixtureSurvivalIsTheTail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		head := genHead(t)
		x := rapid.Float64Range(-4, 4).Draw(t, "x")
		want := mixture(head).LogSurvival(math.Exp(x))
		memory64, memory32 := make([]float64, 2*len(head)), make([]float32, 2*len(head))
		checkRow(t, head, want,
			func(out []float64, scale float64) float64 { return MixtureSurvival(out, x, memory64, scale) },
			func(out []float32, scale float32) float64 { return MixtureSurvival(out, float32(x), memory32, scale) })
	})
}

func TestAbsoluteErrors(t *testing.T) {
	out := []float64{0.3, -2}
	if got, want := AbsoluteErrorSoftplus(out, []float64{2, 0}, 0.5), 2-math.Log1p(math.Exp(0.3))+math.Log1p(math.Exp(-2)); math.Abs(got-want) > 1e-12 {
		t.Errorf("error of softplus is %v, want %v", got, want)
	}
	if want := []float64{-0.5 / (1 + math.Exp(-0.3)), 0.5 / (1 + math.Exp(2))}; math.Abs(out[0]-want[0])+math.Abs(out[1]-want[1]) > 1e-12 {
		t.Errorf("gradient of softplus is %v, want %v", out, want)
	}
	out = []float64{1, 1}
	p := math.Exp(2 + 3)
	if got, want := AbsoluteErrorLog(out, []float64{200, 100}, 2, 3, 10, 0.5), (200-p)/10+(p-100)/10; math.Abs(got-want) > 1e-12 {
		t.Errorf("error of the log head is %v, want %v", got, want)
	}
	if want := 0.5 * 3 * p / 10; math.Abs(out[0]+want)+math.Abs(out[1]-want) > 1e-12 {
		t.Errorf("gradient of the log head is %v, want ∓%v", out, want)
	}
}

func TestPack(t *testing.T) {
	for _, c := range []struct {
		lengths []int
		offsets []int
	}{
		{nil, []int{0}},
		{[]int{0, 0}, []int{0}},
		{[]int{3}, []int{0, 1, 2, 3}},
		{[]int{3, 2, 2, 0}, []int{0, 3, 6, 7}},
	} {
		p := Pack(c.lengths, nil)
		if !slices.Equal(p.Offsets, c.offsets) {
			t.Errorf("%v: offsets %v, want %v", c.lengths, p.Offsets, c.offsets)
		}
		rows := map[int]bool{}
		for b, n := range c.lengths {
			for step := range n {
				rows[p.Row(b, step)] = true
			}
		}
		if len(rows) != p.Rows() {
			t.Errorf("%v: %d rows for %d events", c.lengths, p.Rows(), len(rows))
		}
	}
}
