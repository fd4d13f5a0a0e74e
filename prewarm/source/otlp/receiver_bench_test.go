package otlp

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/tppfaas/tppfaas/prewarm/source"
)

// blind is a Sink that takes everything and keeps nothing.
type blind struct{}

func (blind) Observe(context.Context, []source.Observation) error { return nil }
func (blind) ObserveLoad(context.Context, []source.Load) error    { return nil }

// BenchmarkReceiver measures spans a second from a client to the sink, client and all, by messages of 120 spans one after the other.
func BenchmarkReceiver(b *testing.B) {
	traces := message(10)
	spans := float64(traces.SpanCount())
	b.Run("grpc", func(b *testing.B) {
		client := ptraceotlp.NewGRPCClient(serveGRPC(b, New(blind{}, Options{}), MaxMessage))
		request := ptraceotlp.NewExportRequestFromTraces(traces)
		for b.Loop() {
			_, err := client.Export(b.Context(), request)
			require.NoError(b, err)
		}
		b.ReportMetric(spans*float64(b.N)/b.Elapsed().Seconds(), "spans/s")
	})
	for _, form := range []string{asProtobuf, asJSON} {
		b.Run(form, func(b *testing.B) {
			server := httptest.NewServer(New(blind{}, Options{}))
			defer server.Close()
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			text := encode(b, traces, form, false)
			for b.Loop() {
				request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL, bytes.NewReader(text))
				require.NoError(b, err)
				request.Header.Set("Content-Type", form)
				answer, err := transport.RoundTrip(request)
				require.NoError(b, err)
				_, _ = io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
				require.Equal(b, http.StatusOK, answer.StatusCode)
			}
			b.ReportMetric(spans*float64(b.N)/b.Elapsed().Seconds(), "spans/s")
		})
	}
}
