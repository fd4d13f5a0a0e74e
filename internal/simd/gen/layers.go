package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The kernels here make one pass over rows of n elements where a rectified layer would take several. Rows of another matrix have an index each.

// indexed returns the pointer to the row of a matrix, of so many bytes each, that an index in memory tells.
func indexed(base, bytes, index reg.Register) reg.Register {
	row := GP64()
	MOVLQSX(Mem{Base: index}, row)
	IMULQ(bytes, row)
	ADDQ(base, row)
	return row
}

// rowLength loads the parameter n, as the size of a row in bytes and as a division into vectors.
func (s isa) rowLength() (bytes reg.Register, r row) {
	return loadParam("n", 2), s.newRow(Load(Param("n"), GP64()).(reg.GPVirtual))
}

// genGatherSum writes dst = a[ia] + b[ib].
func genGatherSum(s isa) {
	TEXT("gatherSum"+s.suffix, NOSPLIT, "func(rows, n int, dst, a *float32, ia *int32, b *float32, ib *int32)")
	Pragma("noescape")
	p := loadAll("dst", "a", "ia", "b", "ib")
	dst, a, ia, b, ib := p[0], p[1], p[2], p[3], p[4]
	bytes, r := s.rowLength()
	eachRow("row", func() {
		x, y := indexed(a, bytes, ia), indexed(b, bytes, ib)
		r.each("element", []reg.Register{x, y, dst}, func(at access) {
			v := at.load(Mem{Base: x})
			VADDPS(at.load(Mem{Base: y}), v, v)
			at.store(v, Mem{Base: dst})
		})
		ADDQ(Imm(4), ia)
		ADDQ(Imm(4), ib)
	})
	VZEROUPPER()
	RET()
}

// genRectifyScattered writes x = max(x, 0) and sums[index] += scale·x.
func genRectifyScattered(s isa) {
	TEXT("rectifyScattered"+s.suffix, NOSPLIT, "func(rows, n int, x, sums *float32, index *int32, scale float32)")
	Pragma("noescape")
	p := loadAll("x", "sums", "index")
	x, sums, index := p[0], p[1], p[2]
	bytes, r := s.rowLength()
	scale, zero := s.broadcast("scale"), s.vec()
	s.zero(zero)
	eachRow("row", func() {
		to := indexed(sums, bytes, index)
		r.each("element", []reg.Register{x, to}, func(at access) {
			v, sum := at.load(Mem{Base: x}), at.load(Mem{Base: to})
			rectify(v, zero)
			at.store(v, Mem{Base: x})
			VFMADD231PS(v, scale, sum)
			at.store(sum, Mem{Base: to})
		})
		ADDQ(Imm(4), index)
	})
	VZEROUPPER()
	RET()
}

// genAddGatheredRectified writes dst = max(dst + src[index], 0).
func genAddGatheredRectified(s isa) {
	TEXT("addGatheredRectified"+s.suffix, NOSPLIT, "func(rows, n int, dst, src *float32, index *int32)")
	Pragma("noescape")
	p := loadAll("dst", "src", "index")
	dst, src, index := p[0], p[1], p[2]
	bytes, r := s.rowLength()
	zero := s.vec()
	s.zero(zero)
	eachRow("row", func() {
		from := indexed(src, bytes, index)
		r.each("element", []reg.Register{from, dst}, func(at access) {
			v := at.load(Mem{Base: dst})
			VADDPS(at.load(Mem{Base: from}), v, v)
			rectify(v, zero)
			at.store(v, Mem{Base: dst})
		})
		ADDQ(Imm(4), index)
	})
	VZEROUPPER()
	RET()
}

// genRectifyGradScattered writes grad *= min(1e30·x, 1) and sums[index] += grad.
func genRectifyGradScattered(s isa) {
	TEXT("rectifyGradScattered"+s.suffix, NOSPLIT, "func(rows, n int, grad, x, sums *float32, index *int32)")
	Pragma("noescape")
	p := loadAll("grad", "x", "sums", "index")
	grad, x, sums, index := p[0], p[1], p[2], p[3]
	bytes, r := s.rowLength()
	eachRow("row", func() {
		to := indexed(sums, bytes, index)
		r.each("element", []reg.Register{grad, x, to}, func(at access) {
			v := s.rectified(at.load(Mem{Base: x}))
			VMULPS(at.load(Mem{Base: grad}), v, v)
			at.store(v, Mem{Base: grad})
			VADDPS(at.load(Mem{Base: to}), v, v)
			at.store(v, Mem{Base: to})
		})
		ADDQ(Imm(4), index)
	})
	VZEROUPPER()
	RET()
}

// genPooledGrad writes grad = (grad + scale·pooled[step])·min(1e30·x, 1), steps[step] += grad and classes[class] += grad.
func genPooledGrad(s isa) {
	TEXT("pooledGrad"+s.suffix, NOSPLIT, "func(rows, n int, grad, x, pooled *float32, scale float32, step *int32, steps *float32, class *int32, classes *float32)")
	Pragma("noescape")
	p := loadAll("grad", "x", "step", "class")
	grad, x, step, class := p[0], p[1], p[2], p[3]
	r := s.newRow(Load(Param("n"), GP64()).(reg.GPVirtual))
	scale := s.broadcast("scale")
	eachRow("row", func() {
		from, first, second := rowAt("pooled", "n", step), rowAt("steps", "n", step), rowAt("classes", "n", class)
		r.each("element", []reg.Register{grad, x, from, first, second}, func(at access) {
			v, g := s.rectified(at.load(Mem{Base: x})), at.load(Mem{Base: grad})
			VFMADD231PS(at.load(Mem{Base: from}), scale, g)
			VMULPS(g, v, v)
			at.store(v, Mem{Base: grad})
			for _, to := range []reg.Register{first, second} {
				sum := at.load(Mem{Base: to})
				VADDPS(v, sum, sum)
				at.store(sum, Mem{Base: to})
			}
		})
		ADDQ(Imm(4), step)
		ADDQ(Imm(4), class)
	})
	VZEROUPPER()
	RET()
}
