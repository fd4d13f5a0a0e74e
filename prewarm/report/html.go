package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/tppfaas/tppfaas/internal/htmlpage"
)

//go:embed page.html
var pageText string

// page is what the template is filled with.
type page struct {
	*Report
	Style template.CSS
}

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"percent": func(part, of int) string { return htmlpage.Percent(share(part, of)) },
	"ratio": func(part, of float64) string {
		if of == 0 {
			return htmlpage.Percent(0)
		}
		return htmlpage.Percent(part / of)
	},
	"each": func(sum float64, n int) string {
		if n == 0 {
			return ""
		}
		return htmlpage.Seconds(sum / float64(n))
	},
	"seconds": htmlpage.Seconds,
	"amount":  htmlpage.Amount,
	"keep":    func(s *float64) string { return htmlpage.Seconds(*s) },
	"at":      func(s *float64) string { return htmlpage.Seconds(*s) },
	"price":   func(l *float64) string { return htmlpage.Amount(*l) },
}).Parse(pageText))

// WriteHTML writes the report as one page that needs nothing else: no script, and no other file.
func (r *Report) WriteHTML(w io.Writer) error {
	return pageTemplate.Execute(w, &page{r, htmlpage.Style()})
}

// Rows are the functions that the page shows.
func (p *page) Rows() []Function { return p.Functions[:min(len(p.Functions), mostRows)] }

// MoreFunctions is how many functions the page does not show.
func (p *page) MoreFunctions() int { return len(p.Functions) - len(p.Rows()) }

// RunRows are the runs that the page shows.
func (p *page) RunRows() []Run { return p.Runs[:min(len(p.Runs), mostRows)] }

// MoreRuns is how many runs the page does not show.
func (p *page) MoreRuns() int { return len(p.Runs) - len(p.RunRows()) }

// DepthRows are the depths that the page shows.
func (p *page) DepthRows() []Depth { return p.Depths[:min(len(p.Depths), mostRows)] }

func (p *page) LatencyChart() template.HTML { return p.latencyChart() }
func (p *page) LoadChart() template.HTML    { return p.loadChart() }
func (p *page) DepthChart() template.HTML   { return p.depthChart() }
func (p *page) KeepChart() template.HTML    { return p.keepChart() }

// Chart returns the picture of the timeline.
func (t Timeline) Chart() template.HTML { return t.chart() }

// GapChart returns the picture of the function's gaps.
func (f Function) GapChart() template.HTML { return f.gapChart() }

// Caption names the run of a timeline.
func (t Timeline) Caption() string { return t.Labels.String() }

// String joins the labels.
func (l Labels) String() string {
	var parts []string
	for _, part := range []string{l.App, l.Load, l.Policy} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if l.Seed != "" {
		parts = append(parts, "seed "+l.Seed)
	}
	return strings.Join(parts, ", ")
}

// Sentence says how latency differs between intervals with starts and without.
func (t Timeline) Sentence() string {
	what := func(n int) string {
		name := "invocation"
		if t.Requests {
			name = "request"
		}
		if n != 1 {
			name += "s"
		}
		return fmt.Sprintf("%d %s", n, name)
	}
	interval := htmlpage.Seconds(t.Seconds)
	switch {
	case t.With == nil:
		return fmt.Sprintf("No container started. %s: median %s, 95 %% %s.", what(t.Without.N), htmlpage.Seconds(t.Without.P50), htmlpage.Seconds(t.Without.P95))
	case t.Without == nil:
		return fmt.Sprintf("Containers started in every interval of %s in which something arrived. %s: median %s, 95 %% %s.",
			interval, what(t.With.N), htmlpage.Seconds(t.With.P50), htmlpage.Seconds(t.With.P95))
	}
	return fmt.Sprintf("Intervals of %s in which containers started: %s, median %s, 95 %% %s. The others: %s, median %s, 95 %% %s.",
		interval, what(t.With.N), htmlpage.Seconds(t.With.P50), htmlpage.Seconds(t.With.P95), what(t.Without.N), htmlpage.Seconds(t.Without.P50), htmlpage.Seconds(t.Without.P95))
}

// RuleText says when a container is kept, by the distribution of the gaps.
func (f Function) RuleText() string {
	switch {
	case f.PrewarmAfter > 0:
		return fmt.Sprintf("there from %s to %s", htmlpage.Seconds(f.PrewarmAfter), htmlpage.Seconds(f.PrewarmUntil))
	case f.PrewarmUntil == 0:
		return "not kept"
	}
	return "kept for " + htmlpage.Seconds(f.PrewarmUntil)
}
