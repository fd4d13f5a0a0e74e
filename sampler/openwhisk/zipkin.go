package openwhisk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// clockSkew is how far the clocks of the functions may be from ours: Zipkin looks for traces in a window of time.
const clockSkew = time.Hour

// zipkin asks a server with Zipkin's API for traces.
type zipkin struct {
	base    *url.URL // without /api/v2
	client  *http.Client
	name    string        // in errors
	timeout time.Duration // of a query
}

// span is what a dataset needs of one.
type span struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Timestamp int64             `json:"timestamp"` // µs since 1970
	Duration  int64             `json:"duration"`  // µs
	Tags      map[string]string `json:"tags"`
}

func newZipkin(base *url.URL, insecure bool, timeout time.Duration) *zipkin {
	return &zipkin{base: base, client: &http.Client{Transport: newTransport(insecure, fetchers)}, name: "Zipkin at " + shown(base), timeout: timeout}
}

func (z *zipkin) close() { z.client.CloseIdleConnections() }

// get decodes the answer to a query.
func (z *zipkin) get(ctx context.Context, path string, query url.Values, into any) error {
	bounded, cancel := context.WithTimeout(ctx, z.timeout)
	defer cancel()
	u := z.base.JoinPath("api/v2", path)
	u.RawQuery = query.Encode()
	r, err := http.NewRequestWithContext(bounded, http.MethodGet, u.String(), nil)
	if err != nil {
		return fmt.Errorf("%s: %w", z.name, err)
	}
	response, err := z.client.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return noAnswer(z.name, err, true)
	}
	text, err := readAnswer(response)
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return noAnswer(z.name, err, true)
	case response.StatusCode != http.StatusOK:
		said := ""
		if strings.HasPrefix(response.Header.Get("Content-Type"), "text/plain") {
			said = string(text)
		}
		return statusError(z.name, response, said)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return &Error{Kind: Nonsense, Server: z.name, Status: response.StatusCode, Text: "not the traces it was asked for: " + oneLine(err.Error()), cause: err}
	}
	return nil
}

// window is the part of a query that says when a trace began: at most so long ago.
func window(since time.Time) url.Values {
	end := time.Now().Add(clockSkew)
	return url.Values{
		"endTs":    {strconv.FormatInt(end.UnixMilli(), 10)},
		"lookback": {strconv.FormatInt(end.Sub(since.Add(-clockSkew)).Milliseconds(), 10)},
		"limit":    {"10"},
	}
}

// check makes a query as a sampling does.
func (z *zipkin) check(ctx context.Context) error {
	_, err := z.byActivation(ctx, "00000000000000000000000000000000", time.Now())
	return err
}

// byActivation returns the spans of the trace in which one span is that of the activation, nil if there is none.
func (z *zipkin) byActivation(ctx context.Context, activation string, since time.Time) ([]span, error) {
	query := window(since)
	query.Set("annotationQuery", "activationId="+activation)
	var traces [][]span
	if err := z.get(ctx, "traces", query, &traces); err != nil {
		return nil, err
	}
	var spans []span
	for _, t := range traces {
		spans = append(spans, t...)
	}
	return spans, nil
}

// byID returns the spans of a trace, nil if there is none.
func (z *zipkin) byID(ctx context.Context, trace string) ([]span, error) {
	var spans []span
	err := z.get(ctx, "trace/"+trace, nil, &spans)
	var e *Error
	if errors.As(err, &e) && e.Kind == NotFound {
		return nil, nil
	}
	return spans, err
}
