package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// genRace writes the element-wise passes of mixtures of logistic distributions, and of rectified layers.
func genRace(s isa) {
	genRectify(s)
	genRectifyGrad(s)
	genMul(s)
	genAddIndexed(s, false)
	genAddIndexed(s, true)
	genLogisticPrecisions(s)
	genLogisticSurvival(s)
	genLogisticGrad(s)
}

// The bounds of the log scales of logistic distributions, as package simd has them.
const (
	minLogScale = -11
	maxLogScale = -0.5
)

// genLogisticPrecisions writes dst = exp(−v) for the log scales v, bounded; NaN stays.
func genLogisticPrecisions(s isa) {
	genMap(s, "logisticPrecisions", func(x reg.VecVirtual) {
		VMAXPS(x, s.splat(minLogScale), x)
		VMINPS(x, s.splat(maxLogScale), x)
		s.negate(x, x)
		s.exp(x)
	})
}

// genRectify writes x = max(x, 0), which is NaN for NaN and not −0.
func genRectify(s isa) {
	TEXT("rectify"+s.suffix, NOSPLIT, "func(x *float32, n int)")
	Pragma("noescape")
	x := Load(Param("x"), GP64())
	r := s.newRow(Load(Param("n"), GP64()).(reg.GPVirtual))
	zero := s.vec()
	s.zero(zero)
	r.each("loop", []reg.Register{x}, func(at access) {
		v := at.load(Mem{Base: x})
		VMAXPS(v, zero, v) // v where it is NaN, and where it is −0
		VADDPS(zero, v, v)
		at.store(v, Mem{Base: x})
	})
	VZEROUPPER()
	RET()
}

// genRectifyGrad writes grad *= min(1e30·x, 1).
func genRectifyGrad(s isa) {
	TEXT("rectifyGrad"+s.suffix, NOSPLIT, "func(grad, x *float32, n int)")
	Pragma("noescape")
	grad := Load(Param("grad"), GP64())
	x := Load(Param("x"), GP64())
	r := s.newRow(Load(Param("n"), GP64()).(reg.GPVirtual))
	r.each("loop", []reg.Register{grad, x}, func(at access) {
		v, one := at.load(Mem{Base: x}), s.splat(1)
		s.mul(1e30, v, v)
		VMINPS(v, one, v) // v where it is NaN
		VMULPS(at.load(Mem{Base: grad}), v, v)
		at.store(v, Mem{Base: grad})
	})
	VZEROUPPER()
	RET()
}

// genMul writes dst *= x.
func genMul(s isa) {
	TEXT("mul"+s.suffix, NOSPLIT, "func(dst, x *float32, n int)")
	Pragma("noescape")
	dst := Load(Param("dst"), GP64())
	x := Load(Param("x"), GP64())
	r := s.newRow(Load(Param("n"), GP64()).(reg.GPVirtual))
	r.each("loop", []reg.Register{dst, x}, func(at access) {
		v := at.load(Mem{Base: dst})
		VMULPS(at.load(Mem{Base: x}), v, v)
		at.store(v, Mem{Base: dst})
	})
	VZEROUPPER()
	RET()
}

// genLogisticSurvival writes u = (location − y)·precision and s = σ(u) of n logistic distributions, and returns Σ weight·s.
func genLogisticSurvival(s isa) {
	TEXT("logisticSurvival"+s.suffix, NOSPLIT, "func(u, s, weights, locations, precisions *float32, n int, y float32) (total float32)")
	Pragma("noescape")
	p := loadAll("u", "s", "weights", "locations", "precisions")
	u, survival, weights, locations, precisions := p[0], p[1], p[2], p[3], p[4]
	r := s.newRow(Load(Param("n"), GP64()).(reg.GPVirtual))
	y := s.broadcast("y")
	total := s.vec()
	s.zero(total)
	r.each("component", p, func(at access) {
		x := at.load(Mem{Base: locations})
		VSUBPS(y, x, x)
		VMULPS(at.load(Mem{Base: precisions}), x, x)
		at.store(x, Mem{Base: u})
		s.sigmoid(x)
		at.store(x, Mem{Base: survival})
		at.fill(x, 0)
		VFMADD231PS(x, at.load(Mem{Base: weights}), total)
	})
	s.reduce(VADDPS, total)
	returnLane(total, "total")
	VZEROUPPER()
	RET()
}

// genLogisticGrad adds the gradients of a mixture of n logistic distributions: with e and s the survivals at two arguments eu and su, de = e·(1−e)·ge and
// ds = s·(1−s)·gs,
//
//	location += weight·precision·(de + ds)
//	scale    −= weight·(de·eu + ds·su)              where the log scale is between the bounds
//	logit    += weight·((e − me)·ge + (s − ms)·gs)
//
// The numbers are, in this order: ge, gs, me and ms. No product is fused with a sum.
func genLogisticGrad(s isa) {
	TEXT("logisticGrad"+s.suffix, NOSPLIT, "func(location, scale, logit, weights, precisions, logScales, e, eu, s, su *float32, n int, numbers *[4]float32)")
	Pragma("noescape")
	p := loadAll("location", "weights", "e")
	location, weights, e := p[0], p[1], p[2]
	offset := func(name string, base reg.Register) reg.Register {
		r := Load(Param(name), GP64())
		SUBQ(base, r)
		return r
	}
	// The other pointers are kept as distances from those that run.
	scale, logit := offset("scale", location), offset("logit", location)
	precisions, logScales := offset("precisions", weights), offset("logScales", weights)
	eu, sv, su := offset("eu", e), offset("s", e), offset("su", e)
	count := Load(Param("n"), GP64()).(reg.GPVirtual)
	numbers := Load(Param("numbers"), GP64())
	ge, gs, me, ms := s.vec(), s.vec(), s.vec(), s.vec()
	for i, v := range []reg.VecVirtual{ge, gs, me, ms} {
		VBROADCASTSS(Mem{Base: numbers, Disp: 4 * i}, v)
	}
	near := func(base, distance reg.Register) Mem { return Mem{Base: base, Index: distance, Scale: 1} }
	r := s.newRow(count)
	r.each("component", p, func(at access) {
		slope := func(v, g reg.VecVirtual) reg.VecVirtual {
			d := s.splat(1)
			VSUBPS(v, d, d)
			VMULPS(v, d, d)
			VMULPS(g, d, d)
			return d
		}
		ev, s2 := at.load(Mem{Base: e}), at.load(near(e, sv))
		de, ds := slope(ev, ge), slope(s2, gs)
		w, sum := at.load(Mem{Base: weights}), s.vec()
		VADDPS(ds, de, sum)
		t := at.load(near(weights, precisions))
		VMULPS(w, t, t)
		VMULPS(sum, t, t)
		VADDPS(at.load(Mem{Base: location}), t, t)
		at.store(t, Mem{Base: location})

		VSUBPS(me, ev, ev)
		VMULPS(ge, ev, ev)
		VSUBPS(ms, s2, s2)
		VMULPS(gs, s2, s2)
		VADDPS(s2, ev, ev)
		VMULPS(w, ev, ev)
		VADDPS(at.load(near(location, logit)), ev, ev)
		at.store(ev, near(location, logit))

		VMULPS(at.load(near(e, eu)), de, de)
		VMULPS(at.load(near(e, su)), ds, ds)
		VADDPS(ds, de, de)
		VMULPS(w, de, de)
		v, former := at.load(near(weights, logScales)), at.load(near(location, scale))
		VSUBPS(de, former, de)
		s.blend(s.compare(notGreater, v, minLogScale), former, de)
		s.blend(s.compare(notLess, v, maxLogScale), former, de)
		at.store(de, near(location, scale))
	})
	VZEROUPPER()
	RET()
}
