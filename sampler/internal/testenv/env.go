// Package testenv has everything that a sampling on OpenWhisk needs, for tests: a platform whose containers run the action in this
// process, a collector, and a Zipkin server, each of which can be made to fail.
//
//	w := testenv.New(t)
//	w.OpenWhisk.Fail(func(rw http.ResponseWriter, r *http.Request) bool { … })
package testenv

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/tppfaas/tppfaas/apps/action"
	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
	"github.com/tppfaas/tppfaas/internal/localwhisk/rest"
	"github.com/tppfaas/tppfaas/internal/localzipkin"
)

// Env is all that. The functions reach the platform and the collector themselves, the sampler by way of OpenWhisk and Zipkin,
// which can be made to fail.
type Env struct {
	Platform  *rest.Server
	OpenWhisk *FaultyServer
	Zipkin    *FaultyServer
	Store     *localzipkin.Store
	// CollectorURL is that of a collector that looks up records and passes spans on to Store.
	CollectorURL string

	lose atomic.Pointer[func(function, activation string) bool]
}

// New returns a world that ends with the test.
func New(t *testing.T, limits rest.Limits) *Env {
	t.Helper()
	w := &Env{Store: localzipkin.NewStore(1_000_000, 1<<30)}
	platform, err := rest.Start(context.Background(), rest.Options{Runtime: &runtime{}, MemoryMB: 16384, Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	w.Platform = platform
	backend, err := url.Parse(platform.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(backend)
	proxy.ErrorHandler = func(rw http.ResponseWriter, _ *http.Request, _ error) { rw.WriteHeader(http.StatusBadGateway) }
	transport := http.DefaultTransport.(*http.Transport).Clone()
	proxy.Transport = transport
	w.OpenWhisk = newFaultyServer(proxy)
	w.Zipkin = newFaultyServer(localzipkin.NewHandler(w.Store, 64<<20))
	c := &collector{env: w, client: &http.Client{Transport: transport}}
	server := httptest.NewServer(http.HandlerFunc(c.take))
	w.CollectorURL = server.URL
	t.Cleanup(func() {
		w.OpenWhisk.Close()
		w.Zipkin.Close()
		if err := platform.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
		transport.CloseIdleConnections()
	})
	return w
}

// Lose has the collector lose the spans of which lost says so; nil loses none.
func (e *Env) Lose(lost func(function, activation string) bool) { e.lose.Store(&lost) }

// FaultyServer is a server that can be made to fail.
type FaultyServer struct {
	*httptest.Server
	handler http.Handler
	fail    atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
}

func newFaultyServer(handler http.Handler) *FaultyServer {
	f := &FaultyServer{handler: handler}
	f.Server = httptest.NewServer(f)
	return f
}

// Fail has every request go to answer first, which tells whether it has answered; nil mends everything.
func (f *FaultyServer) Fail(answer func(http.ResponseWriter, *http.Request) bool) {
	if answer == nil {
		f.fail.Store(nil)
		return
	}
	f.fail.Store(&answer)
}

// ServeHTTP answers as it should, or not.
func (f *FaultyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if answer := f.fail.Load(); answer != nil && (*answer)(w, r) {
		return
	}
	f.handler.ServeHTTP(w, r)
}

// runtime is a container.Runtime whose containers run the action in this process.
type runtime struct {
	mu         sync.Mutex
	containers []*actionContainer
}

func (r *runtime) Start(context.Context, int) (container.Container, error) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &actionContainer{gone: ctx, remove: cancel}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.containers = append(r.containers, c)
	return c, nil
}

func (r *runtime) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.containers {
		c.Remove()
	}
	return nil
}

type actionContainer struct {
	gone   context.Context
	remove context.CancelFunc
	once   sync.Once
	mu     sync.Mutex // the runner's, which is for one at a time
	runner action.Runner
}

func (c *actionContainer) Init(context.Context, container.Spec, time.Duration) (*container.Outcome, error) {
	return nil, nil
}

func (c *actionContainer) Run(ctx context.Context, i container.Invocation, timeout time.Duration) container.Outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer context.AfterFunc(c.gone, cancel)()
	text := c.runner.Run(ctx, action.Request{Value: i.Value, ActivationID: i.ActivationID, ActionName: i.ActionName, APIKey: i.APIKey})
	outcome := container.Outcome{Result: text, Size: len(text), HasBody: true}
	var failed struct {
		Error any `json:"error"`
	}
	if json.Unmarshal(text, &failed) == nil && failed.Error != nil {
		outcome.Kind = container.ApplicationError
	}
	return outcome
}

func (c *actionContainer) Logs(string) []container.Line { return nil }
func (c *actionContainer) Pause() error                 { return nil }
func (c *actionContainer) Unpause() error               { return nil }

func (c *actionContainer) Remove() {
	c.once.Do(func() {
		c.remove()
		c.mu.Lock()
		defer c.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = c.runner.Close(ctx)
	})
}

// collector does what the real one does, within the request.
type collector struct {
	env    *Env
	client *http.Client
}

func (c *collector) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	message := ptraceotlp.NewExportRequest()
	if r.Header.Get("Content-Type") == "application/json" {
		err = message.UnmarshalJSON(body)
	} else {
		err = message.UnmarshalProto(body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, rs := range message.Traces().ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				if err := c.ship(r.Context(), s); err != nil {
					http.Error(w, err.Error(), http.StatusInternalServerError)
					return
				}
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// ship enriches a span and has Zipkin's store take it.
func (c *collector) ship(ctx context.Context, s ptrace.Span) error {
	tags := map[string]string{}
	for key, value := range s.Attributes().All() {
		tags[key] = value.AsString()
	}
	function, id := tags["faas.name"], tags["activationId"]
	if lost := c.env.lose.Load(); lost != nil && *lost != nil && (*lost)(function, id) {
		return nil
	}
	start, end := s.StartTimestamp().AsTime(), s.EndTimestamp().AsTime()
	if s.Name() != "start" {
		record, err := c.record(ctx, id)
		if err != nil {
			return err
		}
		wait := record.milliseconds("waitTime")
		start, end = time.UnixMilli(record.Start).Add(-wait), time.UnixMilli(record.End)
		tags["waitTimeMilli"] = fmt.Sprint(wait.Milliseconds())
		if init := record.milliseconds("initTime"); init > 0 {
			tags["initTimeMilli"] = fmt.Sprint(init.Milliseconds())
		}
	}
	span := map[string]any{
		"traceId": s.TraceID().String(), "id": s.SpanID().String(), "name": s.Name(), "timestamp": start.UnixMicro(),
		"duration": max(end.Sub(start).Microseconds(), 1), "tags": tags, "localEndpoint": map[string]any{"serviceName": function},
	}
	if !s.ParentSpanID().IsEmpty() {
		span["parentId"] = s.ParentSpanID().String()
	}
	text, err := json.Marshal([]any{span})
	if err != nil {
		return err
	}
	spans, err := localzipkin.Decode(text, "application/json")
	if err == nil {
		c.env.Store.Add(spans)
	}
	return err
}

// record is what OpenWhisk knows of an activation.
type record struct {
	Start, End  int64
	Annotations []struct {
		Key   string
		Value any
	}
}

func (r record) milliseconds(key string) time.Duration {
	for _, a := range r.Annotations {
		if ms, ok := a.Value.(float64); ok && a.Key == key {
			return time.Duration(ms) * time.Millisecond
		}
	}
	return 0
}

// record asks until the record is there.
func (c *collector) record(ctx context.Context, id string) (record, error) {
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.env.Platform.URL()+"/api/v1/namespaces/_/activations/"+id, nil)
		if err != nil {
			return record{}, err
		}
		r.Header.Set("Authorization", c.authorization())
		response, err := c.client.Do(r)
		if err != nil {
			return record{}, err
		}
		var found record
		err = json.NewDecoder(response.Body).Decode(&found)
		response.Body.Close()
		if err == nil && response.StatusCode == http.StatusOK {
			return found, nil
		}
		timer := time.NewTimer(2 * time.Millisecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return record{}, ctx.Err()
		}
	}
}

func (c *collector) authorization() string {
	r := http.Request{Header: http.Header{}}
	user, password, _ := strings.Cut(c.env.Platform.Auth(), ":")
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

// Handle has the server behind the front work on a request whose answer nobody sees.
func (f *FaultyServer) Handle(r *http.Request) { f.handler.ServeHTTP(httptest.NewRecorder(), r) }

// TLS returns the address of a server with a certificate that nobody vouches for, before a front.
func TLS(t *testing.T, f *FaultyServer) string {
	server := httptest.NewUnstartedServer(f)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that refuse the certificate
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

// Forget has Zipkin forget every trace.
func (e *Env) Forget() {
	e.Store = localzipkin.NewStore(1_000_000, 1<<30)
	e.Zipkin.handler = localzipkin.NewHandler(e.Store, 64<<20)
}
