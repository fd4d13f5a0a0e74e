package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// isa is an instruction set: one description of a kernel is written for both, so that both compute the same bits.
type isa struct {
	suffix string // of function names
	lanes  int    // float32 values in a vector
	zmm    bool   // AVX-512 rather than AVX2 with FMA
}

var (
	avx2   = isa{suffix: "AVX2", lanes: 8}
	avx512 = isa{suffix: "AVX512", lanes: 16, zmm: true}
)

// bytes is the size of a vector.
func (s isa) bytes() int { return 4 * s.lanes }

func (s isa) vec() reg.VecVirtual {
	if s.zmm {
		return ZMM()
	}
	return YMM()
}

func (s isa) vecs(n int) []reg.VecVirtual {
	v := make([]reg.VecVirtual, n)
	for i := range v {
		v[i] = s.vec()
	}
	return v
}

func (s isa) zero(v reg.VecVirtual) { VXORPS(v, v, v) }

// tail selects the first lanes of a vector: an opmask with AVX-512, a vector of sign bits with AVX2.
type tail struct {
	isa  isa
	mask reg.Register
}

// newTail makes the selection of the first count lanes, 0 ≤ count ≤ lanes; count is clobbered.
func (s isa) newTail(count reg.GPVirtual) tail {
	if s.zmm {
		bits, k := GP32(), K()
		MOVL(U32(0xffffffff), bits)
		BZHIL(count.As32(), bits, bits)
		KMOVW(bits, k)
		return tail{s, k}
	}
	v := YMM()
	VMOVUPS(s.tailWords(count), v)
	return tail{s, v}
}

// tailWords is the selection of newTail in memory, for AVX2 code that has no register left; count is clobbered.
func (s isa) tailWords(count reg.GPVirtual) Mem {
	table := GP64()
	LEAQ(laneTable(), table)
	SHLQ(Imm(2), count)
	SUBQ(count, table)
	return Mem{Base: table, Disp: 32}
}

// load reads the selected lanes and makes the others zero; nothing beyond the selected lanes is touched.
func (t tail) load(m Mem, v reg.VecVirtual) {
	if t.isa.zmm {
		VMOVUPS_Z(m, t.mask, v)
	} else {
		VMASKMOVPS(m, t.mask, v)
	}
}

// store writes the selected lanes.
func (t tail) store(v reg.VecVirtual, m Mem) {
	if t.isa.zmm {
		VMOVUPS(v, t.mask, m)
	} else {
		VMASKMOVPS(v, t.mask, m)
	}
}

var lanes *Mem

// laneTable is eight words of ones and eight of zeros: read at 4·(8−n) bytes it selects the first n lanes of eight.
func laneTable() Mem {
	if lanes == nil {
		m := GLOBL("laneTable", attr.RODATA|attr.NOPTR)
		for i := range 16 {
			w := uint32(0)
			if i < 8 {
				w = 0xffffffff
			}
			DATA(4*i, U32(w))
		}
		lanes = &m
	}
	return *lanes
}

var constants = map[uint32]Mem{}

// bits is a word repeated eight times in memory: an operand as it is for AVX2, to be broadcast for AVX-512.
func bits(w uint32) Mem {
	m, ok := constants[w]
	if !ok {
		m = GLOBL(fmt.Sprintf("c%08x", w), attr.RODATA|attr.NOPTR)
		for i := range 8 {
			DATA(4*i, U32(w))
		}
		constants[w] = m
	}
	return m
}

func constant(x float64) Mem { return bits(math.Float32bits(float32(x))) }
