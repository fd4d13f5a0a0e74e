package main

import (
	"iter"

	"github.com/mmcloughlin/avo/reg"
)

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

// exps returns a body for each vector that computes its exponential in place.
func exps(s isa, vectors []reg.VecVirtual) []func() {
	bodies := make([]func(), len(vectors))
	for i, v := range vectors {
		bodies[i] = func() { s.boundedExp(v) }
	}
	return bodies
}
