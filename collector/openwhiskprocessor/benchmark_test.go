package openwhiskprocessor

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// BenchmarkEnrich measures the time per span from arrival to delivery, where each span has an activation of its own: with a client that
// answers at once, without and with a file storage, and with lookups at an HTTP server on this machine.
func BenchmarkEnrich(b *testing.B) {
	atOnce := provide(&fakeClient{answer: always(record, nil)})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		_, _ = fmt.Fprintf(w, `{"activationId": %q, "start": 1700000000300, "end": 1700000000900, "response": {"status": "success", "success": true},
			"annotations": [{"key": "waitTime", "value": 8}, {"key": "initTime", "value": 48}]}`, id)
	}))
	defer server.Close()
	for _, test := range []struct {
		name    string
		provide provider
		stored  bool
		config  func(*Config)
	}{
		{"records=at hand", atOnce, false, func(*Config) {}},
		{"records=at hand/storage=file", atOnce, true, func(*Config) {}},
		{"records=over HTTP", newClient, false, func(c *Config) { c.ClientConfig.Endpoint = server.URL }},
	} {
		for _, size := range []int{1, 100} {
			b.Run(fmt.Sprintf("%s/message=%d", test.name, size), func(b *testing.B) {
				config := testConfig()
				test.config(config)
				config.StartupCheck = false
				config.Pending.Spans, config.Pending.Bytes = b.N+size, 1<<40 // no message is refused
				var host component.Host = &storageHost{}
				if test.stored {
					h := newStorageHost(b, b.TempDir())
					defer func() { require.NoError(b, h.extension.Shutdown(background)) }()
					config.Storage, host = &h.id, h
				}
				set, _ := settings()
				done := new(consumertest.TracesSink)
				p, err := newProcessor(set, config, done, test.provide)
				require.NoError(b, err)
				require.NoError(b, p.Start(background, host))
				messages := make([]ptrace.Traces, (b.N+size-1)/size)
				ids := activationIDs(len(messages) * size)
				for i := range messages {
					messages[i] = message(i*size, ids[i*size:(i+1)*size]...)
				}
				b.ReportAllocs()
				b.ResetTimer()
				for _, m := range messages {
					require.NoError(b, p.ConsumeTraces(background, m))
				}
				for waiting := true; waiting; {
					spans, _ := p.pending.load()
					waiting = spans > 0
					runtime.Gosched()
				}
				b.StopTimer()
				b.ReportMetric(float64(len(ids))/b.Elapsed().Seconds(), "spans/s")
				require.Equal(b, len(ids), done.SpanCount())
				require.NoError(b, p.Shutdown(background))
			})
		}
	}
}
