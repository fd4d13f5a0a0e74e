package openfaas

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	sdk "github.com/openfaas/go-sdk"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const password = "a-password-that-must-not-be-seen"

// gateway answers as that of OpenFaaS with faas-netes does: 202 to a new number of replicas, which reads show a moment later; replicas that are
// available some time after that; 401 in words; 404 without any; a number above the limit of the community edition is taken and cut; 0 is refused.
type gateway struct {
	t      *testing.T
	server *httptest.Server
	silent chan struct{} // requests wait until it is closed; nil: they do not
	start  time.Duration // until a replica is available
	lag    int           // reads that still show the number before
	most   int           // replicas, 0 for no limit
	failed func(r *http.Request) int

	mu        sync.Mutex
	replicas  int
	ready     []time.Time // of each replica
	shown     int         // by reads that lag
	behind    int
	posts     []int
	namespace []string
}

func newGateway(t *testing.T, replicas int) *gateway {
	g := &gateway{t: t, replicas: replicas, shown: replicas, ready: make([]time.Time, replicas)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /system/functions", g.list)
	mux.HandleFunc("GET /system/function/{name}", g.read)
	mux.HandleFunc("POST /system/scale-function/{name}", g.scale)
	g.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, given, ok := r.BasicAuth(); !ok || user != "admin" || given != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="Restricted"`)
			http.Error(w, "invalid credentials", http.StatusUnauthorized)
			return
		}
		if g.silent != nil {
			select {
			case <-g.silent:
			case <-r.Context().Done():
			}
			return
		}
		if g.failed != nil {
			if status := g.failed(r); status != 0 {
				http.Error(w, "something is wrong", status)
				return
			}
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(g.server.Close)
	return g
}

func (g *gateway) status() map[string]any {
	g.mu.Lock()
	defer g.mu.Unlock()
	available, now := 0, time.Now()
	for _, r := range g.ready {
		if !r.After(now) {
			available++
		}
	}
	shown := g.replicas
	if g.behind > 0 {
		g.behind--
		shown = g.shown
	}
	return map[string]any{
		"name": "f1", "image": "ghcr.io/openfaas/f1:latest", "namespace": "openfaas-fn", "replicas": shown, "availableReplicas": min(available, shown),
		"labels": map[string]string{"com.openfaas.scale.min": "1"}, "limits": map[string]string{"memory": "128Mi"},
	}
}

func (g *gateway) list(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode([]any{g.status()})
}

func (g *gateway) read(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.namespace = append(g.namespace, r.URL.Query().Get("namespace"))
	g.mu.Unlock()
	if r.PathValue("name") != "f1" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(g.status())
}

func (g *gateway) scale(w http.ResponseWriter, r *http.Request) {
	var body struct {
		ServiceName string `json:"serviceName"`
		Replicas    int    `json:"replicas"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, "Cannot parse request. Please pass valid JSON.", http.StatusBadRequest)
		return
	}
	switch {
	case body.Replicas == 0:
		http.Error(w, "replicas cannot be set to 0 in OpenFaaS CE", http.StatusBadRequest)
		return
	case r.PathValue("name") != "f1" || body.ServiceName != "f1":
		http.Error(w, "Unable to lookup function deployment "+r.PathValue("name"), http.StatusInternalServerError)
		return
	}
	g.mu.Lock()
	g.posts = append(g.posts, body.Replicas)
	g.mu.Unlock()
	n := body.Replicas
	if g.most > 0 {
		n = min(n, g.most)
	}
	g.set(n)
	w.WriteHeader(http.StatusAccepted)
}

// set sets the number of replicas, as an autoscaler does too.
func (g *gateway) set(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shown, g.behind = g.replicas, g.lag
	g.replicas = n
	for len(g.ready) < n {
		g.ready = append(g.ready, time.Now().Add(g.start))
	}
	g.ready = g.ready[:n]
}

func (g *gateway) now() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.replicas
}

// asked returns the numbers that were asked for.
func (g *gateway) asked() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return fmt.Sprint(g.posts)
}

// eventually waits until the gateway has so many replicas.
func (g *gateway) eventually(n int) {
	g.t.Helper()
	require.Eventually(g.t, func() bool { return g.now() == n }, time.Minute, time.Millisecond, "%d replicas, and there are %d", n, g.now())
}

// TestGateway checks that the gateway of these tests speaks as OpenFaaS's own client expects it.
func TestGateway(t *testing.T) {
	g := newGateway(t, 2)
	address, err := url.Parse(g.server.URL)
	require.NoError(t, err)
	web := &http.Client{}
	defer web.CloseIdleConnections()
	client := sdk.NewClient(address, &sdk.BasicAuth{Username: "admin", Password: password}, web)
	require.NoError(t, client.ScaleFunction(t.Context(), "f1", "", 4))
	functions, err := client.GetFunctions(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, functions, 1)
	require.Equal(t, uint64(4), functions[0].Replicas)
	f, err := client.GetFunction(t.Context(), "f1", "openfaas-fn")
	require.NoError(t, err)
	require.Equal(t, uint64(4), f.AvailableReplicas)
	require.Equal(t, "128Mi", f.Limits.Memory)
	require.ErrorContains(t, client.ScaleFunction(t.Context(), "f1", "", 0), "status code 400")
	require.ErrorContains(t, client.ScaleFunction(t.Context(), "f2", "", 1), "Unable to lookup function deployment f2")
	client = sdk.NewClient(address, &sdk.BasicAuth{Username: "admin"}, web)
	require.ErrorContains(t, client.ScaleFunction(t.Context(), "f1", "", 4), "unauthorized")
}
