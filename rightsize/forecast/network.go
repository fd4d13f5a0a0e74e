package forecast

import (
	"context"
	"math"
	"math/rand/v2"

	"github.com/tppfaas/tppfaas/internal/nn"
)

// network is an LSTM over a few steps, and a dense layer on its last state, as Keras has them: gates i, f, c, o, the recurrent activation a
// sigmoid, one bias, kernels Glorot-uniform, the recurrent one orthogonal, the bias of the forget gate 1. It is generic for tests: training is in float32.
type network[F nn.Float] struct {
	features, steps, units, outputs int

	layout nn.Layout
	input  *nn.Linear[F]
	lstm   *nn.Recurrent[F]
	dense  *nn.Linear[F]
	params []F

	prepared bool // for the present parameters

	lengths []int
	offsets []int
	trace   nn.Trace[F]
	x, dx   []F // steps × rows × features, and its gradient, which nobody needs
	h, dh   []F // rows × units: the last states
	out     []F // rows × outputs
}

func newNetwork[F nn.Float](features, steps, units, outputs int, r *rand.Rand) *network[F] {
	n := &network[F]{features: features, steps: steps, units: units, outputs: outputs}
	n.input = nn.NewLinear[F](&n.layout, "rnn.ih", features, 4*units)
	n.lstm = nn.NewRecurrent[F](&n.layout, nn.LSTM, units)
	n.dense = nn.NewLinear[F](&n.layout, "dense", units, outputs)
	n.params = make([]F, n.layout.Size())
	kernel := n.tensor("rnn.ih.weight")
	glorot(kernel, features, 4*units, r)
	copy(n.tensor("rnn.weight_hh_l0"), orthogonal[F](4*units, units, r))
	forget := n.tensor("rnn.ih.bias")[units : 2*units]
	for i := range forget {
		forget[i] = 1
	}
	glorot(n.tensor("dense.weight"), units, outputs, r)
	return n
}

// tensor returns the parameters of a tensor.
func (n *network[F]) tensor(name string) []F { return tensorOf(&n.layout, n.params, name) }

func tensorOf[F nn.Float](l *nn.Layout, flat []F, name string) []F {
	for _, t := range l.Tensors() {
		if t.Name == name {
			return nn.Of(t.Span, flat)
		}
	}
	return nil
}

// glorot draws weights uniformly within ±√(6/(in + out)).
func glorot[F nn.Float](weights []F, in, out int, r *rand.Rand) {
	limit := math.Sqrt(6 / float64(in+out))
	for i := range weights {
		weights[i] = F(limit * (2*r.Float64() - 1))
	}
}

// orthogonal returns a matrix, rows × columns with rows ≥ columns, whose columns are orthonormal: the Q of normal numbers (whose R has a positive
// diagonal).
func orthogonal[F nn.Float](rows, columns int, r *rand.Rand) []F {
	q := make([][]float64, columns)
	for j := range q {
		q[j] = make([]float64, rows)
		for i := range q[j] {
			q[j][i] = r.NormFloat64()
		}
		for range 2 { // the second time removes what rounding left
			for _, before := range q[:j] {
				product := dot(before, q[j])
				for i := range q[j] {
					q[j][i] -= product * before[i]
				}
			}
		}
		length := math.Sqrt(dot(q[j], q[j]))
		for i := range q[j] {
			q[j][i] /= length
		}
	}
	out := make([]F, rows*columns)
	for j := range q {
		for i, v := range q[j] {
			out[i*columns+j] = F(v)
		}
	}
	return out
}

func dot(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// forward returns the outputs (rows × outputs), valid until the next call, of windows (rows × steps × features, the earliest step first).
func (n *network[F]) forward(windows []F) []F {
	rows := len(windows) / (n.steps * n.features)
	for len(n.lengths) < rows {
		n.lengths = append(n.lengths, n.steps)
	}
	p := nn.Pack(n.lengths[:rows], n.offsets)
	n.offsets = p.Offsets
	n.x = nn.Resize(n.x, len(windows))
	for row := range rows {
		for step := range n.steps {
			copy(n.x[p.Row(row, step)*n.features:], windows[(row*n.steps+step)*n.features:][:n.features])
		}
	}
	if !n.prepared {
		n.input.Prepare(n.params)
		n.lstm.Prepare(n.params)
		n.dense.Prepare(n.params)
		n.prepared = true
	}
	n.trace.Reset(n.lstm, p.Rows())
	n.input.Forward(n.trace.GX, n.params, n.x, p.Rows())
	n.lstm.Forward(n.params, p, &n.trace)
	n.h = append(n.h[:0], n.trace.H[p.Row(0, n.steps-1)*n.units:]...)
	n.out = nn.Resize(n.out, rows*n.outputs)
	n.dense.Forward(n.out, n.params, n.h, rows)
	return n.out
}

// backward sets grad to the gradient of a loss, of which dOut (rows × outputs) is the gradient with respect to the outputs of the last forward.
func (n *network[F]) backward(grad, dOut []F) {
	rows := len(dOut) / n.outputs
	p := nn.Packed{Offsets: n.offsets}
	clear(grad)
	n.dh = nn.Resize(n.dh, rows*n.units)
	clear(n.dh)
	n.dense.Backward(grad, n.params, n.dh, dOut, n.h, rows)
	clear(n.trace.DH)
	copy(n.trace.DH[p.Row(0, n.steps-1)*n.units:], n.dh)
	n.lstm.Backward(grad, n.params, p, &n.trace)
	n.dx = nn.Resize(n.dx, len(n.x))
	n.input.Backward(grad, n.params, n.dx, n.trace.GX, n.x, p.Rows())
	clear(tensorOf(&n.layout, grad, "rnn.bias_hh_l0")) // Keras has one bias: this one stays 0
}

// trainOptions say how a network is trained.
type trainOptions struct {
	epochs, batch int
	progress      func(epoch int, loss float64) // nil: nobody listens
}

// train fits the network to targets (rows × outputs) by Adam with the settings of Keras, on batches of rows in an order drawn anew for each epoch. loss
// returns the loss of an output, summed over the batch by what stands in targets, and replaces out by its gradient.
func (n *network[F]) train(ctx context.Context, windows, targets []F, o trainOptions, r *rand.Rand, loss func(out, targets []F) float64) error {
	width := n.steps * n.features
	rows := len(windows) / width
	order := make([]int, rows)
	for i := range order {
		order[i] = i
	}
	adam := nn.Adam[F]{LR: 0.001, Beta1: 0.9, Beta2: 0.999}
	grad := make([]F, len(n.params))
	var w, y []F
	for epoch := range o.epochs {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.Shuffle(rows, func(i, j int) { order[i], order[j] = order[j], order[i] })
		total := 0.0
		for first := 0; first < rows; first += o.batch {
			part := order[first:min(first+o.batch, rows)]
			w, y = w[:0], y[:0]
			for _, row := range part {
				w = append(w, windows[row*width:(row+1)*width]...)
				y = append(y, targets[row*n.outputs:(row+1)*n.outputs]...)
			}
			out := n.forward(w)
			total += loss(out, y)
			n.backward(grad, out)
			adam.Begin(len(n.params))
			// Keras adds ε to the root of the moment before its bias is corrected.
			adam.Eps = 1e-7 / math.Sqrt(1-math.Pow(adam.Beta2, float64(adam.Step)))
			adam.UpdatePart(n.params, grad, 0, len(n.params))
			n.prepared = false
		}
		if o.progress != nil {
			o.progress(epoch+1, total/float64(rows))
		}
	}
	return nil
}

// absolute is the mean absolute error, of a batch: the mean over its values for the gradient, the sum over rows of the mean over outputs as what it returns.
func absolute[F nn.Float](outputs int) func(out, targets []F) float64 {
	return func(out, targets []F) float64 {
		sum, scale := 0.0, 1/F(len(out))
		for i := range out {
			d := out[i] - targets[i]
			sum += math.Abs(float64(d))
			switch {
			case d > 0:
				out[i] = scale
			case d < 0:
				out[i] = -scale
			default:
				out[i] = 0
			}
		}
		return sum / float64(outputs)
	}
}
