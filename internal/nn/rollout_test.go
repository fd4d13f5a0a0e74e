package nn

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestStepRows checks that StepRows equals Step on each row, for every cell, and that ForwardColumns and ForwardAt give the
// outputs of Forward.
func TestStepRows(t *testing.T) {
	for _, cell := range []Cell{RNN, GRU, LSTM} {
		for _, rows := range []int{1, 2, 7} {
			rng := rand.New(rand.NewPCG(uint64(cell), uint64(rows)))
			const d, out = 5, 6
			var layout Layout
			r := NewRecurrent[float64](&layout, cell, d)
			l := NewLinear[float64](&layout, "linear", d, out)
			params := randomVector(rng, layout.Size())
			r.Prepare(params)
			l.Prepare(params)
			h, c, gx := randomVector(rng, rows*d), randomVector(rng, rows*d), randomVector(rng, rows*r.Gates())
			var want [][]float64
			var s Stepper[float64]
			for row := range rows {
				state := append(append([]float64{}, h[row*d:(row+1)*d]...), c[row*d:(row+1)*d]...)[:r.StateSize()]
				r.Step(params, state, gx[row*r.Gates():(row+1)*r.Gates()], &s)
				want = append(want, state)
			}
			r.StepRows(params, h, c, gx, rows, &s)
			for row, w := range want {
				got := append(append([]float64{}, h[row*d:(row+1)*d]...), c[row*d:(row+1)*d]...)[:r.StateSize()]
				same(t, "state", got, w)
			}
			whole, some := make([]float64, rows*out), make([]float64, rows*3)
			l.Forward(whole, params, h, rows)
			l.ForwardColumns(some, params, h, rows, 2, 3)
			for row := range rows {
				same(t, "columns", some[row*3:(row+1)*3], whole[row*out+2:row*out+5])
				same(t, "one output", []float64{l.ForwardAt(params, h[row*d:], 4)}, whole[row*out+4:row*out+5])
			}
		}
	}
}

func randomVector(rng *rand.Rand, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = rng.NormFloat64()
	}
	return v
}

func same(t *testing.T, what string, got, want []float64) {
	t.Helper()
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-12 {
			t.Errorf("%s: got %v, want %v", what, got, want)
			return
		}
	}
}
