//go:build linux && integration

package instrument

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/tppfaas/tppfaas/internal/loopback"
)

const (
	givenTrace  = "0af7651916cd43dd8448eb211c80319c"
	givenParent = "b7ad6b7169203331"
	given       = "00-" + givenTrace + "-" + givenParent + "-01"
)

// double is an OpenWhisk that takes an invocation only when ready is closed, and a collector.
type double struct {
	t      *testing.T
	server *httptest.Server
	ready  chan struct{}

	mu       sync.Mutex
	spans    []ptrace.Span
	payloads []map[string]any
}

func newDouble(t *testing.T) *double {
	d := &double{t: t, ready: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", d.collect)
	mux.HandleFunc("POST /api/v1/namespaces/_/actions/shop/next", d.invoke)
	d.server = httptest.NewServer(mux)
	t.Cleanup(d.server.Close)
	return d
}

func (d *double) collect(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	message := ptraceotlp.NewExportRequest()
	contentType := r.Header.Get("Content-Type")
	if contentType == "application/json" {
		err = message.UnmarshalJSON(body)
	} else {
		err = message.UnmarshalProto(body)
	}
	if err != nil {
		d.t.Error(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, rs := range message.Traces().ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				d.spans = append(d.spans, s)
			}
		}
	}
	if len(d.spans) == 2 {
		close(d.ready)
	}
	w.Header().Set("Content-Type", contentType)
	if contentType == "application/json" {
		_, _ = io.WriteString(w, "{}")
	}
}

// span returns the span with a name. Spans may arrive in any order.
func (d *double) span(name string) ptrace.Span {
	d.t.Helper()
	i := slices.IndexFunc(d.spans, func(s ptrace.Span) bool { return s.Name() == name })
	require.GreaterOrEqual(d.t, i, 0, "there is no span %s", name)
	return d.spans[i]
}

func (d *double) invoke(w http.ResponseWriter, r *http.Request) {
	var payload map[string]any
	if err := json.NewDecoder(r.Body).Decode(&payload); err != nil {
		d.t.Error(err)
	}
	if user, password, _ := r.BasicAuth(); user+":"+password != "user:password" || r.URL.RawQuery != "blocking=false" {
		d.t.Errorf("%s with the key %s:%s", r.URL, user, password)
	}
	d.mu.Lock()
	d.payloads = append(d.payloads, payload)
	d.mu.Unlock()
	select {
	case <-d.ready:
	case <-r.Context().Done():
	case <-time.After(time.Minute):
		d.t.Error("the announcements have not come, and the call waits for them")
	}
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"activationId":"b"}`)
}

// each runs a test with each example.
func each(t *testing.T, test func(t *testing.T, dir string)) {
	for _, language := range languages {
		t.Run(language, func(t *testing.T) { test(t, unpacked(t, language)) })
	}
}

// TestIntegrationAnnouncements checks that announcements are sent at once: OpenWhisk's answer to the call of a function waits for them.
func TestIntegrationAnnouncements(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		d := newDouble(t)
		p := launch(t, dir, d.server.URL, "first")
		answer := p.run("second", map[string]any{"name": "Ada", "collector": d.server.URL, "traceparent": given, "call.id": "c1", "then": []string{"shop/next", "shop/last"}})
		require.Equal(t, map[string]any{"greeting": "Hello, Ada!"}, answer)
		// All of them are there before the answer, after which the container may be paused.
		d.mu.Lock()
		defer d.mu.Unlock()
		require.Len(t, d.spans, 3)
		start, invoke, span := d.span("start"), d.span("invoke"), d.span("shop/hello")
		for _, s := range d.spans {
			require.Equal(t, givenTrace, s.TraceID().String())
		}
		require.Equal(t, givenParent, span.ParentSpanID().String())
		require.Equal(t, span.SpanID(), start.ParentSpanID())
		require.Equal(t, span.SpanID(), invoke.ParentSpanID())
		require.Equal(t, start.StartTimestamp(), start.EndTimestamp())
		require.Equal(t, start.StartTimestamp(), span.StartTimestamp())
		require.Equal(t, invoke.StartTimestamp(), invoke.EndTimestamp())
		// The activation is that of the run, though the process was started for another one.
		instance, _ := span.Attributes().Get("faas.instance")
		require.NotEmpty(t, instance.Str())
		want := map[string]any{"activationId": "second", "faas.name": "shop/hello", "call.id": "c1", "faas.instance": instance.Str()}
		require.Equal(t, want, span.Attributes().AsRaw())
		want["faas.coldstart"] = true
		require.Equal(t, want, start.Attributes().AsRaw())
		call := invoke.SpanID().String()
		require.Equal(t, map[string]any{"faas.invoked_name": "shop/next", "call.id": call}, invoke.Attributes().AsRaw())
		require.Equal(t, []map[string]any{{
			"name": "Ada", "then": []any{"shop/last"}, "call.id": call, "traceparent": "00-" + givenTrace + "-" + span.SpanID().String() + "-01",
		}}, d.payloads)
	})
}

// TestIntegrationWarmUps checks that a warm-up is answered with what it has found, that nothing else comes of it, whatever the marker says, and that
// the run after it is not the first of its container.
func TestIntegrationWarmUps(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		d := newDouble(t)
		p := launch(t, dir, d.server.URL, "first")
		more := map[string]any{"name": "Ada", "collector": d.server.URL, "then": []string{"shop/next"}}
		instance := ""
		for i, marker := range []map[string]any{
			{"prewarm": map[string]any{"linger_ms": 5}}, {"source": "serverless-plugin-warmup"}, {"prewarm": true}, {"prewarm": map[string]any{"linger_ms": "x"}},
			{"prewarm": map[string]any{"linger_ms": -1}}, {"prewarm": []any{1}}, {"prewarm": map[string]any{"linger_ms": nil}},
		} {
			maps.Copy(marker, more)
			answer := p.run("warm", marker)
			instance, _ = answer["instance"].(string)
			require.NotEmpty(t, instance)
			require.Equal(t, map[string]any{"prewarmed": true, "cold": i == 0, "instance": instance}, answer, "%v", marker)
		}
		require.Empty(t, d.payloads)
		d.mu.Lock()
		require.Empty(t, d.spans)
		d.mu.Unlock()
		answer := p.run("second", map[string]any{"name": "Ada", "collector": d.server.URL, "prewarm": false, "source": "else"})
		require.Equal(t, map[string]any{"greeting": "Hello, Ada!"}, answer)
		d.mu.Lock()
		defer d.mu.Unlock()
		require.Len(t, d.spans, 2)
		require.Equal(t, map[string]any{"activationId": "second", "faas.name": "shop/hello", "faas.instance": instance, "faas.coldstart": false}, d.span("start").Attributes().AsRaw())
	})
}

// TestIntegrationWarmUpsInTime checks that a warm-up does not wait for servers that hang, and does not fail where there are none.
func TestIntegrationWarmUpsInTime(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		end := make(chan struct{})
		hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-end:
			case <-r.Context().Done():
			}
		}))
		defer hanging.Close()
		defer close(end)
		for _, host := range []string{hanging.URL, "", "nonsense", "http://127.0.0.1:1"} {
			for _, collector := range []any{hanging.URL, nil, "nonsense", 5} {
				p := launch(t, dir, host, "first")
				begin := time.Now()
				answer := p.run("warm", map[string]any{"prewarm": map[string]any{"linger_ms": 1}, "collector": collector})
				require.Equal(t, true, answer["cold"], "host %q, collector %v: %v", host, collector, answer)
				require.Less(t, time.Since(begin), 5*time.Second)
				p.stop()
			}
		}
	})
}

// TestIntegrationWithoutCollector checks that a function without a collector, or with an impossible one, works, and passes the trace context of
// its caller on.
func TestIntegrationWithoutCollector(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		for _, collector := range []any{nil, "nonsense", 5} {
			d := newDouble(t)
			close(d.ready)
			p := launch(t, dir, d.server.URL, "first")
			value := map[string]any{"name": "Ada", "traceparent": given, "then": []string{"shop/next"}}
			if collector != nil {
				value["collector"] = collector
			}
			require.Equal(t, map[string]any{"greeting": "Hello, Ada!"}, p.run("second", value), "collector %v", collector)
			p.stop()
			require.Len(t, d.payloads, 1)
			traceparent, _ := d.payloads[0]["traceparent"].(string)
			require.Contains(t, traceparent, givenTrace, "collector %v", collector)
			if collector == nil {
				require.Equal(t, map[string]any{"name": "Ada", "then": []any{}, "traceparent": given}, d.payloads[0])
			}
		}
	})
}

// TestIntegrationForeignContext checks that a function works whose payload has something else where the caller's context is to be.
func TestIntegrationForeignContext(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		d := newDouble(t)
		p := launch(t, dir, d.server.URL, "first")
		for _, foreign := range []any{5, true, nil, []any{5}, []any{}, map[string]any{"a": 1}, "nonsense"} {
			value := map[string]any{"name": "Ada", "traceparent": foreign}
			require.Equal(t, map[string]any{"greeting": "Hello, Ada!"}, p.run("second", value), "traceparent %v", foreign)
			value = map[string]any{"name": "Ada", "traceparent": given, "tracestate": foreign, "call.id": foreign}
			require.Equal(t, map[string]any{"greeting": "Hello, Ada!"}, p.run("second", value), "tracestate %v", foreign)
		}
		p.stop()
	})
}

// TestIntegrationErrors checks that a function that fails has a failed span, and that its caller hears the error.
func TestIntegrationErrors(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		d := newDouble(t)
		p := launch(t, dir, d.server.URL, "first")
		answer := p.run("second", map[string]any{"name": "Ada", "collector": d.server.URL, "then": []string{"shop/none"}})
		require.Contains(t, answer["error"], "404")
		p.stop()
		require.Len(t, d.spans, 3)
		status := d.span("shop/hello").Status()
		require.Equal(t, ptrace.StatusCodeError, status.Code())
		require.Contains(t, status.Message(), "404")
	})
}

// TestIntegrationPause checks that spans arrive after a pause in which the collector has closed its connections, as it does with idle ones.
func TestIntegrationPause(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		d := newDouble(t)
		p := launch(t, dir, d.server.URL, "first")
		for run := range 3 {
			p.run("second", map[string]any{"name": "Ada", "collector": d.server.URL})
			d.mu.Lock()
			require.Len(t, d.spans, 2*(run+1), "run %d", run)
			d.mu.Unlock()
			require.NoError(t, p.command.Process.Signal(syscall.SIGSTOP))
			d.server.CloseClientConnections()
			require.NoError(t, p.command.Process.Signal(syscall.SIGCONT))
		}
	})
}

// TestIntegrationUnreachableCollector checks that a function whose collector refuses connections, or takes messages and never answers, returns its
// result, and long before the export of its spans is given up (after 10 s), in each of several runs.
func TestIntegrationUnreachableCollector(t *testing.T) {
	addresses, err := loopback.FreeAddresses(1)
	require.NoError(t, err)
	refusing := "http://" + addresses[0]
	each(t, func(t *testing.T, dir string) {
		end := make(chan struct{})
		hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-end:
			case <-r.Context().Done():
			}
		}))
		defer hanging.Close()
		defer close(end)
		for name, collector := range map[string]string{"refuses": refusing, "hangs": hanging.URL} {
			p := launch(t, dir, "", "first")
			for run := range 3 {
				begin := time.Now()
				require.Equal(t, map[string]any{"greeting": "Hello, Ada!"}, p.run("second", map[string]any{"name": "Ada", "collector": collector}))
				took := time.Since(begin)
				require.Less(t, took, 9*time.Second, "the collector %s", name)
				t.Logf("the collector %s: run %d took %v", name, run, took.Round(time.Millisecond))
			}
			p.stop()
			require.Regexp(t, "The collector has not taken the spans|connection refused", p.log.String(), "the collector %s", name)
		}
	})
}
