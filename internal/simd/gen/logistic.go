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
	genGatherSum(s)
	genRectifyScattered(s)
	genAddGatheredRectified(s)
	genRectifyGradScattered(s)
	genPooledGrad(s)
	genAddIndexed(s, false)
	genAddIndexed(s, true)
	genLogisticPrecisions(s)
	genLogisticRows(s)
	genLogisticRowsGrad(s)
	genLogisticTicks(s)
	genLogisticTicksGrad(s)
}

// The bounds of the log scales of logistic distributions, as package simd has them.
const (
	minLogScale = -11
	maxLogScale = -0.5
)

// genLogisticPrecisions writes dst = exp(−v) for the log scales v, bounded; NaN stays.
func genLogisticPrecisions(s isa) {
	genMap(s, "logisticPrecisions", func(x reg.VecVirtual) {
		s.precision(x)
	})
}

// precision computes exp(−x) in place for a log scale x, bounded.
func (s isa) precision(x reg.VecVirtual) {
	VMAXPS(x, s.splat(minLogScale), x)
	VMINPS(x, s.splat(maxLogScale), x)
	s.negate(x, x)
	s.exp(x)
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
		rectify(v, zero)
		at.store(v, Mem{Base: x})
	})
	VZEROUPPER()
	RET()
}

// rectify replaces v by max(v, 0), NaN stays.
func rectify(v, zero reg.VecVirtual) {
	VMAXPS(v, zero, v) // v where it is NaN, and where it is −0
	VADDPS(zero, v, v)
}

// rectified returns min(1e30·x, 1) for x, which it replaces.
func (s isa) rectified(x reg.VecVirtual) reg.VecVirtual {
	one := s.splat(1)
	s.mul(1e30, x, x)
	VMINPS(x, one, x) // x where it is NaN
	return x
}

// genRectifyGrad writes grad *= min(1e30·x, 1).
func genRectifyGrad(s isa) {
	TEXT("rectifyGrad"+s.suffix, NOSPLIT, "func(grad, x *float32, n int)")
	Pragma("noescape")
	grad := Load(Param("grad"), GP64())
	x := Load(Param("x"), GP64())
	r := s.newRow(Load(Param("n"), GP64()).(reg.GPVirtual))
	r.each("loop", []reg.Register{grad, x}, func(at access) {
		v := s.rectified(at.load(Mem{Base: x}))
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
