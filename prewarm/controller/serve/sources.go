package serve

import "net/http"

// handleSources adds what sources are told by over HTTP.
func (s *Server) handleSources(mux *http.ServeMux) {
}
