package serve

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/tppfaas/tppfaas/prewarm/controller/page"
)

// handler serves everything over HTTP.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", s.page)
	mux.HandleFunc("POST /v1/pause", s.command(s.controller.Pause))
	mux.HandleFunc("POST /v1/resume", s.command(s.controller.Resume))
	mux.Handle("/v1/traces", s.otlp)
	mux.Handle("/v1/arrivals", s.arrivals)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { answer(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := s.controller.Ready(); err != nil {
			answer(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
			return
		}
		answer(w, http.StatusOK, "ready")
	})
	// Which names and tokens are allowed is the guard's; what a browser sends for a page of another origin is refused in any case.
	return page.Protect(mux, []string{"*"})
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
