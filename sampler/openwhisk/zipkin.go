package openwhisk

import (
	"context"
	"net/url"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/internal/zipkinapi"
)

// clockSkew is how far the clocks of the functions may be from ours. Zipkin looks for traces in a window of time.
const clockSkew = time.Hour

// zipkin is a client of Zipkin's API.
type zipkin struct {
	*zipkinapi.Client
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
	return &zipkin{zipkinapi.New(base, insecure, fetchers, timeout)}
}

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
	if err := z.Get(ctx, "traces", query, &traces, nil); err != nil {
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
	err := z.Get(ctx, "trace/"+trace, nil, &spans, nil)
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
	return zipkinapi.Window(since.Add(-clockSkew), time.Now().Add(clockSkew), 10)
}
