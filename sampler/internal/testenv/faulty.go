package testenv

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// FaultyServer is a server that can be made to fail.
type FaultyServer struct {
	*httptest.Server
	handler http.Handler
	fail    atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
}

func newFaultyServer(handler http.Handler) *FaultyServer {
	f := &FaultyServer{handler: handler}
	f.Server = httptest.NewServer(f)
	return f
}

// Fail passes every request to answer first, which reports whether it has answered; nil lets all requests through again.
func (f *FaultyServer) Fail(answer func(http.ResponseWriter, *http.Request) bool) {
	if answer == nil {
		f.fail.Store(nil)
		return
	}
	f.fail.Store(&answer)
}

// ServeHTTP lets the function given to Fail answer, or the server.
func (f *FaultyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if answer := f.fail.Load(); answer != nil && (*answer)(w, r) {
		return
	}
	f.handler.ServeHTTP(w, r)
}

// Handle passes a request to the server, and drops the answer.
func (f *FaultyServer) Handle(r *http.Request) { f.handler.ServeHTTP(httptest.NewRecorder(), r) }

// TLS returns the address of the same server over TLS, with a certificate that is not trusted.
func (f *FaultyServer) TLS(t *testing.T) string {
	server := httptest.NewUnstartedServer(f)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that refuse the certificate
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}
