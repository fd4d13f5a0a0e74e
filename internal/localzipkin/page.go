package localzipkin

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/openzipkin/zipkin-go/model"
)

//go:embed page.html
var pageText string

var pages = template.Must(template.New("").Parse(pageText))

// mostRows is the number of spans that a page shows of a trace at most.
const mostRows = 2000

func redirect(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/zipkin/", http.StatusFound)
}

// writePage answers with a page.
func writePage(w http.ResponseWriter, status int, name string, data any) {
	var text bytes.Buffer
	if err := pages.ExecuteTemplate(&text, name, data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'")
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes())
}

// traceRow is a line of the list of traces.
type traceRow struct {
	ID, Root string
	Start    string
	Duration time.Duration
	Spans    int
	Services []string
	Share    string // of the longest duration of the list, in percent
}

// tracesPage serves the list of traces; its parameters are those of /api/v2/traces.
func (h *handler) tracesPage(w http.ResponseWriter, r *http.Request) {
	data := struct {
		Query    map[string]string
		Services []string
		Traces   []traceRow
		Error    string
	}{Query: map[string]string{"limit": "20"}, Services: h.store.Services()}
	values := r.URL.Query()
	for _, name := range []string{"serviceName", "annotationQuery", "minDuration", "limit"} {
		if value := values.Get(name); value != "" {
			data.Query[name] = value
		}
	}
	values.Set("limit", data.Query["limit"])
	q, err := ParseQuery(values, time.Now())
	if err != nil {
		data.Error = err.Error()
		writePage(w, http.StatusBadRequest, "traces", data)
		return
	}
	longest := time.Duration(1)
	for _, spans := range h.store.Find(q) {
		row := summarise(spans)
		longest = max(longest, row.Duration)
		data.Traces = append(data.Traces, row)
	}
	for i := range data.Traces {
		data.Traces[i].Share = percent(data.Traces[i].Duration, longest)
	}
	writePage(w, http.StatusOK, "traces", data)
}

// summarise returns the line of a trace in the list.
func summarise(spans []model.SpanModel) traceRow {
	rows, _ := waterfall(spans)
	begin, end := extent(spans)
	services := map[string]bool{}
	for _, s := range spans {
		if name := nameOf(s.LocalEndpoint); name != "" {
			services[name] = true
		}
	}
	root := rows[0]
	for _, r := range rows { // the longest: the announcement of a request is a root too
		if r.Depth == 0 && r.Duration > root.Duration {
			root = r
		}
	}
	return traceRow{
		ID: spans[0].TraceID.String(), Root: root.title(), Start: begin.UTC().Format("2006-01-02 15:04:05.000"), Duration: end.Sub(begin),
		Spans: len(spans), Services: slices.Sorted(maps.Keys(services)),
	}
}

// spanRow is a line of a waterfall.
type spanRow struct {
	Service, Name string
	Depth         int
	Start         time.Duration // since the trace began
	Duration      time.Duration
	Left, Width   string // of the bar, in percent
	Fields        [][2]string
	Error         bool
}

func (r spanRow) title() string {
	if r.Service == "" {
		return r.Name
	}
	return r.Service + ": " + r.Name
}

// tracePage serves the waterfall of a trace.
func (h *handler) tracePage(w http.ResponseWriter, r *http.Request) {
	id, err := parseTraceID(r.PathValue("id"))
	var spans []model.SpanModel
	if err == nil {
		spans = h.store.Trace(id)
	}
	if spans == nil {
		writePage(w, http.StatusNotFound, "missing", r.PathValue("id"))
		return
	}
	rows, left := waterfall(spans)
	writePage(w, http.StatusOK, "trace", struct {
		traceRow
		Rows []spanRow
		Left int
	}{summarise(spans), rows, left})
}

// extent returns when a trace began and ended: 1970 if none of its spans has a time.
func extent(spans []model.SpanModel) (begin, end time.Time) {
	for _, s := range spans {
		if s.Timestamp.IsZero() {
			continue
		}
		if begin.IsZero() || s.Timestamp.Before(begin) {
			begin = s.Timestamp
		}
		if stop := s.Timestamp.Add(s.Duration); stop.After(end) {
			end = stop
		}
	}
	if begin.IsZero() {
		return time.Unix(0, 0), time.Unix(0, 0)
	}
	return begin, end
}

// waterfall returns the lines of a trace's spans, each span before its children and these by time, and how many spans are left out because there
// are too many. A span whose parent is not there counts as a root, and so does the first of spans that are each other's ancestors.
func waterfall(spans []model.SpanModel) (rows []spanRow, left int) {
	begin, end := extent(spans)
	total := max(end.Sub(begin), 1)
	known := map[model.ID]bool{}
	for _, s := range spans {
		known[s.ID] = true
	}
	children := map[model.ID][]int{} // by parent
	var roots []int
	for i, s := range spans {
		if s.ParentID != nil && known[*s.ParentID] {
			children[*s.ParentID] = append(children[*s.ParentID], i)
		} else {
			roots = append(roots, i)
		}
	}
	type place struct{ index, depth int }
	shown := make([]bool, len(spans))
	descend := func(from int) {
		for stack := []place{{from, 0}}; len(stack) > 0; {
			at := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if shown[at.index] {
				continue
			}
			shown[at.index] = true
			if len(rows) == mostRows {
				left++
			} else {
				rows = append(rows, newRow(&spans[at.index], at.depth, begin, total))
			}
			below := children[spans[at.index].ID]
			for _, i := range slices.Backward(below) {
				stack = append(stack, place{i, at.depth + 1})
			}
		}
	}
	for _, i := range roots {
		descend(i)
	}
	for i := range spans {
		descend(i)
	}
	return rows, left
}

func newRow(s *model.SpanModel, depth int, begin time.Time, total time.Duration) spanRow {
	r := spanRow{Service: nameOf(s.LocalEndpoint), Name: s.Name, Depth: min(depth, 40), Duration: s.Duration}
	if !s.Timestamp.IsZero() {
		r.Start = s.Timestamp.Sub(begin)
	}
	r.Left, r.Width = percent(r.Start, total), percent(s.Duration, total)
	r.Fields = append(r.Fields, [2]string{"span", s.ID.String()})
	if s.Kind != "" {
		r.Fields = append(r.Fields, [2]string{"kind", string(s.Kind)})
	}
	if remote := nameOf(s.RemoteEndpoint); remote != "" {
		r.Fields = append(r.Fields, [2]string{"remote", remote})
	}
	for _, a := range s.Annotations {
		r.Fields = append(r.Fields, [2]string{a.Timestamp.UTC().Format("15:04:05.000000"), a.Value})
	}
	for _, key := range slices.Sorted(maps.Keys(s.Tags)) {
		r.Fields = append(r.Fields, [2]string{key, s.Tags[key]})
	}
	_, r.Error = s.Tags["error"]
	return r
}

func percent(part, whole time.Duration) string {
	return fmt.Sprintf("%.3f", 100*min(max(float64(part)/float64(whole), 0), 1))
}
