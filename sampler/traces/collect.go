package traces

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/internal/zipkinapi"
)

// Options say which traces to collect, and how.
type Options struct {
	// Server is the address of Zipkin, without /api/v2. Insecure does not check its certificate.
	Server   *url.URL
	Insecure bool
	// Service and Query are conditions on the traces: a service that takes part, and an annotationQuery as Zipkin has it, like
	// "error" or "faas.name=pay and http.status_code=500". Empty ones hold for every trace.
	Service, Query string
	// Since and Until bound when the traces began. A zero Until is now.
	Since, Until time.Time
	// Settle is how long no span of a trace may have ended for it to count as complete: younger ones are left out. 0 takes all.
	Settle time.Duration
	// PageSize is how many traces are asked for at a time (default 500). MaxAnswer bounds the bytes of an answer (default 64 MiB).
	PageSize  int
	MaxAnswer int64
	// Timeout bounds each request (default 30 s), Patience how long one is repeated that fails in a way that may pass (default 2 min).
	Timeout, Patience time.Duration
	// OnProgress is called when traces have come, with their number so far and the time back to which they are complete; OnMessage
	// before a pause after a failure. Both may be nil.
	OnProgress func(traces int, back time.Time)
	OnMessage  func(text string)

	firstPause time.Duration // after a failure; 0 is that of whisk.Retry
}

// Result counts what was collected.
type Result struct {
	Traces    int // written
	Unsettled int // left out because spans may still come
	Requests  int // of the pages
}

// The least and the most traces that are asked for at a time.
const (
	defaultPage = 500
	mostPage    = 1_000_000
)

// Collect fetches the traces that the options describe, each once, the latest first, and writes them to w as lists of spans, one a line. It
// asks for windows of time that are small enough for a page.
func Collect(ctx context.Context, o Options, w io.Writer) (Result, error) {
	c, err := newCollector(o, w)
	if err != nil {
		return Result{}, err
	}
	defer c.client.Close()
	if err := c.greet(ctx); err != nil {
		return Result{}, err
	}
	err = c.walk(ctx)
	return c.result, err
}

// collector is one run of Collect.
type collector struct {
	Options
	client *zipkinapi.Client
	out    io.Writer
	seen   map[string]struct{} // ids of traces
	now    time.Time
	result Result
}

func newCollector(o Options, w io.Writer) (*collector, error) {
	now := time.Now()
	if o.Until.IsZero() || o.Until.After(now) {
		o.Until = now
	}
	switch {
	case o.Server == nil:
		return nil, errors.New("the address of Zipkin is missing")
	case !o.Since.Before(o.Until):
		return nil, fmt.Errorf("traces that began from %s to %s: there is no time between", stamp(o.Since), stamp(o.Until))
	case o.Since.Before(time.UnixMilli(0)):
		o.Since = time.UnixMilli(0)
	}
	if o.PageSize <= 0 {
		o.PageSize = defaultPage
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Patience <= 0 {
		o.Patience = 2 * time.Minute
	}
	base := *o.Server
	base.Path = strings.TrimRight(strings.TrimSuffix("/"+strings.Trim(base.Path, "/"), "/api/v2"), "/")
	c := &collector{Options: o, client: zipkinapi.New(&base, o.Insecure, 2, o.Timeout), out: w, seen: map[string]struct{}{}, now: now}
	c.client.Server.MaxAnswer = o.MaxAnswer
	return c, nil
}

// greet finds out whether the server is a Zipkin, and knows the service.
func (c *collector) greet(ctx context.Context) error {
	var services []string
	err := c.repeat(ctx, false, func() error { return c.client.Get(ctx, "services", nil, &services, nil) })
	switch kind := whisk.KindOf(err); {
	case kind == whisk.NotFound, kind == whisk.Nonsense:
		return fmt.Errorf("%w (is this the address of a Zipkin that searches, without /api/v2?)", err)
	case err != nil:
		return err
	}
	if c.Service == "" || slices.ContainsFunc(services, func(s string) bool { return strings.EqualFold(s, c.Service) }) {
		return nil
	}
	known := "it has no service at all"
	if len(services) > 0 {
		slices.Sort(services)
		more := ""
		if len(services) > 20 {
			services, more = services[:20], ", …"
		}
		known = "it has " + strings.Join(services, ", ") + more
	}
	return fmt.Errorf("%s knows no service %q: %s", c.client.Server.Name, c.Service, whisk.OneLine(known))
}

// walk fetches the traces window by window, back from the end. A window with more traces than a page is halved, one with few is followed
// by a longer one.
func (c *collector) walk(ctx context.Context) error {
	first, end := c.Since.UnixMilli(), c.Until.UnixMilli()
	width, page := max(end-first, 1), c.PageSize
	for {
		from := max(end-width, first)
		traces, err := c.fetch(ctx, from, end, page)
		tooLong := errors.Is(err, whisk.ErrTooLong)
		switch {
		case err != nil && !tooLong:
			return err
		case !tooLong && len(traces) < page:
		case end-from > 1:
			width = (end - from) / 2
			continue
		case tooLong:
			return fmt.Errorf("the traces that began at %s: %w", stamp(time.UnixMilli(end)), err)
		case page >= mostPage:
			return fmt.Errorf("%s has more than %d traces that began at %s", c.client.Server.Name, page, stamp(time.UnixMilli(end)))
		default:
			page *= 10
			continue
		}
		if err := c.write(traces); err != nil {
			return err
		}
		if c.OnProgress != nil {
			c.OnProgress(c.result.Traces, time.UnixMilli(from))
		}
		if from <= first {
			return nil
		}
		if len(traces) < c.PageSize/2 {
			width *= 2
		}
		end, page = from, c.PageSize // both windows have their common millisecond: times are in µs
	}
}

// trace is a trace as Zipkin has sent it.
type trace struct {
	id   string
	last time.Time // when the last of its spans ended
	text json.RawMessage
}

// fetch returns the traces that began in a window, at most page of them, its edges in ms since 1970.
func (c *collector) fetch(ctx context.Context, from, to int64, page int) (traces []trace, err error) {
	query := zipkinapi.Window(time.UnixMilli(from), time.UnixMilli(to), page)
	if c.Service != "" {
		query.Set("serviceName", c.Service)
	}
	if c.Query != "" {
		query.Set("annotationQuery", c.Query)
	}
	err = c.repeat(ctx, true, func() error {
		c.result.Requests++
		var answer []json.RawMessage
		return c.client.Get(ctx, "traces", query, &answer, func() error {
			traces = traces[:0]
			for _, text := range answer {
				one, err := parse(text)
				if err != nil {
					return err
				}
				traces = append(traces, one)
			}
			return nil
		})
	})
	return traces, err
}

// parse reads of a trace what is needed to tell whether it is new and complete.
func parse(text json.RawMessage) (trace, error) {
	var spans []struct {
		TraceID             string `json:"traceId"`
		Timestamp, Duration json.Number
	}
	if err := json.Unmarshal(text, &spans); err != nil {
		return trace{}, fmt.Errorf("a trace: %w", err)
	}
	one := trace{text: text}
	for _, s := range spans {
		if s.TraceID == "" {
			return trace{}, errors.New("a span without traceId")
		}
		if one.id == "" {
			one.id = strings.ToLower(s.TraceID)
		}
		start, _ := s.Timestamp.Float64() // a span may have no time
		duration, _ := s.Duration.Float64()
		if end := time.UnixMicro(int64(start + duration)); end.After(one.last) {
			one.last = end
		}
	}
	return one, nil
}

// write writes the traces that are new and complete.
func (c *collector) write(traces []trace) error {
	for _, one := range traces {
		if _, ok := c.seen[one.id]; ok || one.id == "" {
			continue
		}
		c.seen[one.id] = struct{}{}
		if c.Settle > 0 && one.last.After(c.now.Add(-c.Settle)) {
			c.result.Unsettled++
			continue
		}
		var line bytes.Buffer
		if err := json.Compact(&line, one.text); err != nil {
			return err
		}
		line.WriteByte('\n')
		if _, err := c.out.Write(line.Bytes()); err != nil {
			return err
		}
		c.result.Traces++
	}
	return nil
}

// repeat makes a request until it succeeds or fails for good. As long as nothing has come from the server, its not being there is taken
// for final. An answer that is nonsense may be one that was cut off: it is asked for twice more.
func (c *collector) repeat(ctx context.Context, known bool, request func() error) error {
	nonsense := 0
	return whisk.Retry{
		Patience: c.Patience, First: c.firstPause,
		Passes: func(e *whisk.Error) bool {
			if e.Kind == whisk.Nonsense {
				nonsense++
				return known && nonsense < 3 && !errors.Is(e, whisk.ErrTooLong)
			}
			return e.Temporary() && (known || e.Kind != whisk.Unreachable)
		},
		OnPause: func(err error, pause time.Duration) {
			if c.OnMessage != nil {
				c.OnMessage(fmt.Sprintf("%v; again in %v", err, pause.Round(100*time.Millisecond)))
			}
		},
	}.Do(ctx, request)
}

// stamp writes a time for messages.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999Z") }
