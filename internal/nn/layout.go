package nn

import "github.com/tppfaas/tppfaas/internal/simd"

// Float is float32 or float64.
type Float = simd.Float

// Span is where a tensor lies in a flat vector.
type Span struct{ Offset, Len int }

// Of cuts the tensor out of a flat vector.
func Of[F Float](s Span, flat []F) []F { return flat[s.Offset : s.Offset+s.Len : s.Offset+s.Len] }

// Tensor is a named tensor of a layout, in row-major order.
type Tensor struct {
	Name  string
	Shape []int
	Span  Span
}

// Layout assigns named tensors their places in one flat vector, in the order in which they are added.
type Layout struct {
	tensors []Tensor
	size    int
}

// Add places a tensor behind the ones before.
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

// Size is the length of the flat vector.
func (l *Layout) Size() int { return l.size }

// Tensors are all tensors, in the order of their places.
func (l *Layout) Tensors() []Tensor { return l.tensors }

// Packed says how a batch of sequences is laid out in rows: first the first events of all sequences, then the second
// events of those that have one, and so on. Sequences stand in order of falling length, so the rows of a step belong
// to the first sequences of the step before.
type Packed struct {
	// Offsets[t] is the first row of step t; Offsets[len−1] is the number of rows.
	Offsets []int
}

// Pack lays out sequences of the given lengths, which must not increase. It reuses the memory of offsets.
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

// Rows is the number of rows R.
func (p Packed) Rows() int { return p.Offsets[len(p.Offsets)-1] }

// Steps is the number of steps, the length of the longest sequence.
func (p Packed) Steps() int { return len(p.Offsets) - 1 }

// Row is the row of event t of sequence b.
func (p Packed) Row(b, t int) int { return p.Offsets[t] + b }

// transpose writes the rows×cols matrix src into dst as cols×rows, block by block: lines of both stay in cache.
func transpose[F Float](dst, src []F, rows, cols int) {
	const block = 16
	for i := 0; i < rows; i += block {
		for j := 0; j < cols; j += block {
			for c := j; c < min(j+block, cols); c++ {
				line := dst[c*rows+i : c*rows+min(i+block, rows)]
				at := i*cols + c
				for r := range line {
					line[r] = src[at]
					at += cols
				}
			}
		}
	}
}

// addRows adds the rows of src, each as long as dst, to dst.
func addRows[F Float](dst, src []F) {
	n := len(dst)
	for ; len(src) >= n && n > 0; src = src[n:] {
		simd.AddScaled(dst, dst, 1, src[:n])
	}
}

// Resize makes a slice of length n, out of s's memory if that is enough. What it holds is undefined.
func Resize[F any](s []F, n int) []F {
	if cap(s) < n {
		return make([]F, n)
	}
	return s[:n]
}
