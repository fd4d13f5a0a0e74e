package traces

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/internal/localzipkin"
	"github.com/tppfaas/tppfaas/internal/whisk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var began = time.UnixMilli(1_700_000_000_000)

func traceID(i int) string { return fmt.Sprintf("%016x%016x", 0xfeed, i+1) }

// aTrace returns the spans of a trace of a service that began at a time, a span in each of the ms after it.
func aTrace(id int, service string, at time.Time, spans int) []map[string]any {
	var list []map[string]any
	for k := range spans {
		s := map[string]any{
			"traceId": traceID(id), "id": fmt.Sprintf("%016x", k+1), "kind": "SERVER", "name": "run", "timestamp": at.UnixMicro() + int64(1000*k),
			"duration": 500, "localEndpoint": map[string]any{"serviceName": service}, "tags": map[string]string{"activationId": fmt.Sprintf("%d-%d", id, k)},
		}
		if k > 0 {
			s["parentId"] = fmt.Sprintf("%016x", k)
		}
		list = append(list, s)
	}
	return list
}

// store returns a Zipkin's store with traces.
func store(t require.TestingT, traces ...[]map[string]any) *localzipkin.Store {
	s := localzipkin.NewStore(1_000_000, 1<<30)
	for _, trace := range traces {
		text, err := json.Marshal(trace)
		require.NoError(t, err)
		spans, err := localzipkin.Decode(text, "application/json")
		require.NoError(t, err)
		s.Add(spans)
	}
	return s
}

// serve serves a handler until the test ends.
func serve(t *testing.T, h http.Handler) *url.URL {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	require.NoError(t, err)
	return u
}

// ids returns how often each trace was written.
func ids(t require.TestingT, text []byte) map[string]int {
	found := map[string]int{}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if line == "" {
			continue
		}
		var spans []struct {
			TraceID string `json:"traceId"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &spans))
		found[spans[0].TraceID]++
	}
	return found
}

func around(o Options) Options {
	o.Since, o.Until = began.Add(-time.Hour), began.Add(time.Hour)
	o.firstPause = time.Millisecond
	return o
}

// TestEachTraceOnce checks that all traces within the time are written, and each once, whatever their distances and the size of a page.
func TestEachTraceOnce(t *testing.T) {
	var current atomic.Pointer[localzipkin.Store]
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		localzipkin.NewHandler(current.Load(), 1<<20).ServeHTTP(w, r)
	}))
	rapid.Check(t, func(t *rapid.T) {
		var traces [][]map[string]any
		want := map[string]int{}
		since, until := began, began.Add(time.Duration(rapid.IntRange(1, 5000).Draw(t, "ms"))*time.Millisecond)
		for i := range rapid.IntRange(0, 60).Draw(t, "traces") {
			at := began.Add(time.Duration(rapid.OneOf(rapid.IntRange(-1_000_000, 6_000_000), rapid.IntRange(10_000, 12_000)).Draw(t, "µs")) * time.Microsecond)
			traces = append(traces, aTrace(i, "shop", at, 1))
			if !at.Before(since) && !at.After(until) {
				want[traceID(i)] = 1
			}
		}
		current.Store(store(t, traces...))
		var out bytes.Buffer
		result, err := Collect(context.Background(), Options{Server: address, Since: since, Until: until, PageSize: rapid.IntRange(1, 20).Draw(t, "page")}, &out)
		require.NoError(t, err)
		require.Equal(t, want, ids(t, out.Bytes()))
		require.Equal(t, len(want), result.Traces)
	})
}

// faulty serves a Zipkin whose answers to some requests, counted from 1, are those of fault.
func faulty(t *testing.T, s *localzipkin.Store, fails func(n int64, r *http.Request) bool, fault http.HandlerFunc) (*url.URL, *atomic.Int64) {
	t.Helper()
	var n atomic.Int64
	zipkin := localzipkin.NewHandler(s, 1<<20)
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fails(n.Add(1), r) {
			fault(w, r)
			return
		}
		zipkin.ServeHTTP(w, r)
	})), &n
}

func answer(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, text)
	}
}

// cut ends the connection, before the answer or in the middle of it.
func cut(before bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if !before {
			w.Header().Set("Content-Length", "10000")
			fmt.Fprint(w, `[[{"traceId":`)
			w.(http.Flusher).Flush()
		}
		panic(http.ErrAbortHandler)
	}
}

func someTraces(n int) (traces [][]map[string]any) {
	for i := range n {
		traces = append(traces, aTrace(i, "shop", began.Add(time.Duration(i)*time.Second), 2))
	}
	return traces
}

// TestFaultsThatPass checks that a fault of any single request is overcome, and that nothing is lost or doubled by it.
func TestFaultsThatPass(t *testing.T) {
	const traces = 20
	s := store(t, someTraces(traces)...)
	for name, fault := range map[string]http.HandlerFunc{
		"500": answer(500, "out of order"), "503": answer(503, ""), "429": answer(429, "slowly"), "502": answer(502, "<html>bad gateway</html>"),
		"a page that is none": answer(200, "<html>starting</html>"), "half an answer": answer(200, `[[{"traceId":"1`),
		"an object": answer(200, `{}`), "a span without trace": answer(200, `[[{"id":"1"}]]`),
		"a connection that is cut": cut(true), "an answer that is cut": cut(false),
	} {
		t.Run(name, func(t *testing.T) {
			for n := int64(2); ; n++ { // the first is for the services
				address, count := faulty(t, s, func(k int64, _ *http.Request) bool { return k == n }, fault)
				var out bytes.Buffer
				var said []string
				o := around(Options{Server: address, PageSize: 7, OnMessage: func(text string) { said = append(said, text) }})
				result, err := Collect(t.Context(), o, &out)
				require.NoError(t, err)
				require.Len(t, ids(t, out.Bytes()), traces)
				require.Equal(t, traces, result.Traces)
				if count.Load() < n {
					require.Greater(t, n, int64(3))
					return // there is no n-th request
				}
				if name == "a connection that is cut" && len(said) == 0 {
					continue // net/http repeats a request by itself that a kept connection has lost
				}
				require.Len(t, said, 1)
				require.Contains(t, said[0], "Zipkin at "+address.String())
				require.Contains(t, said[0], "; again in ")
			}
		})
	}
}

// TestFaultsThatStay checks the errors of what does not pass.
func TestFaultsThatStay(t *testing.T) {
	s := store(t, someTraces(3)...)
	first := func(n int64, _ *http.Request) bool { return n == 1 }
	later := func(n int64, _ *http.Request) bool { return n > 1 }
	for _, c := range []struct {
		name  string
		fails func(int64, *http.Request) bool
		fault http.HandlerFunc
		o     Options
		want  string
	}{
		{"no Zipkin", first, answer(404, "<html>no such page</html>"), Options{}, "does not have this (404) (is this the address of a Zipkin that searches, without /api/v2?)"},
		{"another page", first, answer(200, "<html>welcome</html>"), Options{}, "answers nonsense: not the traces it was asked for: a list is due, and this is no JSON: <html>welcome</html> (is this the address"},
		{"another API", first, answer(200, `{"version": 1}`), Options{}, "a list is due, and this is an object"},
		{"a key is needed", first, answer(401, ""), Options{}, "does not accept the key (401)"},
		{"the query is wrong", later, answer(400, "annotationQuery: what?"), Options{}, "refuses (400)"},
		{"it fails for good", later, answer(500, ""), Options{Patience: 20 * time.Millisecond}, "fails (500)"},
		{"it is cut off for good", later, cut(false), Options{Patience: 20 * time.Millisecond}, "cannot be reached: unexpected EOF"},
		{"nonsense for good", later, answer(200, "[[5]]"), Options{}, "answers nonsense: not the traces it was asked for: a trace: json: cannot unmarshal number"},
		{"an unknown service", func(int64, *http.Request) bool { return false }, nil, Options{Service: "shopp"}, `knows no service "shopp": it has shop`},
		{"no time between", func(int64, *http.Request) bool { return false }, nil, Options{Since: began, Until: began}, "there is no time between"},
	} {
		t.Run(c.name, func(t *testing.T) {
			address, _ := faulty(t, s, c.fails, c.fault)
			o := around(c.o)
			if !c.o.Since.IsZero() {
				o.Since, o.Until = c.o.Since, c.o.Until
			}
			o.Server = address
			_, err := Collect(t.Context(), o, &bytes.Buffer{})
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
	address := serve(t, http.NotFoundHandler())
	address.Host = "127.0.0.1:1"
	_, err := Collect(t.Context(), around(Options{Server: address}), &bytes.Buffer{})
	require.ErrorContains(t, err, "Zipkin at http://127.0.0.1:1 cannot be reached")
	_, err = Collect(t.Context(), Options{}, &bytes.Buffer{})
	require.ErrorContains(t, err, "the address of Zipkin is missing")
}

// TestAnswersThatAreTooLong checks that windows are halved until their traces fit into an answer, and that a trace alone that does not fit is
// an error.
func TestAnswersThatAreTooLong(t *testing.T) {
	address := serve(t, localzipkin.NewHandler(store(t, someTraces(20)...), 1<<20))
	o := around(Options{Server: address, MaxAnswer: 2000})
	var out bytes.Buffer
	result, err := Collect(t.Context(), o, &out)
	require.NoError(t, err)
	require.Len(t, ids(t, out.Bytes()), 20)
	require.Greater(t, result.Requests, 5)
	o.MaxAnswer = 300
	_, err = Collect(t.Context(), o, &bytes.Buffer{})
	require.ErrorIs(t, err, whisk.ErrTooLong)
	require.ErrorContains(t, err, "the traces that began at 2023-11-14T22:13:")
}

// TestConditions checks that the conditions reach the server, and that its address may end in /api/v2.
func TestConditions(t *testing.T) {
	a, b := aTrace(0, "shop", began, 2), aTrace(1, "Mail", began, 2)
	b[0]["tags"].(map[string]string)["error"] = "full"
	address := serve(t, localzipkin.NewHandler(store(t, a, b), 1<<20)).JoinPath("api/v2/")
	for _, c := range []struct {
		o    Options
		want []string
	}{
		{Options{}, []string{traceID(0), traceID(1)}},
		{Options{Service: "shop"}, []string{traceID(0)}},
		{Options{Service: "mail"}, []string{traceID(1)}},
		{Options{Service: "MAIL", Query: "error=full"}, []string{traceID(1)}},
		{Options{Service: "shop", Query: "error"}, nil},
	} {
		c.o.Server = address
		var out bytes.Buffer
		_, err := Collect(t.Context(), around(c.o), &out)
		require.NoError(t, err)
		require.Equal(t, c.want, slices.Sorted(maps.Keys(ids(t, out.Bytes()))))
	}
}

// TestPasswordInTheAddress checks that user and password of the address are sent, and are not in errors.
func TestPasswordInTheAddress(t *testing.T) {
	zipkin := localzipkin.NewHandler(store(t, someTraces(2)...), 1<<20)
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		zipkin.ServeHTTP(w, r)
	}))
	o := around(Options{Server: address})
	address.User = url.UserPassword("me", "secret")
	result, err := Collect(t.Context(), o, &bytes.Buffer{})
	require.NoError(t, err)
	require.Equal(t, 2, result.Traces)
	address.User = url.UserPassword("me", "wrong-secret")
	_, err = Collect(t.Context(), o, &bytes.Buffer{})
	require.ErrorContains(t, err, "(401)")
	require.NotContains(t, err.Error(), "secret")
}

// TestSettle checks that traces are left out that may still be running, by the end of their last span.
func TestSettle(t *testing.T) {
	now := time.Now()
	old, young := aTrace(0, "shop", now.Add(-10*time.Minute), 2), aTrace(1, "shop", now.Add(-10*time.Minute), 2)
	young[1]["duration"] = (595 * time.Second).Microseconds()
	timeless := aTrace(2, "shop", now.Add(-time.Hour), 2)
	delete(timeless[1], "timestamp")
	address := serve(t, localzipkin.NewHandler(store(t, old, young, timeless), 1<<20))
	for settle, want := range map[time.Duration]Result{
		time.Minute: {Traces: 2, Unsettled: 1, Requests: 1}, 0: {Traces: 3, Requests: 1}, time.Second: {Traces: 3, Requests: 1}, 24 * time.Hour: {Unsettled: 3, Requests: 1},
	} {
		got, err := Collect(t.Context(), Options{Server: address, Since: now.Add(-2 * time.Hour), Settle: settle}, &bytes.Buffer{})
		require.NoError(t, err)
		require.Equal(t, want, got, settle)
	}
}

// TestInterrupt checks that a collection ends with its context, also in the middle of a pause.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	address, _ := faulty(t, store(t), func(n int64, _ *http.Request) bool { return n > 1 }, answer(500, ""))
	o := around(Options{Server: address, OnMessage: func(string) { cancel() }})
	o.firstPause = time.Hour
	o.Patience = 24 * time.Hour
	_, err := Collect(ctx, o, &bytes.Buffer{})
	require.Error(t, err)
	require.Error(t, ctx.Err())
}

// fullDisk is a writer that fails.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestDiskFull(t *testing.T) {
	address := serve(t, localzipkin.NewHandler(store(t, someTraces(1)...), 1<<20))
	_, err := Collect(t.Context(), around(Options{Server: address}), fullDisk{})
	require.ErrorContains(t, err, "no space left on device")
}
