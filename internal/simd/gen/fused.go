package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// genFused writes the element-wise passes of training, each over many rows in one call.
func genFused(s isa) {
	genGRUForward(s)
	genGRUBackward(s)
	genMixture(s, false)
	genMixture(s, true)
	genMixtureTick(s, false)
	genMixtureTick(s, true)
	genMixtureCDF(s)
	genAdam(s)
	genGatherRows(s)
	genScatterRows(s)
	if !s.zmm { // with the same instructions for both
		genTranspose(s)
	}
}

// third returns the operand at part i of a row [r | z | n], where p runs through part 0 and width is the size of a part.
func third(p, width reg.Register, i int) Mem {
	if i == 0 {
		return Mem{Base: p}
	}
	return Mem{Base: p, Index: width, Scale: uint8(i)}
}

// eachRow runs body once for each of the rows that the parameter rows counts, at least one.
func eachRow(label string, body func()) {
	rows := Load(Param("rows"), GP64())
	Label(label)
	body()
	DECQ(rows)
	JNZ(LabelRef(label))
}

func loadAll(names ...string) []reg.Register {
	regs := make([]reg.Register, len(names))
	for i, name := range names {
		regs[i] = Load(Param(name), GP64())
	}
	return regs
}

// gruRow addresses the parts of a row of activated gates, [r | z | n of gh | n] of width bytes each, at a pointer that runs through the first one.
type gruRow struct{ p, width, width3 reg.Register }

func newGRURow(width reg.Register) gruRow {
	row := gruRow{Load(Param("act"), GP64()), width, GP64()}
	LEAQ(Mem{Base: width, Index: width, Scale: 2}, row.width3)
	return row
}

func (r gruRow) part(i int) Mem {
	if i == 3 {
		return Mem{Base: r.p, Index: r.width3, Scale: 1}
	}
	return third(r.p, r.width, i)
}

func genGRUForward(s isa) {
	TEXT("gruForward"+s.suffix, NOSPLIT, "func(rows, d int, next, act, gx, gh, h *float32)")
	Pragma("noescape")
	p := loadAll("next", "gx", "gh", "h")
	next, gx, gh, h := p[0], p[1], p[2], p[3]
	width := Load(Param("d"), GP64())
	SHLQ(Imm(2), width)
	act := newGRURow(width)
	vectors := s.newRow(Load(Param("d"), GP64()).(reg.GPVirtual))
	eachRow("row", func() {
		vectors.eachPaired("unit", append(p, act.p), func(at access) {
			var gates [2]reg.VecVirtual // r and z
			for i := range gates {
				gates[i] = at.load(third(gx, width, i))
				VADDPS(at.load(third(gh, width, i)), gates[i], gates[i])
			}
			reset, update := gates[0], gates[1]
			s.interleave(func() { s.sigmoid(reset) }, func() { s.sigmoid(update) })
			at.store(reset, act.part(0))
			candidate, recurrent := at.load(third(gx, width, 2)), at.load(third(gh, width, 2))
			at.store(recurrent, act.part(2))
			VFMADD231PS(recurrent, reset, candidate)
			s.tanh(candidate)
			at.store(candidate, act.part(3))
			at.store(update, act.part(1))
			// (1−z)·n + z·h = n + z·(h − n)
			state := at.load(Mem{Base: h})
			VSUBPS(candidate, state, state)
			VFMADD213PS(candidate, update, state)
			at.store(state, Mem{Base: next})
		})
		LEAQ(Mem{Base: gx, Index: width, Scale: 2}, gx)
		LEAQ(Mem{Base: gh, Index: width, Scale: 2}, gh)
		ADDQ(act.width3, act.p)
	})
	VZEROUPPER()
	RET()
}

func genGRUBackward(s isa) {
	TEXT("gruBackward"+s.suffix, 0, "func(rows, d int, act, dh, dnext, h *float32)")
	Pragma("noescape")
	restore := flushDenormals()
	p := loadAll("dh", "dnext", "h")
	dh, dnext, h := p[0], p[1], p[2]
	width := Load(Param("d"), GP64())
	SHLQ(Imm(2), width)
	act := newGRURow(width)
	vectors := s.newRow(Load(Param("d"), GP64()).(reg.GPVirtual))
	eachRow("row", func() {
		vectors.each("unit", append(p, act.p), func(at access) {
			one := s.splat(1)
			d, update, candidate := at.load(Mem{Base: dnext}), at.load(act.part(1)), at.load(act.part(3))
			// dz, through the sigmoid
			keep, dz := s.vec(), at.load(Mem{Base: h})
			VSUBPS(update, one, keep)
			VSUBPS(candidate, dz, dz)
			VMULPS(d, dz, dz)
			VMULPS(update, dz, dz)
			VMULPS(keep, dz, dz)
			at.store(dz, act.part(1))
			// dn, through the hyperbolic tangent
			dn := s.vec()
			VMULPS(keep, d, dn)
			VFNMADD213PS(one, candidate, candidate)
			VMULPS(candidate, dn, dn)
			at.store(dn, act.part(3))
			VMULPS(update, d, d)
			at.store(d, Mem{Base: dh})
			// dr, through the sigmoid
			reset, dr := at.load(act.part(0)), at.load(act.part(2))
			VMULPS(dn, dr, dr)
			VMULPS(reset, dn, dn)
			at.store(dn, act.part(2))
			VMULPS(reset, dr, dr)
			VSUBPS(reset, one, one)
			VMULPS(one, dr, dr)
			at.store(dr, act.part(0))
		})
		ADDQ(act.width3, act.p)
	})
	restore()
	VZEROUPPER()
	RET()
}

// mixtureRoom is how many components the mixture kernels have room for on the stack, those of all rows together.
const mixtureRoom = 1024

// rowScratch is memory on the stack for parts of mixtureRoom numbers, of which each row takes whole vectors.
type rowScratch struct {
	isa isa
	mem Mem
}

func (s isa) newRowScratch(parts int) rowScratch {
	return rowScratch{s, AllocLocal(4*mixtureRoom*parts + 64)}
}

// start returns a pointer to the memory of the first row, at a multiple of 64 bytes.
func (r rowScratch) start() reg.Register {
	p := GP64()
	r.restart(p)
	return p
}

// restart moves p back to the first row.
func (r rowScratch) restart(p reg.Register) {
	LEAQ(r.mem.Offset(63), p)
	ANDQ(I8(-64), p)
}

// next moves p from behind the last number of a row to the next one.
func (r rowScratch) next(p reg.Register) {
	ADDQ(Imm(uint64(r.isa.bytes()-1)), p)
	ANDQ(I8(int8(-r.isa.bytes())), p)
}

// genMixture writes, for rows of a head [locations | log scales | logits] of k ≤ mixtureRoom components each, of a
// normal mixture at x: peak and ratio, of which peak + log ratio − ½·log 2π is the log density, and with gradient the
// gradient of the negative log density times scale, which may overwrite the head.
//
// There may be as many rows as rowScratch has room for, as for genMixtureTick.
//
// With the weights' exponents w, u = (x−μ)/e^s and a = w − s − ½u², the density is Σ e^a/Σ e^w/√2π.
func genMixture(s isa, gradient bool) {
	name, signature := "mixture", "func(rows, k int, head, x, peak, ratio *float32)"
	if gradient {
		name, signature = "mixtureGrad", "func(rows, k int, head, x, peak, ratio, grad *float32, scale float32)"
	}
	TEXT(name+s.suffix, 0, signature)
	Pragma("noescape")
	restore := func() {}
	if gradient {
		restore = flushDenormals()
	}
	room := s.newRowScratch(1)
	p := loadAll("head", "x", "peak", "ratio")
	head, x, peak, ratio := p[0], p[1], p[2], p[3]
	var grad reg.Register
	if gradient {
		grad = Load(Param("grad"), GP64())
	}
	width := Load(Param("k"), GP64())
	SHLQ(Imm(2), width)
	vectors := s.newRow(Load(Param("k"), GP64()).(reg.GPVirtual))
	scratch := room.start()
	walk := []reg.Register{head, scratch}
	if gradient {
		walk = append(walk, grad)
	}
	rewind := func() {
		for _, v := range walk {
			SUBQ(width, v)
		}
	}
	nextRow := func() { // from the end of the first part of a row
		for _, v := range walk {
			if v != scratch {
				LEAQ(Mem{Base: v, Index: width, Scale: 2}, v)
			}
		}
		room.next(scratch)
	}
	eachRow("all", func() {
		at0, weightPeak, peakVec := s.vec(), s.splat(lowest), s.splat(lowest)
		VBROADCASTSS(Mem{Base: x}, at0)
		vectors.eachPaired("terms", walk, func(at access) {
			u, precision := s.vec(), at.load(third(head, width, 1))
			s.negate(precision, precision)
			VMINPS(precision, s.splat(math.Log(mixtureLimit)), precision)
			a := at.load(third(head, width, 2))
			at.fill(a, lowest)
			VMAXPS(a, weightPeak, weightPeak)
			VADDPS(precision, a, a)
			s.boundedExp(precision)
			VSUBPS(at.load(third(head, width, 0)), at0, u)
			VMULPS(precision, u, u)
			VMINPS(u, s.splat(mixtureLimit), u)
			VMAXPS(u, s.splat(-mixtureLimit), u)
			if gradient {
				at.store(u, third(grad, width, 0))
				at.store(precision, third(grad, width, 1))
			}
			VMULPS(u, u, u)
			s.fnma231(0.5, u, a)
			VMAXPS(a, peakVec, peakVec)
			at.store(a, Mem{Base: scratch})
		})
		s.reduce(VMAXPS, weightPeak)
		s.reduce(VMAXPS, peakVec)
		VMOVSS(weightPeak.AsX(), Mem{Base: ratio})
		VMOVSS(peakVec.AsX(), Mem{Base: peak})
		for _, v := range []reg.Register{x, peak, ratio} {
			ADDQ(Imm(4), v)
		}
		nextRow()
	})

	Load(Param("head"), head)
	Load(Param("peak"), peak)
	Load(Param("ratio"), ratio)
	if gradient {
		Load(Param("grad"), grad)
	}
	room.restart(scratch)
	eachRow("row", func() {
		weightPeak, peakVec := s.vec(), s.vec()
		VBROADCASTSS(Mem{Base: ratio}, weightPeak)
		VBROADCASTSS(Mem{Base: peak}, peakVec)
		total, weightTotal := s.vec(), s.vec()
		s.zero(total)
		s.zero(weightTotal)
		vectors.eachPaired("sums", walk, func(at access) {
			a, w := at.load(Mem{Base: scratch}), at.load(third(head, width, 2))
			at.fill(a, math.Inf(-1))
			at.fill(w, math.Inf(-1))
			VSUBPS(peakVec, a, a)
			VSUBPS(weightPeak, w, w)
			s.interleave(func() { s.boundedExp(a) }, func() { s.boundedExp(w) })
			VADDPS(a, total, total)
			VADDPS(w, weightTotal, weightTotal)
			if gradient {
				at.store(a, Mem{Base: scratch})
				at.store(w, third(grad, width, 2))
			}
		})
		s.reduce(VADDPS, total)
		s.reduce(VADDPS, weightTotal)
		quotient := s.vec()
		VDIVPS(weightTotal, total, quotient)
		VMOVSS(quotient.AsX(), Mem{Base: ratio})
		VSUBPS(weightPeak, peakVec, quotient)
		VMOVSS(quotient.AsX(), Mem{Base: peak})
		ADDQ(Imm(4), peak)
		ADDQ(Imm(4), ratio)
		if gradient {
			rewind()
			factor := s.broadcast("scale")
			VDIVPS(total, factor, total)
			VDIVPS(weightTotal, factor, weightTotal)
			vectors.each("gradient", walk, func(at access) {
				rho, u, precision := at.load(Mem{Base: scratch}), at.load(third(grad, width, 0)), at.load(third(grad, width, 1))
				VMULPS(total, rho, rho)
				w := at.load(third(grad, width, 2))
				VFMSUB213PS(rho, weightTotal, w)
				at.store(w, third(grad, width, 2))
				// dμ = −ρ·u/e^s and ds = ρ·(1 − u²)
				scaled := s.vec()
				VMULPS(rho, u, scaled)
				VFNMADD213PS(rho, scaled, u)
				at.store(u, third(grad, width, 1))
				VMULPS(precision, scaled, scaled)
				s.negate(scaled, scaled)
				at.store(scaled, third(grad, width, 0))
			})
		}
		nextRow()
	})
	restore()
	VZEROUPPER()
	RET()
}

// genMixtureCDF writes Σ w·Φ(u), Σ w·Φ(−u) and Σ w·φ(u)/σ of a normal mixture for u = (x−μ)/σ.
func genMixtureCDF(s isa) {
	TEXT("mixtureCDF"+s.suffix, NOSPLIT, "func(k int, weights, locations, precisions *float32, x float32) (cdf, survival, density float32)")
	Pragma("noescape")
	p := loadAll("weights", "locations", "precisions")
	weights, locations, precisions := p[0], p[1], p[2]
	r := s.newRow(Load(Param("k"), GP64()).(reg.GPVirtual))
	x := s.broadcast("x")
	cdf, survival, density := s.vec(), s.vec(), s.vec()
	for _, v := range []reg.VecVirtual{cdf, survival, density} {
		s.zero(v)
	}
	r.each("component", p, func(at access) {
		u, y, precision := s.vec(), s.vec(), at.load(Mem{Base: precisions})
		VSUBPS(at.load(Mem{Base: locations}), x, u)
		VMULPS(precision, u, u)
		left := s.compare(less, u, 0)
		s.abs(u, y)
		t, m := s.mills(y)
		VMULPS(t, m, m)
		phi := s.normalDensity(y)
		upper, lower := s.vec(), s.splat(1)
		VMULPS(phi, m, upper)
		VSUBPS(upper, lower, lower)
		VMOVAPS(lower, y)
		s.blend(left, upper, lower)
		s.blend(left, y, upper)
		w := at.load(Mem{Base: weights})
		VFMADD231PS(lower, w, cdf)
		VFMADD231PS(upper, w, survival)
		VMULPS(precision, phi, phi)
		VFMADD231PS(phi, w, density)
	})
	for i, v := range []reg.VecVirtual{cdf, survival, density} {
		s.reduce(VADDPS, v)
		returnLane(v, []string{"cdf", "survival", "density"}[i])
	}
	VZEROUPPER()
	RET()
}

// genAdam writes one step of Adam. The coefficients are, in this order: weight decay, 1−β₁, β₂, 1−β₂, the inverse square
// root of the second moment's bias correction, ε, and the step size with the first moment's correction.
func genAdam(s isa) {
	TEXT("adam"+s.suffix, 0, "func(n int, params, grads, m, v *float32, coefficients *[7]float32)")
	Pragma("noescape")
	restore := flushDenormals()
	p := loadAll("params", "grads", "m", "v")
	params, grads, m, v := p[0], p[1], p[2], p[3]
	coefficients := Load(Param("coefficients"), GP64())
	c := s.vecs(7)
	for i := range c {
		VBROADCASTSS(Mem{Base: coefficients, Disp: 4 * i}, c[i])
	}
	decay, rest1, beta2, rest2, correction, epsilon, step := c[0], c[1], c[2], c[3], c[4], c[5], c[6]
	r := s.newRow(Load(Param("n"), GP64()).(reg.GPVirtual))
	r.each("parameter", p, func(at access) {
		g, w := at.load(Mem{Base: grads}), at.load(Mem{Base: params})
		VFMADD231PS(w, decay, g)
		first, t := at.load(Mem{Base: m}), s.vec()
		VSUBPS(first, g, t)
		VFMADD231PS(t, rest1, first)
		at.store(first, Mem{Base: m})
		second := at.load(Mem{Base: v})
		VMULPS(beta2, second, second)
		VMULPS(g, g, g)
		VFMADD231PS(g, rest2, second)
		at.store(second, Mem{Base: v})
		VSQRTPS(second, second)
		VFMADD213PS(epsilon, correction, second)
		VMULPS(step, first, first)
		VDIVPS(second, first, first)
		VSUBPS(first, w, w)
		at.store(w, Mem{Base: params})
	})
	restore()
	VZEROUPPER()
	RET()
}
