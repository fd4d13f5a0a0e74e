package openfaas

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/errorfs"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
)

// TestGatewayFailsWhileWaiting checks that replicas which were set are waited for though the gateway does not answer now and then, and that they are not said to have
// failed where it does not answer any more: they come all the same.
func TestGatewayFailsWhileWaiting(t *testing.T) {
	const reads = 3 // before the number is set, and after it until it is shown; then those that wait
	for name, test := range map[string]struct {
		status    int
		failures  int
		want      actuator.Outcome
		wantError string
	}{
		"too many requests, once":   {http.StatusTooManyRequests, 1, actuator.Created, ""},
		"away for some questions":   {http.StatusServiceUnavailable, 3, actuator.Created, ""},
		"an error, once":            {http.StatusInternalServerError, 1, actuator.Created, ""},
		"another password":          {http.StatusUnauthorized, 1, actuator.Unknown, "does not accept the key (401)"},
		"the function was removed":  {http.StatusNotFound, 1, actuator.Failed, "does not have this (404)"},
		"too many requests, always": {http.StatusTooManyRequests, 1 << 30, actuator.Unknown, "has had too many requests (429)"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, 1)
			var got, failed atomic.Int64
			a := closed(t, g.actuator(Options{}))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			g.Failed = func(r *http.Request) int {
				if r.Method != http.MethodGet || got.Add(1) < reads || failed.Load() == int64(test.failures) {
					return 0
				}
				if failed.Add(1) == 5 {
					cancel() // it was patient enough
				}
				return test.status
			}
			results, err := a.Act(ctx, warm(1, 2, time.Hour))
			g.Failed = nil
			require.Equal(t, 3, g.Replicas())
			require.Len(t, results, 2)
			require.Equal(t, test.want, results[1].Outcome)
			if test.wantError == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.wantError)
			require.ErrorIs(t, results[1].Err, err)
		})
	}
}

// TestFull checks that nothing is started which cannot be noted, that what was noted counts, and that all is given back, whichever operation on the disk fails.
func TestFull(t *testing.T) {
	count := errorfs.Fail(errorfs.OS{}, 0, nil)
	run := func(t *testing.T, disk errorfs.FS) {
		g := newGateway(t, 1)
		a := g.actuator(Options{State: filepath.Join(t.TempDir(), "state.json"), disk: disk})
		for id := range uint64(2) {
			before := g.Replicas()
			results, err := a.Act(t.Context(), warm(id, 1, time.Hour))
			require.Len(t, results, 1)
			if err == nil {
				require.Equal(t, actuator.Created, results[0].Outcome)
				require.Equal(t, before+1, g.Replicas())
			} else {
				require.Equal(t, actuator.Failed, results[0].Outcome)
				require.ErrorContains(t, err, "noting what was started: ")
				require.ErrorIs(t, err, syscall.ENOSPC)
				require.Equal(t, before, g.Replicas(), "what has failed is not there")
			}
		}
		require.NoError(t, a.Close(t.Context()))
		require.Equal(t, 1, g.Replicas())
	}
	run(t, count)
	require.Greater(t, count.Operations(), 20)
	for n := 1; n <= count.Operations(); n++ {
		run(t, errorfs.Fail(errorfs.OS{}, n, syscall.ENOSPC))
		run(t, errorfs.FailFrom(errorfs.OS{}, n, syscall.ENOSPC))
	}
}

// TestLimitOfBoth checks that what a limit of the gateway cuts off a number in all is not taken from what other commands have added.
func TestLimitOfBoth(t *testing.T) {
	g := newGateway(t, 1)
	a := closed(t, g.actuator(Options{}))
	_, err := a.Act(t.Context(), warm(1, 2, time.Hour))
	require.NoError(t, err)
	g.Most = 8
	_, err = a.Act(t.Context(), scale(2, 10, time.Hour))
	require.EqualError(t, err, "f1: the gateway has 8 replicas in place of 10")
	require.Equal(t, 8, g.Replicas())
	_, err = a.Act(t.Context(), scale(3, 0, time.Hour))
	require.NoError(t, err)
	require.Equal(t, 3, g.Replicas(), "the platform's own, and those of the first command")
}

// TestRemoved checks that giving back is given up of a function that was removed, and that nothing of it is left in the state.
func TestRemoved(t *testing.T) {
	g := newGateway(t, 1)
	state := filepath.Join(t.TempDir(), "state.json")
	a := g.actuator(Options{State: state})
	_, err := a.Act(t.Context(), warm(1, 2, time.Hour))
	require.NoError(t, err)
	g.Failed = func(*http.Request) int { return http.StatusNotFound }
	f := a.functions["f1"]
	for range mostMissing {
		_, _, err = a.change(t.Context(), "f1", func(*function) {})
		require.ErrorContains(t, err, "does not have this (404)")
		require.Contains(t, a.functions, "f1", "something is asked for of it, and it may come back")
		f.retry = time.Time{}
		a.delay(f)
	}
	a.mu.Lock()
	f.Leases[0].Until = time.Now()
	a.mu.Unlock()
	_, _, err = a.change(t.Context(), "f1", func(*function) {})
	require.Error(t, err)
	require.Empty(t, a.all())
	text, err := os.ReadFile(state)
	require.NoError(t, err)
	require.JSONEq(t, `{"functions": null}`, string(text))

	g.Failed = nil
	_, err = a.Act(t.Context(), warm(2, 2, time.Hour))
	require.NoError(t, err)
	g.Failed = func(*http.Request) int { return http.StatusNotFound }
	require.NoError(t, a.Close(t.Context()), "a function that is not there has nothing to give back")
}

// TestImpossible checks that numbers which cannot be are not taken for what a function has.
func TestImpossible(t *testing.T) {
	for name, test := range map[string]struct{ status, replicas, memory string }{
		"replicas": {`{"name": "f1", "replicas": 18446744073709551615}`, "cannot have 18446744073709551615 replicas", "cannot have 18446744073709551615 replicas"},
		"negative": {`{"name": "f1", "replicas": -1}`, "answers nonsense", "answers nonsense"},
		"memory":   {`{"name": "f1", "replicas": 1, "availableReplicas": 2, "limits": {"memory": "-5Mi"}}`, "", `f1: its limit of memory, "-5Mi", is no amount`},
		"none":     {`{"name": "f1", "replicas": 1, "availableReplicas": 2, "limits": {"memory": "0"}}`, "", `f1: its limit of memory, "0", is no amount`},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					_, _ = w.Write([]byte(test.status))
				}
			}))
			t.Cleanup(server.Close)
			a, err := New(Options{Gateway: server.URL})
			require.NoError(t, err)
			if test.replicas != "" {
				_, err = a.Act(t.Context(), warm(1, 1, time.Hour))
				require.ErrorContains(t, err, test.replicas)
			}
			_, err = a.MemoryMB(t.Context(), "f1")
			require.ErrorContains(t, err, test.memory)
			require.NoError(t, a.Close(t.Context()))
		})
	}
}
