package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// table is a table with a caption. The first column names the rows.
type table struct {
	caption string
	head    []string
	rows    [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// writeText writes tables for a terminal.
func writeText(w io.Writer, tables []*table) error {
	for _, t := range tables {
		fmt.Fprintln(w, t.caption)
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, row := range append([][]string{t.head}, t.rows...) {
			fmt.Fprintln(tw, "  "+strings.Join(row, "\t"))
		}
		if err := tw.Flush(); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
	}
	return nil
}

// writeMarkdown writes tables in Markdown.
func writeMarkdown(w io.Writer, tables []*table) error {
	line := func(cells []string) string {
		escaped := make([]string, len(cells))
		for i, c := range cells {
			escaped[i] = strings.ReplaceAll(c, "|", `\|`)
		}
		return "| " + strings.Join(escaped, " | ") + " |\n"
	}
	for _, t := range tables {
		var b strings.Builder
		fmt.Fprintf(&b, "%s\n\n%s|---|%s\n", t.caption, line(t.head), strings.Repeat("---:|", len(t.head)-1))
		for _, row := range t.rows {
			b.WriteString(line(row))
		}
		if _, err := fmt.Fprintln(w, b.String()); err != nil {
			return err
		}
	}
	return nil
}

// tablesOf returns the tables of all comparisons, and behind them those that show all datasets side by side.
func tablesOf(all []*comparison, models []string, p *publishedResults) []*table {
	var out []*table
	for _, c := range all {
		out = append(out, c.means(p), c.differences())
		if t := c.detections(); len(t.rows) > 0 {
			out = append(out, t)
		}
	}
	if len(all) > 1 {
		for _, of := range columns {
			out = append(out, overview(all, models, p, of))
		}
	}
	return out
}

func (c *comparison) splitsText() string {
	first, last := c.splits[0], c.splits[len(c.splits)-1]
	switch {
	case len(c.splits) == 1:
		return fmt.Sprintf("the split of seed %d", first)
	case last-first+1 == uint64(len(c.splits)):
		return fmt.Sprintf("%d splits, seeds %d to %d", len(c.splits), first, last)
	}
	return fmt.Sprintf("%d splits, seeds from %d to %d", len(c.splits), first, last)
}

// means has the means of the scores, and the published ones.
func (c *comparison) means(p *publishedResults) *table {
	t := &table{caption: fmt.Sprintf("%s: %d traces, mean ± standard deviation over %s", c.label, c.traces, c.splitsText())}
	t.head = []string{"model"}
	for _, of := range columns {
		t.head = append(t.head, of.title)
	}
	t.head = append(t.head, "seconds")
	for _, model := range c.models {
		row := []string{model}
		if n := len(c.of[model]); n < len(c.splits) {
			row[0] += fmt.Sprintf(" (%d splits)", n)
		}
		for _, of := range columns {
			s := c.score(model, of.name)
			row = append(row, text(s.mean, s.deviation, of.decimals, false))
		}
		s := c.score(model, "seconds")
		t.add(append(row, text(s.mean, s.deviation, 1, false))...)
	}
	if p == nil {
		return t
	}
	for with, name := range publishedNames {
		if _, ok := p[with][c.dataset]; !ok {
			continue
		}
		row := []string{name}
		for _, of := range columns {
			row = append(row, text(p.score(with, c.dataset, of.name), math.NaN(), of.decimals, false))
		}
		t.add(append(row, "–")...)
	}
	return t
}

// differences has what each model has more than the better of the models here and than the best table.
func (c *comparison) differences() *table {
	t := &table{caption: c.label + ": less the better one here and less the best table, mean of the differences on the same splits ± its standard error"}
	t.head = []string{"model"}
	with := []string{"compared with"}
	type reference struct {
		of    column
		model string
	}
	var references []reference
	for _, of := range columns {
		for _, group := range []struct {
			name   string
			models []string
		}{{"here", here()}, {"table", tables()}} {
			model := c.best(group.models, of)
			references = append(references, reference{of, model})
			t.head = append(t.head, of.name+" − "+group.name)
			with = append(with, cmp.Or(model, "–"))
		}
	}
	t.add(with...)
	for _, model := range c.models {
		row := []string{model}
		for _, r := range references {
			cell := "–"
			if r.model == model {
				cell = "="
			} else if r.model != "" {
				s := c.paired(model, r.model, r.of.name)
				cell = text(s.mean, s.standardError(), r.of.decimals, true)
			}
			row = append(row, cell)
		}
		t.add(row...)
	}
	return t
}

// detectors are the numbers by which anomalies are told, and the ends of the names of their scores.
var detectors = []string{"late", "mark", "surprise"}

// detections has how well models that were trained on normal traces tell those with anomalies from them; without rows for a dataset that has
// none.
func (c *comparison) detections() *table {
	t := &table{caption: c.label + ": anomalies told from the same requests without any, by models of normal traces; false alarms are per normal trace"}
	t.head = []string{"model", "anomaly", "traces", "by", "AUC", "AUC of gaps", "false alarms at 90 % caught", "caught at lateness 0.99", "false alarms at it"}
	for _, kind := range c.anomalies() {
		for _, model := range c.models {
			score := func(name string) summary {
				var values []float64
				for _, split := range c.splits {
					if r := c.of[model][split]; r != nil && r.Anomalies[kind] != nil {
						values = append(values, r.Anomalies[kind].value(name))
					}
				}
				return summarise(values)
			}
			cell := func(name string, decimals int) string {
				s := score(name)
				return text(s.mean, s.deviation, decimals, false)
			}
			for _, by := range detectors {
				if s := score("auc_" + by); math.IsNaN(s.mean) {
					continue // the model does not say
				}
				row := []string{model, kind, text(score("anomalous").mean, math.NaN(), 0, false), by,
					cell("auc_"+by, 3), cell("gap_auc_"+by, 3), cell("false_alarms_90_"+by, 2), "", ""}
				if by == "late" {
					row[7], row[8] = cell("caught_99", 2), cell("false_alarms_99", 3)
				}
				t.add(row...)
			}
		}
	}
	return t
}

// anomalies returns the kinds of anomalies in the dataset, without the kind that has all of them if there is one other alone.
func (c *comparison) anomalies() []string {
	kinds := anomalyKinds()
	kinds = slices.DeleteFunc(kinds, func(kind string) bool {
		for _, bySplit := range c.of {
			for _, r := range bySplit {
				if r.Anomalies[kind] != nil {
					return false
				}
			}
		}
		return true
	})
	if len(kinds) == 2 {
		return kinds[1:]
	}
	return kinds
}

// overview has the means of a score by dataset and model, and the published ones.
func overview(all []*comparison, models []string, p *publishedResults, of column) *table {
	t := &table{caption: of.title + " on all datasets", head: []string{"dataset"}}
	t.head = append(t.head, models...)
	if p != nil {
		t.head = append(t.head, publishedNames[:]...)
	}
	for _, c := range all {
		row := []string{c.label}
		for _, model := range models {
			s := c.score(model, of.name)
			row = append(row, text(s.mean, math.NaN(), of.decimals, false))
		}
		if p != nil {
			for with := range publishedNames {
				row = append(row, text(p.score(with, c.dataset, of.name), math.NaN(), of.decimals, false))
			}
		}
		t.add(row...)
	}
	return t
}
