package nn

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestStateSpaceByDefinition checks contexts against the formula, event by event, in a batch and step by step, with rates beyond all bounds among them.
func TestStateSpaceByDefinition(t *testing.T) {
	const d, events = 3, 5
	var l Layout
	s := NewStateSpace[float64](&l, d)
	rng := rand.New(rand.NewPCG(1, 2))
	params := make([]float64, l.Size())
	for i := range params {
		params[i] = rng.NormFloat64()
	}
	s.Prepare(params)
	p := Pack([]int{events}, nil)
	var trace Trace[float64]
	s.reset(&trace, events)
	for i := range trace.GX {
		trace.GX[i] = rng.NormFloat64()
	}
	trace.GX[2*2*d] = 900    // nothing is left of unit 0 before event 2
	trace.GX[3*2*d+1] = -900 // and all of unit 1 before event 3
	s.forward(params, p, &trace)
	weight, bias := Of(s.weight, params), Of(s.bias, params)
	c, state := make([]float64, d), make([]float64, s.StateSize())
	var stepper Stepper[float64]
	for event := range events {
		gx := trace.GX[event*2*d : (event+1)*2*d]
		s.Step(params, state, gx, &stepper)
		for i := range d {
			c[i] = math.Exp(-math.Exp(gx[i]))*c[i] + gx[d+i]
		}
		for i := range d {
			want := bias[i]
			for j := range d {
				want += weight[i*d+j] * c[j]
			}
			want = math.Tanh(want)
			if got := trace.H[event*d+i]; math.Abs(got-want) > 1e-12 || math.Abs(state[i]-want) > 1e-12 {
				t.Errorf("event %d, unit %d: %v in a batch, %v step by step, want %v", event, i, got, state[i], want)
			}
		}
	}
	for i := range trace.DH {
		trace.DH[i] = 1
	}
	grad := make([]float64, l.Size())
	s.backward(grad, params, p, &trace)
	for i, v := range trace.GX {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			t.Errorf("gradient %d of the gates is %v", i, v)
		}
	}
}
