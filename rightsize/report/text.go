package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/tppfaas/tppfaas/internal/htmlpage"
)

// WriteText writes the report in short, for a terminal.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "function\tmemory median\tmost\tlimit\trequest\tCPU median\tmost\tlimit\trequest\n")
	for i := range r.Functions {
		f := &r.Functions[i]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", htmlpage.Printable(f.Name), f.Memory.MedianText(), f.Memory.MostText(), f.MemoryLimit(), f.MemoryRequest(),
			f.CPU.MedianText(), f.CPU.MostText(), f.CPULimit(), f.CPURequest())
	}
	t.Flush()
	for i := range r.Functions {
		f := &r.Functions[i]
		fmt.Fprintf(&b, "\n%s: %s\n", htmlpage.Printable(f.Name), f.Span())
		for _, text := range append(append([]string{}, f.Reasons...), f.Hints...) {
			fmt.Fprintf(&b, "  %s\n", text)
		}
		for _, p := range f.Panels() {
			if len(p.Fan) == 0 {
				continue
			}
			fmt.Fprintf(t, "largest %s within\tmedian\t90 %%\t95 %%\t99 %%\tby\tloss\n", strings.Replace(p.Heading(), "M", "m", 1))
			for _, point := range p.Fan {
				fmt.Fprint(t, point.Within())
				for _, q := range point.Quantiles {
					fmt.Fprint(t, "\t"+p.Text(q))
				}
				fmt.Fprintf(t, "\t%s\t%s\n", point.By, point.LossText())
			}
			t.Flush()
		}
		if len(f.Backtest) > 0 {
			fmt.Fprintf(t, "recommender\treserved\tto %s\tkills\tchanges a day\tthrottled\n", r.Base)
			for _, run := range f.Backtest {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", run.Recommender, run.ReservedText(), f.Ratio(r.Base, run.Reserved), htmlpage.Digits(run.Kills), htmlpage.Digits(run.Changes), htmlpage.Percent(run.Throttled))
			}
			t.Flush()
		}
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", htmlpage.Printable(n))
	}
	_, err := io.WriteString(w, strings.ReplaceAll(b.String(), "\u00a0", " "))
	return err
}
