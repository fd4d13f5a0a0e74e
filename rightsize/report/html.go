package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"time"

	"github.com/tppfaas/tppfaas/internal/htmlpage"
	"github.com/tppfaas/tppfaas/rightsize"
)

//go:embed page.html
var pageText string

//go:embed style.css
var styleText string

// page is what the template is filled with.
type page struct {
	*Report
	Style template.CSS
}

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"percent": htmlpage.Percent, "digits": htmlpage.Digits}).Parse(pageText))

// WriteHTML writes the report as one page that needs nothing else: no script, and no other file.
func (r *Report) WriteHTML(w io.Writer) error {
	return pageTemplate.Execute(w, &page{r, htmlpage.Style() + template.CSS(styleText)})
}

// WholeChart returns the picture of all usage.
func (p *Panel) WholeChart() template.HTML { return p.wholeChart() }

// FanChart returns the picture of the last usage and the forecast.
func (p *Panel) FanChart() template.HTML { return p.fanChart() }

// Heading names the resource.
func (p *Panel) Heading() string {
	if p.Resource == rightsize.CPU {
		return "CPU"
	}
	return "Memory"
}

// Text writes a value of the resource.
func (p *Panel) Text(v float64) string { return amount(p.Resource, v) }

// MedianText writes the median of the usage, or a dash where none of the resource is known.
func (p *Panel) MedianText() string { return p.usageText(p.Median) }

// MostText writes the most that was used, or a dash where no usage of the resource is known.
func (p *Panel) MostText() string { return p.usageText(p.Most) }

func (p *Panel) usageText(v float64) string {
	if !p.isKnown() {
		return "–"
	}
	return p.Text(v)
}

// Within says until when the forecast is.
func (p Point) Within() string { return htmlpage.Seconds(time.Duration(p.Ahead).Seconds()) }

// LossText writes the loss.
func (p Point) LossText() string {
	if p.Loss == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", p.Loss)
}

// Panels are the two resources.
func (f *Function) Panels() []*Panel { return []*Panel{&f.Memory, &f.CPU} }

// Bars returns the picture of the backtest.
func (f *Function) Bars() template.HTML { return f.bars() }

// MemoryLimit and its like are the recommended values as they are written.
func (f *Function) MemoryLimit() string {
	return written(f.Recommended.MemoryLimit, rightsize.FormatMemory)
}

// MemoryRequest is the recommended one as it is written.
func (f *Function) MemoryRequest() string {
	return written(f.Recommended.MemoryRequest, rightsize.FormatMemory)
}

// CPULimit is the recommended one as it is written.
func (f *Function) CPULimit() string { return written(f.Recommended.CPULimit, rightsize.FormatCPU) }

// CPURequest is the recommended one as it is written.
func (f *Function) CPURequest() string { return written(f.Recommended.CPURequest, rightsize.FormatCPU) }

func written(v float64, format func(float64) string) string {
	if v == 0 {
		return "none"
	}
	return format(v)
}

// Span says what is known of the function.
func (f *Function) Span() string {
	const layout = "2006-01-02 15:04:05"
	s := fmt.Sprintf("%d samples from %s to %s UTC, one every %s", f.Samples, f.From.Format(layout), f.To.Format(layout), htmlpage.Seconds(time.Duration(f.Step).Seconds()))
	if f.Missing > 0 {
		s += fmt.Sprintf("; %d are missing", f.Missing)
	}
	return s + "."
}

// Ratio returns what is reserved in parts of what a recommender of this name would have reserved.
func (f *Function) Ratio(base string, reserved float64) string {
	for _, r := range f.Backtest {
		if r.Recommender == base && r.Reserved > 0 {
			return fmt.Sprintf("%.2f", reserved/r.Reserved)
		}
	}
	return ""
}

// ReservedText writes what is reserved.
func (r Run) ReservedText() string { return amount(rightsize.Memory, r.Reserved*(1<<30)) }

// CPUText writes what is requested.
func (r Run) CPUText() string { return amount(rightsize.CPU, r.CPU) }
