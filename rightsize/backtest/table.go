package backtest

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Estimate is a mean over repetitions, and half of its 95 % interval (Student's t), NaN of one repetition.
type Estimate struct{ Mean, Half float64 }

func estimate(values []float64) Estimate {
	n := float64(len(values))
	mean, std := stat.MeanStdDev(values, nil)
	if n < 2 {
		return Estimate{mean, math.NaN()}
	}
	return Estimate{mean, distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(0.975) * std / math.Sqrt(n)}
}

// Row is a recommender on the repetitions of a series.
type Row struct {
	Recommender string
	Measures             // means; of kills the sum
	Ratio       Estimate // of reserved memory, to that of the base, by repetition
}

// Comparison is all recommenders on a series.
type Comparison struct {
	Series string
	Seeds  []uint64
	Base   string
	Rows   []Row
}

// Compare puts the cells of each series together. Reserved memory is compared with that of a base recommender, or the first one where it did not run.
func Compare(cells []Cell, base string) []Comparison {
	var out []Comparison
	by := map[[2]string][]Cell{}
	for _, c := range cells {
		i := slices.IndexFunc(out, func(o Comparison) bool { return o.Series == c.Series })
		if i < 0 {
			i = len(out)
			out = append(out, Comparison{Series: c.Series})
		}
		if !slices.Contains(out[i].Seeds, c.Seed) {
			out[i].Seeds = append(out[i].Seeds, c.Seed)
		}
		if !slices.ContainsFunc(out[i].Rows, func(r Row) bool { return r.Recommender == c.Recommender }) {
			out[i].Rows = append(out[i].Rows, Row{Recommender: c.Recommender})
		}
		key := [2]string{c.Series, c.Recommender}
		by[key] = append(by[key], c)
	}
	for i := range out {
		o := &out[i]
		o.Base = o.Rows[0].Recommender
		if len(by[[2]string{o.Series, base}]) > 0 {
			o.Base = base
		}
		of := by[[2]string{o.Series, o.Base}]
		for j := range o.Rows {
			r := &o.Rows[j]
			own := by[[2]string{o.Series, r.Recommender}]
			mean := func(value func(*Measures) float64) float64 {
				var values []float64
				for k := range own {
					values = append(values, value(&own[k].Measures))
				}
				return stat.Mean(values, nil)
			}
			r.Measures = Measures{
				Days:     mean(func(m *Measures) float64 { return m.Days }),
				Reserved: mean(func(m *Measures) float64 { return m.Reserved }), Requested: mean(func(m *Measures) float64 { return m.Requested }),
				Kills: mean(func(m *Measures) float64 { return m.Kills }) * float64(len(own)), Over: mean(func(m *Measures) float64 { return m.Over }),
				Changes: mean(func(m *Measures) float64 { return m.Changes }), CPU: mean(func(m *Measures) float64 { return m.CPU }),
				Throttled: mean(func(m *Measures) float64 { return m.Throttled }),
			}
			var ratios []float64
			for k := range own {
				ratios = append(ratios, own[k].Reserved/of[k].Reserved)
			}
			r.Ratio = estimate(ratios)
		}
	}
	return out
}

// Caption says what a comparison is of.
func (c *Comparison) Caption() string {
	text := c.Series
	switch {
	case len(c.Seeds) == 1 && c.Seeds[0] != 0:
		text += fmt.Sprintf(", seed %d", c.Seeds[0])
	case len(c.Seeds) > 1:
		text += fmt.Sprintf(", %d seeds (%d to %d)", len(c.Seeds), c.Seeds[0], c.Seeds[len(c.Seeds)-1])
	}
	return fmt.Sprintf("%s, %.3g days each; to %s by seed", text, c.Rows[0].Days, c.Base)
}

// head names the columns; all but the first are numbers.
var head = []string{"recommender", "reserved GiB", "to base", "requested GiB", "kills", "over min", "changes a day", "CPU cores", "throttled"}

func (c *Comparison) cells() [][]string {
	var out [][]string
	for _, r := range c.Rows {
		ratio := fmt.Sprintf("%.3f", r.Ratio.Mean)
		if !math.IsNaN(r.Ratio.Half) && r.Recommender != c.Base {
			ratio += fmt.Sprintf(" ± %.3f", r.Ratio.Half)
		}
		out = append(out, []string{
			r.Recommender, fmt.Sprintf("%.3f", r.Reserved), ratio, fmt.Sprintf("%.3f", r.Requested), fmt.Sprintf("%.0f", r.Kills),
			fmt.Sprintf("%.1f", r.Over), fmt.Sprintf("%.2f", r.Changes), fmt.Sprintf("%.4f", r.CPU), fmt.Sprintf("%.2f %%", 100*r.Throttled),
		})
	}
	return out
}

// Markdown returns the table.
func (c *Comparison) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n| %s |\n|---%s|\n", c.Caption(), strings.Join(head, " | "), strings.Repeat("|---:", len(head)-1))
	for _, row := range c.cells() {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
	}
	return b.String()
}

// Text writes the table for a terminal.
func (c *Comparison) Text(w io.Writer) error {
	fmt.Fprintln(w, c.Caption())
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range append([][]string{head}, c.cells()...) {
		fmt.Fprintln(t, strings.Join(row, "\t")+"\t")
	}
	return t.Flush()
}
