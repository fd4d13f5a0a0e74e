package forecast

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// kerasForward computes the outputs of one window (steps × features) by the formulas in the documentation of Keras, with kernels laid out as there:
// kernel features × 4·units, recurrent kernel units × 4·units, one bias. Numbers are complex so that derivatives can be had exactly: f(x + ih) = f(x) + ih·f'(x), but
// for h².
func kerasForward(window, kernel, recurrent [][]complex128, bias []complex128, dense [][]complex128, denseBias []complex128) []complex128 {
	units := len(recurrent)
	sigmoid := func(x complex128) complex128 { return 1 / (1 + cmplx.Exp(-x)) }
	h, c := make([]complex128, units), make([]complex128, units)
	for _, x := range window {
		z := slices.Clone(bias)
		for j := range z {
			for i, v := range x {
				z[j] += v * kernel[i][j]
			}
			for i, v := range h {
				z[j] += v * recurrent[i][j]
			}
		}
		next := make([]complex128, units)
		for k := range units {
			i, f, g, o := sigmoid(z[k]), sigmoid(z[units+k]), cmplx.Tanh(z[2*units+k]), sigmoid(z[3*units+k])
			c[k] = f*c[k] + i*g
			next[k] = o * cmplx.Tanh(c[k])
		}
		h = next
	}
	out := slices.Clone(denseBias)
	for j := range out {
		for i, v := range h {
			out[j] += v * dense[i][j]
		}
	}
	return out
}

// keras returns the outputs (rows × outputs) of a network with the parameters, by kerasForward.
func keras(n *network[float64], params []complex128, windows []float64) (out []complex128) {
	tensor := func(name string) []complex128 {
		for _, t := range n.layout.Tensors() {
			if t.Name == name {
				return params[t.Span.Offset : t.Span.Offset+t.Span.Len]
			}
		}
		return nil
	}
	transposed := func(name string, in int) [][]complex128 { // from out × in, as tensors are stored
		m := make([][]complex128, in)
		for i := range m {
			for j := i; j < len(tensor(name)); j += in {
				m[i] = append(m[i], tensor(name)[j])
			}
		}
		return m
	}
	for row := 0; row < len(windows); row += n.steps * n.features {
		var window [][]complex128
		for step := range n.steps {
			var x []complex128
			for _, v := range windows[row+step*n.features : row+(step+1)*n.features] {
				x = append(x, complex(v, 0))
			}
			window = append(window, x)
		}
		out = append(out, kerasForward(window, transposed("rnn.ih.weight", n.features), transposed("rnn.weight_hh_l0", n.units), tensor("rnn.ih.bias"),
			transposed("dense.weight", n.units), tensor("dense.bias"))...)
	}
	return out
}

// complexOf returns numbers without imaginary parts.
func complexOf(v []float64) []complex128 {
	out := make([]complex128, len(v))
	for i := range v {
		out[i] = complex(v[i], 0)
	}
	return out
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
	windows := normals(r, 7*3*2)
	out := n.forward(windows)
	for i, want := range keras(n, complexOf(n.params), windows) {
		require.InDelta(t, real(want), out[i], 1e-12)
	}
}

// TestNetworkGradient compares with derivatives of the plain formulas, exact but for rounding, and with differences of the network itself, for all parameters and
// the losses that are trained on.
func TestNetworkGradient(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const rows = 6
	for name, c := range map[string]struct {
		outputs int
		loss    func(out, targets []float64) float64
		scale   float64                            // of what loss returns to that of which it leaves the gradient
		slope   func(above float64, i int) float64 // of the loss of output i, so much above its target
	}{
		"absolute": {2, absolute[float64](2), 1.0 / rows, func(above float64, _ int) float64 { return math.Copysign(1, above) }},
		"pinball": {4, pinball[float64](Levels), 1.0 / rows, func(above float64, i int) float64 {
			if above < 0 {
				return -Levels[i%4]
			}
			return 1 - Levels[i%4]
		}},
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

				const h = 1e-30
				shifted := complexOf(n.params)
				shifted[i] += complex(0, h)
				want := 0.0
				for j, o := range keras(n, shifted, windows) {
					want += c.slope(real(o)-targets[j], j) * imag(o) / h / float64(len(targets))
				}
				require.InDelta(t, want, grad[i], 1e-13, "parameter %d", i)
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
