package otlphttp

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// New returns an exporter that sends spans to a collector with the client. failed is called with the number of spans and the first error of
// a message, also where it is sent again and arrives; it may be nil. Shutdown closes idle connections and nothing else.
func New(collector *url.URL, client *http.Client, failed func(spans int, err error)) *otlptrace.Exporter {
	return otlptrace.NewUnstarted(&uploader{serverOf(collector, client), failed})
}

func serverOf(collector *url.URL, client *http.Client) whisk.Server {
	return whisk.Server{Name: "the collector at " + whisk.DisplayAddress(collector), Base: collector, HTTP: client, MaxAnswer: 1 << 20}
}

// Connect sends a request without spans with the client, once, so that the connection is there when there are some.
func Connect(ctx context.Context, collector *url.URL, client *http.Client) error {
	server := serverOf(collector, client)
	return server.Do(ctx, whisk.Request{Method: http.MethodPost, Path: "v1/traces", Protobuf: []byte{}}, nil)
}

// uploader is an [otlptrace.Client].
type uploader struct {
	server whisk.Server
	failed func(spans int, err error)
}

func (u *uploader) Start(context.Context) error { return nil }

func (u *uploader) Stop(context.Context) error {
	u.server.HTTP.CloseIdleConnections()
	return nil
}

func (u *uploader) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// TracesData and the request of the export service are the same bytes.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return err
	}
	request := whisk.Request{Method: http.MethodPost, Path: "v1/traces", Protobuf: body}
	told := u.failed == nil
	return whisk.Retry{First: 100 * time.Millisecond, Max: 2 * time.Second, Passes: retryable}.Do(ctx, func() error {
		err := u.server.Do(ctx, request, nil)
		if err != nil && !told {
			told = true
			u.failed(count(spans), err)
		}
		return err
	})
}

// retryable reports whether the OTLP specification, section "OTLP/HTTP Response", asks to repeat the request.
func retryable(e *whisk.Error) bool {
	switch e.Status {
	case 0:
		return e.Kind == whisk.Unreachable
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

func count(resources []*tracepb.ResourceSpans) int {
	n := 0
	for _, r := range resources {
		for _, s := range r.ScopeSpans {
			n += len(s.Spans)
		}
	}
	return n
}
