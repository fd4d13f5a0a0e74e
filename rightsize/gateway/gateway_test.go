package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openfaas/faas-provider/types"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/internal/openfaastest"
	"github.com/tppfaas/tppfaas/rightsize/manifest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, o Options) *Gateway {
	t.Helper()
	g, err := New(o)
	require.NoError(t, err)
	t.Cleanup(g.Close)
	return g
}

func to(t *testing.T, g *openfaastest.Gateway) *Gateway {
	return open(t, Options{Address: g.Server.URL, User: openfaastest.User, Password: openfaastest.Password, Patience: 2 * time.Second})
}

// TestSet checks that new limits are deployed with everything else as it was.
func TestSet(t *testing.T) {
	server := openfaastest.New(t, 3)
	server.Lag = 3
	d := types.FunctionDeployment{
		Service: "f1", Image: "x:1", Namespace: "openfaas-fn", EnvProcess: "run", EnvVars: map[string]string{"a": "b"}, Constraints: []string{"c"}, Secrets: []string{"s"},
		Labels: &map[string]string{"l": "1"}, Annotations: &map[string]string{"n": "2"}, ReadOnlyRootFilesystem: true,
		Limits: &types.FunctionResources{Memory: "128Mi", NvidiaGPU: "1"},
	}
	server.Deploy(d)
	g := to(t, server)
	has, err := g.Resources(t.Context(), "f1")
	require.NoError(t, err)
	require.Equal(t, manifest.Resources{MemoryLimit: "128Mi"}, has)

	changed, err := g.Set(t.Context(), "f1", manifest.Resources{MemoryLimit: "64Mi", CPURequest: "50m"})
	require.NoError(t, err)
	require.True(t, changed)
	d.Limits = &types.FunctionResources{Memory: "64Mi", NvidiaGPU: "1"}
	d.Requests = &types.FunctionResources{CPU: "50m"}
	require.Equal(t, []types.FunctionDeployment{d}, server.Deployments())
	require.Equal(t, 3, server.Replicas())

	changed, err = g.Set(t.Context(), "f1.openfaas-fn", manifest.Resources{MemoryLimit: "65536Ki"})
	require.NoError(t, err)
	require.False(t, changed, "the same quantity")
	_, err = g.Set(t.Context(), "f1", manifest.Resources{CPULimit: "20m"})
	require.EqualError(t, err, "f1: the limit of cpu would be 20m, below its request of 50m")
	_, err = g.Set(t.Context(), "f1", manifest.Resources{CPULimit: "20MB"})
	require.ErrorContains(t, err, `quantity "20MB"`)
	require.Len(t, server.Deployments(), 1)
	require.Contains(t, server.Namespaces(), "openfaas-fn")
}

// TestUnknownFields checks that what this version does not know of a deployment is kept, and what tells how a function does is not deployed.
func TestUnknownFields(t *testing.T) {
	limits := json.RawMessage(`null`)
	var put map[string]json.RawMessage
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			put = nil
			_ = json.NewDecoder(r.Body).Decode(&put)
			limits = put["limits"]
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"name": "f", "image": "x", "limits": limits, "requests": nil, "profile": map[string]any{"new": 1}, "replicas": 2, "usage": map[string]any{"cpu": 1}})
	}))
	defer server.Close()
	g := open(t, Options{Address: server.URL})
	changed, err := g.Set(t.Context(), "f", manifest.Resources{MemoryLimit: "64Mi"})
	require.NoError(t, err)
	require.True(t, changed)
	text, err := json.Marshal(put)
	require.NoError(t, err)
	require.JSONEq(t, `{"service": "f", "image": "x", "limits": {"memory": "64Mi"}, "requests": null, "profile": {"new": 1}}`, string(text))
}

// TestNonsenseOnce checks that nothing of an answer that was nonsense is deployed: that of another function, as a proxy in front may send.
func TestNonsenseOnce(t *testing.T) {
	var put map[string]json.RawMessage
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch asked++; {
		case r.Method == http.MethodPut:
			_ = json.NewDecoder(r.Body).Decode(&put)
		case asked == 1:
			_, _ = w.Write([]byte(`{"name": "other", "image": "y", "envVars": {"secret": "of the other"}}`))
		case put != nil:
			_, _ = w.Write([]byte(`{"name": "f", "image": "x", "limits": {"memory": "64Mi"}}`))
		default:
			_, _ = w.Write([]byte(`{"name": "f", "image": "x"}`))
		}
	}))
	defer server.Close()
	changed, err := open(t, Options{Address: server.URL}).Set(t.Context(), "f", manifest.Resources{MemoryLimit: "64Mi"})
	require.NoError(t, err)
	require.True(t, changed)
	text, err := json.Marshal(put)
	require.NoError(t, err)
	require.JSONEq(t, `{"service": "f", "image": "x", "limits": {"memory": "64Mi"}}`, string(text))
}

func TestErrors(t *testing.T) {
	server := openfaastest.New(t, 1)
	for want, o := range map[string]Options{
		"does not accept the key (401)": {Address: server.Server.URL, User: "admin", Password: "wrong"},
		"no trusted connection":         {Address: "https" + server.Server.URL[4:], Patience: 1},
	} {
		_, err := open(t, o).Resources(t.Context(), "f1")
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "f1: ")
		require.NotContains(t, err.Error(), "wrong")
	}
	g := to(t, server)
	_, err := g.Set(t.Context(), "f2", manifest.Resources{MemoryLimit: "64Mi"})
	require.ErrorContains(t, err, "f2: the OpenFaaS gateway at "+server.Server.URL+" does not have this (404)")
	for _, name := range []string{"", "a/b", "../x", "A"} {
		_, err := g.Resources(t.Context(), name)
		require.ErrorContains(t, err, "is no name of a function")
	}
	for _, o := range []Options{{Address: ""}, {Address: "x", User: "admin"}, {Address: "ftp://x"}} {
		_, err := New(o)
		require.Error(t, err)
	}
	var asked atomic.Int32
	server.Failed = func(*http.Request) int {
		if asked.Add(1) < 3 {
			return http.StatusBadGateway
		}
		return 0
	}
	_, err = g.Resources(t.Context(), "f1")
	require.NoError(t, err, "it fails twice")
	require.Equal(t, int32(3), asked.Load())
	server.Failed = func(r *http.Request) int {
		if r.Method == http.MethodPut {
			return http.StatusForbidden
		}
		return 0
	}
	_, err = g.Set(t.Context(), "f1", manifest.Resources{MemoryLimit: "64Mi"})
	require.ErrorContains(t, err, "403")
	server.Failed = nil
	server.Lag = 1000
	_, err = g.Set(t.Context(), "f1", manifest.Resources{MemoryLimit: "64Mi"})
	require.ErrorContains(t, err, "still tells others")

	hanging := openfaastest.New(t, 1)
	hanging.Silent = make(chan struct{})
	defer close(hanging.Silent)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = to(t, hanging).Resources(ctx, "f1")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = open(t, Options{Address: hanging.Server.URL, User: openfaastest.User, Password: openfaastest.Password, Timeout: 10 * time.Millisecond, Patience: 1}).Resources(t.Context(), "f1")
	require.ErrorContains(t, err, "cannot be reached")
}
