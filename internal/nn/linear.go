package nn

import (
	"github.com/tppfaas/tppfaas/internal/meter"
	"github.com/tppfaas/tppfaas/internal/simd"
)

// Linear is a fully connected layer, y = x·Wᵀ + b, with W stored out × in.
type Linear[F Float] struct {
	In, Out      int
	weight, bias Span

	transposed []F // Wᵀ, in × out
}

// NewLinear returns a layer whose tensors NAME.weight and NAME.bias it adds to the layout.
func NewLinear[F Float](l *Layout, name string, in, out int) *Linear[F] {
	return &Linear[F]{
		In: in, Out: out,
		weight:     l.Add(name+".weight", out, in),
		bias:       l.Add(name+".bias", out),
		transposed: make([]F, in*out),
	}
}

// Tensors returns the weights, out × in, and the biases among the parameters.
func (l *Linear[F]) Tensors(params []F) (weight, bias []F) {
	return Of(l.weight, params), Of(l.bias, params)
}

// Prepare transposes the weights. It must be called after every change of the parameters, before Forward.
func (l *Linear[F]) Prepare(params []F) {
	begin := meter.Begin()
	simd.Transpose(l.transposed, Of(l.weight, params), l.Out, l.In)
	meter.End(meter.Prepare, begin)
}

// Forward computes dst (rows × out) from x (rows × in).
func (l *Linear[F]) Forward(dst, params, x []F, rows int) {
	simd.GemmFrom(rows, l.Out, l.In, x, l.In, 1, l.transposed, l.Out, dst, l.Out, Of(l.bias, params), 0)
}

// ClearGradient sets the gradients of the layer's parameters to 0.
func (l *Linear[F]) ClearGradient(grad []F) {
	clear(Of(l.weight, grad))
	clear(Of(l.bias, grad))
}

// Writes says what a backward pass sets rather than adds to.
type Writes int

// What may be set: the gradient of a layer's input, and those of its parameters.
const (
	SetInput Writes = 1 << iota
	SetParams
)

// Backward adds the gradients of the parameters to grad and that of x to dx (rows × in), given dy, the gradient of the
// output (rows × out), and the x of Forward.
func (l *Linear[F]) Backward(grad, params, dx, dy, x []F, rows int) {
	l.BackwardTo(grad, params, dx, dy, x, rows, 0)
}

// BackwardTo is Backward where set says what is set instead, whatever it was.
func (l *Linear[F]) BackwardTo(grad, params, dx, dy, x []F, rows int, set Writes) {
	simd.Gemm(l.Out, l.In, rows, dy, 1, l.Out, x, l.In, Of(l.weight, grad), l.In, set&SetParams == 0)
	begin := meter.Begin()
	if set&SetParams != 0 {
		clear(Of(l.bias, grad))
	}
	simd.AddRows(rows, Of(l.bias, grad), dy, l.Out)
	meter.End(meter.Rows, begin)
	simd.Gemm(rows, l.In, l.Out, dy, l.Out, 1, Of(l.weight, params), l.In, dx, l.In, set&SetInput == 0)
}
