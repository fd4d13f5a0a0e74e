package simd

import "unsafe"

// LogisticMixtures evaluates mixtures of k logistic distributions: rows of k locations, k log scales, which are bounded by MinLogScale and MaxLogScale, k
// logits and what else there may be. The zero value is ready to use; it keeps the memory of the largest batch.
type LogisticMixtures[T Float] struct {
	k, size, rows int
	work, ticks   []T // of the rows, and of those with a tick
}

// The blocks of a row in work, and of a tick in ticks, of portable Go: the weight, the precision, the argument and the survival at the first and the
// second number; the width of the tick in units of the scale, 1 minus the survival at its upper end, and its mass.
const (
	mixtureBlocks = 6
	tickBlocks    = 3
)

// mixtureRows is the number of rows that a kernel takes at a time, so few that their work stays in the first-level cache.
const mixtureRows = 16

// blocks returns block i of a row of blocks.
func blocks[T Float](row []T, k, i int) []T { return row[i*k:][:k:k] }

func grow[T Float](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// Survivals sets survivals[2i] and survivals[2i+1] to the probabilities that the mixture of row i, of size numbers, gives to what is above at[2i] and
// above at[2i+1].
func (m *LogisticMixtures[T]) Survivals(survivals, outs []T, size, k int, at []T) {
	m.k, m.size, m.rows = k, size, len(at)/2
	if m.rows == 0 || k == 0 {
		return
	}
	survivals = first(survivals, 2*m.rows)
	_ = outs[(m.rows-1)*size+3*k-1]
	if fast[T]() {
		n := mixtureBlocks * paddedComponents(k)
		m.work = grow(m.work, m.rows*n)
		for i := 0; i < m.rows; i += mixtureRows {
			rows := min(mixtureRows, m.rows-i)
			logisticRowsFast(rows, k, f32(outs[i*size:]), size, f32(at[2*i:]), f32(m.work[i*n:]), f32(survivals[2*i:]))
		}
		return
	}
	m.work = grow(m.work, m.rows*mixtureBlocks*k)
	for i := range m.rows {
		row, w := outs[i*size:], m.row(i)
		weights, precisions := blocks(w, k, 0), blocks(w, k, 1)
		Softmax(weights, row[2*k:3*k])
		LogisticPrecisions(precisions, row[k:2*k])
		for j := range 2 {
			u, s := blocks(w, k, 2+2*j), blocks(w, k, 3+2*j)
			for c, p := range precisions {
				u[c] = (row[c] - at[2*i+j]) * p
			}
			Sigmoid(s, u)
			survivals[2*i+j] = Dot(weights, s)
		}
	}
}

// row returns the blocks of a row of portable Go.
func (m *LogisticMixtures[T]) row(i int) []T {
	n := mixtureBlocks * m.k
	return m.work[i*n : (i+1)*n]
}

// Ticks sets masses to the probabilities of intervals, each from the second number of one of the rows of Survivals on and with a width.
//
// With s the survival of a component, s(a) − s(b) = s(a)·(1 − s(b))·(1 − exp(−(b − a))), which does not cancel; nor does 1 − s, which is the survival at
// minus the argument.
func (m *LogisticMixtures[T]) Ticks(masses []T, rows []int32, widths []T) {
	if len(rows) == 0 || m.k == 0 {
		return
	}
	masses, widths = first(masses, len(rows)), first(widths, len(rows))
	checkInt32(rows, m.rows)
	if fast[T]() {
		padded := paddedComponents(m.k)
		m.ticks = grow(m.ticks, len(rows)*tickBlocks*padded)
		logisticTicksFast(m.k, rows, f32(m.work), mixtureBlocks*padded, f32(widths), f32(m.ticks), f32(masses))
		return
	}
	m.ticks = grow(m.ticks, len(rows)*tickBlocks*m.k)
	for i, at := range rows {
		w, t := m.row(int(at)), m.ticks[i*tickBlocks*m.k:]
		own, to, share := blocks(t, m.k, 0), blocks(t, m.k, 1), blocks(t, m.k, 2)
		u, from := blocks(w, m.k, 4), blocks(w, m.k, 5)
		for c, p := range blocks(w, m.k, 1) {
			own[c] = widths[i] * p
			to[c] = own[c] - u[c]
			share[c] = own[c] / 2
		}
		Sigmoid(to, to)
		Tanh(share, share)
		for c, v := range share {
			share[c] = from[c] * to[c] * 2 * v / (1 + v)
		}
		masses[i] = Dot(blocks(w, m.k, 0), share)
	}
}

// LogisticSlopes are the slopes of what is differentiated with respect to two probabilities of a row, and these.
type LogisticSlopes[T Float] struct{ Slope1, Slope2, Probability1, Probability2 T }

// Grad replaces some of the rows of Survivals by the gradient with respect to them, given the slopes for their two survivals.
func (m *LogisticMixtures[T]) Grad(outs []T, rows []int32, slopes []LogisticSlopes[T]) {
	if !m.check(outs, rows, slopes) {
		return
	}
	if fast[T]() {
		logisticRowsGradFast(m.k, rows, f32(outs), m.size, f32(m.work), mixtureBlocks*paddedComponents(m.k), slopes32(slopes))
		return
	}
	for i, at := range rows {
		n, w := slopes[i], m.row(int(at))
		u1, s1, u2, s2 := blocks(w, m.k, 2), blocks(w, m.k, 3), blocks(w, m.k, 4), blocks(w, m.k, 5)
		m.setRow(outs[int(at)*m.size:], w, func(c int) (location, scale, logit T) {
			d1, d2 := s1[c]*(1-s1[c])*n.Slope1, s2[c]*(1-s2[c])*n.Slope2
			return d1 + d2, d1*u1[c] + d2*u2[c], (s1[c]-n.Probability1)*n.Slope1 + (s2[c]-n.Probability2)*n.Slope2
		})
	}
}

// TicksGrad is Grad for the rows of Ticks, given the slopes for the first survival of each and for its mass.
func (m *LogisticMixtures[T]) TicksGrad(outs []T, rows []int32, slopes []LogisticSlopes[T]) {
	if !m.check(outs, rows, slopes) {
		return
	}
	if fast[T]() {
		logisticTicksGradFast(m.k, rows, f32(outs), m.size, f32(m.work), mixtureBlocks*paddedComponents(m.k), f32(m.ticks), slopes32(slopes))
		return
	}
	for i, at := range rows {
		n, w, t := slopes[i], m.row(int(at)), m.ticks[i*tickBlocks*m.k:]
		u1, s1, u2, from := blocks(w, m.k, 2), blocks(w, m.k, 3), blocks(w, m.k, 4), blocks(w, m.k, 5)
		width, to, share := blocks(t, m.k, 0), blocks(t, m.k, 1), blocks(t, m.k, 2)
		m.setRow(outs[int(at)*m.size:], w, func(c int) (location, scale, logit T) {
			d, a, b := s1[c]*(1-s1[c])*n.Slope1, from[c], to[c]
			slope := share[c] * (b - a)
			return d + slope*n.Slope2, d*u1[c] + n.Slope2*(slope*u2[c]+b*(a-share[c])*width[c]), // a − share is the survival at the upper end
				(s1[c]-n.Probability1)*n.Slope1 + (share[c]-n.Probability2)*n.Slope2
		})
	}
}

// check reports whether there is a gradient to compute, and panics if an argument is too short.
func (m *LogisticMixtures[T]) check(outs []T, rows []int32, slopes []LogisticSlopes[T]) bool {
	if len(rows) == 0 || m.k == 0 {
		return false
	}
	checkInt32(rows, m.rows)
	_, _ = outs[(m.rows-1)*m.size+3*m.k-1], slopes[len(rows)-1]
	return true
}

// setRow sets a row to its gradient, of which each returns for a component what is to be multiplied by weight·precision, −weight, and weight.
func (m *LogisticMixtures[T]) setRow(out, w []T, each func(c int) (location, scale, logit T)) {
	precisions := blocks(w, m.k, 1)
	for c, weight := range blocks(w, m.k, 0) {
		location, scale, logit := each(c)
		v := out[m.k+c]
		out[c], out[m.k+c], out[2*m.k+c] = weight*precisions[c]*location, 0, weight*logit
		if v > MinLogScale && v < MaxLogScale {
			out[m.k+c] = -weight * scale
		}
	}
}

// slopes32 returns slopes as four numbers each in the same memory; T must be of four bytes.
func slopes32[T Float](slopes []LogisticSlopes[T]) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(slopes))), 4*len(slopes))
}
