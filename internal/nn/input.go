package nn

import (
	"slices"

	"github.com/tppfaas/tppfaas/internal/meter"
	"github.com/tppfaas/tppfaas/internal/simd"
)

// Feature is one input of every event: a real number if Levels is 0, else one of Levels categories with an embedding
// of Size columns, whose tensor is called NAME_embedding.weight.
type Feature struct {
	Name   string
	Levels int
	Size   int
}

// Columns returns the number of input columns of the feature: 1 for a real one, else Size.
func (f Feature) Columns() int {
	if f.Levels == 0 {
		return 1
	}
	return f.Size
}

// Input computes the input part of an encoder's gates, x·W_ihᵀ + b_ih, where x (X columns) is the concatenation of the
// embedded features of an event. Each embedding is multiplied by its columns of W_ih once per weight update, which gives a
// table with a row of G·D gates for each category; an event then costs additions only.
type Input[F Float] struct {
	features     []Feature
	gates        int // G·D
	columns      int // X
	weight, bias Span
	embeddings   []Span // of each feature; empty for a real one
	first        []int  // first input column of each feature

	transposed []F   // W_ihᵀ, X × G·D
	tables     [][]F // of each feature, levels × G·D; one row for a real one
	base       int   // the first categorical feature, whose table has the bias in it
}

// NewInput returns the input part of an encoder with d units, whose tensors (an embedding per categorical feature,
// rnn.weight_ih_l0 and rnn.bias_ih_l0) it adds to the layout. At least one feature must be categorical.
func NewInput[F Float](l *Layout, cell Cell, d int, features []Feature) *Input[F] {
	in := &Input[F]{features: features, gates: cell.gates() * d}
	for _, f := range features {
		var span Span
		if f.Levels > 0 {
			span = l.Add(f.Name+"_embedding.weight", f.Levels, f.Size)
		}
		in.embeddings = append(in.embeddings, span)
		in.first = append(in.first, in.columns)
		in.columns += f.Columns()
	}
	in.base = slices.IndexFunc(features, func(f Feature) bool { return f.Levels > 0 })
	in.weight = l.Add("rnn.weight_ih_l0", in.gates, in.columns)
	in.bias = l.Add("rnn.bias_ih_l0", in.gates)
	in.transposed = make([]F, in.columns*in.gates)
	for _, f := range features {
		in.tables = append(in.tables, make([]F, max(f.Levels, 1)*in.gates))
	}
	return in
}

// Prepare computes the tables from the parameters. It must be called after every change of them, before Forward.
func (in *Input[F]) Prepare(params []F) {
	g := in.gates
	simd.Transpose(in.transposed, Of(in.weight, params), g, in.columns)
	for j, f := range in.features {
		own := in.transposed[in.first[j]*g:]
		if f.Levels == 0 {
			copy(in.tables[j], own)
			continue
		}
		if j == in.base {
			for level := range f.Levels {
				copy(in.tables[j][level*g:(level+1)*g], Of(in.bias, params))
			}
		}
		simd.Gemm(f.Levels, g, f.Size, Of(in.embeddings[j], params), f.Size, 1, own, g, in.tables[j], g, j == in.base)
	}
}

// Forward computes the input part of the gates of one event, dst (G·D). values holds one number per feature, for a
// categorical one the index of the category.
func (in *Input[F]) Forward(dst, values []F) {
	copy(dst, in.row(in.tables, in.base, values))
	for j := range in.features {
		if j != in.base {
			in.add(dst, values, j)
		}
	}
}

// ForwardRows computes the input part of the gates of some events, dst (rows × G·D), from their features, as Forward does.
func (in *Input[F]) ForwardRows(dst, values []F) {
	g, f := in.gates, len(in.features)
	first := 0 // of the features that are added to the base
	if in.base == 0 {
		first = 1
	}
	if first == len(in.features) || in.features[first].Levels > 0 {
		for row := 0; row*g < len(dst); row++ {
			in.Forward(dst[row*g:(row+1)*g], values[row*f:(row+1)*f])
		}
		return
	}
	simd.GatherRows(dst, in.tables[in.base], in.tables[first], values, f, in.base, first)
	rows := len(dst) / g
	for j := first + 1; j < f; j++ {
		switch real := in.realFrom(j); {
		case j == in.base:
		case real > 0: // whose columns of the weights stand one after the other
			simd.AddCombinations(rows, g, real, dst, values[j:], f, in.transposed[in.first[j]*g:])
			j += real - 1
		default:
			for row := range rows {
				in.add(dst[row*g:(row+1)*g], values[row*f:], j)
			}
		}
	}
}

// realFrom returns the number of real features in a row from feature j on.
func (in *Input[F]) realFrom(j int) int {
	n := 0
	for j+n < len(in.features) && in.features[j+n].Levels == 0 {
		n++
	}
	return n
}

// add adds feature j of an event to the input part of its gates.
func (in *Input[F]) add(dst, values []F, j int) {
	if in.features[j].Levels == 0 {
		simd.AddScaled(dst, dst, values[j], in.tables[j])
	} else {
		simd.AddScaled(dst, dst, 1, in.row(in.tables, j, values))
	}
}

// row returns the row of the table of categorical feature j for its category in values.
func (in *Input[F]) row(tables [][]F, j int, values []F) []F {
	level := int(values[j])
	return tables[j][level*in.gates : (level+1)*in.gates]
}

// InputGradient is the scratch memory of Recurrent.EncodeBackward: the gradients of the tables. The zero value is ready to use.
type InputGradient[F Float] struct {
	tables [][]F
	memory []F // of all tables
}

// backward adds to grad the gradients of the embeddings, weights and bias, or sets them, given the gradients of the gates, which stand in rows of size numbers as
// spans says. values holds the features of each row, as for Forward.
func (in *Input[F]) backward(grad, params, gates []F, size int, spans []gateSpan, rows int, values []F, ws *InputGradient[F], set Writes) {
	g := in.gates
	if ws.tables == nil { // one after the other, so that those of real features that follow each other are one matrix
		all := 0
		for _, t := range in.tables {
			all += len(t)
		}
		ws.memory = make([]F, all)
		at := 0
		for _, t := range in.tables {
			ws.tables = append(ws.tables, ws.memory[at:at+len(t)])
			at += len(t)
		}
	}
	begin := meter.Begin()
	clear(ws.memory)
	for j, at := 0, 0; j < len(in.features); {
		real := in.realFrom(j)
		for _, s := range spans {
			table, from := ws.memory[at+s.gate:], gates[s.at:]
			if real > 0 {
				simd.AddWeightedSums(real, s.n, rows, table, g, values[j:], len(in.features), from, size)
			} else {
				simd.ScatterRows(rows, s.n, ws.tables[j][s.gate:], g, from, size, values, len(in.features), j)
			}
		}
		for range max(real, 1) {
			at += len(ws.tables[j])
			j++
		}
	}
	// Every event has exactly one category of the base feature, so the rows of its table add up to the bias's gradient.
	add := set&SetParams == 0
	if !add {
		clear(Of(in.bias, grad))
	}
	simd.AddRows(in.features[in.base].Levels, Of(in.bias, grad), ws.tables[in.base], g)
	meter.End(meter.Rows, begin)
	w, dw := Of(in.weight, params), Of(in.weight, grad)
	x := in.columns
	for j, f := range in.features {
		c, dTable := in.first[j], ws.tables[j]
		if f.Levels == 0 {
			for i, v := range dTable {
				if add {
					v += dw[i*x+c]
				}
				dw[i*x+c] = v
			}
			continue
		}
		e, de := Of(in.embeddings[j], params), Of(in.embeddings[j], grad)
		simd.Gemm(f.Levels, f.Size, g, dTable, g, 1, w[c:], x, de, f.Size, add)
		simd.Gemm(g, f.Size, f.Levels, dTable, 1, g, e, f.Size, dw[c:], x, add)
	}
}
