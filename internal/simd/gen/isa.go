package main

import (
	"fmt"
	"math"
	"math/bits"

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
	half   bool   // AVX-512 on the first half of vectors alone, for short tails: an operation takes half the time on some processors
}

var (
	avx2   = isa{suffix: "AVX2", lanes: 8}
	avx512 = isa{suffix: "AVX512", lanes: 16, zmm: true}
)

// bytes returns the size of a vector.
func (s isa) bytes() int { return 4 * s.lanes }

func (s isa) vec() reg.VecVirtual {
	if s.zmm && !s.half {
		return ZMM()
	}
	return YMM()
}

// part returns the part of a whole vector that s works on.
func (s isa) part(v reg.VecVirtual) reg.VecVirtual {
	if s.half {
		return v.AsY().(reg.VecVirtual)
	}
	return v
}

// whole returns a vector that an instruction of s has set as a whole one, whose other half is zero.
func (s isa) whole(v reg.VecVirtual) reg.VecVirtual {
	if s.half {
		return v.AsZ().(reg.VecVirtual)
	}
	return v
}

func (s isa) vecs(n int) []reg.VecVirtual {
	v := make([]reg.VecVirtual, n)
	for i := range v {
		v[i] = s.vec()
	}
	return v
}

func (s isa) zero(v reg.VecVirtual) { VXORPS(v, v, v) }

// tail selects the first lanes of a vector: by an opmask with AVX-512, by words of ones in memory with AVX2, whose
// registers are few.
type tail struct {
	isa   isa
	mask  reg.Register
	words Mem
}

// newTail makes the selection of the first count lanes, 0 ≤ count ≤ lanes; count is clobbered.
func (s isa) newTail(count reg.GPVirtual) tail {
	if s.zmm {
		ones, k := GP32(), K()
		MOVL(U32(0xffffffff), ones)
		BZHIL(count.As32(), ones, ones)
		KMOVW(ones, k)
		return tail{isa: s, mask: k}
	}
	table := GP64()
	LEAQ(laneTable(), table)
	SHLQ(Imm(2), count)
	SUBQ(count, table)
	return tail{isa: s, words: Mem{Base: table, Disp: 32}}
}

// load reads the selected lanes and makes the others zero; nothing beyond the selected lanes is touched.
func (t tail) load(m Mem, v reg.VecVirtual) {
	if t.isa.zmm {
		VMOVUPS_Z(m, t.mask, v)
	} else {
		VMOVUPS(t.words, v)
		VMASKMOVPS(m, v, v)
	}
}

// store writes the selected lanes.
func (t tail) store(v reg.VecVirtual, m Mem) {
	if t.isa.zmm {
		VMOVUPS(v, t.mask, m)
	} else {
		w := YMM()
		VMOVUPS(t.words, w)
		VMASKMOVPS(v, w, m)
	}
}

var labels int

// storeExact writes the first count lanes of v, 1 ≤ count ≤ lanes, in pieces of powers of two. A masked store holds up every
// load from the bytes it could have written: this one holds up none of the next row. v is clobbered.
func (s isa) storeExact(v reg.VecVirtual, m Mem, count reg.GPVirtual) {
	p := GP64()
	LEAQ(m, p)
	for size := s.lanes; size >= 1; size /= 2 {
		labels++
		smaller := fmt.Sprintf("smaller%d", labels)
		TESTQ(U32(uint32(size)), count)
		JZ(LabelRef(smaller))
		at := Mem{Base: p}
		switch size {
		case 16:
			VMOVUPS(v, at)
		case 8:
			VMOVUPS(v.AsY(), at)
			if s.zmm {
				VEXTRACTF64X4(Imm(1), v, v.AsY())
			}
		case 4:
			VMOVUPS(v.AsX(), at)
			if s.zmm {
				VEXTRACTF32X4(Imm(1), v.AsY(), v.AsX())
			} else {
				VEXTRACTF128(Imm(1), v.AsY(), v.AsX())
			}
		case 2:
			VMOVLPS(v.AsX(), at)
			VPERMILPS(Imm(0xee), v.AsX(), v.AsX())
		case 1:
			VMOVSS(v.AsX(), at)
		}
		ADDQ(Imm(uint64(4*size)), p)
		Label(smaller)
	}
}

// fill replaces the lanes of v that are not selected by a constant.
func (t tail) fill(v reg.VecVirtual, c float64) {
	filled := t.isa.splat(c)
	if t.isa.zmm {
		VMOVAPS(v, t.mask, filled)
		VMOVAPS(filled, v)
	} else {
		w := YMM()
		VMOVUPS(t.words, w)
		VBLENDVPS(w, v, filled, v)
	}
}

// access is how a kernel reads and writes the vector at hand: a whole one or the tail of a row.
type access struct {
	isa     isa
	tail    *tail
	ahead   int // bytes from where the pointers stand
	vectors int // the same in vectors
}

// at returns the operand of the vector at hand, given that where the pointers stand.
func (x access) at(m Mem) Mem { return m.Offset(x.ahead) }

func (x access) load(m Mem) reg.VecVirtual {
	defer pause()
	v := x.isa.vec()
	if x.tail != nil {
		x.tail.load(x.at(m), v)
	} else {
		VMOVUPS(x.at(m), v)
	}
	return v
}

func (x access) store(v reg.VecVirtual, m Mem) {
	defer pause()
	if x.tail != nil {
		x.tail.store(v, x.at(m))
	} else {
		VMOVUPS(v, x.at(m))
	}
}

// fill makes the lanes beyond the end of the row a constant.
func (x access) fill(v reg.VecVirtual, c float64) {
	if x.tail != nil {
		x.tail.fill(v, c)
	}
}

// row is the division of rows of a kernel into whole vectors and a tail.
type row struct {
	isa         isa
	whole, rest reg.GPVirtual // number of whole vectors, and bytes of the tail
	tail        tail
}

// newRow divides rows of n ≥ 0 elements; n is clobbered.
func (s isa) newRow(n reg.GPVirtual) row {
	r := row{isa: s, whole: GP64(), rest: GP64()}
	MOVQ(n, r.whole)
	SHRQ(Imm(uint64(bits.TrailingZeros(uint(s.lanes)))), r.whole)
	ANDQ(Imm(uint64(s.lanes-1)), n)
	MOVQ(n, r.rest)
	SHLQ(Imm(2), r.rest)
	r.tail = s.newTail(n)
	return r
}

// each runs body over the vectors of a row and moves the pointers forward to its end.
func (r row) each(label string, pointers []reg.Register, body func(access)) {
	count := GP64()
	MOVQ(r.whole, count)
	TESTQ(count, count)
	JZ(LabelRef(label + "Tail"))
	Label(label)
	body(access{isa: r.isa})
	for _, p := range pointers {
		ADDQ(Imm(uint64(r.isa.bytes())), p)
	}
	DECQ(count)
	JNZ(LabelRef(label))
	r.endRow(label, pointers, body)
}

// endRow runs body over the tail of a row, after its whole vectors.
func (r row) endRow(label string, pointers []reg.Register, body func(access)) {
	Label(label + "Tail")
	TESTQ(r.rest, r.rest)
	JZ(LabelRef(label + "Done"))
	body(access{isa: r.isa, tail: &r.tail})
	for _, p := range pointers {
		ADDQ(r.rest, p)
	}
	Label(label + "Done")
}

// eachPaired is each but for that it interleaves body for two vectors at a time where there are registers for both. Body must address everything from its
// access.
func (r row) eachPaired(label string, pointers []reg.Register, body func(access)) {
	r.eachFew(label, pointers, func(ats ...access) { interleaveEach(len(ats), func(i int) { body(ats[i]) }) })
}

// eachFew is eachPaired for a body that interleaves what it does with the vectors itself.
func (r row) eachFew(label string, pointers []reg.Register, body func(...access)) {
	one := func(at access) { body(at) }
	if !r.isa.zmm {
		r.each(label, pointers, one)
		return
	}
	count := GP64()
	MOVQ(r.whole, count)
	SHRQ(Imm(1), count)
	JZ(LabelRef(label + "Single"))
	Label(label + "Pair")
	body(access{isa: r.isa}, access{isa: r.isa, ahead: r.isa.bytes()})
	for _, p := range pointers {
		ADDQ(U32(uint32(2*r.isa.bytes())), p)
	}
	DECQ(count)
	JNZ(LabelRef(label + "Pair"))
	Label(label + "Single")
	TESTQ(U32(1), r.whole)
	JZ(LabelRef(label + "Tail"))
	one(access{isa: r.isa})
	for _, p := range pointers {
		ADDQ(Imm(uint64(r.isa.bytes())), p)
	}
	r.endRow(label, pointers, one)
}

// eachNarrow is each but for tails that fit into half a vector, for which body works on that, and for the blocks of each vector, at pointers that move
// forward, too. A row of a whole vector and such a tail interleaves the two. Body must take everything from its access, and address everything from it.
func (r row) eachNarrow(label string, pointers []reg.Register, walks []blockWalk, body func(access)) {
	moved := func(at access) {
		body(at)
		for _, w := range walks {
			w.forward(r.isa, 1)
		}
	}
	if !r.isa.zmm {
		r.each(label, pointers, moved)
		return
	}
	narrow := r.isa
	narrow.half = true
	short := r.tail
	short.isa = narrow
	general, end := label+"General", label+"End"
	CMPQ(r.whole, U8(1))
	JNE(LabelRef(general))
	TESTQ(r.rest, r.rest)
	JZ(LabelRef(general))
	CMPQ(r.rest, U8(uint8(r.isa.bytes()/2)))
	JG(LabelRef(general))
	both := []access{{isa: r.isa}, {isa: narrow, tail: &short, ahead: r.isa.bytes(), vectors: 1}}
	interleaveEach(len(both), func(i int) { body(both[i]) })
	for _, p := range pointers {
		LEAQ(Mem{Base: p, Index: r.rest, Scale: 1, Disp: r.isa.bytes()}, p)
	}
	for _, w := range walks {
		w.forward(r.isa, 2)
	}
	JMP(LabelRef(end))
	Label(general)
	r.each(label, pointers, func(at access) {
		if at.tail == nil {
			moved(at)
			return
		}
		long, done := label+"Long", label+"Both"
		CMPQ(r.rest, U8(uint8(r.isa.bytes()/2)))
		JG(LabelRef(long))
		moved(access{isa: narrow, tail: &short})
		JMP(LabelRef(done))
		Label(long)
		moved(at)
		Label(done)
	})
	Label(end)
}

// blockWalk is a pointer that runs through the blocks of vectors, so many for each.
type blockWalk struct {
	p      reg.Register
	blocks int
}

// forward moves the pointer over the blocks of n vectors.
func (w blockWalk) forward(s isa, n int) { ADDQ(U32(uint32(n*w.blocks*s.bytes())), w.p) }

// block returns the operand of a block of the vector at hand.
func (x access) block(w blockWalk, i int) Mem {
	return Mem{Base: w.p, Disp: (x.vectors*w.blocks + i) * x.isa.bytes()}
}

// loadBlock reads a block of the vector at hand.
func (x access) loadBlock(w blockWalk, i int) reg.VecVirtual {
	defer pause()
	v := x.isa.vec()
	VMOVUPS(x.block(w, i), v)
	return v
}

// reduce combines the lanes of v by a commutative instruction, in a fixed order, and leaves the result in all of them.
func (s isa) reduce(combine func(...Op), v reg.VecVirtual) {
	t := s.vec()
	if s.zmm {
		VSHUFF32X4(Imm(0x4e), v, v, t)
		combine(t, v, v)
		VSHUFF32X4(Imm(0xb1), v, v, t)
		combine(t, v, v)
	} else {
		VPERM2F128(Imm(1), v, v, t)
		combine(t, v, v)
	}
	for _, order := range []uint64{0x4e, 0xb1} {
		VSHUFPS(Imm(order), v, v, t)
		combine(t, v, v)
	}
}

// flushDenormals makes arithmetic treat denormal numbers as zero, which they cost hundreds of cycles not to be on many
// processors, until the function that it returns is run. Assembly is never preempted, so no Go code sees this mode.
// The change takes about as long as a row of computation, so only kernels of many rows make it; the matrix products need
// it least, as their operands come from kernels that do.
func flushDenormals() (restore func()) {
	saved := AllocLocal(8)
	mode := GP32()
	STMXCSR(saved)
	MOVL(saved, mode)
	ORL(U32(0x8040), mode)
	MOVL(mode, saved.Offset(4))
	LDMXCSR(saved.Offset(4))
	return func() { LDMXCSR(saved) }
}

var lanes *Mem

// laneTable returns eight words of ones and eight of zeros: read at 4·(8−n) bytes it selects the first n lanes of eight.
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

// word returns a value repeated eight times in memory: an operand as it is for AVX2, to be broadcast for AVX-512.
func word(w uint32) Mem {
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

func constant(x float64) Mem { return word(math.Float32bits(float32(x))) }
