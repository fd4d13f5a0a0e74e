package serve

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/prewarm/controller/page"
)

func trim(text []byte) []byte { return bytes.TrimSpace(text) }

// handler serves everything over HTTP.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", s.page)
	mux.HandleFunc("POST /v1/pause", s.command(s.controller.Pause))
	mux.HandleFunc("POST /v1/resume", s.command(s.controller.Resume))
	s.handleSources(mux)

	host, _, _ := net.SplitHostPort(s.o.Listen)
	protected := http.Handler(page.Protect(mux, []string{host}))
	if s.o.Token != "" {
		protected = requireToken(protected, s.o.Token)
	}
	outer := http.NewServeMux()
	outer.Handle("/", protected)
	// Probes of a cluster send no token, and learn nothing from the answer.
	outer.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { answer(w, http.StatusOK, "ok") })
	outer.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := s.controller.Ready(); err != nil {
			answer(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
			return
		}
		answer(w, http.StatusOK, "ready")
	})
	return outer
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // whoever has asked may be gone
}

// command serves what changes the controller.
func (s *Server) command(do func(context.Context) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
		defer cancel()
		err := do(ctx)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			answer(w, http.StatusServiceUnavailable, "the controller does not answer")
		case err != nil:
			answer(w, http.StatusInternalServerError, err.Error())
		default:
			answer(w, http.StatusOK, string(s.controller.Snapshot().Mode))
		}
	}
}

// requireToken lets requests pass that have the token: as a bearer token, or as the password of basic authentication, which browsers ask for.
func requireToken(next http.Handler, token string) http.Handler {
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			_, given, ok = r.BasicAuth()
		}
		sum := sha256.Sum256([]byte(given))
		if !ok || subtle.ConstantTimeCompare(sum[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="prewarm", charset="UTF-8"`)
			answer(w, http.StatusUnauthorized, "a token is needed")
			return
		}
		next.ServeHTTP(w, r)
	})
}
