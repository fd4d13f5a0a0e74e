package otlphttp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestExport checks that spans arrive as a request of OTLP, and which answers of the collector are reasons to repeat it: those of the OTLP
// specification, and none at all.
func TestExport(t *testing.T) {
	for name, test := range map[string]struct {
		answer   int // of the first request, 0 for a connection that is cut
		requests int
		err      string
	}{
		"taken":             {200, 1, ""},
		"taken without 200": {202, 1, ""},
		"cut":               {0, 2, ""},
		"throttled":         {429, 2, ""},
		"bad gateway":       {502, 2, ""},
		"unavailable":       {503, 2, ""},
		"gateway timeout":   {504, 2, ""},
		"refused":           {400, 1, "refuses (400)"},
		"key missing":       {401, 1, "does not accept the key (401)"},
		"too large":         {413, 1, "too large"},
		"failed for good":   {500, 1, "fails (500)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n := requests.Add(1)
				body, err := io.ReadAll(r.Body)
				message := ptraceotlp.NewExportRequest()
				if err != nil || message.UnmarshalProto(body) != nil || message.Traces().SpanCount() != 1 ||
					r.Method != http.MethodPost || r.URL.Path != "/under/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
					t.Errorf("%s %s, Content-Type %q, %d bytes, %v: no spans in OTLP", r.Method, r.URL.Path, r.Header.Get("Content-Type"), len(body), err)
				}
				switch {
				case n > 1:
				case test.answer == 0:
					panic(http.ErrAbortHandler)
				default:
					w.WriteHeader(test.answer)
				}
			}))
			defer server.Close()
			address, err := url.Parse(server.URL + "/under/")
			require.NoError(t, err)
			address.User = url.UserPassword("user", "secret")
			var logged []string
			e := New(address, whisk.NewHTTPClient(false, 2), func(spans int, err error) { logged = append(logged, fmt.Sprint(spans, " spans: ", err)) })
			require.NoError(t, e.Start(t.Context()))
			err = e.ExportSpans(t.Context(), tracetest.SpanStubs{{Name: "f1"}}.Snapshots())
			require.NoError(t, e.Shutdown(context.Background()))
			if test.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.err)
			}
			require.EqualValues(t, test.requests, requests.Load())
			if failed := test.err != "" || test.requests > 1; failed {
				require.Len(t, logged, 1)
				require.Contains(t, logged[0], "1 spans: ")
				require.Contains(t, logged[0], "the collector at "+server.URL+"/under/")
				require.NotContains(t, logged[0], "secret")
			} else {
				require.Empty(t, logged)
			}
		})
	}
}
