package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	mixtureLimit = 1e18 // bounds |u| and the precisions, so that a square is finite and zero times it is zero
	narrowTick   = 0.02 // bounds w²(1 + u²) where the expansion of an interval about its middle is used
)

// tickKernel is what the parts of a kernel of genMixtureTick share.
type tickKernel struct {
	isa
	gradient            bool
	head, grad          reg.Register
	middle, width       reg.Register // of the row at hand
	ratio               reg.Register
	stride              reg.Register // bytes of a part of a row
	terms, factors      Mem
	weightPeak, peakVec reg.VecVirtual
}

// genMixtureTick writes, for rows of a head [locations | log scales | logits] of k ≤ mixtureRoom components each, of the
// probability that a normal mixture gives the interval with a middle and a width: peak and ratio, of which peak + log
// ratio − ½·log 2π is the logarithm, and with gradient the gradient of the negative logarithm times scale, which may
// overwrite the head. On entry ratio holds the logarithm of the width, which is positive; with a width of +Inf the interval
// is all below the middle.
//
// Each component is a term a and a factor g > 0: its part of the probability is e^a·g/√2π over Σ e^logit. There may be as many rows as rowScratch says:
// the terms of all are made before the first is summed up, as the processor overlaps the chains of dependent instructions of several rows only if they
// are short.
func genMixtureTick(s isa, gradient bool) {
	name, signature := "mixtureTick", "func(rows, k int, head, middle, width, peak, ratio *float32)"
	if gradient {
		name, signature = "mixtureTickGrad", "func(rows, k int, head, middle, width, peak, ratio, grad *float32, scale float32)"
	}
	TEXT(name+s.suffix, 0, signature)
	Pragma("noescape")
	restore := flushDenormals()
	room := s.newRowScratch(2)
	p := loadAll("head", "middle", "width", "peak", "ratio")
	peak := p[3]
	t := tickKernel{isa: s, gradient: gradient, head: p[0], middle: p[1], width: p[2], ratio: p[4]}
	if gradient {
		t.grad = Load(Param("grad"), GP64())
	}
	t.stride = Load(Param("k"), GP64())
	SHLQ(Imm(2), t.stride)
	vectors := s.newRow(Load(Param("k"), GP64()).(reg.GPVirtual))
	scratch := room.start()
	t.terms, t.factors = Mem{Base: scratch}, Mem{Base: scratch, Disp: 4 * mixtureRoom}
	walk := []reg.Register{t.head, scratch}
	if gradient {
		walk = append(walk, t.grad)
	}
	// The pointer to the scratch memory runs with the others; the tail of a row fills its last vector there.
	rewind := func() {
		for _, v := range walk {
			SUBQ(t.stride, v)
		}
	}
	nextRow := func() { // from the end of the first part of a row
		for _, v := range walk {
			if v != scratch {
				LEAQ(Mem{Base: v, Index: t.stride, Scale: 2}, v)
			}
		}
		room.next(scratch)
	}
	eachRow("terms", func() {
		t.weightPeak, t.peakVec = s.splat(lowest), s.splat(lowest)
		CMPL(Mem{Base: t.width}, U32(math.Float32bits(float32(math.Inf(1)))))
		JE(LabelRef("halfLine"))
		vectors.each("interval", walk, t.interval)
		JMP(LabelRef("peaks"))
		Label("halfLine")
		vectors.each("below", walk, t.below)
		Label("peaks")
		s.reduce(VMAXPS, t.weightPeak)
		s.reduce(VMAXPS, t.peakVec)
		VMOVSS(t.weightPeak.AsX(), Mem{Base: t.ratio})
		VMOVSS(t.peakVec.AsX(), Mem{Base: peak})
		for _, v := range []reg.Register{t.middle, t.width, peak, t.ratio} {
			ADDQ(Imm(4), v)
		}
		nextRow()
	})

	Load(Param("head"), t.head)
	Load(Param("peak"), peak)
	Load(Param("ratio"), t.ratio)
	if gradient {
		Load(Param("grad"), t.grad)
	}
	room.restart(scratch)
	eachRow("row", func() {
		t.weightPeak, t.peakVec = s.vec(), s.vec()
		VBROADCASTSS(Mem{Base: t.ratio}, t.weightPeak)
		VBROADCASTSS(Mem{Base: peak}, t.peakVec)
		total, weightTotal := s.vec(), s.vec()
		s.zero(total)
		s.zero(weightTotal)
		vectors.each("sums", walk, func(at access) {
			a, w := s.vec(), at.load(third(t.head, t.stride, 2))
			VMOVUPS(t.terms, a)
			VSUBPS(t.peakVec, a, a)
			s.boundedExp(a)
			VMULPS(t.factors, a, a)
			at.fill(a, 0)
			at.fill(w, math.Inf(-1))
			VSUBPS(t.weightPeak, w, w)
			s.boundedExp(w)
			VADDPS(a, total, total)
			VADDPS(w, weightTotal, weightTotal)
			if gradient {
				VMOVUPS(a, t.terms)
				at.store(w, third(t.grad, t.stride, 2))
			}
		})
		s.reduce(VADDPS, total)
		s.reduce(VADDPS, weightTotal)
		quotient := s.vec()
		VDIVPS(weightTotal, total, quotient)
		VMOVSS(quotient.AsX(), Mem{Base: t.ratio})
		VSUBPS(t.weightPeak, t.peakVec, quotient)
		VMOVSS(quotient.AsX(), Mem{Base: peak})
		ADDQ(Imm(4), peak)
		ADDQ(Imm(4), t.ratio)
		if gradient {
			rewind()
			factor := s.broadcast("scale")
			VDIVPS(total, factor, total)
			VDIVPS(weightTotal, factor, weightTotal)
			vectors.each("gradient", walk, func(at access) {
				rho, w := s.vec(), at.load(third(t.grad, t.stride, 2))
				VMOVUPS(t.terms, rho)
				VMULPS(total, rho, rho)
				VFMSUB213PS(rho, weightTotal, w)
				at.store(w, third(t.grad, t.stride, 2))
				s.negate(rho, rho)
				for part := range 2 {
					slope := at.load(third(t.grad, t.stride, part))
					VMULPS(rho, slope, slope)
					at.store(slope, third(t.grad, t.stride, part))
				}
			})
		}
		nextRow()
	})
	restore()
	VZEROUPPER()
	RET()
}

// logPrecisions loads the negative log scales of a vector of components, bounded above.
func (t *tickKernel) logPrecisions(at access) reg.VecVirtual {
	v := at.load(third(t.head, t.stride, 1))
	t.negate(v, v)
	VMINPS(v, t.splat(math.Log(mixtureLimit)), v)
	return v
}

// logits loads a vector of logits and counts them into the maximum.
func (t *tickKernel) logits(at access) reg.VecVirtual {
	v := at.load(third(t.head, t.stride, 2))
	at.fill(v, lowest)
	VMAXPS(v, t.weightPeak, t.weightPeak)
	return v
}

// bound keeps v within ±mixtureLimit, and NaN as it is.
func (t *tickKernel) bound(v reg.VecVirtual) {
	VMINPS(v, t.splat(mixtureLimit), v)
	VMAXPS(v, t.splat(-mixtureLimit), v)
}

// interval makes the terms, factors and slopes of a vector of components, with u the middle and w the width in their
// standard units: by the density in the middle, corrected to second order, and where that is not enough by the ends. Only
// vectors that have such a component do the latter.
func (t *tickKernel) interval(at access) {
	a, p := t.logits(at), t.logPrecisions(at)
	VADDPS(p, a, a)
	t.boundedExp(p)
	distance, lost, signed := t.distance(at, p)
	y, w := t.vec(), t.vec()
	VMULPS(p, distance, y) // |u|
	VBROADCASTSS(Mem{Base: t.width}, w)
	VMULPS(p, w, w)

	// a = logit − s + log width − ½u², g = 1 + c with c = (u² − 1)w²/24
	logWidth, v, square := t.vec(), t.vec(), t.vec()
	VBROADCASTSS(Mem{Base: t.ratio}, logWidth)
	VADDPS(logWidth, a, a)
	VMINPS(y, t.splat(mixtureLimit), v)
	VMULPS(v, v, square)
	t.fnma231(0.5, square, a)
	VMOVUPS(a, t.terms)
	c, w2, both := t.vec(), t.vec(), t.vec()
	VMULPS(y, w, c)
	VMULPS(c, c, c)
	VMULPS(w, w, w2)
	VADDPS(w2, c, both)
	wide := t.compare(notLess, both, narrowTick)
	VSUBPS(w2, c, c)
	t.mul(1./24, c, c)
	g := t.vec()
	t.add(1, c, g)
	VMOVUPS(g, t.factors)
	if t.gradient {
		// With r = 1/g = 1 − c + c² up to c³ and o = 1 − r·w²/12, the slopes are o·u/e^s and o·u² − 1 − 2rc.
		r := t.vec()
		t.add(-1, c, r)
		VFMADD213PS(t.splat(1), c, r)
		t.mul(1./12, w2, w2)
		VFNMADD213PS(t.splat(1), r, w2)
		VMULPS(w2, v, v)
		VMULPS(signed, v, v)
		at.store(v, third(t.grad, t.stride, 0))
		VMULPS(r, c, c)
		VFMSUB213PS(t.splat(1), square, w2)
		t.fnma231(2, c, w2)
		at.store(w2, third(t.grad, t.stride, 1))
	}

	labels++
	narrow := fmt.Sprintf("narrow%d", labels)
	t.jumpIfNone(wide, narrow)
	VMULPS(w, y, y)
	t.wideInterval(at, wide, distance, lost, y, signed)
	Label(narrow)
	VMOVUPS(t.terms, a)
	at.fill(a, lowest)
	VMAXPS(a, t.peakVec, t.peakVec)
}

// wideInterval replaces the terms, factors and slopes of the lanes in wide by those from the ends of the interval,
// b = |u| − ½w and d = |u| + ½w, the location being below the middle by symmetry. They come from the ends before these are
// scaled, with what rounding the distance lost, lest its error or that of 1/e^s counts as often as the interval is longer
// than b. Spread is |u|·w. With Mills' ratio M,
//
//	b ≥ 0: a = logit − ½b²,  g = M(b) − e^(½b² − ½d²)·M(d)
//	b < 0: a = logit,        g = √2π − e^(−½b²)·M(−b) − e^(−½d²)·M(d)
//
// and with f and h the exponentials of b and d (f = 1 for b ≥ 0) over g, the slopes are (f − h)/e^s and f·b − h·d.
func (t *tickKernel) wideInterval(at access, wide mask, distance, lost, spread, signed reg.VecVirtual) {
	p, h, b, d := t.vec(), t.vec(), t.vec(), t.vec()
	VBROADCASTSS(Mem{Base: t.width}, h)
	t.mul(0.5, h, h)
	VSUBPS(h, distance, b)
	VADDPS(h, distance, d)
	VADDPS(lost, b, b)
	t.abs(signed, p)
	VMULPS(p, b, b)
	VMULPS(p, d, d)
	t.bound(b)
	VMINPS(d, t.splat(mixtureLimit), d)
	left := t.compare(less, b, 0)
	labels++
	right, done := fmt.Sprintf("right%d", labels), fmt.Sprintf("wide%d", labels)
	t.jumpIfNone(t.both(left, wide), right)
	f := t.exponents(at, b, left, &wide)
	far, near := t.vec(), t.vec() // ½d² − ½b² and ½d²
	VMOVAPS(spread, far)
	t.mul(0.5, d, near)
	VMULPS(d, near, near)
	t.blend(left, near, far)
	t.wideFactor(at, wide, b, d, far, t.lowerPart(b, f, left), f, signed)
	JMP(LabelRef(done))

	Label(right) // as above, with f = 1
	a := t.vec()
	t.mul(-0.5, b, a)
	VMULPS(b, a, a)
	VADDPS(at.load(third(t.head, t.stride, 2)), a, a)
	t.replace(wide, a, t.terms)
	r, m := t.mills(b)
	VMULPS(r, m, m)
	t.wideFactor(at, wide, b, d, spread, m, nil, signed)
	Label(done)
}

// wideFactor makes the factors and slopes of wideInterval, from far, what the exponential of d is made of, and lower, what lowerPart returns. A nil f is 1.
func (t *tickKernel) wideFactor(at access, wide mask, b, d, far, lower, f, signed reg.VecVirtual) {
	t.negate(far, far)
	t.boundedExp(far)
	r, m := t.mills(d)
	VMULPS(r, m, m)
	VFNMADD231PS(m, far, lower)
	t.replace(wide, lower, t.factors)
	if !t.gradient {
		return
	}
	VDIVPS(lower, t.splat(1), lower)
	if f == nil {
		f = t.vec()
		VMOVAPS(lower, f)
	} else {
		VMULPS(lower, f, f)
	}
	VMULPS(lower, far, far)
	difference := t.vec()
	VSUBPS(far, f, difference)
	VMULPS(signed, difference, difference)
	VMULPS(b, f, f)
	VFNMADD231PS(d, far, f)
	for part, v := range []reg.VecVirtual{difference, f} {
		slope := at.load(third(t.grad, t.stride, part))
		t.blend(wide, v, slope)
		at.store(slope, third(t.grad, t.stride, part))
	}
}

// both returns the lanes that both masks select.
func (t *tickKernel) both(a, b mask) mask {
	if t.zmm {
		k := K()
		KANDW(a.Register, b.Register, k)
		return mask{k}
	}
	v := t.vec()
	VANDPS(a.Register, b.Register, v)
	return mask{v}
}

// below computes interval for all below the middle: wideInterval with b = −u and an infinite d.
func (t *tickKernel) below(at access) {
	t.logits(at)
	p, middle, b := t.logPrecisions(at), t.vec(), at.load(third(t.head, t.stride, 0))
	t.boundedExp(p)
	VBROADCASTSS(Mem{Base: t.middle}, middle)
	VSUBPS(middle, b, b)
	VMINPS(b, t.splat(math.MaxFloat32), b)
	VMAXPS(b, t.splat(-math.MaxFloat32), b)
	VMULPS(p, b, b)
	t.bound(b)
	left := t.compare(less, b, 0)
	f := t.exponents(at, b, left, nil)
	g := t.lowerPart(b, f, left)
	VMOVUPS(g, t.factors)
	if t.gradient {
		VDIVPS(g, f, f)
		VMULPS(f, b, b)
		VMULPS(f, p, p)
		t.negate(p, p)
		at.store(p, third(t.grad, t.stride, 0))
		at.store(b, third(t.grad, t.stride, 1))
	}
	a := t.vec()
	VMOVUPS(t.terms, a)
	at.fill(a, lowest)
	VMAXPS(a, t.peakVec, t.peakVec)
}

// exponents splits −½b² into what belongs to the terms, for b ≥ 0, which it stores for the lanes in selected (nil for all),
// and the rest, whose exponential it returns.
func (t *tickKernel) exponents(at access, b reg.VecVirtual, left mask, selected *mask) reg.VecVirtual {
	half, a, f := t.vec(), t.vec(), t.vec()
	t.mul(-0.5, b, half)
	VMULPS(b, half, half)
	VMOVAPS(half, a)
	t.zero(f)
	t.blend(left, f, a)
	t.blend(left, half, f)
	VADDPS(at.load(third(t.head, t.stride, 2)), a, a)
	if selected != nil {
		t.replace(*selected, a, t.terms)
	} else {
		VMOVUPS(a, t.terms)
	}
	t.boundedExp(f)
	return f
}

// lowerPart returns √2π·Φ(−b), without the factor e^(−½b²) for b ≥ 0; f is e^(−½b²) for b < 0 and else 1.
func (t *tickKernel) lowerPart(b, f reg.VecVirtual, left mask) reg.VecVirtual {
	size, rest := t.vec(), t.splat(math.Sqrt(2*math.Pi))
	t.abs(b, size)
	r, m := t.mills(size)
	VMULPS(r, m, m)
	VMULPS(f, m, m)
	VSUBPS(m, rest, rest)
	t.blend(left, rest, m)
	return m
}

// replace changes the lanes in selected of a vector in scratch memory.
func (t *tickKernel) replace(selected mask, v reg.VecVirtual, m Mem) {
	if t.zmm {
		VMOVUPS(v, selected.Register, m)
		return
	}
	former := t.vec()
	VMOVUPS(m, former)
	t.blend(selected, v, former)
	VMOVUPS(former, m)
}

// distance returns |x − μ| of the middle x and the locations, what is to be added to it for the rounding of the difference
// (Knuth's two-sum), and the precisions p with the sign of x − μ.
func (t *tickKernel) distance(at access, p reg.VecVirtual) (size, lost, signed reg.VecVirtual) {
	x, location := t.vec(), at.load(third(t.head, t.stride, 0))
	size, lost, signed = t.vec(), t.vec(), t.vec()
	VBROADCASTSS(Mem{Base: t.middle}, x)
	VSUBPS(location, x, size)
	back := t.vec()
	VSUBPS(x, size, back)
	VSUBPS(back, size, lost)
	VSUBPS(lost, x, lost)
	VADDPS(location, back, back)
	VSUBPS(back, lost, lost)
	if t.zmm {
		VPANDD_BCST(word(0x80000000), size, signed)
		VPXORD(signed, lost, lost)
		VPORD(signed, p, signed)
	} else {
		VANDPS(word(0x80000000), size, signed)
		VXORPS(signed, lost, lost)
		VORPS(signed, p, signed)
	}
	t.abs(size, size)
	none := t.vec()
	t.zero(none)
	t.blend(t.compare(notLess, size, math.Inf(1)), none, lost)
	VMINPS(size, t.splat(math.MaxFloat32), size) // Inf times a precision of zero would be NaN
	return size, lost, signed
}

// jumpIfNone branches to a label if m selects no lane.
func (t *tickKernel) jumpIfNone(m mask, label string) {
	if t.zmm {
		KORTESTW(m.Register, m.Register)
	} else {
		bits := GP32()
		VMOVMSKPS(m.Register, bits)
		TESTL(bits, bits)
	}
	JZ(LabelRef(label))
}
