package openfaastest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/openfaas/faas-provider/types"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/resource"
)

// User and Password are those that the gateway wants.
const (
	User     = "admin"
	Password = "a-password-that-must-not-be-seen"
)

// Function is the name of the function that the gateway has.
const Function = "f1"

// Gateway answers as that of OpenFaaS with faas-netes does: 202 to a new number of replicas, which reads show a moment later; replicas that are
// available some time after that; 401 in words; 404 without any; a number above the limit of the community edition is taken and cut; 0 is refused. A new
// deployment (PUT) is answered as a new number of replicas is.
type Gateway struct {
	Server *httptest.Server
	Silent chan struct{} // requests wait until it is closed; nil: they do not
	Start  time.Duration // until a replica is available
	Lag    int           // reads that still show what was before
	Most   int           // replicas, 0 for no limit
	Failed func(r *http.Request) int

	t           testing.TB
	mu          sync.Mutex
	replicas    int
	ready       []time.Time // of each replica
	shown       int         // by reads that lag
	behind      int
	posts       []int
	namespaces  []string
	deployment  types.FunctionDeployment
	old         types.FunctionDeployment // shown by reads that lag
	oldFor      int
	deployments []types.FunctionDeployment
}

// New starts a gateway, which ends with the test. Its function has so many replicas, and a limit of memory of 128Mi.
func New(t testing.TB, replicas int) *Gateway {
	g := &Gateway{t: t, replicas: replicas, shown: replicas, ready: make([]time.Time, replicas)}
	g.deployment = types.FunctionDeployment{
		Service: Function, Image: "ghcr.io/openfaas/f1:latest", Namespace: "openfaas-fn", Limits: &types.FunctionResources{Memory: "128Mi"},
		Labels: &map[string]string{"com.openfaas.scale.min": "1"},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /system/functions", g.list)
	mux.HandleFunc("GET /system/function/{name}", g.read)
	mux.HandleFunc("PUT /system/functions", g.update)
	mux.HandleFunc("POST /system/scale-function/{name}", g.scale)
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, given, ok := r.BasicAuth(); !ok || user != User || given != Password {
			w.Header().Set("WWW-Authenticate", `Basic realm="Restricted"`)
			http.Error(w, "invalid credentials", http.StatusUnauthorized)
			return
		}
		if g.Silent != nil {
			select {
			case <-g.Silent:
			case <-r.Context().Done():
			}
			return
		}
		if g.Failed != nil {
			if status := g.Failed(r); status != 0 {
				http.Error(w, "something is wrong", status)
				return
			}
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(g.Server.Close)
	return g
}

func (g *Gateway) status() types.FunctionStatus {
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
	d := g.deployment
	if g.oldFor > 0 {
		g.oldFor--
		d = g.old
	}
	return types.FunctionStatus{
		Name: d.Service, Image: d.Image, Namespace: d.Namespace, EnvProcess: d.EnvProcess, EnvVars: d.EnvVars, Constraints: d.Constraints, Secrets: d.Secrets,
		Labels: d.Labels, Annotations: d.Annotations, Limits: d.Limits, Requests: d.Requests, ReadOnlyRootFilesystem: d.ReadOnlyRootFilesystem,
		Replicas: uint64(shown), AvailableReplicas: uint64(min(available, shown)), InvocationCount: 7, CreatedAt: time.Unix(1e9, 0).UTC(),
	}
}

func (g *Gateway) list(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode([]any{g.status()})
}

func (g *Gateway) read(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.namespaces = append(g.namespaces, r.URL.Query().Get("namespace"))
	g.mu.Unlock()
	if r.PathValue("name") != Function {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(g.status())
}

func (g *Gateway) scale(w http.ResponseWriter, r *http.Request) {
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
	case r.PathValue("name") != Function || body.ServiceName != Function:
		http.Error(w, "Unable to lookup function deployment "+r.PathValue("name"), http.StatusInternalServerError)
		return
	}
	g.mu.Lock()
	g.posts = append(g.posts, body.Replicas)
	g.mu.Unlock()
	n := body.Replicas
	if g.Most > 0 {
		n = min(n, g.Most)
	}
	g.Set(n)
	w.WriteHeader(http.StatusAccepted)
}

// Set sets the number of replicas, as an autoscaler does too.
func (g *Gateway) Set(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shown, g.behind = g.replicas, g.Lag
	g.replicas = n
	for len(g.ready) < n {
		g.ready = append(g.ready, time.Now().Add(g.Start))
	}
	g.ready = g.ready[:n]
}

// Replicas returns the number of replicas that are wanted.
func (g *Gateway) Replicas() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.replicas
}

// Asked returns the numbers that were asked for.
func (g *Gateway) Asked() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return fmt.Sprint(g.posts)
}

// Eventually waits until the gateway has so many replicas.
func (g *Gateway) Eventually(n int) {
	g.t.Helper()
	require.Eventually(g.t, func() bool { return g.Replicas() == n }, time.Minute, time.Millisecond, "%d replicas, and there are %d", n, g.Replicas())
}

// update takes a new deployment.
func (g *Gateway) update(w http.ResponseWriter, r *http.Request) {
	var d types.FunctionDeployment
	if err := json.NewDecoder(r.Body).Decode(&d); err != nil {
		http.Error(w, "Unable to unmarshal request: "+err.Error(), http.StatusBadRequest)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if d.Service != Function || d.Namespace != "" && d.Namespace != g.deployment.Namespace {
		http.Error(w, "unable to update Deployment: "+d.Service+"."+d.Namespace+", error: not found", http.StatusNotFound)
		return
	}
	for _, r := range []*types.FunctionResources{d.Limits, d.Requests} {
		if r == nil {
			continue
		}
		for _, q := range []string{r.Memory, r.CPU} {
			if _, err := resource.ParseQuantity(q); q != "" && err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
		}
	}
	d.Namespace = g.deployment.Namespace
	g.old, g.oldFor = g.deployment, g.Lag
	g.deployment = d
	g.deployments = append(g.deployments, d)
	w.WriteHeader(http.StatusAccepted)
}

// Deploy sets what is deployed, as somebody else does.
func (g *Gateway) Deploy(d types.FunctionDeployment) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.deployment = d
}

// Deployments returns those that were made by requests.
func (g *Gateway) Deployments() []types.FunctionDeployment {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.deployments)
}

// Namespaces returns those that reads have asked for.
func (g *Gateway) Namespaces() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.namespaces)
}
