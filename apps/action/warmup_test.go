package action

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/loopback"
)

// TestWhatIsAWarmUp checks which payloads are warm-ups, and for how long they linger.
func TestWhatIsAWarmUp(t *testing.T) {
	for payload, want := range map[string]time.Duration{
		`{"prewarm": {"linger_ms": 25}}`:                                  25 * time.Millisecond,
		`{"prewarm": {"linger_ms": 0.5}}`:                                 time.Millisecond / 2,
		`{"prewarm": {"linger_ms": 0}}`:                                   0,
		`{"prewarm": {"linger_ms": -3}}`:                                  0,
		`{"prewarm": {"linger_ms": 1e9}}`:                                 time.Second,
		`{"prewarm": {}}`:                                                 50 * time.Millisecond,
		`{"prewarm": true}`:                                               50 * time.Millisecond,
		`{"prewarm": {"linger_ms": "x"}}`:                                 50 * time.Millisecond,
		`{"source": "serverless-plugin-warmup"}`:                          50 * time.Millisecond,
		`{"source": "serverless-plugin-warmup", "prewarm": false}`:        50 * time.Millisecond,
		`{"graph": 1, "call": "x", "prewarm": {"linger_ms": 1}}`:          time.Millisecond,
		`{"apihost": 1, "prewarm": {"linger_ms": 1}, "insecure": "what"}`: time.Millisecond,
		`{"prewarm": false}`:                                              -1,
		`{"prewarm": null}`:                                               -1,
		`{"calls": [], "graph": {"prewarm": {"linger_ms": 1}}}`:           -1,
		`{"source": "serverless-plugin"}`:                                 -1,
		`{"source": ["serverless-plugin-warmup"]}`:                        -1,
		`{"trigger": "serverless-plugin-warmup"}`:                         -1,
		`"prewarm"`:  -1,
		`{"prewarm"`: -1,
		``:           -1,
	} {
		w, linger := newWarmup(json.RawMessage(payload))
		require.Equal(t, want >= 0, w != nil, payload)
		require.Equal(t, max(want, 0), linger, payload)
	}
}

// TestWarmUp checks what comes of a warm-up: an answer and connections, but no span, no call, and no run that counts. The run after it is the
// container's first and is not cold.
func TestWarmUp(t *testing.T) {
	for name, marker := range map[string]map[string]any{
		"prewarm": {"prewarm": map[string]any{"linger_ms": 20}}, "source": {"source": "serverless-plugin-warmup"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newTestPlatform(t, "sequence")
			var asked atomic.Int32
			var connections sync.Map // by the address of the client
			counting := func(handler http.HandlerFunc) string {
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					connections.Store(r.RemoteAddr, true)
					if r.Method == http.MethodGet {
						asked.Add(1)
						_, _ = w.Write([]byte("{}"))
						return
					}
					handler(w, r)
				}))
				t.Cleanup(server.Close)
				return server.URL
			}
			host, collector := counting(p.invoke), counting(p.collect)
			r := &Runner{}
			run := func(id string, more map[string]any) (a struct {
				Prewarmed bool   `json:"prewarmed"`
				Cold      *bool  `json:"cold"`
				Instance  string `json:"instance"`
				Error     string `json:"error"`
			}) {
				all := map[string]any{"apihost": host, "collector": collector}
				maps.Copy(all, more)
				require.NoError(t, json.Unmarshal(r.Run(t.Context(), p.request(id, "f1", all)), &a))
				return a
			}
			begin := time.Now()
			first := run("aa", marker)
			require.GreaterOrEqual(t, time.Since(begin), 20*time.Millisecond)
			require.True(t, first.Prewarmed)
			require.True(t, *first.Cold)
			require.NotEmpty(t, first.Instance)
			require.Equal(t, int32(1), asked.Load())
			connected := 0
			connections.Range(func(any, any) bool { connected++; return true })
			require.Equal(t, 2, connected, "OpenWhisk and the collector")
			second := run("bb", marker)
			require.False(t, *second.Cold)
			require.Equal(t, first.Instance, second.Instance)
			require.Equal(t, int32(1), asked.Load(), "the connections are made once")

			calls := []plannedCall{{Function: p.app.Index("f1"), Invokes: []int{1}}, {Function: p.app.Index("f2")}}
			require.Empty(t, run("cc", map[string]any{"calls": calls, "announce": true}).Error)
			p.running.Wait()
			spans := 0
			for _, s := range p.wait(4) {
				id, _ := s.Attributes().Get("activationId")
				if id.Str() != "cc" {
					continue
				}
				spans++
				instance, _ := s.Attributes().Get("faas.instance")
				require.Equal(t, first.Instance, instance.Str())
				if s.Name() == "start" {
					cold, _ := s.Attributes().Get("faas.coldstart")
					require.False(t, cold.Bool())
				}
			}
			require.Equal(t, 2, spans, "the run and its start")
			require.NoError(t, r.Close(t.Context()))
			require.False(t, p.has("aa"))
			require.False(t, p.has("bb"))
			require.Len(t, p.sent, 1)
		})
	}
}

// TestWarmUpDoesNotFail checks that a warm-up is answered in time when there is no key, when nobody listens, and when servers hang.
func TestWarmUpDoesNotFail(t *testing.T) {
	released := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-released:
		case <-r.Context().Done():
		}
	}))
	defer hangs.Close()
	defer close(released)
	addresses, err := loopback.FreeAddresses(1)
	require.NoError(t, err)
	nobody := "http://" + addresses[0]
	for name, test := range map[string]struct {
		more map[string]any
		log  string
	}{
		"no key":       {map[string]any{"auth": nil, "collector": nil}, "there is no key"},
		"no address":   {map[string]any{"apihost": nil, "collector": "nowhere"}, "is no address with a scheme"},
		"no graph":     {map[string]any{"graph": nil, "application": 7, "apihost": nil}, "warmed up"},
		"nobody there": {map[string]any{"apihost": nobody, "collector": nobody}, "warming up, exporting: the collector at " + nobody + " cannot be reached"},
		"they hang":    {map[string]any{"apihost": hangs.URL, "collector": hangs.URL}, "warming up, invoking: OpenWhisk at " + hangs.URL + " cannot be reached: no answer in time"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newTestPlatform(t, "sequence")
			var log strings.Builder
			r := &Runner{Log: &log}
			test.more["prewarm"] = true
			require.Regexp(t, `^{"prewarmed":true,"cold":true,"instance":"[0-9a-f]{16}"}$`, string(r.Run(t.Context(), p.request("x", apps.Main, test.more))))
			require.Contains(t, log.String(), test.log)
			require.NoError(t, r.Close(t.Context()))
		})
	}
}

// TestWarmUpOnce checks the answer of a process that runs one invocation: it knows neither whether the container is new nor its name.
func TestWarmUpOnce(t *testing.T) {
	var out strings.Builder
	r := &Runner{}
	require.NoError(t, Once(t.Context(), r, []byte(`{"prewarm": {"linger_ms": 0}}`), func(string) string { return "" }, &out))
	require.JSONEq(t, `{"prewarmed": true}`, out.String())
	require.NoError(t, r.Close(context.Background()))
}

// TestWarmUpWithinItsLimit checks that it lingers no longer than the function may run. If it did, each of many would take longer, however fast the
// machine is; on a slow one a few may.
func TestWarmUpWithinItsLimit(t *testing.T) {
	for range 60 {
		r := &Runner{}
		begin := time.Now()
		text := r.Run(t.Context(), Request{Value: json.RawMessage(`{"prewarm": {"linger_ms": 1000}}`), Deadline: milliseconds(begin.Add(20 * time.Millisecond).UnixMilli())})
		require.Contains(t, string(text), `"prewarmed":true`)
		if time.Since(begin) < maxLinger {
			return
		}
	}
	t.Error("it lingers for as long as it was asked to")
}

// FuzzWarmUp checks that every warm-up lingers within its bounds, whatever the payload says, and that what is no object is none.
func FuzzWarmUp(f *testing.F) {
	for _, text := range []string{`{"prewarm":{"linger_ms":1}}`, `{"prewarm":true}`, `{"source":"serverless-plugin-warmup"}`, `{"prewarm":{"linger_ms":-1e308}}`, `["prewarm"]`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		w, linger := newWarmup(text)
		var object map[string]json.RawMessage
		if w == nil && linger != 0 || linger < 0 || linger > maxLinger {
			t.Fatalf("%s: %v, %v", text, w, linger)
		}
		if w != nil && json.Unmarshal(text, &object) != nil {
			t.Fatalf("%s is no object", text)
		}
	})
}
