package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// genVector writes the functions of one vector.
func genVector(s isa) {
	genMap(s, "exp", s.exp)
	genMap(s, "log", s.log)
	genMap(s, "sigmoid", s.sigmoid)
	genMap(s, "tanh", s.tanh)
	genLogNormalCDFGrad(s)
	genSum(s)
	genDot(s)
	genAddScaled(s)
	genSumExp(s)
	genSoftmaxRows(s)
}

// genMap writes dst[i] = f(src[i]) for n ≥ 0 elements; dst may be src.
func genMap(s isa, name string, f func(reg.VecVirtual)) {
	TEXT(name+s.suffix, NOSPLIT, "func(dst, src *float32, n int)")
	Pragma("noescape")
	dst := Load(Param("dst"), GP64())
	src := Load(Param("src"), GP64())
	r := s.newRow(Load(Param("n"), GP64()).(reg.GPVirtual))
	r.each("loop", []reg.Register{src, dst}, func(at access) {
		x := at.load(Mem{Base: src})
		f(x)
		at.store(x, Mem{Base: dst})
	})
	VZEROUPPER()
	RET()
}

func genLogNormalCDFGrad(s isa) {
	TEXT("logNormalCDFGrad"+s.suffix, NOSPLIT, "func(dst, derivative, src *float32, n int)")
	Pragma("noescape")
	dst := Load(Param("dst"), GP64())
	derivative := Load(Param("derivative"), GP64())
	src := Load(Param("src"), GP64())
	r := s.newRow(Load(Param("n"), GP64()).(reg.GPVirtual))
	r.each("loop", []reg.Register{src, dst, derivative}, func(at access) {
		x := at.load(Mem{Base: src})
		d := s.logNormalCDF(x)
		at.store(x, Mem{Base: dst})
		at.store(d, Mem{Base: derivative})
	})
	VZEROUPPER()
	RET()
}

// returnLane stores the first lane of v as a result.
func returnLane(v reg.VecVirtual, name string) {
	m, err := Return(name).Resolve()
	if err != nil {
		panic(err)
	}
	VMOVSS(v.AsX(), m.Addr)
}

func genSum(s isa) {
	TEXT("sum"+s.suffix, NOSPLIT, "func(x *float32, n int) (total float32)")
	Pragma("noescape")
	x := Load(Param("x"), GP64())
	r := s.newRow(Load(Param("n"), GP64()).(reg.GPVirtual))
	total := s.vec()
	s.zero(total)
	r.each("loop", []reg.Register{x}, func(at access) {
		VADDPS(at.load(Mem{Base: x}), total, total)
	})
	s.reduce(VADDPS, total)
	returnLane(total, "total")
	VZEROUPPER()
	RET()
}

func genDot(s isa) {
	TEXT("dot"+s.suffix, NOSPLIT, "func(a, b *float32, n int) (total float32)")
	Pragma("noescape")
	a := Load(Param("a"), GP64())
	b := Load(Param("b"), GP64())
	r := s.newRow(Load(Param("n"), GP64()).(reg.GPVirtual))
	total := s.vec()
	s.zero(total)
	r.each("loop", []reg.Register{a, b}, func(at access) {
		VFMADD231PS(at.load(Mem{Base: a}), at.load(Mem{Base: b}), total)
	})
	s.reduce(VADDPS, total)
	returnLane(total, "total")
	VZEROUPPER()
	RET()
}

// genAddScaled writes dst = a + scale·b; dst may be a or b.
func genAddScaled(s isa) {
	TEXT("addScaled"+s.suffix, NOSPLIT, "func(dst, a *float32, scale float32, b *float32, n int)")
	Pragma("noescape")
	dst := Load(Param("dst"), GP64())
	a := Load(Param("a"), GP64())
	b := Load(Param("b"), GP64())
	r := s.newRow(Load(Param("n"), GP64()).(reg.GPVirtual))
	scale := s.broadcast("scale")
	r.each("loop", []reg.Register{a, b, dst}, func(at access) {
		v := at.load(Mem{Base: a})
		VFMADD231PS(at.load(Mem{Base: b}), scale, v)
		at.store(v, Mem{Base: dst})
	})
	VZEROUPPER()
	RET()
}

// broadcast returns a vector of a float32 parameter.
func (s isa) broadcast(parameter string) reg.VecVirtual {
	m, err := Param(parameter).Resolve()
	if err != nil {
		panic(err)
	}
	v := s.vec()
	VBROADCASTSS(m.Addr, v)
	return v
}

// lowest is where maxima start, finite so that −Inf less the maximum of nothing but −Inf is not NaN.
const lowest = -math.MaxFloat32

// genMax leaves the maximum of a row in all lanes of the result, and the pointer back at the start of the row.
func genMax(s isa, r row, x reg.Register, bytes reg.Register) reg.VecVirtual {
	peak := s.splat(lowest)
	r.each("max", []reg.Register{x}, func(at access) {
		v := at.load(Mem{Base: x})
		at.fill(v, lowest)
		VMAXPS(v, peak, peak)
	})
	SUBQ(bytes, x)
	s.reduce(VMAXPS, peak)
	return peak
}

// genSumExp writes the maximum of a row and Σ exp(x − maximum).
func genSumExp(s isa) {
	TEXT("sumExp"+s.suffix, NOSPLIT, "func(x *float32, n int) (peak, total float32)")
	Pragma("noescape")
	x := Load(Param("x"), GP64())
	bytes := Load(Param("n"), GP64())
	SHLQ(Imm(2), bytes)
	r := s.newRow(Load(Param("n"), GP64()).(reg.GPVirtual))
	peak := genMax(s, r, x, bytes)
	total := s.vec()
	s.zero(total)
	r.each("exp", []reg.Register{x}, func(at access) {
		v := at.load(Mem{Base: x})
		at.fill(v, math.Inf(-1))
		VSUBPS(peak, v, v)
		s.boundedExp(v)
		VADDPS(v, total, total)
	})
	s.reduce(VADDPS, total)
	returnLane(peak, "peak")
	returnLane(total, "total")
	VZEROUPPER()
	RET()
}

// softmaxVectors is how many vectors of a row softmaxRows keeps in registers.
const softmaxVectors = 4

// genSoftmaxRows writes dst = scale·softmax(src) for rows of n ≥ 1 elements, and the maximum and Σ exp(x − maximum) of
// each; dst may be src. Short rows, as of marks, stay in registers.
func genSoftmaxRows(s isa) {
	TEXT("softmaxRows"+s.suffix, NOSPLIT, "func(rows, n int, dst, src *float32, scale float32, peak, total *float32)")
	Pragma("noescape")
	dst := Load(Param("dst"), GP64())
	src := Load(Param("src"), GP64())
	peaks := Load(Param("peak"), GP64())
	totals := Load(Param("total"), GP64())
	bytes := Load(Param("n"), GP64())
	SHLQ(Imm(2), bytes)
	finish := func(peak, total reg.VecVirtual) (factor reg.VecVirtual) {
		s.reduce(VADDPS, total)
		VMOVSS(peak.AsX(), Mem{Base: peaks})
		VMOVSS(total.AsX(), Mem{Base: totals})
		ADDQ(Imm(4), peaks)
		ADDQ(Imm(4), totals)
		factor = s.broadcast("scale")
		VDIVPS(total, factor, factor)
		return factor
	}
	for n := 1; n <= softmaxVectors; n++ {
		CMPQ(bytes, U32(uint32(n*s.bytes())))
		JLE(LabelRef(fmt.Sprintf("short%d", n)))
	}

	r := s.newRow(Load(Param("n"), GP64()).(reg.GPVirtual))
	eachRow("long", func() {
		peak, total := genMax(s, r, src, bytes), s.vec()
		s.zero(total)
		r.each("exp", []reg.Register{src, dst}, func(at access) {
			v := at.load(Mem{Base: src})
			at.fill(v, math.Inf(-1))
			VSUBPS(peak, v, v)
			s.boundedExp(v)
			VADDPS(v, total, total)
			at.store(v, Mem{Base: dst})
		})
		SUBQ(bytes, dst)
		factor := finish(peak, total)
		r.each("scaled", []reg.Register{dst}, func(at access) {
			v := at.load(Mem{Base: dst})
			VMULPS(factor, v, v)
			at.store(v, Mem{Base: dst})
		})
	})
	VZEROUPPER()
	RET()

	for n := 1; n <= softmaxVectors; n++ {
		Label(fmt.Sprintf("short%d", n))
		count := Load(Param("n"), GP64()).(reg.GPVirtual)
		SUBQ(U32(uint32((n-1)*s.lanes)), count)
		rest := GP64()
		MOVQ(count, rest)
		t := s.newTail(count)
		eachRow(fmt.Sprintf("row%d", n), func() {
			at := make([]access, n)
			v := make([]reg.VecVirtual, n)
			peak, total := s.vec(), s.vec()
			for i := range v {
				at[i].isa = s
				if i == n-1 {
					at[i].tail = &t
				}
				v[i] = at[i].load(Mem{Base: src, Disp: i * s.bytes()})
				at[i].fill(v[i], lowest)
			}
			VMAXPS(v[n-1], s.splat(lowest), peak)
			for _, x := range v[:n-1] {
				VMAXPS(x, peak, peak)
			}
			s.reduce(VMAXPS, peak)
			s.zero(total)
			for i, x := range v {
				at[i].fill(x, math.Inf(-1))
				VSUBPS(peak, x, x)
			}
			s.interleave(bodiesOf(len(v), func(i int) { s.boundedExp(v[i]) })...)
			for _, x := range v {
				VADDPS(x, total, total)
			}
			factor := finish(peak, total)
			for i, x := range v {
				VMULPS(factor, x, x)
				if to := (Mem{Base: dst, Disp: i * s.bytes()}); i < n-1 {
					VMOVUPS(x, to)
				} else {
					s.storeExact(x, to, rest)
				}
			}
			ADDQ(bytes, src)
			ADDQ(bytes, dst)
		})
		VZEROUPPER()
		RET()
	}
}
