package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// genVector writes the functions of one vector.
func genVector(s isa) {
	genMap(s, "exp", func(x reg.VecVirtual) { s.exp(x, false) })
	genMap(s, "log", s.log)
	genMap(s, "sigmoid", s.sigmoid)
	genMap(s, "tanh", s.tanh)
}

// genMap writes dst[i] = f(src[i]) for n ≥ 0 elements; dst may be src.
func genMap(s isa, name string, f func(reg.VecVirtual)) {
	TEXT(name+s.suffix, NOSPLIT, "func(dst, src *float32, n int)")
	Pragma("noescape")
	dst := Load(Param("dst"), GP64())
	src := Load(Param("src"), GP64())
	n := Load(Param("n"), GP64()).(reg.GPVirtual)
	SUBQ(Imm(uint64(s.lanes)), n)
	JLT(LabelRef("tail"))
	Label("loop")
	x := s.vec()
	VMOVUPS(Mem{Base: src}, x)
	f(x)
	VMOVUPS(x, Mem{Base: dst})
	ADDQ(Imm(uint64(s.bytes())), src)
	ADDQ(Imm(uint64(s.bytes())), dst)
	SUBQ(Imm(uint64(s.lanes)), n)
	JGE(LabelRef("loop"))
	Label("tail")
	ADDQ(Imm(uint64(s.lanes)), n)
	JZ(LabelRef("done"))
	t := s.newTail(n)
	x = s.vec()
	t.load(Mem{Base: src}, x)
	f(x)
	t.store(x, Mem{Base: dst})
	Label("done")
	VZEROUPPER()
	RET()
}
