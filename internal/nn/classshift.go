package nn

import "github.com/tppfaas/tppfaas/internal/simd"

// ClassShift is a layer with one hidden layer whose output depends on an input and on a class: U·tanh(P·x + b + E[class]), with P of hidden × in,
// E of classes × hidden, and U of out × hidden. It is added to what another layer has computed.
type ClassShift[F Float] struct {
	Hidden, Out, Classes int

	in                *Linear[F]
	embedding, weight Span
	transposed        []F // Uᵀ, hidden × out
}

// NewClassShift returns a layer whose tensors NAME_hidden.weight, NAME_hidden.bias, NAME_embedding.weight and NAME.weight it adds to the layout.
func NewClassShift[F Float](l *Layout, name string, in, hidden, out, classes int) *ClassShift[F] {
	return &ClassShift[F]{
		Hidden: hidden, Out: out, Classes: classes,
		in:         NewLinear[F](l, name+"_hidden", in, hidden),
		embedding:  l.Add(name+"_embedding.weight", classes, hidden),
		weight:     l.Add(name+".weight", out, hidden),
		transposed: make([]F, hidden*out),
	}
}

// Prepare transposes the weights. It must be called after every change of the parameters, before Project and Add.
func (c *ClassShift[F]) Prepare(params []F) {
	c.in.Prepare(params)
	simd.Transpose(c.transposed, Of(c.weight, params), c.Out, c.Hidden)
}

// Project computes P·x + b (rows × hidden) from x (rows × in): the part of the hidden layer that does not depend on the class.
func (c *ClassShift[F]) Project(dst, params, x []F, rows int) { c.in.Forward(dst, params, x, rows) }

// Activate sets hidden to tanh(projected + E[class]) for one row and class.
func (c *ClassShift[F]) Activate(hidden, params, projected []F, class int) {
	row := Of(c.embedding, params)[class*c.Hidden : (class+1)*c.Hidden]
	simd.AddScaled(hidden, projected, 1, row)
	simd.Tanh(hidden, hidden)
}

// Add adds U·hidden to rows of dst, which are stride apart.
func (c *ClassShift[F]) Add(dst []F, stride int, hidden []F, rows int) {
	simd.Gemm(rows, c.Out, c.Hidden, hidden, c.Hidden, 1, c.transposed, c.Out, dst, stride, true)
}

// Backward adds the gradients of U and E, given dy, the gradient of the output in rows that are stride apart, and the hidden layer (rows × hidden)
// of the given classes. It replaces the hidden layer by the gradient of what Project returned.
func (c *ClassShift[F]) Backward(grad, params, dy []F, stride int, hidden []F, classes []int, memory []F) {
	rows := len(classes)
	simd.Gemm(c.Out, c.Hidden, rows, dy, 1, stride, hidden, c.Hidden, Of(c.weight, grad), c.Hidden, true)
	dHidden := memory[:rows*c.Hidden]
	simd.Gemm(rows, c.Hidden, c.Out, dy, stride, 1, Of(c.weight, params), c.Hidden, dHidden, c.Hidden, false)
	embedding := Of(c.embedding, grad)
	for row, class := range classes {
		h, d := hidden[row*c.Hidden:(row+1)*c.Hidden], dHidden[row*c.Hidden:]
		for i, v := range h {
			h[i] = d[i] * (1 - v*v)
		}
		e := embedding[class*c.Hidden : (class+1)*c.Hidden]
		simd.AddScaled(e, e, 1, h)
	}
}

// ClearGradient sets the gradients of the layer's parameters to 0.
func (c *ClassShift[F]) ClearGradient(grad []F) {
	c.in.ClearGradient(grad)
	for _, s := range []Span{c.embedding, c.weight} {
		clear(Of(s, grad))
	}
}

// BackwardProject adds the gradients of P and b and that of x to dx (rows × in), given that of what Project returned.
func (c *ClassShift[F]) BackwardProject(grad, params, dx, dProjected, x []F, rows int) {
	c.in.Backward(grad, params, dx, dProjected, x, rows)
}
