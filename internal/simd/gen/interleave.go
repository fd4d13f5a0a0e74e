package main

import "iter"

// pause lets the other bodies of interleave write their next instructions. The helpers of isa and access call it; outside of interleave it does nothing.
var pause = func() {}

// interleave is interleave with AVX-512; AVX2 has too few registers, and has the bodies one after the other.
func (s isa) interleave(bodies ...func()) {
	if s.zmm {
		interleave(bodies...)
		return
	}
	for _, body := range bodies {
		body()
	}
}

// interleave writes the instructions of several bodies in turn. A body is one long chain of dependent instructions: the processor holds too few that wait to
// find those of the next chain behind it, so what is independent must stand side by side. Bodies must neither branch nor change what another one reads.
func interleave(bodies ...func()) {
	outer := pause
	defer func() { pause = outer }()
	type chain struct {
		next  func() (struct{}, bool)
		pause func()
	}
	chains := make([]*chain, len(bodies))
	for i, body := range bodies {
		c := &chain{}
		next, stop := iter.Pull(func(yield func(struct{}) bool) {
			c.pause = func() { yield(struct{}{}) }
			pause = c.pause
			body()
		})
		defer stop()
		c.next = next
		chains[i] = c
	}
	for len(chains) > 0 {
		left := chains[:0]
		for _, c := range chains {
			if c.pause != nil {
				pause = c.pause
			}
			if _, more := c.next(); more {
				left = append(left, c)
			}
		}
		chains = left
		pause = outer
		outer()
	}
}

// interleaveEach interleaves body for n indices.
func interleaveEach(n int, body func(i int)) { interleave(bodiesOf(n, body)...) }

// bodiesOf returns body for each of n indices.
func bodiesOf(n int, body func(i int)) []func() {
	bodies := make([]func(), n)
	for i := range bodies {
		bodies[i] = func() { body(i) }
	}
	return bodies
}
