package openwhisk

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// clockSkew is how far the clocks of the functions may be from ours. Zipkin looks for traces in a window of time.
const clockSkew = time.Hour

// zipkin is a client of Zipkin's API.
type zipkin struct {
	server whisk.Server
}

// span is a span, without what a dataset does not need.
type span struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Timestamp int64             `json:"timestamp"` // µs since 1970
	Duration  int64             `json:"duration"`  // µs
	Tags      map[string]string `json:"tags"`
	Endpoint  struct {
		Service string `json:"serviceName"`
	} `json:"localEndpoint"`
}

// newZipkin returns a client of the server at an address without /api/v2.
func newZipkin(base *url.URL, insecure bool, timeout time.Duration) *zipkin {
	return &zipkin{whisk.Server{
		Name: "Zipkin at " + whisk.DisplayAddress(base), Base: base, HTTP: whisk.NewHTTPClient(insecure, fetchers), Timeout: timeout,
	}}
}

func (z *zipkin) close() { z.server.HTTP.CloseIdleConnections() }

// check makes a query like those of a sampling, for a trace that is not there.
func (z *zipkin) check(ctx context.Context) error {
	_, err := z.byActivation(ctx, "00000000000000000000000000000000", time.Now())
	return err
}

// byActivation returns the spans of the trace in which one span is that of the activation, nil if there is none. Like byID it leaves out
// what the sampler itself has announced, which says nothing of what became of the request.
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
	return withoutOurs(spans), nil
}

// byID returns the spans of a trace, nil if there is none.
func (z *zipkin) byID(ctx context.Context, trace string) ([]span, error) {
	var spans []span
	err := z.get(ctx, "trace/"+trace, nil, &spans)
	if whisk.KindOf(err) == whisk.NotFound {
		return nil, nil
	}
	return withoutOurs(spans), err
}

// withoutOurs removes the announcements of the sampler.
func withoutOurs(spans []span) []span {
	return slices.DeleteFunc(spans, func(s span) bool { return s.announces() && s.Endpoint.Service == announcerService })
}

// window returns the part of a query that bounds when a trace began: after since.
func window(since time.Time) url.Values {
	end := time.Now().Add(clockSkew)
	return url.Values{
		"endTs":    {strconv.FormatInt(end.UnixMilli(), 10)},
		"lookback": {strconv.FormatInt(end.Sub(since.Add(-clockSkew)).Milliseconds(), 10)},
		"limit":    {"10"},
	}
}

// get decodes the answer to a query.
func (z *zipkin) get(ctx context.Context, path string, query url.Values, into any) error {
	err := z.server.Do(ctx, whisk.Request{Method: http.MethodGet, Path: "api/v2/" + path, Query: query}, into)
	var e *whisk.Error
	if errors.As(err, &e) && e.Kind == whisk.Nonsense {
		e.Text = "not the traces it was asked for: " + e.Text
	}
	return err
}
