package forecast

import "slices"

// blockSize is how many values a block of sorted may hold: a value is put in or taken out by moving at most so many.
const blockSize = 512

// sorted is a multiset of values in ascending order, in blocks, so that adding, removing and finding by rank cost about the square root of its size.
type sorted struct {
	blocks [][]float64 // none is empty
	n      int
}

// Len returns the number of values.
func (s *sorted) Len() int { return s.n }

// block returns the first block whose last value is at least v, or the number of blocks.
func (s *sorted) block(v float64) int {
	i, _ := slices.BinarySearchFunc(s.blocks, v, func(b []float64, v float64) int {
		if b[len(b)-1] < v {
			return -1
		}
		return 1
	})
	return i
}

// Add puts v in.
func (s *sorted) Add(v float64) {
	s.n++
	if len(s.blocks) == 0 {
		s.blocks = append(s.blocks, append(make([]float64, 0, blockSize), v))
		return
	}
	i := min(s.block(v), len(s.blocks)-1)
	b := s.blocks[i]
	if len(b) == blockSize {
		right := append(make([]float64, 0, blockSize), b[blockSize/2:]...)
		s.blocks = slices.Insert(s.blocks, i+1, right)
		b = b[:blockSize/2]
		s.blocks[i] = b
		if v > b[len(b)-1] {
			i, b = i+1, right
		}
	}
	at, _ := slices.BinarySearch(b, v)
	s.blocks[i] = slices.Insert(b, at, v)
}

// Remove takes one v out, which must be in.
func (s *sorted) Remove(v float64) {
	i := s.block(v)
	b := s.blocks[i]
	at, _ := slices.BinarySearch(b, v)
	s.n--
	if len(b) == 1 {
		s.blocks = slices.Delete(s.blocks, i, i+1)
		return
	}
	b = slices.Delete(b, at, at+1)
	s.blocks[i] = b
	if i+1 < len(s.blocks) && len(b)+len(s.blocks[i+1]) <= blockSize/2 { // few values in many blocks would make ranks slow
		s.blocks[i] = append(b, s.blocks[i+1]...)
		s.blocks = slices.Delete(s.blocks, i+1, i+2)
	}
}

// Rank returns the value of which k are before it, 0 ≤ k < Len.
func (s *sorted) Rank(k int) float64 {
	for _, b := range s.blocks {
		if k < len(b) {
			return b[k]
		}
		k -= len(b)
	}
	panic("forecast: rank beyond the values")
}

// Quantile returns the smallest value at or above which a further one of the same distribution falls with probability at most 1 − level, as ranks
// tell it: number ⌈level·(n+1)⌉ of n, and the largest where that is beyond. There must be a value.
func (s *sorted) Quantile(level float64) float64 {
	return s.Rank(quantileRank(s.n, level))
}

// quantileRank returns how many of n values in ascending order stand before their quantile at a level.
func quantileRank(n int, level float64) int {
	k := int(level*float64(n+1) + 1 - 1e-9)
	return min(max(k, 1), n) - 1
}

// Below returns the number of values below v.
func (s *sorted) Below(v float64) int {
	n := 0
	for _, b := range s.blocks {
		if b[len(b)-1] < v {
			n += len(b)
			continue
		}
		at, _ := slices.BinarySearch(b, v)
		return n + at
	}
	return n
}
