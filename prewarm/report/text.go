package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/tppfaas/tppfaas/internal/htmlpage"
)

// mostLines is how many functions the text has.
const mostLines = 15

// WriteText writes the report in short, for a terminal.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, %s of %s", cmp.Or(htmlpage.Printable(r.Source), "traces"), count(r.Traces, "trace"), count(r.Invocations, "invocation"), count(len(r.Functions), "function"))
	if r.KnowsCold {
		fmt.Fprintf(&b, "; %s (%s), in %s (%s)", count(r.ColdStarts, "cold start"), htmlpage.Percent(share(r.ColdStarts, r.Invocations)), count(r.ColdTraces, "trace"), htmlpage.Percent(share(r.ColdTraces, r.Traces)))
	}
	b.WriteString("\n")
	if e := r.EndToEnd; e != nil {
		fmt.Fprintf(&b, "latency of requests: median %s, 95 %% %s; without cold starts %s, %s; added in the mean %s\n",
			htmlpage.Seconds(e.Latency.P50), htmlpage.Seconds(e.Latency.P95), htmlpage.Seconds(e.WarmLatency.P50), htmlpage.Seconds(e.WarmLatency.P95), htmlpage.Seconds(e.Added.Mean))
		fmt.Fprintf(&b, "cold starts took %s together, of which %s reached the ends of requests; %s of them lie on critical paths\n",
			htmlpage.Seconds(e.ColdSeconds), htmlpage.Seconds(e.ReachSeconds), htmlpage.Percent(share(e.Critical, e.ColdStarts)))
	}
	for _, m := range r.Missing {
		fmt.Fprintf(&b, "missing: %s\n", htmlpage.Printable(m))
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", htmlpage.Printable(n))
	}
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if len(r.Functions) > 0 && r.KnowsCold {
		fmt.Fprintf(t, "\nfunction\tinvocations\tcold\tshare\tcold median\t95 %%\twarm median\t95 %%\treaches the end\n")
		for _, f := range r.Functions[:min(len(r.Functions), mostLines)] {
			reach := ""
			if f.ColdSeconds > 0 && r.EndToEnd != nil {
				reach = htmlpage.Percent(f.ReachSeconds / f.ColdSeconds)
			}
			fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%s\t%s\t%s\n", htmlpage.Printable(htmlpage.Shortened(f.Name, 40)), f.Invocations, f.ColdStarts, htmlpage.Percent(share(f.ColdStarts, f.Invocations)), two(f.Cold), two(f.Warm), reach)
		}
		t.Flush()
		if more := len(r.Functions) - mostLines; more > 0 {
			fmt.Fprintf(&b, "and %d more %s\n", more, plural(more, "function"))
		}
	}
	if len(r.Depths) > 1 && r.KnowsCold {
		fmt.Fprintf(t, "\ndepth\tinvocations\tcold\tshare\n")
		for _, d := range r.Depths[:min(len(r.Depths), mostLines)] {
			fmt.Fprintf(t, "%d\t%d\t%d\t%s\n", d.Depth, d.Invocations, d.ColdStarts, htmlpage.Percent(share(d.ColdStarts, d.Invocations)))
		}
		t.Flush()
	}
	if len(r.Loads) > 1 {
		fmt.Fprintf(t, "\nothers starting\tcold\tmedian\t95 %%\twarm\tmedian\t95 %%\n")
		for _, l := range r.Loads {
			fmt.Fprintf(t, "%s\t%d\t%s\t%d\t%s\n", l.Name(), number(l.Cold), two(l.Cold), number(l.Warm), two(l.Warm))
		}
		t.Flush()
	}
	if len(r.OverTime) > 0 {
		b.WriteString("\n")
	}
	for _, o := range r.OverTime {
		if c := o.Caption(); c != "" {
			fmt.Fprintf(&b, "%s: ", htmlpage.Printable(c))
		}
		fmt.Fprintln(&b, o.Sentence())
	}
	if r.Replayed != nil {
		fmt.Fprintf(t, "\nestimate, replayed\tcold\tshare\tidle\tstarting (MB·s a request)\tadded mean\t95 %%\n")
		for _, c := range r.KeepAlives {
			fmt.Fprintf(t, "keep-alive %s\t%s\n", htmlpage.Seconds(*c.Keep), c.columns())
		}
		for _, c := range r.Prices {
			fmt.Fprintf(t, "%s, λ %s\t%s\n", c.Rule, htmlpage.Amount(*c.Lambda), c.columns())
		}
		t.Flush()
	}
	_, err := io.WriteString(w, strings.ReplaceAll(b.String(), "\u00a0", " "))
	return err
}

func (c *Change) columns() string {
	text := fmt.Sprintf("%d\t%s\t%s\t%s", c.Cold, htmlpage.Percent(c.Share), htmlpage.Amount(c.Idle), htmlpage.Amount(c.Starting))
	if c.MeanAdded != nil {
		text += fmt.Sprintf("\t%s\t%s", htmlpage.Seconds(*c.MeanAdded), htmlpage.Seconds(*c.P95))
	}
	return text
}

func number(d *Distribution) int {
	if d == nil {
		return 0
	}
	return d.N
}

// two writes the median and the 95 % quantile.
func two(d *Distribution) string {
	if d == nil {
		return "\t"
	}
	return htmlpage.Seconds(d.P50) + "\t" + htmlpage.Seconds(d.P95)
}

// WriteJSON writes the report as an object on a line.
func (r *Report) WriteJSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }
