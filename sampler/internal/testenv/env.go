// Package testenv runs everything that a sampling on OpenWhisk needs, for tests: a platform whose containers run the action in this
// process, a collector, and a Zipkin server. Tests make them fail:
//
//	env := testenv.New(t, rest.Limits{})
//	env.OpenWhisk.Fail(func(w http.ResponseWriter, r *http.Request) bool { … })
//	env.Lose(func(function, activation string) bool { … })
package testenv

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/tppfaas/tppfaas/internal/localwhisk/rest"
	"github.com/tppfaas/tppfaas/internal/localzipkin"
	"github.com/tppfaas/tppfaas/internal/whisk"
)

// Env is such an environment. The sampler reaches the platform through OpenWhisk and the traces through Zipkin, which can both be made to
// fail. The functions reach the platform and the collector directly.
type Env struct {
	Platform  *rest.Server
	OpenWhisk *FaultyServer
	Zipkin    *FaultyServer
	Store     *localzipkin.Store
	// CollectorURL is the address of a collector that looks up records and passes spans on to Store.
	CollectorURL string

	lose atomic.Pointer[func(function, activation string) bool]
}

// New returns an environment that is closed at the end of the test.
func New(t *testing.T, limits rest.Limits) *Env {
	t.Helper()
	e := &Env{Store: localzipkin.NewStore(1_000_000, 1<<30)}
	platform, err := rest.Start(context.Background(), rest.Options{Runtime: &runtime{}, MemoryMB: 16384, Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	e.Platform = platform
	backend, err := url.Parse(platform.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(backend)
	proxy.ErrorHandler = func(rw http.ResponseWriter, _ *http.Request, _ error) { rw.WriteHeader(http.StatusBadGateway) }
	transport := http.DefaultTransport.(*http.Transport).Clone()
	proxy.Transport = transport
	e.OpenWhisk = newFaultyServer(proxy)
	e.Zipkin = newFaultyServer(localzipkin.NewHandler(e.Store, 64<<20))
	client, err := whisk.New(whisk.Options{Base: backend, Key: platform.Auth(), HTTP: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{env: e, client: client}
	server := httptest.NewServer(http.HandlerFunc(c.take))
	e.CollectorURL = server.URL
	t.Cleanup(func() {
		e.OpenWhisk.Close()
		e.Zipkin.Close()
		if err := platform.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
		transport.CloseIdleConnections()
	})
	return e
}

// Lose makes the collector drop the spans for which lost returns true; nil drops none.
func (e *Env) Lose(lost func(function, activation string) bool) { e.lose.Store(&lost) }

// Forget deletes all traces from Zipkin.
func (e *Env) Forget() {
	e.Store = localzipkin.NewStore(1_000_000, 1<<30)
	e.Zipkin.handler = localzipkin.NewHandler(e.Store, 64<<20)
}
