package nn

import "github.com/tppfaas/tppfaas/internal/simd"

// Float is float32 or float64.
type Float = simd.Float

// Span is the position of a tensor in a flat vector.
type Span struct{ Offset, Len int }

// Of returns the part of a flat vector that the span covers.
func Of[F Float](s Span, flat []F) []F { return flat[s.Offset : s.Offset+s.Len : s.Offset+s.Len] }

// Tensor is a named tensor of a layout, in row-major order.
type Tensor struct {
	Name  string
	Shape []int
	Span  Span
}

// Layout assigns named tensors their places in one flat vector, in the order in which they are added. The zero value is an
// empty layout.
type Layout struct {
	tensors []Tensor
	size    int
}

// Add appends a tensor and returns its position.
func (l *Layout) Add(name string, shape ...int) Span {
	n := 1
	for _, s := range shape {
		n *= s
	}
	span := Span{l.size, n}
	l.size += n
	l.tensors = append(l.tensors, Tensor{name, shape, span})
	return span
}

// Size returns the length of the flat vector.
func (l *Layout) Size() int { return l.size }

// Tensors returns all tensors, in the order in which they were added.
func (l *Layout) Tensors() []Tensor { return l.tensors }

// Packed describes how a batch of sequences is laid out in rows: the first events of all sequences, then the second events
// of those that have one, and so on, as in PyTorch's PackedSequence. Sequences are in order of descending length, so the
// rows of a step belong to the first sequences of the step before.
type Packed struct {
	// Offsets[t] is the first row of step t; Offsets[len−1] is the number of rows.
	Offsets []int
}

// Pack returns the layout of sequences of the given lengths, which must be in descending order. It reuses the memory of
// offsets.
func Pack(lengths []int, offsets []int) Packed {
	offsets = append(offsets[:0], 0)
	active := len(lengths)
	for t, row := 0, 0; ; t++ {
		for active > 0 && lengths[active-1] <= t {
			active--
		}
		if active == 0 {
			return Packed{offsets}
		}
		row += active
		offsets = append(offsets, row)
	}
}

// Rows returns the number of rows R.
func (p Packed) Rows() int { return p.Offsets[len(p.Offsets)-1] }

// Steps returns the number of steps, the length of the longest sequence.
func (p Packed) Steps() int { return len(p.Offsets) - 1 }

// Row returns the row of event t of sequence b.
func (p Packed) Row(b, t int) int { return p.Offsets[t] + b }

// Resize returns a slice of length n, in the memory of s if its capacity suffices. The content is undefined.
func Resize[F any](s []F, n int) []F {
	if cap(s) < n {
		return make([]F, n)
	}
	return s[:n]
}
