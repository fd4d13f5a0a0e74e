package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The kernels here evaluate rows of mixtures of k logistic distributions, [locations | log scales | logits | …] of size numbers each. What the backward
// pass needs stands in work: for each vector of components of a row the blocks below, a vector each. Those of a tick stand apart.
const (
	blockWeight = iota
	blockPrecision
	blockU1 // (location − y)·precision at the first argument, and the survival there
	blockS1
	blockU2 // the same at the second one
	blockS2
	mixtureBlocks
)

const (
	tickWidth = iota // in units of the scale
	tickTo           // 1 minus the survival at the upper end
	tickShare        // the mass of the component
	tickBlocks
)

// loadParam loads a parameter anew, as there are too few registers for all of them, times 2^shift.
func loadParam(name string, shift int) reg.GPVirtual {
	r := Load(Param(name), GP64()).(reg.GPVirtual)
	if shift > 0 {
		SHLQ(Imm(uint64(shift)), r)
	}
	return r
}

// rowAt returns the pointer to a row, of so many elements, that an index in memory tells.
func rowAt(base, size string, index reg.Register) reg.Register {
	row := GP64()
	MOVLQSX(Mem{Base: index}, row)
	IMULQ(loadParam(size, 2), row)
	ADDQ(loadParam(base, 0), row)
	return row
}

// genLogisticRows writes work and the two survivals of each row, at its two numbers in y. Each part of the work is done for all rows before the next one
// is begun: a row is one long chain of dependent instructions, and the processor overlaps those of several rows only if they are short.
func genLogisticRows(s isa) {
	TEXT("logisticRows"+s.suffix, NOSPLIT, "func(rows, k int, outs *float32, size int, y, work, survivals *float32)")
	Pragma("noescape")
	bytes := loadParam("k", 2)
	r := s.newRow(Load(Param("k"), GP64()).(reg.GPVirtual))
	next := loadParam("size", 2) // from the end of the third part of a row to that of the next one
	for range 3 {
		SUBQ(bytes, next)
	}

	logits := loadParam("outs", 0)
	work, w := blockWalk{loadParam("work", 0), mixtureBlocks}, blockWalk{GP64(), mixtureBlocks}
	LEAQ(Mem{Base: logits, Index: bytes, Scale: 2}, logits)
	eachRow("weights", func() {
		peak, total := genMax(s, r, logits, bytes), s.vec()
		s.zero(total)
		MOVQ(work.p, w.p)
		r.eachNarrow("exp", []reg.Register{logits}, []blockWalk{w}, func(at access) {
			s, v := at.isa, at.load(Mem{Base: logits})
			at.fill(v, math.Inf(-1))
			VSUBPS(s.part(peak), v, v)
			s.boundedExp(v)
			VADDPS(s.whole(v), total, total)
			VMOVUPS(v, at.block(w, blockWeight))
		})
		s.reduce(VADDPS, total)
		factor := s.splat(1)
		VDIVPS(total, factor, factor)
		r.eachNarrow("weight", nil, []blockWalk{work}, func(at access) {
			s := at.isa
			weight := at.loadBlock(work, blockWeight)
			VMULPS(s.part(factor), weight, weight)
			VMOVUPS(weight, at.block(work, blockWeight))
		})
		ADDQ(next, logits)
		LEAQ(Mem{Base: logits, Index: bytes, Scale: 2}, logits)
	})

	outs, y := loadParam("outs", 0), loadParam("y", 0)
	Load(Param("work"), work.p)
	eachRow("components", func() {
		var at2 [2]reg.VecVirtual
		for i := range at2 {
			at2[i] = s.vec()
			VBROADCASTSS(Mem{Base: y, Disp: 4 * i}, at2[i])
		}
		r.eachNarrow("component", []reg.Register{outs}, []blockWalk{work}, func(at access) {
			s := at.isa
			precision, location := at.load(Mem{Base: outs, Index: bytes, Scale: 1}), at.load(Mem{Base: outs})
			s.precision(precision)
			VMOVUPS(precision, at.block(work, blockPrecision))
			argument := func(i int) func() {
				return func() {
					u := s.vec()
					VSUBPS(s.part(at2[i]), location, u)
					VMULPS(precision, u, u)
					VMOVUPS(u, at.block(work, blockU1+2*i))
					s.sigmoid(u)
					VMOVUPS(u, at.block(work, blockS1+2*i))
				}
			}
			s.interleave(argument(0), argument(1))
		})
		ADDQ(Imm(8), y)
		LEAQ(Mem{Base: outs, Index: bytes, Scale: 2}, outs)
		ADDQ(next, outs)
	})

	survivals := loadParam("survivals", 0)
	Load(Param("work"), work.p)
	eachRow("sums", func() {
		sums := [2]reg.VecVirtual{s.vec(), s.vec()}
		for _, v := range sums {
			s.zero(v)
		}
		r.eachNarrow("sum", nil, []blockWalk{work}, func(at access) {
			s := at.isa
			weight := at.loadBlock(work, blockWeight)
			for i := range sums {
				survival := at.loadBlock(work, blockS1+2*i)
				at.fill(survival, 0)
				VFMADD231PS(s.whole(survival), s.whole(weight), sums[i])
			}
		})
		for i := range sums {
			s.reduce(VADDPS, sums[i])
			VMOVSS(sums[i].AsX(), Mem{Base: survivals, Disp: 4 * i})
		}
		ADDQ(Imm(8), survivals)
	})
	VZEROUPPER()
	RET()
}

// genLogisticRowsGrad replaces rows by the gradient of g1 times the survival at the first argument plus g2 times that at the second one: with s1 and s2
// the survivals of a component, m1 and m2 those of the mixture, d1 = s1·(1−s1)·g1 and d2 = s2·(1−s2)·g2,
//
//	location = weight·precision·(d1 + d2)
//	scale    = −weight·(d1·u1 + d2·u2)              where the log scale is between the bounds
//	logit    = weight·((s1 − m1)·g1 + (s2 − m2)·g2)
//
// The numbers of each row are g1, g2, m1 and m2. No product is fused with a sum.
func genLogisticRowsGrad(s isa) {
	TEXT("logisticRowsGrad"+s.suffix, NOSPLIT, "func(rows, k int, index *int32, outs *float32, size int, work *float32, workSize int, numbers *float32)")
	Pragma("noescape")
	p := loadAll("index", "numbers")
	index, numbers := p[0], p[1]
	bytes := loadParam("k", 2)
	r := s.newRow(Load(Param("k"), GP64()).(reg.GPVirtual))
	eachRow("row", func() {
		out, w := rowAt("outs", "size", index), blockWalk{rowAt("work", "workSize", index), mixtureBlocks}
		n := s.vecs(4)
		for i := range n {
			VBROADCASTSS(Mem{Base: numbers, Disp: 4 * i}, n[i])
		}
		g, m := n[:2], n[2:]
		r.eachNarrow("component", []reg.Register{out}, []blockWalk{w}, func(at access) {
			s := at.isa
			logScale := at.load(third(out, bytes, 1))
			var d, logit [2]reg.VecVirtual
			for i := range d {
				survival := at.loadBlock(w, blockS1+2*i)
				d[i], logit[i] = s.splat(1), s.vec()
				VSUBPS(survival, d[i], d[i])
				VMULPS(survival, d[i], d[i])
				VMULPS(s.part(g[i]), d[i], d[i])
				VSUBPS(s.part(m[i]), survival, logit[i])
				VMULPS(s.part(g[i]), logit[i], logit[i])
			}
			weight, location := at.loadBlock(w, blockWeight), s.vec()
			VADDPS(d[1], d[0], location)
			VADDPS(logit[1], logit[0], logit[0])
			VMULPS(weight, logit[0], logit[0])
			for i := range d {
				VMULPS(at.block(w, blockU1+2*i), d[i], d[i])
			}
			VADDPS(d[1], d[0], d[0])
			VMULPS(weight, d[0], d[0])
			VMULPS(at.block(w, blockPrecision), weight, weight)
			VMULPS(location, weight, location)
			s.storeGradient(at, out, bytes, logScale, location, d[0], logit[0])
		})
		ADDQ(Imm(4), index)
		ADDQ(Imm(16), numbers)
	})
	VZEROUPPER()
	RET()
}

// storeGradient writes the gradients of a vector of components at out, of whose log scales −scale is the one where these are between the bounds. A zero
// is positive.
func (s isa) storeGradient(at access, out, bytes reg.Register, logScale, location, scale, logit reg.VecVirtual) {
	zero, d := s.vec(), s.vec()
	s.zero(zero)
	VSUBPS(scale, zero, d)
	s.blend(s.compare(notGreater, logScale, minLogScale), zero, d)
	s.blend(s.compare(notLess, logScale, maxLogScale), zero, d)
	VADDPS(zero, location, location)
	VADDPS(zero, logit, logit)
	for i, v := range []reg.VecVirtual{location, d, logit} {
		at.store(v, third(out, bytes, i))
	}
}

// genLogisticTicks writes, for rows of work, the mass of the tick that begins at the second argument and has a width, and what its gradient needs. With s
// the survival of a component, s(a) − s(b) = s(a)·(1 − s(b))·(1 − exp(−(b − a))), which does not cancel; nor does 1 − s, which is the survival at
// minus the argument.
func genLogisticTicks(s isa) {
	TEXT("logisticTicks"+s.suffix, NOSPLIT, "func(rows, k int, index *int32, work *float32, workSize int, widths, ticks, masses *float32)")
	Pragma("noescape")
	p := loadAll("index", "widths", "ticks", "masses")
	index, widths, ticks, masses := p[0], p[1], blockWalk{p[2], tickBlocks}, p[3]
	r := s.newRow(Load(Param("k"), GP64()).(reg.GPVirtual))
	eachRow("row", func() {
		w := blockWalk{rowAt("work", "workSize", index), mixtureBlocks}
		width, mass := s.vec(), s.vec()
		VBROADCASTSS(Mem{Base: widths}, width)
		s.zero(mass)
		r.eachNarrow("component", nil, []blockWalk{w, ticks}, func(at access) {
			s := at.isa
			own, to, t := at.loadBlock(w, blockPrecision), s.vec(), s.vec()
			VMULPS(own, s.part(width), own)
			VMOVUPS(own, at.block(ticks, tickWidth))
			VSUBPS(at.block(w, blockU2), own, to)
			s.mul(0.5, own, t)
			s.interleave(func() { s.sigmoid(to) }, func() { s.tanh(t) })
			VMOVUPS(to, at.block(ticks, tickTo))
			share, one := at.loadBlock(w, blockS2), s.vec()
			VMULPS(to, share, share)
			s.mul(2, share, share)
			VMULPS(t, share, share)
			s.add(1, t, one)
			VDIVPS(one, share, share)
			at.fill(share, 0)
			VMOVUPS(share, at.block(ticks, tickShare))
			VFMADD231PS(s.whole(at.loadBlock(w, blockWeight)), s.whole(share), mass)
		})
		s.reduce(VADDPS, mass)
		VMOVSS(mass.AsX(), Mem{Base: masses})
		ADDQ(Imm(4), index)
		ADDQ(Imm(4), widths)
		ADDQ(Imm(4), masses)
	})
	VZEROUPPER()
	RET()
}

// genLogisticTicksGrad replaces rows by the gradient of g1 times the survival at the first argument plus g2 times the mass of the tick: with a and b the
// survival at its lower end and 1 minus that at its upper one, s its mass, d = s1·(1−s1)·g1 and slope = s·(b − a),
//
//	location = weight·precision·(d + slope·g2)
//	scale    = −weight·(d·u1 + g2·(slope·u2 + b·(a−s)·width))    where the log scale is between the bounds; a−s is the survival at the upper end
//	logit    = weight·((s1 − m1)·g1 + (s − m2)·g2)
//
// The numbers of each row are g1, g2, m1 and m2. No product is fused with a sum.
func genLogisticTicksGrad(s isa) {
	TEXT("logisticTicksGrad"+s.suffix, NOSPLIT, "func(rows, k int, index *int32, outs *float32, size int, work *float32, workSize int, ticks, numbers *float32)")
	Pragma("noescape")
	p := loadAll("index", "ticks", "numbers")
	index, ticks, numbers := p[0], blockWalk{p[1], tickBlocks}, p[2]
	bytes := loadParam("k", 2)
	r := s.newRow(Load(Param("k"), GP64()).(reg.GPVirtual))
	eachRow("row", func() {
		out, w := rowAt("outs", "size", index), blockWalk{rowAt("work", "workSize", index), mixtureBlocks}
		n := s.vecs(4)
		for i := range n {
			VBROADCASTSS(Mem{Base: numbers, Disp: 4 * i}, n[i])
		}
		g1, g2, m1, m2 := n[0], n[1], n[2], n[3]
		r.eachNarrow("component", []reg.Register{out}, []blockWalk{w, ticks}, func(at access) {
			s := at.isa
			g1, g2, m1, m2 := s.part(g1), s.part(g2), s.part(m1), s.part(m2)
			logScale, survival, d, logit := at.load(third(out, bytes, 1)), at.loadBlock(w, blockS1), s.splat(1), s.vec()
			VSUBPS(survival, d, d)
			VMULPS(survival, d, d)
			VMULPS(g1, d, d)
			VSUBPS(m1, survival, logit)
			VMULPS(g1, logit, logit)
			share, a, b := at.loadBlock(ticks, tickShare), at.loadBlock(w, blockS2), at.loadBlock(ticks, tickTo)
			slope, t := s.vec(), s.vec()
			VSUBPS(a, b, slope)
			VMULPS(slope, share, slope)
			VSUBPS(share, a, a)
			VMULPS(a, b, b)
			VMULPS(at.block(ticks, tickWidth), b, b)
			VSUBPS(m2, share, t)
			VMULPS(g2, t, t)
			VADDPS(t, logit, logit)
			weight, location := at.loadBlock(w, blockWeight), s.vec()
			VMULPS(weight, logit, logit)
			VMULPS(g2, slope, location)
			VADDPS(location, d, location)
			VMULPS(at.block(w, blockU2), slope, slope)
			VADDPS(b, slope, slope)
			VMULPS(g2, slope, slope)
			VMULPS(at.block(w, blockU1), d, d)
			VADDPS(slope, d, d)
			VMULPS(weight, d, d)
			VMULPS(at.block(w, blockPrecision), weight, weight)
			VMULPS(location, weight, location)
			s.storeGradient(at, out, bytes, logScale, location, d, logit)
		})
		ADDQ(Imm(4), index)
		ADDQ(Imm(16), numbers)
	})
	VZEROUPPER()
	RET()
}
