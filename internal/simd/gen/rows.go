package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// genGatherRows writes rows of n elements, dst = table[index] + scale·w: the index and the scale of a row are numbers of the
// row of values at the pointers index and scale, whose rows are stride elements apart.
func genGatherRows(s isa) {
	TEXT("gatherRows"+s.suffix, NOSPLIT, "func(rows, n int, dst, table, w, index, scale *float32, stride int)")
	Pragma("noescape")
	p := loadAll("dst", "table", "w", "index", "scale", "stride", "n")
	dst, table, w, index, scale, stride, bytes := p[0], p[1], p[2], p[3], p[4], p[5], p[6]
	SHLQ(Imm(2), stride)
	SHLQ(Imm(2), bytes)
	r := s.newRow(Load(Param("n"), GP64()).(reg.GPVirtual))
	eachRow("row", func() {
		from, factor := s.tableRow(table, index, bytes), s.vec()
		VBROADCASTSS(Mem{Base: scale}, factor)
		r.each("element", []reg.Register{from, w, dst}, func(at access) {
			v := at.load(Mem{Base: from})
			VFMADD231PS(at.load(Mem{Base: w}), factor, v)
			at.store(v, Mem{Base: dst})
		})
		SUBQ(bytes, w)
		ADDQ(stride, index)
		ADDQ(stride, scale)
	})
	VZEROUPPER()
	RET()
}

// genScatterRows adds rows of n elements, srs elements apart, to those of a table, trs elements apart: table[index] += src, with the indices of
// genGatherRows.
func genScatterRows(s isa) {
	TEXT("scatterRows"+s.suffix, NOSPLIT, "func(rows, n int, table *float32, trs int, src *float32, srs int, index *float32, stride int)")
	Pragma("noescape")
	p := loadAll("table", "trs", "src", "srs", "index", "stride")
	table, trs, src, srs, index, stride := p[0], p[1], p[2], p[3], p[4], p[5]
	for _, r := range []reg.Register{trs, srs, stride} {
		SHLQ(Imm(2), r)
	}
	r := s.newRow(Load(Param("n"), GP64()).(reg.GPVirtual))
	eachRow("row", func() {
		to, from := s.tableRow(table, index, trs), GP64()
		MOVQ(src, from)
		r.each("element", []reg.Register{from, to}, func(at access) {
			v := at.load(Mem{Base: to})
			VADDPS(at.load(Mem{Base: from}), v, v)
			at.store(v, Mem{Base: to})
		})
		ADDQ(srs, src)
		ADDQ(stride, index)
	})
	VZEROUPPER()
	RET()
}

// genAddIndexed writes, for rows of n elements, dst += scale·src, where the rows of src have an index or, if scatter, those of dst.
func genAddIndexed(s isa, scatter bool) {
	name := "addGathered"
	if scatter {
		name = "addScattered"
	}
	TEXT(name+s.suffix, NOSPLIT, "func(rows, n int, dst, src *float32, index *int32, scale float32)")
	Pragma("noescape")
	p := loadAll("dst", "src", "index", "n")
	dst, src, index, bytes := p[0], p[1], p[2], p[3]
	SHLQ(Imm(2), bytes)
	r := s.newRow(Load(Param("n"), GP64()).(reg.GPVirtual))
	scale := s.broadcast("scale")
	eachRow("row", func() {
		from, to, row := src, dst, GP64()
		MOVLQSX(Mem{Base: index}, row)
		IMULQ(bytes, row)
		if scatter {
			ADDQ(dst, row)
			to = row
		} else {
			ADDQ(src, row)
			from = row
		}
		r.each("element", []reg.Register{from, to}, func(at access) {
			v := at.load(Mem{Base: to})
			VFMADD231PS(at.load(Mem{Base: from}), scale, v)
			at.store(v, Mem{Base: to})
		})
		ADDQ(Imm(4), index)
	})
	VZEROUPPER()
	RET()
}

// tableRow returns the pointer to the row of a table, of so many bytes each, whose index is the float32 that another pointer points to.
func (s isa) tableRow(table, index, bytes reg.Register) reg.Register {
	row := GP64()
	VCVTTSS2SIQ(Mem{Base: index}, row)
	IMULQ(bytes, row)
	ADDQ(table, row)
	return row
}

// genTranspose writes dst (cols × rows) as the transpose of src (rows × cols), both multiples of 8 and at least 8, with rows drs and srs elements apart,
// in blocks of 8×8.
func genTranspose(s isa) {
	TEXT("transpose"+s.suffix, NOSPLIT, "func(rows, cols int, dst *float32, drs int, src *float32, srs int)")
	Pragma("noescape")
	rows := Load(Param("rows"), GP64())
	dst := Load(Param("dst"), GP64())
	drs := Load(Param("drs"), GP64())
	src := Load(Param("src"), GP64())
	srs := Load(Param("srs"), GP64())
	SHLQ(Imm(2), drs)
	SHLQ(Imm(2), srs)
	SHRQ(Imm(3), rows)
	Label("rows")
	from, to, cols := GP64(), GP64(), Load(Param("cols"), GP64())
	MOVQ(src, from)
	MOVQ(dst, to)
	SHRQ(Imm(3), cols)
	Label("cols")
	block := func(p reg.Register, stride reg.Register, each func(i int, m Mem)) {
		q := GP64()
		MOVQ(p, q)
		for i := range 8 {
			each(i, Mem{Base: q})
			ADDQ(stride, q)
		}
	}
	var r, pairs, quads [8]reg.VecVirtual
	block(from, srs, func(i int, m Mem) {
		r[i] = YMM()
		VMOVUPS(m, r[i])
	})
	for i := 0; i < 8; i += 2 {
		pairs[i], pairs[i+1] = YMM(), YMM()
		VUNPCKLPS(r[i+1], r[i], pairs[i])
		VUNPCKHPS(r[i+1], r[i], pairs[i+1])
	}
	for i := 0; i < 8; i += 4 {
		for j := range 2 {
			low, high := YMM(), YMM()
			VSHUFPS(Imm(0x44), pairs[i+2+j], pairs[i+j], low)
			VSHUFPS(Imm(0xee), pairs[i+2+j], pairs[i+j], high)
			quads[i+2*j], quads[i+2*j+1] = low, high
		}
	}
	block(to, drs, func(i int, m Mem) {
		v, half := YMM(), uint64(0x20)
		if i >= 4 {
			half = 0x31
		}
		VPERM2F128(Imm(half), quads[i%4+4], quads[i%4], v)
		VMOVUPS(v, m)
	})
	ADDQ(Imm(32), from)
	LEAQ(Mem{Base: to, Index: drs, Scale: 8}, to)
	DECQ(cols)
	JNZ(LabelRef("cols"))
	ADDQ(Imm(32), dst)
	LEAQ(Mem{Base: src, Index: srs, Scale: 8}, src)
	DECQ(rows)
	JNZ(LabelRef("rows"))
	VZEROUPPER()
	RET()
}
