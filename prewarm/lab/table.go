package lab

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// column is a measure in the tables.
type column struct {
	title    string
	decimals int
	of       func(*Measures) float64
}

var columns = []column{
	{"p50", 2, func(m *Measures) float64 { return m.P50 }},
	{"p95", 2, p95},
	{"p99", 2, func(m *Measures) float64 { return m.P99 }},
	{"mean", 2, func(m *Measures) float64 { return m.Mean }},
	{"starting", 0, func(m *Measures) float64 { return m.Starting }},
	{"idle", 0, func(m *Measures) float64 { return m.Idle }},
	{"cold", 2, func(m *Measures) float64 { return m.Cold }},
	{"late", 2, func(m *Measures) float64 { return m.Late }},
	{"wasted", 2, func(m *Measures) float64 { return m.Wasted }},
}

// columns returns the columns that are shown: that of renewals only where there were some.
func (g *Group) columns() []column {
	for _, p := range g.Policies {
		for _, r := range p.Results {
			if r.Renewals > 0 {
				return append(slices.Clone(columns), column{"renewals", 2, func(m *Measures) float64 { return m.Renewals }})
			}
		}
	}
	return columns
}

func p95(m *Measures) float64 { return m.P95 }

func difference(a, b float64) float64 { return a - b }

func quotient(a, b float64) float64 { return a / b }

// percent returns by how many percent a is above b.
func percent(a, b float64) float64 { return 100 * (a/b - 1) }

// Table is text in rows and columns.
type Table struct {
	Caption string
	Head    []string
	Rows    [][]string
}

// Table returns the means of the measures of each policy over the seeds, and its differences to the first one on the same requests.
func (g *Group) Table() *Table {
	t := &Table{Head: []string{"policy"}}
	shown := g.columns()
	for _, c := range shown {
		t.Head = append(t.Head, c.title)
	}
	first := g.Policies[0]
	t.Caption = fmt.Sprintf("%s, %s: %d requests in each of %s; added latency in s, memory in MB·s a request", g.App, g.Load, first.Results[0].Requests, seedsText(g.Seeds))
	if s := strings.Split(g.Settings, ","); len(s) > 1 {
		t.Caption += "; " + strings.Join(s[1:], ", ")
	}
	compared := len(g.Policies) > 1
	if compared {
		t.Caption += fmt.Sprintf(". Differences to %s", first.Policy)
		if len(g.Seeds) > 1 {
			t.Caption += " with 95 % intervals (Student's t over seeds)"
		}
		t.Head = append(t.Head, "Δ p95", "Δ memory")
	}
	bounds := g.bounds()
	for _, b := range bounds {
		t.Head = append(t.Head, "to "+b.Policy)
	}
	if len(bounds) > 0 {
		t.Caption += ". To an oracle: by how much p95 is above its, and how many times its memory"
	}
	for _, p := range g.Policies {
		row := []string{p.Policy}
		if n := len(p.Results); n < len(g.Seeds) {
			row[0] += fmt.Sprintf(" (%d seeds)", n)
		}
		for _, c := range shown {
			row = append(row, number(p.Mean(c.of).Mean, c.decimals, false))
		}
		switch {
		case p == first && compared:
			row = append(row, "", "")
		case compared:
			row = append(row, spread(p.Paired(first, p95, difference), 2, ""), spread(p.Paired(first, (*Measures).Memory, percent), 1, " %"))
		}
		for _, b := range bounds {
			cell := ""
			if !IsBound(p.Policy) {
				cell = number(p.Paired(b, p95, difference).Mean, 2, true) + " s, " + number(p.Paired(b, (*Measures).Memory, quotient).Mean, 2, false) + "×"
			}
			row = append(row, cell)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// bounds returns the oracles to which distances are shown.
func (g *Group) bounds() []*PolicyResults {
	var out []*PolicyResults
	for _, p := range g.Policies {
		if p.Policy == "O1" || p.Policy == "O3" {
			out = append(out, p)
		}
	}
	return out
}

// FunctionTable returns the means of the measures by function.
func (g *Group) FunctionTable() *Table {
	t := &Table{Caption: fmt.Sprintf("%s, %s, by function; wait in s an invocation, memory in MB·s a request", g.App, g.Load)}
	t.Head = []string{"policy", "function", "invocations", "wait", "starting", "idle", "busy", "cold", "late", "wasted"}
	for _, p := range g.Policies {
		for i := range p.Results[0].Functions {
			mean := func(of func(*FunctionMeasures) float64, decimals int) string {
				values := make([]float64, 0, len(p.Results))
				for _, r := range p.Results {
					if i < len(r.Functions) {
						values = append(values, of(&r.Functions[i]))
					}
				}
				return number(estimate(values).Mean, decimals, false)
			}
			t.Rows = append(t.Rows, []string{
				p.Policy, p.Results[0].Functions[i].Function,
				mean(func(f *FunctionMeasures) float64 { return f.Invocations }, 2),
				mean(func(f *FunctionMeasures) float64 { return f.Wait }, 3),
				mean(func(f *FunctionMeasures) float64 { return f.Starting }, 0),
				mean(func(f *FunctionMeasures) float64 { return f.Idle }, 0),
				mean(func(f *FunctionMeasures) float64 { return f.Busy }, 0),
				mean(func(f *FunctionMeasures) float64 { return f.Cold }, 2),
				mean(func(f *FunctionMeasures) float64 { return f.Late }, 2),
				mean(func(f *FunctionMeasures) float64 { return f.Wasted }, 2),
			})
		}
	}
	return t
}

// seedsText names seeds.
func seedsText(seeds []uint64) string {
	first, last := seeds[0], seeds[len(seeds)-1]
	switch {
	case len(seeds) == 1:
		return fmt.Sprintf("1 run (seed %d)", first)
	case last-first+1 == uint64(len(seeds)):
		return fmt.Sprintf("%d runs (seeds %d to %d)", len(seeds), first, last)
	}
	return fmt.Sprintf("%d runs (seeds from %d to %d)", len(seeds), first, last)
}

// number writes a number; a dash for what is none.
func number(v float64, decimals int, signed bool) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	out := strconv.FormatFloat(v, 'f', decimals, 64)
	digits := strings.TrimPrefix(out, "-")
	switch {
	case strings.Trim(digits, "0.") == "":
		return digits // no sign of what is rounded away
	case v < 0:
		return "−" + digits
	case signed:
		return "+" + digits
	}
	return out
}

// spread writes an estimate of a difference.
func spread(e Estimate, decimals int, unit string) string {
	out := number(e.Mean, decimals, true)
	if !math.IsNaN(e.Half) {
		out += " ± " + number(e.Half, decimals, false)
	}
	return out + unit
}

// WriteText writes tables for a terminal.
func WriteText(w io.Writer, tables []*Table) error {
	for i, t := range tables {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, t.Caption)
		out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		for _, row := range append([][]string{t.Head}, t.Rows...) {
			// The first column is aligned to the left by padding it to its width.
			row = slices.Clone(row)
			row[0] = pad(row[0], t.width())
			fmt.Fprintln(out, strings.Join(row, "\t")+"\t")
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// width returns the number of characters of the first column.
func (t *Table) width() int {
	most := len([]rune(t.Head[0]))
	for _, row := range t.Rows {
		most = max(most, len([]rune(row[0])))
	}
	return most
}

func pad(s string, width int) string { return s + strings.Repeat(" ", width-len([]rune(s))) }

// WriteMarkdown writes tables as Markdown.
func WriteMarkdown(w io.Writer, tables []*Table) error {
	var b strings.Builder
	for i, t := range tables {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s\n\n|", t.Caption)
		for _, h := range t.Head {
			fmt.Fprintf(&b, " %s |", h)
		}
		b.WriteString("\n|---|" + strings.Repeat("---:|", len(t.Head)-1) + "\n")
		for _, row := range t.Rows {
			b.WriteString("|")
			for _, cell := range row {
				fmt.Fprintf(&b, " %s |", strings.ReplaceAll(cell, "|", `\|`))
			}
			b.WriteString("\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteCSV writes results, a row each, below a row with the names of the columns.
func WriteCSV(w io.Writer, results []*StoredResult) error {
	out := csv.NewWriter(w)
	out.Write([]string{"app", "load", "policy", "seed", "requests", "p50", "p95", "p99", "mean", "starting", "idle", "busy", "cold", "late", "wasted"}) // Flush has the error
	for _, r := range results {
		row := []string{r.App, r.Load, r.Policy, strconv.FormatUint(r.Seed, 10), strconv.Itoa(r.Requests)}
		for _, v := range []float64{r.P50, r.P95, r.P99, r.Mean, r.Starting, r.Idle, r.Busy, r.Cold, r.Late, r.Wasted} {
			row = append(row, strconv.FormatFloat(v, 'g', -1, 64))
		}
		out.Write(row)
	}
	out.Flush()
	return out.Error()
}
