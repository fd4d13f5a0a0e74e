package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/rightsize/manifest"
)

// Options say where the gateway is.
type Options struct {
	// Address is that of the gateway; without a scheme it is https.
	Address string
	// User and Password are those of its basic authentication; both "" for none.
	User, Password string
	// Insecure leaves the certificate unchecked.
	Insecure bool
	// Namespace is that of functions whose name has none (NAME.NAMESPACE); "" for the gateway's own.
	Namespace string
	// Timeout bounds each request; by default 10 s.
	Timeout time.Duration
	// Patience is how long a request that fails in a way that may pass is repeated; by default 30 s.
	Patience time.Duration
	// OnRetry is called before a request is repeated; it may be nil.
	OnRetry func(err error, pause time.Duration)
}

// Gateway is the gateway of an OpenFaaS.
type Gateway struct {
	options Options
	server  whisk.Server
	http    *http.Client
	key     string
}

// New returns a Gateway. It makes no request yet.
func New(o Options) (*Gateway, error) {
	base, err := whisk.ParseAddress(o.Address)
	if err != nil {
		return nil, fmt.Errorf("the gateway's address %q: %w", o.Address, err)
	}
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	o.Patience = cmp.Or(o.Patience, 30*time.Second)
	g := &Gateway{options: o, http: whisk.NewHTTPClient(o.Insecure, 2)}
	if o.User != "" || o.Password != "" {
		g.key = o.User + ":" + o.Password
		if err := whisk.CheckKey(g.key); err != nil {
			return nil, fmt.Errorf("user and password of the gateway: %w", err)
		}
	}
	g.server = whisk.Server{
		Name: "the OpenFaaS gateway at " + whisk.DisplayAddress(base), Base: base, HTTP: g.http, Timeout: o.Timeout, MaxAnswer: 4 << 20, UserAgent: "tppfaas-rightsize",
	}
	return g, nil
}

// Close closes the connections that are idle.
func (g *Gateway) Close() { g.http.CloseIdleConnections() }

// deployment is what the gateway tells of a function, with all its fields, those too that this version does not know.
type deployment map[string]json.RawMessage

// statusFields are those that tell how a function does, and are no part of what is deployed.
var statusFields = []string{"name", "invocationCount", "replicas", "availableReplicas", "createdAt", "usage"}

// functionName is how Kubernetes lets functions be called.
var functionName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// read asks for what is deployed.
func (g *Gateway) read(ctx context.Context, function string) (deployment, error) {
	name, namespace, _ := strings.Cut(function, ".")
	namespace = cmp.Or(namespace, g.options.Namespace)
	if !functionName.MatchString(name) || namespace != "" && !functionName.MatchString(namespace) {
		return nil, fmt.Errorf("%q is no name of a function of OpenFaaS", function)
	}
	var query url.Values
	if namespace != "" {
		query = url.Values{"namespace": {namespace}}
	}
	var d deployment
	err := g.do(ctx, whisk.Request{
		Method: http.MethodGet, Path: "system/function/" + name, Query: query, Key: g.key,
		Check: func() error {
			if d.text("name") != name || d.text("image") == "" {
				return fmt.Errorf("this is not function %s", name)
			}
			_, err := d.resources()
			return err
		},
	}, &d)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", function, err)
	}
	if namespace != "" && d.text("namespace") == "" {
		d["namespace"], _ = json.Marshal(namespace)
	}
	return d, nil
}

// do makes a request, again and again if it fails in a way that may pass. A nil answer is discarded.
func (g *Gateway) do(ctx context.Context, r whisk.Request, answer *deployment) error {
	retry := whisk.Retry{Patience: g.options.Patience, OnPause: g.options.OnRetry}
	return retry.Do(ctx, func() error {
		if answer == nil {
			return g.server.Do(ctx, r, nil)
		}
		*answer = nil // nothing of an answer that was nonsense stays
		return g.server.Do(ctx, r, answer)
	})
}

func (d deployment) text(field string) string {
	var s string
	_ = json.Unmarshal(d[field], &s)
	return s
}

// group returns limits or requests.
func (d deployment) group(name string) (map[string]string, error) {
	group := map[string]string{}
	if d[name] == nil {
		return group, nil
	}
	if err := json.Unmarshal(d[name], &group); err != nil {
		return nil, fmt.Errorf("its %s are not understood: %w", name, err)
	}
	if group == nil { // null
		group = map[string]string{}
	}
	return group, nil
}

func (d deployment) resources() (manifest.Resources, error) {
	limits, err := d.group("limits")
	if err != nil {
		return manifest.Resources{}, err
	}
	requests, err := d.group("requests")
	return manifest.Resources{MemoryLimit: limits["memory"], CPULimit: limits["cpu"], MemoryRequest: requests["memory"], CPURequest: requests["cpu"]}, err
}

// with returns the deployment with other resources, without what tells how the function does.
func (d deployment) with(r manifest.Resources) (deployment, error) {
	next := maps.Clone(d)
	next["service"] = d["name"]
	for _, f := range statusFields {
		delete(next, f)
	}
	for name, values := range map[string]map[string]string{
		"limits": {"memory": r.MemoryLimit, "cpu": r.CPULimit}, "requests": {"memory": r.MemoryRequest, "cpu": r.CPURequest},
	} {
		group, err := d.group(name)
		if err != nil {
			return nil, err
		}
		for key, v := range values {
			if v != "" {
				group[key] = v
			}
		}
		if len(group) == 0 {
			continue
		}
		if next[name], err = json.Marshal(group); err != nil {
			return nil, err
		}
	}
	return next, nil
}

// Resources returns the limits and requests of a function.
func (g *Gateway) Resources(ctx context.Context, function string) (manifest.Resources, error) {
	d, err := g.read(ctx, function)
	if err != nil {
		return manifest.Resources{}, err
	}
	return d.resources()
}

// Set sets those limits and requests of a function that are set in r, and reports whether it had to. All else that is deployed stays as it is. It
// returns when the gateway tells the new ones; containers with them may still be starting then.
func (g *Gateway) Set(ctx context.Context, function string, r manifest.Resources) (changed bool, err error) {
	if err := r.CheckMeant(); err != nil {
		return false, fmt.Errorf("%s: %w", function, err)
	}
	d, err := g.read(ctx, function)
	if err != nil {
		return false, err
	}
	has, err := d.resources()
	if err != nil {
		return false, fmt.Errorf("%s: %w", function, err)
	}
	want := has.With(r)
	if want.Equal(has) {
		return false, nil
	}
	if err := want.Check(); err != nil {
		return false, fmt.Errorf("%s: %w", function, err)
	}
	next, err := d.with(r)
	if err != nil {
		return false, fmt.Errorf("%s: %w", function, err)
	}
	if err := g.do(ctx, whisk.Request{Method: http.MethodPut, Path: "system/functions", Key: g.key, Body: next}, nil); err != nil {
		return false, fmt.Errorf("%s: %w", function, err)
	}
	return true, g.settle(ctx, function, want)
}

// Bounds of settle.
const (
	settleReads = 20
	settlePause = 100 * time.Millisecond
)

// settle waits until the gateway tells the new resources: that of Kubernetes tells the old ones for a moment.
func (g *Gateway) settle(ctx context.Context, function string, want manifest.Resources) error {
	for i := 1; ; i++ {
		has, err := g.Resources(ctx, function)
		switch {
		case err != nil:
			return err
		case has.Equal(want):
			return nil
		case i == settleReads:
			return fmt.Errorf("%s: the gateway has taken new limits and still tells others", function)
		}
		timer := time.NewTimer(settlePause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%s: %w", function, ctx.Err())
		}
	}
}
