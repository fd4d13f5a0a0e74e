package guarded

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// Handler returns a handler that answers those who may come. Others get 401. Where no token is asked for, which is on loopback, requests that a web
// page of elsewhere makes through the browser of this machine get 403. A body that takes too long is cut off; an answer may last as long as it likes.
func (g *Guard) Handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !slices.Contains(g.open, r.URL.Path) && !g.admits(r.Header.Get("Authorization")):
			w.Header().Add("WWW-Authenticate", "Bearer")
			w.Header().Add("WWW-Authenticate", `Basic realm="prewarm", charset="UTF-8"`)
			http.Error(w, "a token is needed: Authorization: Bearer TOKEN", http.StatusUnauthorized)
		case g.token == nil && !local(r):
			http.Error(w, "only programs and pages of this machine are answered", http.StatusForbidden)
		default:
			if r.ContentLength != 0 { // no deadline for others: when it passes, the server ends the context of a request that is still being answered
				_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(g.receive))
			}
			h.ServeHTTP(w, r)
		}
	})
}

// local reports whether a request names this machine, and does not come from a page of another.
func local(r *http.Request) bool {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	if host != "" && !isLoopback(host) { // HTTP/1.0 has none
		return false
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && isLoopback(u.Hostname())
}

// ServeHTTP answers requests on a listener with the handler, for those who may come, until the context is done. Then it gives requests that are being
// answered a second. It closes the listener.
func (g *Guard) ServeHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler: g.Handler(h), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    discard(),
	}
	if g.tls != nil {
		l = tls.NewListener(l, g.tls)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(last) != nil {
			_ = server.Close()
		}
		err = <-ended
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}
