package newsvendor

import "math/bits"

// pool has memory for lists that come and go, by their capacity: powers of two. What is given back is given out again, as long as it is not more than
// most elements altogether; the rest is left to the garbage collector, so that the memory of a burst is not kept for ever.
type pool[T any] struct {
	free [poolClasses][][]T
	kept int // elements of all that is free
	most int
}

const (
	poolClasses  = 24
	leastPooled  = 4 // elements
	mostExpected = 1 << 17
	mostArrived  = 1 << 17
	// mostSpare is how many traces, and how many boxes, are kept for others to come.
	mostSpare = 1 << 14
)

// classOf returns the least class whose lists hold n elements.
func classOf(n int) int { return bits.Len(uint(max(n, leastPooled) - 1)) }

// grow returns the list with room for n elements in all. The list must not be used any more.
func (p *pool[T]) grow(list []T, n int) []T {
	if n <= cap(list) {
		return list
	}
	own := p.take(n)[:len(list)]
	copy(own, list)
	p.give(list)
	return own
}

func (p *pool[T]) take(n int) []T {
	class := classOf(n)
	if class < poolClasses {
		if k := len(p.free[class]); k > 0 {
			list := p.free[class][k-1]
			p.free[class] = p.free[class][:k-1]
			p.kept -= cap(list)
			return list
		}
	}
	return make([]T, 0, 1<<class)
}

// give gives a list back.
func (p *pool[T]) give(list []T) {
	n := cap(list)
	class := classOf(n)
	if n != 1<<class || class >= poolClasses || p.kept+n > p.most {
		return
	}
	p.kept += n
	p.free[class] = append(p.free[class], list[:0])
}
