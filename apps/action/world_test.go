package action

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/testbin"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		if err := testbin.Remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
		os.Exit(status)
	}))
}

// program returns the path of the executable.
func program() (string, error) { return testbin.Path("apps/action/cmd/action") }

const key = "user:a-key-that-must-not-be-seen"

// world is an OpenWhisk that runs what it is asked to invoke, in this process, and a collector.
type world struct {
	t         *testing.T
	app       *apps.Application
	whisk     *httptest.Server
	collector *httptest.Server
	failing   func(n int) (status int, body string) // of invocation n, counted from 1; status 0 to take it
	hanging   chan struct{}                         // the collector takes nothing until it is closed; nil: it does not hang

	mu      sync.Mutex
	posts   int
	sent    []sending
	answers map[string]json.RawMessage // by activation id
	spans   []ptrace.Span
	names   []string // service names
	running sync.WaitGroup
	came    chan struct{}
}

// sending is an invocation that was taken.
type sending struct {
	at         time.Time
	id, action string
	body       map[string]any
}

func newWorld(t *testing.T, app string) *world {
	t.Helper()
	a, err := apps.Load(app)
	require.NoError(t, err)
	w := &world{t: t, app: a, answers: map[string]json.RawMessage{}, came: make(chan struct{}, 1000)}
	w.whisk = httptest.NewServer(http.HandlerFunc(w.invoke))
	w.collector = httptest.NewServer(http.HandlerFunc(w.collect))
	t.Cleanup(func() {
		w.running.Wait()
		w.whisk.Close()
		w.collector.Close()
	})
	return w
}

// parameters are those of a function as it is deployed, with more.
func (w *world) parameters(function string, more map[string]any) map[string]any {
	p := map[string]any{
		"application": w.app.Name, "graph": Graph(w.app), "function": function, "apihost": w.whisk.URL, "package": "tppfaas",
		"auth": key, "collector": w.collector.URL,
	}
	for k, v := range more {
		if v == nil {
			delete(p, k)
		} else {
			p[k] = v
		}
	}
	return p
}

func (w *world) request(id, function string, more map[string]any) Request {
	value, err := json.Marshal(w.parameters(function, more))
	require.NoError(w.t, err)
	return Request{Value: value, ActivationID: id}
}

func (w *world) invoke(rw http.ResponseWriter, r *http.Request) {
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		w.t.Error(err)
	}
	if user, password, _ := r.BasicAuth(); user+":"+password != key {
		rw.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(rw, `{"code":"x","error":"The supplied authentication is invalid"}`)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.posts++
	if w.failing != nil {
		if status, text := w.failing(w.posts); status != 0 {
			rw.WriteHeader(status)
			_, _ = io.WriteString(rw, text)
			return
		}
	}
	action := path.Base(r.URL.Path)
	require.Equal(w.t, "/api/v1/namespaces/_/actions/tppfaas/"+action, r.URL.Path)
	require.Equal(w.t, "blocking=false", r.URL.RawQuery)
	id := fmt.Sprintf("%032x", len(w.sent)+1)
	w.sent = append(w.sent, sending{time.Now(), id, action, body})
	var function string
	_, err := fmt.Sscanf(action, w.app.Name+"-dev-%s", &function)
	require.NoError(w.t, err)
	w.running.Go(func() { w.run(id, function, body) })
	rw.WriteHeader(http.StatusAccepted)
	_, _ = fmt.Fprintf(rw, `{"activationId":%q}`, id)
}

// run is a container that serves one invocation.
func (w *world) run(id, function string, body map[string]any) {
	r := &Runner{}
	text := r.Run(context.Background(), w.request(id, function, body))
	w.mu.Lock()
	w.answers[id] = text
	w.mu.Unlock()
	if err := r.Close(context.Background()); err != nil {
		w.t.Error(err)
	}
}

func (w *world) collect(rw http.ResponseWriter, r *http.Request) {
	if w.hanging != nil {
		select {
		case <-w.hanging:
		case <-r.Context().Done():
			return
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	message := ptraceotlp.NewExportRequest()
	if err := message.UnmarshalProto(body); err != nil {
		w.t.Error(err)
	}
	w.mu.Lock()
	for _, rs := range message.Traces().ResourceSpans().All() {
		name, _ := rs.Resource().Attributes().Get("service.name")
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				w.spans = append(w.spans, s)
				w.names = append(w.names, name.Str())
			}
		}
	}
	w.mu.Unlock()
	rw.Header().Set("Content-Type", "application/x-protobuf")
	w.came <- struct{}{}
}

// has reports whether the span of an activation has come.
func (w *world) has(activation string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.spans, func(s ptrace.Span) bool {
		id, _ := s.Attributes().Get("activationId")
		return id.Str() == activation
	})
}

// wait returns the spans when there are n.
func (w *world) wait(n int) []ptrace.Span {
	w.t.Helper()
	for deadline := time.After(time.Minute); ; {
		w.mu.Lock()
		spans := append([]ptrace.Span(nil), w.spans...)
		w.mu.Unlock()
		if len(spans) >= n {
			return spans
		}
		select {
		case <-w.came:
		case <-deadline:
			w.t.Fatalf("%d of %d spans came", len(spans), n)
		}
	}
}
