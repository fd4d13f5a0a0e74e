package eval

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Confusion counts events by the mark that came and the mark that was predicted as the likeliest. It keeps the pairs that
// occur, so that thousands of marks do no harm.
type Confusion struct {
	markNames              []string
	counts                 map[[2]int]int // by mark that came and mark predicted
	came, predicted, right []int          // by mark
	events, correct        int
}

// ConfusionCell is how often one mark came while another, or the same, was predicted.
type ConfusionCell struct {
	Mark, Predicted, Count int
}

func newConfusion(markNames []string) *Confusion {
	n := max(len(markNames), 1)
	return &Confusion{
		markNames: markNames, counts: map[[2]int]int{},
		came: make([]int, n), predicted: make([]int, n), right: make([]int, n),
	}
}

func (c *Confusion) add(mark, predicted int) {
	c.counts[[2]int{mark, predicted}]++
	c.came[mark]++
	c.predicted[predicted]++
	c.events++
	if mark == predicted {
		c.right[mark]++
		c.correct++
	}
}

// MarkNames names the marks by index; empty for an unmarked model.
func (c *Confusion) MarkNames() []string { return c.markNames }

// Events returns the number of events counted.
func (c *Confusion) Events() int { return c.events }

// Count returns the number of events with the first mark for which the second was predicted.
func (c *Confusion) Count(mark, predicted int) int { return c.counts[[2]int{mark, predicted}] }

// Support returns the number of events of a mark.
func (c *Confusion) Support(mark int) int { return countOf(c.came, mark) }

// Predicted returns the number of events for which a mark was predicted.
func (c *Confusion) Predicted(mark int) int { return countOf(c.predicted, mark) }

// Accuracy returns the share of events whose mark was predicted; NaN without events.
func (c *Confusion) Accuracy() float64 { return float64(c.correct) / float64(c.events) }

// F1 returns 2 TP / (2 TP + FP + FN) of a mark, the harmonic mean of precision and recall; NaN for a mark that neither came
// nor was predicted.
func (c *Confusion) F1(mark int) float64 {
	return 2 * float64(countOf(c.right, mark)) / float64(countOf(c.came, mark)+countOf(c.predicted, mark))
}

// countOf returns the count of a mark, 0 for a mark that there is not.
func countOf(counts []int, mark int) int {
	if mark < 0 || mark >= len(counts) {
		return 0
	}
	return counts[mark]
}

// MacroF1 returns the mean of F1 over the marks that came or were predicted; NaN without events.
func (c *Confusion) MacroF1() float64 {
	sum, marks := 0.0, 0
	for m := range c.came {
		if f1 := c.F1(m); !math.IsNaN(f1) {
			sum += f1
			marks++
		}
	}
	return sum / float64(marks)
}

// Cells returns the pairs of marks that occurred, ordered by the mark that came, then the mark predicted.
func (c *Confusion) Cells() []ConfusionCell {
	cells := make([]ConfusionCell, 0, len(c.counts))
	for pair, n := range c.counts {
		cells = append(cells, ConfusionCell{Mark: pair[0], Predicted: pair[1], Count: n})
	}
	slices.SortFunc(cells, func(a, b ConfusionCell) int {
		return cmp.Or(cmp.Compare(a.Mark, b.Mark), cmp.Compare(a.Predicted, b.Predicted))
	})
	return cells
}

// Marks returns the marks that came or were predicted, in ascending order.
func (c *Confusion) Marks() []int {
	var marks []int
	for m := range c.came {
		if c.came[m]+c.predicted[m] > 0 {
			marks = append(marks, m)
		}
	}
	return marks
}

func (c *Confusion) name(mark int) string {
	if mark < len(c.markNames) {
		return c.markNames[mark]
	}
	return strconv.Itoa(mark)
}

// ShortNames returns the names without their longest common prefix that ends in a dash, such as an application's name, and
// that prefix.
func ShortNames(names []string) (short []string, shared string) {
	if len(names) < 2 {
		return names, ""
	}
	shared = names[0]
	for _, name := range names {
		for !strings.HasPrefix(name, shared) {
			shared = shared[:len(shared)-1]
		}
	}
	shared = shared[:strings.LastIndexByte(shared, '-')+1]
	for _, name := range names {
		short = append(short, strings.TrimPrefix(name, shared))
	}
	return short, shared
}

// MarshalJSON writes {"marks": [names], "counts": [{"mark": name, "predicted": name, "count": n}, …]} with the pairs of
// Cells. An unmarked model's only mark is called 0.
func (c *Confusion) MarshalJSON() ([]byte, error) {
	type cell struct {
		Mark      string `json:"mark"`
		Predicted string `json:"predicted"`
		Count     int    `json:"count"`
	}
	out := struct {
		Marks  []string `json:"marks"`
		Counts []cell   `json:"counts"`
	}{[]string{}, []cell{}}
	for _, m := range c.Marks() {
		out.Marks = append(out.Marks, c.name(m))
	}
	for _, x := range c.Cells() {
		out.Counts = append(out.Counts, cell{c.name(x.Mark), c.name(x.Predicted), x.Count})
	}
	return json.Marshal(out)
}

// maxConfusionColumns is up to how many marks the text is a matrix that fits a terminal.
const maxConfusionColumns = 12

// WriteText writes the table for people, with the beginning that all names share in its corner. Up to 12 marks make a matrix: a row for each mark that came, a column for each
// that was predicted. More make a list of marks, each with its recall and what was predicted in its place most often.
func (c *Confusion) WriteText(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	marks := c.Marks()
	short, shared := ShortNames(c.markNames)
	if shared != "" {
		shared = " (" + shared + "…)"
	}
	name := func(mark int) string {
		if mark < len(short) {
			return short[mark]
		}
		return c.name(mark)
	}
	if len(marks) <= maxConfusionColumns {
		fmt.Fprintf(tw, "came \\ predicted%s\t", shared)
		for _, m := range marks {
			fmt.Fprintf(tw, "%s\t", name(m))
		}
		fmt.Fprintln(tw, "recall")
		for _, m := range marks {
			fmt.Fprintf(tw, "%s\t", name(m))
			for _, p := range marks {
				fmt.Fprintf(tw, "%s\t", countText(c.Count(m, p)))
			}
			fmt.Fprintln(tw, percent(c.right[m], c.came[m]))
		}
		fmt.Fprint(tw, "precision\t")
		for _, m := range marks {
			fmt.Fprintf(tw, "%s\t", percent(c.right[m], c.predicted[m]))
		}
		fmt.Fprintln(tw, percent(c.correct, c.events))
		return tw.Flush()
	}
	instead := c.commonestMistakes()
	fmt.Fprintf(tw, "came%s\tevents\trecall\tprecision\tinstead most often\n", shared)
	for _, m := range marks {
		fmt.Fprintf(tw, "%s\t%d\t%s\t%s\t", name(m), c.came[m], percent(c.right[m], c.came[m]), percent(c.right[m], c.predicted[m]))
		if other, ok := instead[m]; ok {
			fmt.Fprintf(tw, "%s (%d)", name(other.Predicted), other.Count)
		}
		fmt.Fprintln(tw)
	}
	return tw.Flush()
}

// commonestMistakes are, by mark, the cells of what was wrongly predicted most often, the first of equals.
func (c *Confusion) commonestMistakes() map[int]ConfusionCell {
	worst := map[int]ConfusionCell{}
	for _, x := range c.Cells() {
		if x.Mark != x.Predicted && x.Count > worst[x.Mark].Count {
			worst[x.Mark] = x
		}
	}
	return worst
}

// countText leaves a dot where there is nothing, so that what there is stands out.
func countText(n int) string {
	if n == 0 {
		return "·"
	}
	return strconv.Itoa(n)
}

func percent(part, whole int) string {
	if whole == 0 {
		return "–"
	}
	return strconv.FormatFloat(100*float64(part)/float64(whole), 'f', 1, 64) + " %"
}
