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
		vectors.eachFew("interval", walk, t.interval)
		JMP(LabelRef("peaks"))
		Label("halfLine")
		vectors.eachPaired("below", walk, t.below)
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
		vectors.eachPaired("sums", walk, func(at access) {
			a, w := s.vec(), at.load(third(t.head, t.stride, 2))
			VMOVUPS(at.at(t.terms), a)
			VSUBPS(t.peakVec, a, a)
			at.fill(w, math.Inf(-1))
			VSUBPS(t.weightPeak, w, w)
			s.interleave(func() { s.boundedExp(a) }, func() { s.boundedExp(w) })
			VMULPS(at.at(t.factors), a, a)
			at.fill(a, 0)
			VADDPS(a, total, total)
			VADDPS(w, weightTotal, weightTotal)
			if gradient {
				VMOVUPS(a, at.at(t.terms))
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

// interval makes the terms, factors and slopes of some vectors of components: by the density in the middle, corrected to second order, and where that is
// not enough by the ends. Only vectors that have such a component, or whose neighbour has one, do the latter.
func (t *tickKernel) interval(ats ...access) {
	parts := make([]*tickInterval, len(ats))
	interleaveEach(len(ats), func(i int) { parts[i] = t.narrow(ats[i]) })
	labels++
	narrow := fmt.Sprintf("narrow%d", labels)
	t.jumpIfNone(narrow, masksOf(parts, func(x *tickInterval) mask { return x.wide })...)
	t.wideIntervals(ats, parts)
	Label(narrow)
	interleaveEach(len(ats), func(i int) {
		a := t.vec()
		VMOVUPS(ats[i].at(t.terms), a)
		ats[i].fill(a, lowest)
		VMAXPS(a, t.peakVec, t.peakVec)
	})
}

// tickInterval is what narrow leaves of a vector of components to wideIntervals.
type tickInterval struct {
	wide, left             mask           // which components need it, and which of them have their location in the interval
	distance, lost, signed reg.VecVirtual // as distance returns them
	spread                 reg.VecVirtual // |u|·w
	b, d                   reg.VecVirtual // the ends
}

func masksOf(parts []*tickInterval, which func(*tickInterval) mask) []mask {
	var m []mask
	for _, x := range parts {
		m = append(m, which(x))
	}
	return m
}

// narrow makes the terms, factors and slopes of a vector of components by the density in the middle, with u the middle and w the width in their standard
// units.
func (t *tickKernel) narrow(at access) *tickInterval {
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
	VMOVUPS(a, at.at(t.terms))
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
	VMOVUPS(g, at.at(t.factors))
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

	VMULPS(w, y, y)
	return &tickInterval{wide: wide, distance: distance, lost: lost, signed: signed, spread: y}
}

// wideIntervals replaces the terms, factors and slopes of the lanes in wide by those from the ends of the interval,
// b = |u| − ½w and d = |u| + ½w, the location being below the middle by symmetry. They come from the ends before these are
// scaled, with what rounding the distance lost, lest its error or that of 1/e^s counts as often as the interval is longer
// than b. Spread is |u|·w. With Mills' ratio M,
//
//	b ≥ 0: a = logit − ½b²,  g = M(b) − e^(½b² − ½d²)·M(d)
//	b < 0: a = logit,        g = √2π − e^(−½b²)·M(−b) − e^(−½d²)·M(d)
//
// and with f and h the exponentials of b and d (f = 1 for b ≥ 0) over g, the slopes are (f − h)/e^s and f·b − h·d.
func (t *tickKernel) wideIntervals(ats []access, parts []*tickInterval) {
	interleaveEach(len(ats), func(i int) { t.ends(parts[i]) })
	labels++
	right, done := fmt.Sprintf("right%d", labels), fmt.Sprintf("wide%d", labels)
	t.jumpIfNone(right, masksOf(parts, func(x *tickInterval) mask { return t.both(x.left, x.wide) })...)
	interleaveEach(len(ats), func(i int) {
		at, x := ats[i], parts[i]
		f := t.exponents(at, x.b, x.left, &x.wide)
		far, near := x.spread, t.vec() // ½d² − ½b² and ½d²
		t.mul(0.5, x.d, near)
		VMULPS(x.d, near, near)
		t.blend(x.left, near, far)
		t.wideFactor(at, x, far, f)
	})
	JMP(LabelRef(done))

	Label(right) // as above, with f = 1
	interleaveEach(len(ats), func(i int) {
		at, x := ats[i], parts[i]
		a := t.vec()
		t.mul(-0.5, x.b, a)
		VMULPS(x.b, a, a)
		VADDPS(at.load(third(t.head, t.stride, 2)), a, a)
		t.replace(x.wide, a, at.at(t.terms))
		t.wideFactor(at, x, x.spread, nil)
	})
	Label(done)
}

// ends sets the ends of the interval, and which components have their location in it.
func (t *tickKernel) ends(x *tickInterval) {
	p, h, b, d := t.vec(), t.vec(), t.vec(), t.vec()
	VBROADCASTSS(Mem{Base: t.width}, h)
	t.mul(0.5, h, h)
	VSUBPS(h, x.distance, b)
	VADDPS(h, x.distance, d)
	VADDPS(x.lost, b, b)
	t.abs(x.signed, p)
	VMULPS(p, b, b)
	VMULPS(p, d, d)
	t.bound(b)
	VMINPS(d, t.splat(mixtureLimit), d)
	x.left, x.b, x.d = t.compare(less, b, 0), b, d
}

// wideFactor makes the factors and slopes of wideIntervals, from what the exponentials of d and b are made of. A nil f means that the latter is 1.
func (t *tickKernel) wideFactor(at access, x *tickInterval, far, f reg.VecVirtual) {
	var lower, upper reg.VecVirtual
	exp := func() {
		t.negate(far, far)
		t.boundedExp(far)
	}
	if f == nil {
		t.interleave(exp, func() { lower = t.millsRatio(x.b) }, func() { upper = t.millsRatio(x.d) })
	} else { // two at a time, as there are few opmasks
		t.interleave(func() { t.boundedExp(f) }, func() { lower = t.millsRatioOfSize(x.b) })
		t.lowerPart(lower, f, x.left)
		t.interleave(exp, func() { upper = t.millsRatio(x.d) })
	}
	VFNMADD231PS(upper, far, lower)
	t.replace(x.wide, lower, at.at(t.factors))
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
	VMULPS(x.signed, difference, difference)
	VMULPS(x.b, f, f)
	VFNMADD231PS(x.d, far, f)
	for part, v := range []reg.VecVirtual{difference, f} {
		slope := at.load(third(t.grad, t.stride, part))
		t.blend(x.wide, v, slope)
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

// below computes interval for all below the middle: wideIntervals with b = −u and an infinite d.
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
	f, g := t.exponents(at, b, left, nil), reg.VecVirtual(nil)
	t.interleave(func() { t.boundedExp(f) }, func() { g = t.millsRatioOfSize(b) })
	t.lowerPart(g, f, left)
	VMOVUPS(g, at.at(t.factors))
	if t.gradient {
		VDIVPS(g, f, f)
		VMULPS(f, b, b)
		VMULPS(f, p, p)
		t.negate(p, p)
		at.store(p, third(t.grad, t.stride, 0))
		at.store(b, third(t.grad, t.stride, 1))
	}
	a := t.vec()
	VMOVUPS(at.at(t.terms), a)
	at.fill(a, lowest)
	VMAXPS(a, t.peakVec, t.peakVec)
}

// exponents splits −½b² into what belongs to the terms, for b ≥ 0, which it stores for the lanes in selected (nil for all),
// and the rest, which it returns.
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
		t.replace(*selected, a, at.at(t.terms))
	} else {
		VMOVUPS(a, at.at(t.terms))
	}
	return f
}

// millsRatio returns Mills' ratio of x ≥ 0, and millsRatioOfSize that of |x|.
func (t *tickKernel) millsRatio(x reg.VecVirtual) reg.VecVirtual {
	r, m := t.mills(x)
	VMULPS(r, m, m)
	return m
}

func (t *tickKernel) millsRatioOfSize(x reg.VecVirtual) reg.VecVirtual {
	size := t.vec()
	t.abs(x, size)
	return t.millsRatio(size)
}

// lowerPart replaces m, Mills' ratio of |b|, by √2π·Φ(−b), without the factor e^(−½b²) for b ≥ 0; f is e^(−½b²) for b < 0 and else 1.
func (t *tickKernel) lowerPart(m, f reg.VecVirtual, left mask) {
	rest := t.splat(math.Sqrt(2 * math.Pi))
	VMULPS(f, m, m)
	VSUBPS(m, rest, rest)
	t.blend(left, rest, m)
}

// replace changes the lanes in selected of a vector in scratch memory. A masked store would hold up the next load from there.
func (t *tickKernel) replace(selected mask, v reg.VecVirtual, m Mem) {
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

// jumpIfNone branches to a label if no mask, of which there may be two with AVX-512, selects a lane.
func (t *tickKernel) jumpIfNone(label string, m ...mask) {
	if t.zmm {
		KORTESTW(m[0].Register, m[len(m)-1].Register)
	} else {
		bits := GP32()
		VMOVMSKPS(m[0].Register, bits)
		TESTL(bits, bits)
	}
	JZ(LabelRef(label))
}
