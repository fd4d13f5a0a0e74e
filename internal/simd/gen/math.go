package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Predicates of VCMPPS, none of which signals.
var (
	equal      = Imm(0x00)
	less       = Imm(0x11)
	notLess    = Imm(0x15) // true for NaN
	notGreater = Imm(0x1a) // true for NaN
	greater    = Imm(0x1e)
)

// minNormal is the smallest float32 that is not denormal.
const minNormal = 0x1p-126

// op applies an instruction of two sources to a constant and a vector: dst = a ∘ c.
func (s isa) op(reg3, broadcast func(...Op), c Mem, a, dst reg.VecVirtual) {
	if s.zmm {
		broadcast(c, a, dst)
	} else {
		reg3(c, a, dst)
	}
	pause()
}

func (s isa) mul(c float64, a, dst reg.VecVirtual) { s.op(VMULPS, VMULPS_BCST, constant(c), a, dst) }
func (s isa) add(c float64, a, dst reg.VecVirtual) { s.op(VADDPS, VADDPS_BCST, constant(c), a, dst) }

// horner computes one step p = p·x + c of a polynomial.
func (s isa) horner(c float64, x, p reg.VecVirtual) {
	s.op(VFMADD213PS, VFMADD213PS_BCST, constant(c), x, p)
}

// splat returns a vector of one constant.
func (s isa) splat(c float64) reg.VecVirtual {
	v := s.vec()
	s.splatTo(math.Float32bits(float32(c)), v)
	return v
}

func (s isa) splatTo(w uint32, v reg.VecVirtual) {
	if s.zmm {
		VBROADCASTSS(word(w), v)
	} else {
		VMOVUPS(word(w), v)
	}
}

// mask is the result of a comparison: an opmask with AVX-512, a vector of sign bits with AVX2.
type mask struct{ reg.Register }

// compare tests a ∘ c in each lane.
func (s isa) compare(predicate Constant, a reg.VecVirtual, c float64) mask {
	defer pause()
	if s.zmm {
		k := K()
		VCMPPS_BCST(predicate, constant(c), a, k)
		return mask{k}
	}
	v := YMM()
	VCMPPS(predicate, constant(c), a, v)
	return mask{v}
}

// blend replaces the lanes of dst that m selects by those of v.
func (s isa) blend(m mask, v, dst reg.VecVirtual) {
	defer pause()
	if s.zmm {
		VMOVAPS(v, m.Register, dst)
	} else {
		VBLENDVPS(m.Register, v, dst, dst)
	}
}

func (s isa) round(x, dst reg.VecVirtual) {
	defer pause()
	if s.zmm {
		VRNDSCALEPS(Imm(8), x, dst)
	} else {
		VROUNDPS(Imm(8), x, dst)
	}
}

// log2High has 15 trailing zero bits, so that its product with an exponent is exact; log2High + log2Low = log 2.
const (
	log2High = 0.693359375
	log2Low  = -2.12194440054690583e-4
)

// expPoly approximates (exp(r) − 1 − r)/r² for |r| ≤ ½·log 2 with an error of 8e-9, highest power first (Chebyshev fit).
var expPoly = []float64{0.00139262508315, 0.00836323288368, 0.041666554213, 0.166665766661, 0.5}

// exp computes exp(x) in place, flushed to zero where it is denormal and Inf where it is too large. NaN stays NaN: it is the
// first operand of the minimum, which is what the minimum with NaN gives.
func (s isa) exp(x reg.VecVirtual) {
	const largest = 88.72283
	if s.zmm {
		VMINPS(x, s.splat(89), x) // scaled to Inf
		s.boundedExp(x)
		return
	}
	large := s.compare(greater, x, largest)
	s.boundedExp(x)
	s.blend(large, s.splat(math.Inf(1)), x)
}

// boundedExp computes exp for x whose exponential is finite.
func (s isa) boundedExp(x reg.VecVirtual) {
	const smallest = -87.33654
	predicate := less
	if s.zmm { // the mask of what is not flushed
		predicate = notLess
	}
	selected := s.compare(predicate, x, smallest)
	n, p := s.vec(), s.vec()
	s.mul(math.Log2E, x, n)
	s.round(n, n)
	if s.zmm {
		VFNMADD231PS_BCST(constant(log2High), n, x)
		VFNMADD231PS_BCST(constant(log2Low), n, x)
	} else {
		VFNMADD231PS(constant(log2High), n, x)
		VFNMADD231PS(constant(log2Low), n, x)
	}
	s.splatTo(math.Float32bits(float32(expPoly[0])), p)
	for _, c := range append(expPoly[1:], 1, 1) {
		s.horner(c, x, p)
	}
	if s.zmm {
		VSCALEFPS_Z(n, p, selected.Register, x)
		return
	}
	// 1/√2 < p < √2, so adding n to its exponent neither overflows nor underflows from smallest on.
	VCVTPS2DQ(n, n)
	VPSLLD(Imm(23), n, n)
	VPADDD(n, p, x)
	VANDNPS(x, selected.Register, x)
}

// sigmoid computes exp(x)/(1 + exp(x)) in place, which keeps its relative accuracy for negative x.
func (s isa) sigmoid(x reg.VecVirtual) {
	VMINPS(x, s.splat(88), x)
	s.boundedExp(x)
	d := s.vec()
	s.add(1, x, d)
	VDIVPS(d, x, x)
}

// tanhP and tanhQ approximate tanh(x)/x = P(x²)/Q(x²) for |x| ≤ 9.02 with a relative error of 2.2e-8, highest power
// first (least squares with Lawson's weights).
var (
	tanhP = []float64{1.33848278376e-8, 2.06362648483e-5, 0.00349748700528, 0.133827127674, 1}
	tanhQ = []float64{7.79048501199e-7, 0.00032885635887, 0.0258844750306, 0.467160340408, 1}
)

// tanh computes tanh(x) in place; the result is 1 to the last bit from 9.02 on.
func (s isa) tanh(x reg.VecVirtual) {
	VMINPS(x, s.splat(9.02), x)
	VMAXPS(x, s.splat(-9.02), x)
	square, p, q := s.vec(), s.vec(), s.vec()
	VMULPS(x, x, square)
	s.splatTo(math.Float32bits(float32(tanhP[0])), p)
	s.splatTo(math.Float32bits(float32(tanhQ[0])), q)
	for i := 1; i < len(tanhP); i++ {
		s.horner(tanhP[i], square, p)
		s.horner(tanhQ[i], square, q)
	}
	VMULPS(x, p, p)
	VDIVPS(q, p, x)
	VMINPS(x, s.splat(1), x)
	VMAXPS(x, s.splat(-1), x)
}

// logPoly approximates (log(1+f) − f + f²/2)/f³ for 1/√2 ≤ 1+f ≤ √2 with an error of 3e-8, highest power first
// (Chebyshev fit).
var logPoly = []float64{0.0697161147145, -0.114797338466, 0.116854199235, -0.124256873315, 0.142490576457,
	-0.166678023195, 0.200007157489, -0.24999996958, 0.3333333118}

// log computes log(x) in place: −Inf at zero, NaN below, correct for denormal x.
func (s isa) log(x reg.VecVirtual) {
	const rootHalf = 0x3f3504f3 // bits of 1/√2
	n, f, scaled, shift := s.vec(), s.vec(), s.vec(), s.vec()
	denormal := s.compare(less, x, minNormal)
	s.mul(0x1p23, x, scaled)
	s.zero(shift)
	s.blend(denormal, s.splat(23), shift)
	VMOVAPS(x, f)
	s.blend(denormal, scaled, f)
	s.op(VPSUBD, VPSUBD_BCST, word(rootHalf), f, f)
	VPSRAD(Imm(23), f, n)
	VCVTDQ2PS(n, n)
	VSUBPS(shift, n, n)
	if s.zmm {
		VPANDD_BCST(word(0x7fffff), f, f)
	} else {
		VPAND(word(0x7fffff), f, f)
	}
	s.op(VPADDD, VPADDD_BCST, word(rootHalf), f, f)
	s.add(-1, f, f)

	square, p := s.vec(), s.vec()
	VMULPS(f, f, square)
	s.splatTo(math.Float32bits(float32(logPoly[0])), p)
	for _, c := range logPoly[1:] {
		s.horner(c, f, p)
	}
	VMULPS(f, p, p)
	VMULPS(square, p, p)
	s.fma231(log2Low, n, p)
	s.fma231(-0.5, square, p)
	VADDPS(p, f, p)
	s.fma231(log2High, n, p)

	s.blend(s.compare(notLess, x, math.Inf(1)), x, p) // Inf and NaN are their own logarithm
	s.blend(s.compare(less, x, 0), s.splat(math.NaN()), p)
	s.blend(s.compare(equal, x, 0), s.splat(math.Inf(-1)), p)
	VMOVAPS(p, x)
}

// fma231 computes dst += c·a.
func (s isa) fma231(c float64, a, dst reg.VecVirtual) {
	s.op(VFMADD231PS, VFMADD231PS_BCST, constant(c), a, dst)
}

// fnma231 computes dst −= c·a.
func (s isa) fnma231(c float64, a, dst reg.VecVirtual) {
	s.op(VFNMADD231PS, VFNMADD231PS_BCST, constant(c), a, dst)
}

// millsPoly approximates M(x)/t in t = 1/(1 + x/4), where M(x) = (1 − Φ(x))/φ(x) is Mills' ratio and x ≥ 0, with a
// relative error of 4e-9, highest power first (Chebyshev fit); t is 0 at Inf, where x·M(x) is 1.
var millsPoly = []float64{-0.028207765336301, 0.15403514555277, -0.3124474522383, 0.27634246741097, -0.15236914441147,
	0.12556453140707, 0.091142386827964, 0.16201866103629, 0.20284624864998,
	0.23438935084198, 0.2499997057023, 0.25000000101718}

// mills computes, for x ≥ 0, the t and P(t) of Mills' ratio t·P(t).
func (s isa) mills(x reg.VecVirtual) (t, p reg.VecVirtual) {
	t, p = s.vec(), s.vec()
	s.mul(0.25, x, t)
	s.add(1, t, t)
	VDIVPS(t, s.splat(1), t)
	s.splatTo(math.Float32bits(float32(millsPoly[0])), p)
	for _, c := range millsPoly[1:] {
		s.horner(c, t, p)
	}
	return t, p
}

// normalDensity returns φ(x) for x ≥ 0. The rounding error of x² would be a relative error of the tail; it is taken back.
func (s isa) normalDensity(x reg.VecVirtual) reg.VecVirtual {
	d, low, square := s.vec(), s.vec(), s.vec()
	VMINPS(x, s.splat(14), low) // φ(14) is zero in float32; Inf − Inf below would be NaN
	VMULPS(low, low, square)
	VFMSUB213PS(square, low, low)
	s.mul(-0.5, square, d)
	s.boundedExp(d)
	s.mul(0.5/math.Sqrt(2*math.Pi), low, low)
	VMULPS(d, low, low)
	s.mul(1/math.Sqrt(2*math.Pi), d, d)
	VSUBPS(low, d, d)
	return d
}

// logNormalCDF computes log Φ(x) in place, and returns the derivative φ(x)/Φ(x). In the left half
// log Φ(x) = log(M(−x)/√2π) − x²/2 and the derivative is 1/M(−x), right however far the tail; in the right half
// log Φ(x) = log(1 − q) with q = φ(x)·M(x), and what rounding 1 − q loses is added to its logarithm.
func (s isa) logNormalCDF(x reg.VecVirtual) reg.VecVirtual {
	left := s.compare(less, x, 0)
	y := s.vec()
	s.abs(x, y)
	t, p := s.mills(y)
	phi := s.normalDensity(y)
	VMULPS(p, t, t) // M
	w, lost := s.vec(), s.vec()
	VMULPS(phi, t, lost) // q
	VMOVUPS(s.splat(1), w)
	VSUBPS(lost, w, w) // 1 − q
	lostOf := s.vec()
	s.add(-1, w, lostOf)
	VADDPS(lost, lostOf, lostOf) // q − (1 − w), what w is too large
	VDIVPS(w, lostOf, lost)
	d, numerator := s.vec(), s.vec()
	VMOVUPS(w, d)
	s.blend(left, p, d)
	s.mul(0.25, y, numerator)
	s.add(1, numerator, numerator)
	s.blend(left, numerator, phi)
	VDIVPS(d, phi, d)
	s.mul(1/math.Sqrt(2*math.Pi), t, t)
	s.blend(left, t, w)
	s.log(w)
	VSUBPS(lost, w, t)
	VMULPS(y, y, y)
	s.mul(0.5, y, y)
	VSUBPS(y, w, w)
	VMOVUPS(t, x)
	s.blend(left, w, x)
	return d
}

// abs clears the sign.
func (s isa) abs(x, dst reg.VecVirtual) {
	if s.zmm {
		VPANDD_BCST(word(0x7fffffff), x, dst)
	} else {
		VANDPS(word(0x7fffffff), x, dst)
	}
}

// negate computes dst = −x.
func (s isa) negate(x, dst reg.VecVirtual) {
	if s.zmm {
		VPXORD_BCST(word(0x80000000), x, dst)
	} else {
		VXORPS(word(0x80000000), x, dst)
	}
}
