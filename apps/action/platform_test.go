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

// testPlatform is an OpenWhisk that runs the functions in this process, and a collector.
type testPlatform struct {
	t         *testing.T
	app       *apps.Application
	whisk     *httptest.Server
	collector *httptest.Server
	failing   func(n int) (status int, body string) // answers invocation n, from 1; status 0 takes it
	hanging   chan struct{}                         // the collector hangs until it is closed; nil: it does not hang
	announce  bool                                  // the parameter of all functions

	mu      sync.Mutex
	posts   int
	sent    []invoked
	answers map[string]json.RawMessage // by activation id
	spans   []ptrace.Span
	names   []string // service names
	running sync.WaitGroup
	came    chan struct{} // signals that spans have arrived
}

// invoked is an invocation that the platform has taken.
type invoked struct {
	at         time.Time
	id, action string
	body       map[string]any
}

func newTestPlatform(t *testing.T, app string) *testPlatform {
	t.Helper()
	a, err := apps.Load(app)
	require.NoError(t, err)
	p := &testPlatform{t: t, app: a, answers: map[string]json.RawMessage{}, came: make(chan struct{}, 1000)}
	p.whisk = httptest.NewServer(http.HandlerFunc(p.invoke))
	p.collector = httptest.NewServer(http.HandlerFunc(p.collect))
	t.Cleanup(func() {
		p.running.Wait()
		p.whisk.Close()
		p.collector.Close()
	})
	return p
}

// parameters returns the parameters of a deployed function, changed by more: nil removes one.
func (p *testPlatform) parameters(function string, more map[string]any) map[string]any {
	all := map[string]any{
		"application": p.app.Name, "graph": Graph(p.app), "function": function, "apihost": p.whisk.URL, "package": "tppfaas",
		"auth": key, "collector": p.collector.URL, "announce": p.announce,
	}
	for k, v := range more {
		if v == nil {
			delete(all, k)
		} else {
			all[k] = v
		}
	}
	return all
}

func (p *testPlatform) request(id, function string, more map[string]any) Request {
	value, err := json.Marshal(p.parameters(function, more))
	require.NoError(p.t, err)
	return Request{Value: value, ActivationID: id}
}

func (p *testPlatform) invoke(rw http.ResponseWriter, r *http.Request) {
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		p.t.Error(err)
	}
	if user, password, _ := r.BasicAuth(); user+":"+password != key {
		rw.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(rw, `{"code":"x","error":"The supplied authentication is invalid"}`)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.posts++
	if p.failing != nil {
		if status, text := p.failing(p.posts); status != 0 {
			rw.WriteHeader(status)
			_, _ = io.WriteString(rw, text)
			return
		}
	}
	action := path.Base(r.URL.Path)
	require.Equal(p.t, "/api/v1/namespaces/_/actions/tppfaas/"+action, r.URL.Path)
	require.Equal(p.t, "blocking=false", r.URL.RawQuery)
	id := fmt.Sprintf("%032x", len(p.sent)+1)
	p.sent = append(p.sent, invoked{time.Now(), id, action, body})
	var function string
	_, err := fmt.Sscanf(action, p.app.Name+"-dev-%s", &function)
	require.NoError(p.t, err)
	p.running.Go(func() { p.run(id, function, body) })
	rw.WriteHeader(http.StatusAccepted)
	_, _ = fmt.Fprintf(rw, `{"activationId":%q}`, id)
}

// run runs one invocation, as a container would.
func (p *testPlatform) run(id, function string, body map[string]any) {
	r := &Runner{}
	text := r.Run(context.Background(), p.request(id, function, body))
	p.mu.Lock()
	p.answers[id] = text
	p.mu.Unlock()
	if err := r.Close(context.Background()); err != nil {
		p.t.Error(err)
	}
}

func (p *testPlatform) collect(rw http.ResponseWriter, r *http.Request) {
	if p.hanging != nil {
		select {
		case <-p.hanging:
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
		p.t.Error(err)
	}
	p.mu.Lock()
	for _, rs := range message.Traces().ResourceSpans().All() {
		name, _ := rs.Resource().Attributes().Get("service.name")
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				p.spans = append(p.spans, s)
				p.names = append(p.names, name.Str())
			}
		}
	}
	p.mu.Unlock()
	rw.Header().Set("Content-Type", "application/x-protobuf")
	p.came <- struct{}{}
}

// has reports whether the span of an activation has come.
func (p *testPlatform) has(activation string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.spans, func(s ptrace.Span) bool {
		id, _ := s.Attributes().Get("activationId")
		return id.Str() == activation
	})
}

// wait waits for n spans and returns them.
func (p *testPlatform) wait(n int) []ptrace.Span {
	p.t.Helper()
	for deadline := time.After(time.Minute); ; {
		p.mu.Lock()
		spans := append([]ptrace.Span(nil), p.spans...)
		p.mu.Unlock()
		if len(spans) >= n {
			return spans
		}
		select {
		case <-p.came:
		case <-deadline:
			p.t.Fatalf("%d of %d spans came", len(spans), n)
		}
	}
}
