package forecast

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// kerasForward computes the outputs of one window (steps × features) by the formulas in the documentation of Keras, with kernels laid out as there:
// kernel features × 4·units, recurrent kernel units × 4·units, one bias.
func kerasForward(window [][]float64, kernel, recurrent [][]float64, bias []float64, dense [][]float64, denseBias []float64) []float64 {
	units := len(recurrent)
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	h, c := make([]float64, units), make([]float64, units)
	for _, x := range window {
		z := append([]float64{}, bias...)
		for j := range z {
			for i, v := range x {
				z[j] += v * kernel[i][j]
			}
			for i, v := range h {
				z[j] += v * recurrent[i][j]
			}
		}
		next := make([]float64, units)
		for k := range units {
			i, f, g, o := sigmoid(z[k]), sigmoid(z[units+k]), math.Tanh(z[2*units+k]), sigmoid(z[3*units+k])
			c[k] = f*c[k] + i*g
			next[k] = o * math.Tanh(c[k])
		}
		h = next
	}
	out := append([]float64{}, denseBias...)
	for j := range out {
		for i, v := range h {
			out[j] += v * dense[i][j]
		}
	}
	return out
}

// transposed returns a matrix stored out × in as Keras has it, in × out.
func transposed(flat []float64, in int) [][]float64 {
	m := make([][]float64, in)
	for i := range m {
		for j := i; j < len(flat); j += in {
			m[i] = append(m[i], flat[j])
		}
	}
	return m
}

func normals(r *rand.Rand, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = r.NormFloat64()
	}
	return v
}

// TestNetworkIsKerass compares with the formulas written plainly.
func TestNetworkIsKerass(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	n := newNetwork[float64](2, 3, 5, 4, r)
	for i := range n.params {
		n.params[i] += 0.3 * r.NormFloat64()
	}
	clear(n.tensor("rnn.bias_hh_l0"))
	const rows = 7
	windows := normals(r, rows*3*2)
	out := n.forward(windows)
	for row := range rows {
		w := windows[row*6 : row*6+6]
		want := kerasForward([][]float64{w[:2], w[2:4], w[4:]}, transposed(n.tensor("rnn.ih.weight"), 2), transposed(n.tensor("rnn.weight_hh_l0"), 5),
			n.tensor("rnn.ih.bias"), transposed(n.tensor("dense.weight"), 5), n.tensor("dense.bias"))
		require.InDeltaSlice(t, want, out[row*4:row*4+4], 1e-12)
	}
}

// TestNetworkGradient compares with differences, for all parameters of the losses that are trained on.
func TestNetworkGradient(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const rows = 6
	for name, c := range map[string]struct {
		outputs int
		loss    func(out, targets []float64) float64
		scale   float64 // of what loss returns to that of which it leaves the gradient
	}{
		"absolute": {2, absolute[float64](2), 1.0 / rows},
		"pinball":  {4, pinball[float64](Levels), 1.0 / rows},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork[float64](2, 3, 5, c.outputs, r)
			for i := range n.params {
				n.params[i] += 0.3 * r.NormFloat64()
			}
			clear(n.tensor("rnn.bias_hh_l0"))
			windows, targets := normals(r, rows*3*2), normals(r, rows*c.outputs)
			grad := make([]float64, len(n.params))
			out := n.forward(windows)
			c.loss(out, targets)
			n.backward(grad, out)
			value := func() float64 { return c.loss(n.forward(windows), targets) * c.scale }
			frozen := map[*float64]bool{}
			hh := n.tensor("rnn.bias_hh_l0")
			for i := range hh {
				frozen[&hh[i]] = true
			}
			for i := range n.params {
				if frozen[&n.params[i]] {
					require.Zero(t, grad[i], "the second bias does not learn")
					continue
				}
				const d = 1e-6
				p := n.params[i]
				n.params[i], n.prepared = p+d, false
				above := value()
				n.params[i], n.prepared = p-d, false
				below := value()
				n.params[i] = p
				require.InDelta(t, (above-below)/(2*d), grad[i], 1e-8, "parameter %d", i)
			}
		})
	}
}

func TestNetworkBeginsAsKerasDoes(t *testing.T) {
	n := newNetwork[float64](2, 3, 64, 2, rand.New(rand.NewPCG(5, 6)))
	q := n.tensor("rnn.weight_hh_l0") // 256 × 64
	for a := range 64 {
		for b := range 64 {
			product := 0.0
			for i := range 256 {
				product += q[i*64+a] * q[i*64+b]
			}
			want := 0.0
			if a == b {
				want = 1
			}
			require.InDelta(t, want, product, 1e-12)
		}
	}
	bias := n.tensor("rnn.ih.bias")
	for i, b := range bias {
		want := 0.0
		if i/64 == 1 {
			want = 1
		}
		require.Equal(t, want, b, "the forget gate alone begins open")
	}
	for name, limit := range map[string]float64{"rnn.ih.weight": math.Sqrt(6.0 / 258), "dense.weight": math.Sqrt(6.0 / 66)} {
		largest := 0.0
		for _, w := range n.tensor(name) {
			largest = max(largest, math.Abs(w))
		}
		require.InDelta(t, limit, largest, 0.05*limit, name)
		require.LessOrEqual(t, largest, limit, name)
	}
}

// TestTrainingIsAdamAsKerasHasIt compares three updates of one weight with the formulas of Keras: ε is added before the bias of the moment is corrected.
func TestTrainingIsAdamAsKerasHasIt(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	n := newNetwork[float64](1, 1, 1, 1, r)
	var gradients [][]float64
	start := append([]float64{}, n.params...)
	want := append([]float64{}, n.params...)
	m, v := make([]float64, len(want)), make([]float64, len(want))
	shadow := newNetwork[float64](1, 1, 1, 1, rand.New(rand.NewPCG(7, 8)))
	grad := make([]float64, len(want))
	for step := 1; step <= 3; step++ {
		copy(shadow.params, want)
		shadow.prepared = false
		out := shadow.forward([]float64{0.7})
		absolute[float64](1)(out, []float64{9})
		shadow.backward(grad, out)
		gradients = append(gradients, append([]float64{}, grad...))
		alpha := 0.001 * math.Sqrt(1-math.Pow(0.999, float64(step))) / (1 - math.Pow(0.9, float64(step)))
		for i, g := range grad {
			m[i] += (1 - 0.9) * (g - m[i])
			v[i] += (1 - 0.999) * (g*g - v[i])
			want[i] -= alpha * m[i] / (math.Sqrt(v[i]) + 1e-7)
		}
	}
	require.NoError(t, n.train(t.Context(), []float64{0.7}, []float64{9}, trainOptions{epochs: 3, batch: 1}, r, absolute[float64](1)))
	require.InDeltaSlice(t, want, n.params, 1e-12)
	require.NotEqual(t, start, n.params)
}
