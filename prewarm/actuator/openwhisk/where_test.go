package openwhisk

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm/actuator"
)

// TestWhere checks that functions are found in the packages that have them, the latest of several, that a function which is nowhere is one clear error
// and no flood of questions, and that one which was moved is found again.
func TestWhere(t *testing.T) {
	type listed struct {
		Name      string         `json:"name"`
		Namespace string         `json:"namespace"`
		Updated   int64          `json:"updated"`
		Limits    map[string]int `json:"limits"`
	}
	var list atomic.Pointer[[]listed]
	var lists atomic.Int32
	invoked := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			lists.Add(1)
			require.NoError(t, json.NewEncoder(w).Encode(list.Load()))
			return
		}
		invoked <- r.URL.Path
		if r.URL.Path == "/api/v1/namespaces/_/actions/old/b" {
			http.Error(w, `{"error": "The requested resource does not exist."}`, http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(`{"activationId": "0123456789abcdef0123456789abcdef", "response": {"status": "success", "success": true, "result": {"prewarmed": true, "cold": true}}, "start": 1, "end": 2, "annotations": []}`))
	}))
	defer server.Close()
	list.Store(&[]listed{{"a", "guest", 5, nil}, {"b", "guest/old", 7, nil}, {"b", "guest/older", 6, map[string]int{"memory": 128}}})
	a, err := New(Options{APIHost: server.URL, Key: key})
	require.NoError(t, err)
	defer a.Close(t.Context())
	act := func(function string) error {
		_, err := a.Act(t.Context(), actuator.Command{Kind: actuator.Warm, Function: function, N: 1})
		return err
	}
	require.NoError(t, act("a"))
	require.Equal(t, "/api/v1/namespaces/_/actions/a", <-invoked)
	require.Error(t, act("b"))
	require.Equal(t, "/api/v1/namespaces/_/actions/old/b", <-invoked)

	for range 3 {
		require.ErrorContains(t, act("b"), "b: OpenWhisk has no action of that name")
	}
	require.EqualValues(t, 1, lists.Load())
	list.Store(&[]listed{{"b", "guest/new", 8, nil}})
	a.where.mu.Lock()
	a.where.asked = time.Now().Add(-lookAgain)
	a.where.mu.Unlock()
	require.NoError(t, act("b"))
	require.Equal(t, "/api/v1/namespaces/_/actions/new/b", <-invoked)
}

// TestWhereBrokenOff checks that a question for the list which was broken off, because whoever has asked waits no longer, is asked again by others.
func TestWhereBrokenOff(t *testing.T) {
	asked := make(chan struct{}, 1)
	var lists atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if lists.Add(1) == 1 {
			asked <- struct{}{}
			<-r.Context().Done()
			return
		}
		_, _ = w.Write([]byte(`[{"name": "a", "namespace": "guest/p"}]`))
	}))
	defer server.Close()
	a, err := New(Options{APIHost: server.URL, Key: key})
	require.NoError(t, err)
	defer a.Close(t.Context())

	impatient, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan string, 1)
	go func() {
		_, err := a.action(impatient, "a")
		first <- err
	}()
	<-asked
	go func() {
		name, err := a.action(t.Context(), "a")
		if err != nil {
			name = err.Error()
		}
		second <- name
	}()
	cancel()
	require.ErrorContains(t, <-first, "broken off")
	require.Equal(t, "p/a", <-second)
	require.EqualValues(t, 2, lists.Load())
}
