package action

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// newExporter returns an exporter of spans to a collector. It is OpenTelemetry's own but for the client, because those of OpenTelemetry
// link gRPC, which makes the function that is sent to the cluster nearly twice as large (16.4 in place of 9.3 MB).
func newExporter(collector *url.URL, logf func(format string, args ...any)) *otlptrace.Exporter {
	return otlptrace.NewUnstarted(&uploader{
		server: whisk.Server{Name: "the collector at " + collector.String(), Base: collector, HTTP: whisk.NewHTTPClient(false, 2), MaxAnswer: 1 << 20},
		logf:   logf,
	})
}

// uploader sends spans as OTLP over HTTP. It repeats what the collector could not take or did not answer, as it may be about to restart, until
// the context of the export ends. It is an [otlptrace.Client].
type uploader struct {
	server whisk.Server
	logf   func(format string, args ...any)
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
	var once sync.Once
	return whisk.Retry{First: 100 * time.Millisecond, Max: 2 * time.Second, Passes: retryable}.Do(ctx, func() error {
		err := u.server.Do(ctx, request, nil)
		if err != nil {
			once.Do(func() { u.logf("%d spans have not been exported: %v", count(spans), err) })
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
