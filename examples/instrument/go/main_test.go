package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// TestServe checks the loop, and that without a collector the trace context of the caller is passed on.
func TestServe(t *testing.T) {
	var payload map[string]any
	whisk := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/namespaces/_/actions/shop/next" {
			http.NotFound(w, r)
			return
		}
		if err := json.NewDecoder(r.Body).Decode(&payload); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"activationId":"b"}`)
	}))
	defer whisk.Close()
	t.Setenv("__OW_API_HOST", whisk.URL)
	t.Setenv("__OW_WAIT_FOR_ACK", "1")
	requests := strings.Join([]string{
		`{"value":{"name":"Ada","then":["shop/next","shop/last"],"traceparent":"` + traceparent + `"},"activation_id":"a","action_name":"/guest/shop/hello","api_key":"u:p"}`,
		`{"value":{"name":"Ada","then":["shop/none"]}}`,
		`nonsense`,
		`{"value":{"name":"Bob"}}`,
		`{"value":{"name":"Bob","then":["shop/none"],"prewarm":{"linger_ms":1}}}`,
		`{"value":{"name":"Bob","then":["shop/none"],"source":"serverless-plugin-warmup","prewarm":false}}`,
	}, "\n") + "\n"
	var answers strings.Builder
	if err := serve(strings.NewReader(requests), &answers, traced(hello)); err != nil {
		t.Fatal(err)
	}
	warmedUp := `{"cold":false,"instance":"` + instance + `","prewarmed":true}`
	lines := strings.Split(answers.String(), "\n")
	for i, want := range []string{`{"ok":true}`, `{"greeting":"Hello, Ada!"}`, `{"error":"invoking shop/none: 404`, `{"error":"invalid character`, `{"greeting":"Hello, Bob!"}`, warmedUp, warmedUp} {
		if !strings.HasPrefix(lines[i], want) {
			t.Errorf("answer %d: %s, want %s", i, lines[i], want)
		}
	}
	if text, _ := json.Marshal(payload); string(text) != `{"name":"Ada","then":["shop/last"],"traceparent":"`+traceparent+`"}` {
		t.Errorf("the payload of the call: %s", text)
	}
}

// TestWarmUp checks that the run after a warm-up is not the first of its container, and that the connections are tried once.
func TestWarmUp(t *testing.T) {
	warm = false
	asked := 0
	whisk := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer whisk.Close()
	t.Setenv("__OW_API_HOST", whisk.URL)
	for i := range 3 {
		answer, err := traced(hello)(t.Context(), Request{Value: map[string]any{"prewarm": true}})
		if err != nil || answer["prewarmed"] != true || answer["cold"] != (i == 0) || answer["instance"] != instance {
			t.Errorf("answer %d: %v, %v", i, answer, err)
		}
	}
	if asked != 1 {
		t.Errorf("%d connections", asked)
	}
}

func TestFunctionName(t *testing.T) {
	for path, want := range map[string]string{"/guest/hello": "hello", "/guest/shop/hello": "shop/hello", "": ""} {
		if got := functionName(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}
