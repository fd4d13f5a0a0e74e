package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// genGemm writes, for panels of one, two and three vectors, and with AVX-512 of four, the product of A with a panel of B; for AVX2 a second form
// of each without masks, as masked moves are slow there.
func genGemm(s isa) {
	rows := map[int]int{1: 8, 2: 6, 3: 4}
	if s.zmm {
		rows = map[int]int{1: 8, 2: 8, 3: 8, 4: 6}
	}
	for vectors := 1; vectors <= len(rows); vectors++ {
		genPanel(s, vectors, rows[vectors], true)
		if !s.zmm {
			genPanel(s, vectors, rows[vectors], false)
		}
	}
	for _, vectors := range []int{12, 8, 4} {
		genRowPanel(s, vectors)
	}
}

// rows addresses up to eight rows of a matrix from the first one.
type rows struct{ stride, stride3, stride5, stride7 reg.Register }

func newRows(stride reg.Register, count int) rows {
	r := rows{stride, GP64(), GP64(), GP64()}
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, r.stride3)
	if count > 5 {
		LEAQ(Mem{Base: stride, Index: stride, Scale: 4}, r.stride5)
	}
	if count > 7 {
		LEAQ(Mem{Base: r.stride3, Index: stride, Scale: 4}, r.stride7)
	}
	return r
}

// at returns the operand i rows after p.
func (r rows) at(p reg.Register, i int) Mem {
	switch i {
	case 0:
		return Mem{Base: p}
	case 1, 2, 4:
		return Mem{Base: p, Index: r.stride, Scale: uint8(i)}
	case 3, 6:
		return Mem{Base: p, Index: r.stride3, Scale: uint8(i / 3)}
	case 5:
		return Mem{Base: p, Index: r.stride5, Scale: 1}
	default:
		return Mem{Base: p, Index: r.stride7, Scale: 1}
	}
}

// skip moves p forward by n rows.
func (r rows) skip(p reg.Register, n int) {
	if n == 8 {
		LEAQ(Mem{Base: p, Index: r.stride, Scale: 8}, p)
		return
	}
	LEAQ(r.at(p, n), p)
}

// genPanel writes C[m×n] = S[m×n] + A[m×k]·B[k×n] for n of at most vectors·lanes columns, in blocks of up to maxRows rows whose
// accumulators stay in registers. Every element is one chain of fused multiply-adds in the order of k, so it does not
// depend on the blocks.
func genPanel(s isa, vectors, maxRows int, masked bool) {
	name := fmt.Sprintf("gemm%dx%d", maxRows, vectors*s.lanes)
	if masked && !s.zmm {
		name += "Masked"
	}
	TEXT(name+s.suffix, NOSPLIT, "func(m, last, k int, a *float32, ars, acs int, b *float32, brs int, c *float32, crs int, start *float32, srs int)")
	Doc(fmt.Sprintf("%s computes C = S + A·B for %d columns, of whose last vector only the first last count, where a nil start is zero.", name+s.suffix, vectors*s.lanes))
	Pragma("noescape")

	m := Load(Param("m"), GP64())
	var t tail
	if masked {
		t = s.newTail(Load(Param("last"), GP64()).(reg.GPVirtual))
	}
	a := Load(Param("a"), GP64())
	ars := Load(Param("ars"), GP64())
	acs := Load(Param("acs"), GP64())
	brs := Load(Param("brs"), GP64())
	c := Load(Param("c"), GP64())
	crs := Load(Param("crs"), GP64())
	for _, stride := range []reg.Register{ars, acs, brs, crs} {
		SHLQ(Imm(2), stride)
	}
	row := newRows(ars, maxRows)

	// A remainder between one and two blocks is split in halves: a block of one or two rows would wait for its own sums.
	Label("next")
	TESTQ(m, m)
	JZ(LabelRef("done"))
	rows := GP64()
	MOVQ(m, rows)
	CMPQ(m, Imm(uint64(maxRows)))
	JLE(LabelRef("dispatch"))
	MOVQ(U32(uint32(maxRows)), rows)
	CMPQ(m, Imm(uint64(2*maxRows)))
	JGE(LabelRef("dispatch"))
	LEAQ(Mem{Base: m, Disp: 1}, rows)
	SHRQ(Imm(1), rows)
	Label("dispatch")
	SUBQ(rows, m)
	for r := maxRows; r > 1; r-- {
		CMPQ(rows, Imm(uint64(r)))
		JE(LabelRef(fmt.Sprintf("rows%d", r)))
	}
	for r := 1; r <= maxRows; r++ {
		Label(fmt.Sprintf("rows%d", r))
		label := func(s string) string { return fmt.Sprintf("%s%d", s, r) }
		acc := make([][]reg.VecVirtual, r)
		for i := range acc {
			acc[i] = s.vecs(vectors)
		}
		at := func(p reg.Register, v int) Mem { return Mem{Base: p, Disp: v * s.bytes()} }
		load := func(p reg.Register, v int, dst reg.VecVirtual) {
			if masked && v == vectors-1 {
				t.load(at(p, v), dst)
			} else {
				VMOVUPS(at(p, v), dst)
			}
		}
		start := Load(Param("start"), GP64())
		TESTQ(start, start)
		JNZ(LabelRef(label("load")))
		for i := range acc {
			for _, v := range acc[i] {
				s.zero(v)
			}
		}
		JMP(LabelRef(label("product")))
		Label(label("load"))
		srs := Load(Param("srs"), GP64())
		for i := range acc {
			for v := range acc[i] {
				load(start, v, acc[i][v])
			}
			LEAQ(Mem{Base: start, Index: srs, Scale: 4}, start)
		}
		// The registers are few: the start of the next block is kept where it was passed.
		next, err := Param("start").Resolve()
		if err != nil {
			panic(err)
		}
		MOVQ(start, next.Addr)
		Label(label("product"))
		p, b, k := GP64(), GP64(), GP64()
		MOVQ(a, p)
		Load(Param("b"), b)
		Load(Param("k"), k)
		TESTQ(k, k)
		JZ(LabelRef(label("store")))
		bv := s.vecs(vectors)
		Label(label("loop"))
		for v := range bv {
			load(b, v, bv[v])
		}
		for i := range acc {
			x := s.vec()
			VBROADCASTSS(row.at(p, i), x)
			for v := range bv {
				VFMADD231PS(bv[v], x, acc[i][v])
			}
		}
		ADDQ(acs, p)
		ADDQ(brs, b)
		DECQ(k)
		JNZ(LabelRef(label("loop")))
		Label(label("store"))
		for i := range acc {
			for v := range acc[i] {
				if masked && v == vectors-1 {
					t.store(acc[i][v], at(c, v))
				} else {
					VMOVUPS(acc[i][v], at(c, v))
				}
			}
			ADDQ(crs, c)
		}
		row.skip(a, r)
		JMP(LabelRef("next"))
	}
	Label("done")
	VZEROUPPER()
	RET()
}

// genRowPanel writes y[n] = start[n] + x[k]·B[k×n] for exactly vectors·lanes columns: the product of one row, wide enough that
// the sums do not wait for each other.
func genRowPanel(s isa, vectors int) {
	name := fmt.Sprintf("gemvT%d%s", vectors*s.lanes, s.suffix)
	TEXT(name, NOSPLIT, "func(k int, x *float32, xs int, b *float32, brs int, y, start *float32)")
	Doc(fmt.Sprintf("%s computes y = start + x·B for %d columns, where a nil start is zero.", name, vectors*s.lanes))
	Pragma("noescape")
	k := Load(Param("k"), GP64())
	x := Load(Param("x"), GP64())
	xs := Load(Param("xs"), GP64())
	b := Load(Param("b"), GP64())
	brs := Load(Param("brs"), GP64())
	y := Load(Param("y"), GP64())
	SHLQ(Imm(2), xs)
	SHLQ(Imm(2), brs)
	acc := s.vecs(vectors)
	start := Load(Param("start"), GP64())
	TESTQ(start, start)
	JNZ(LabelRef("load"))
	for _, v := range acc {
		s.zero(v)
	}
	JMP(LabelRef("product"))
	Label("load")
	for i, v := range acc {
		VMOVUPS(Mem{Base: start, Disp: i * s.bytes()}, v)
	}
	Label("product")
	TESTQ(k, k)
	JZ(LabelRef("store"))
	Label("loop")
	e := s.vec()
	VBROADCASTSS(Mem{Base: x}, e)
	for i, v := range acc {
		VFMADD231PS(Mem{Base: b, Disp: i * s.bytes()}, e, v)
	}
	ADDQ(xs, x)
	ADDQ(brs, b)
	DECQ(k)
	JNZ(LabelRef("loop"))
	Label("store")
	for i, v := range acc {
		VMOVUPS(v, Mem{Base: y, Disp: i * s.bytes()})
	}
	VZEROUPPER()
	RET()
}
