package figure

import (
	"cmp"
	"errors"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/tppfaas/tppfaas/tpp/eval"
)

// maxConfusionMarks is the largest number of classes of a matrix. Of more marks it shows the commonest and puts the others together.
const maxConfusionMarks = 30

// maxLabelLength is how many characters of a mark's name a matrix has room for.
const maxLabelLength = 22

// matrix is a confusion table as a picture: rows[i][j] events of class i predicted as class j.
type matrix struct {
	rows   [][]int
	labels []string
}

// Confusion draws a confusion table: a row for each mark that came, a column for each that was predicted, coloured by the
// share of the row. Of more than 30 marks the rarest are put together.
func Confusion(t *eval.Confusion, source string) (*Figure, error) {
	if t.Events() == 0 {
		return nil, errors.New("there are no events to score")
	}
	m := newMatrix(t)
	n := len(m.labels)
	f := newFigure("Which mark came, and which was predicted", source, "mark predicted as the likeliest", "mark that came")
	p := f.Plot
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = -0.5, float64(n)-0.5, -0.5, float64(n)-0.5
	style := p.X.Tick.Label
	longest := vg.Length(0)
	for _, label := range m.labels {
		longest = max(longest, style.Width(label))
	}
	cell := vg.Length(min(max(16/float64(n), 0.85), 1.6)) * vg.Centimeter
	upright := longest+6 < cell
	columns, rows := make(plot.ConstantTicks, n), make(plot.ConstantTicks, n)
	for i, label := range m.labels {
		columns[i] = plot.Tick{Value: float64(i), Label: label}
		if !upright {
			columns[i].Label += " " // or the axis would touch it
		}
		rows[i] = plot.Tick{Value: float64(n - 1 - i), Label: label}
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = columns, rows
	p.X.Tick.Length, p.Y.Tick.Length = 3, 3
	below := vg.Length(0) // what turned labels take below the matrix
	if !upright {
		p.X.Tick.Label.Rotation = math.Pi / 2
		p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = draw.XRight, draw.YCenter
		below = longest
	}
	p.Add(m)
	f.Explain(nil, "numbers: events, %d in all", t.Events())
	f.Explain(sign(func(c *draw.Canvas) {
		const shades = 11
		width := (c.Max.X - c.Min.X) / shades
		for i := range shades {
			part := *c
			part.Min.X, part.Max.X = c.Min.X+vg.Length(i)*width, c.Min.X+vg.Length(i+1)*width
			patch{shade(float64(i) / (shades - 1))}.Thumbnail(&part)
		}
	}), "colour: share of the row, 0 to 100 %%")
	side := vg.Length(max(n, 5)) * cell
	f.resize(max(side+longest+2.2*vg.Centimeter, 11*vg.Centimeter), side+below+4.5*vg.Centimeter)
	return f, nil
}

// newMatrix returns the table with the marks that it shows, in the order of their numbers, and the others put together at the end.
func newMatrix(t *eval.Confusion) *matrix {
	marks := t.Marks()
	kept := slices.Clone(marks)
	if len(kept) > maxConfusionMarks {
		slices.SortStableFunc(kept, func(a, b int) int {
			return cmp.Compare(t.Support(b)+t.Predicted(b), t.Support(a)+t.Predicted(a))
		})
		kept = kept[:maxConfusionMarks-1]
		slices.Sort(kept)
	}
	name := namer(t.MarkNames())
	class := make(map[int]int, len(kept))
	m := &matrix{}
	for i, mark := range kept {
		class[mark] = i
		m.labels = append(m.labels, shorten(name(mark), maxLabelLength))
	}
	others := len(kept)
	if len(kept) < len(marks) {
		m.labels = append(m.labels, fmt.Sprintf("%d others", len(marks)-len(kept)))
	}
	m.rows = make([][]int, len(m.labels))
	for i := range m.rows {
		m.rows[i] = make([]int, len(m.labels))
	}
	classOf := func(mark int) int {
		if i, ok := class[mark]; ok {
			return i
		}
		return others
	}
	for _, cell := range t.Cells() {
		m.rows[classOf(cell.Mark)][classOf(cell.Predicted)] += cell.Count
	}
	return m
}

// Plot draws the cells.
func (m *matrix) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	n := len(m.labels)
	for i, row := range m.rows {
		total := 0
		for _, count := range row {
			total += count
		}
		for j, count := range row {
			left, right := x(float64(j)-0.5), x(float64(j)+0.5)
			bottom, top := y(float64(n-1-i)-0.5), y(float64(n-1-i)+0.5)
			share := 0.0
			if total > 0 {
				share = float64(count) / float64(total)
			}
			corners := []vg.Point{{X: left, Y: bottom}, {X: left, Y: top}, {X: right, Y: top}, {X: right, Y: bottom}}
			c.FillPolygon(shade(share), corners)
			c.StrokeLines(draw.LineStyle{Color: color.White, Width: 1}, append(corners, corners[0]))
			if count == 0 {
				continue
			}
			style := textStyle(ink, draw.XCenter)
			if share > darkShare {
				style.Color = color.White
			}
			note := strconv.Itoa(count)
			if w := style.Width(note); w > right-left-3 {
				style.Font.Size *= (right - left - 3) / w
			}
			c.FillText(style, vg.Point{X: (left + right) / 2, Y: (bottom + top) / 2}, note)
		}
	}
}

// darkShare is the share from which on white stands out from the shade better than ink does.
const darkShare = 0.45

// shade returns a colour from nearly white to a deep blue. Its lightness alone tells the share, whatever the colour vision.
func shade(share float64) color.Color {
	mix := func(from, to float64) uint8 { return uint8(math.Round(from + (to-from)*math.Sqrt(share))) }
	return color.NRGBA{mix(0xf4, 0x08), mix(0xf6, 0x45), mix(0xf9, 0x86), 0xff}
}
