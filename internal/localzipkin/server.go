package localzipkin

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/openzipkin/zipkin-go/model"
)

// Options configures a Server. A zero field means the default that its comment names.
type Options struct {
	// Listen is the address (default 127.0.0.1:0, a free port on the loopback interface).
	Listen string
	// MaxSpans and MaxBytes limit the spans that are kept (default 500,000 spans and 512 MiB).
	MaxSpans, MaxBytes int
	// MaxRequest is the maximum size of a request's body, decompressed (default 32 MiB).
	MaxRequest int64
}

func (o Options) withDefaults() Options {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.MaxSpans == 0 {
		o.MaxSpans = 500_000
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 512 << 20
	}
	if o.MaxRequest == 0 {
		o.MaxRequest = 32 << 20
	}
	return o
}

// Server serves a Store over HTTP.
type Server struct {
	store    *Store
	http     *http.Server
	listener net.Listener
	done     chan struct{}
}

// Start starts a server, which ends when ctx is done or Close is called. An address that cannot be listened on is an error.
func Start(ctx context.Context, opts Options) (*Server, error) {
	opts = opts.withDefaults()
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", opts.Listen)
	if err != nil {
		return nil, fmt.Errorf("zipkin: %w", err)
	}
	store := NewStore(opts.MaxSpans, opts.MaxBytes)
	s := &Server{
		store: store, listener: listener, done: make(chan struct{}),
		http: &http.Server{
			Handler: NewHandler(store, opts.MaxRequest), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute,
			MaxHeaderBytes: 64 << 10,
		},
	}
	stop := context.AfterFunc(ctx, func() { _ = s.http.Close() })
	go func() {
		defer close(s.done)
		defer stop()
		_ = s.http.Serve(listener) // http.ErrServerClosed
	}()
	return s, nil
}

// URL returns the base URL of the API, without /api/v2.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Close ends the server. Requests in progress may take two more seconds.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	<-s.done
	return err
}

// handler serves the API.
type handler struct {
	store      *Store
	maxRequest int64
}

// NewHandler returns a handler that serves the API over a store. It rejects bodies larger than maxRequest bytes, and spans that a web page of
// another server sends.
func NewHandler(store *Store, maxRequest int64) http.Handler {
	h := &handler{store, maxRequest}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v2/spans", h.post)
	mux.HandleFunc("GET /api/v2/traces", h.traces)
	mux.HandleFunc("GET /api/v2/trace/{id}", h.trace)
	mux.HandleFunc("GET /api/v2/traceMany", h.traceMany)
	mux.HandleFunc("GET /api/v2/services", h.services)
	mux.HandleFunc("GET /api/v2/remoteServices", h.remoteServices)
	mux.HandleFunc("GET /api/v2/spans", h.spans)
	mux.HandleFunc("GET /{$}", redirect)
	mux.HandleFunc("GET /zipkin", redirect)
	mux.HandleFunc("GET /zipkin/{$}", h.tracesPage)
	mux.HandleFunc("GET /zipkin/traces/{id}", h.tracePage)
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, map[string]string{"status": "UP"}) })
	return http.NewCrossOriginProtection().Handler(mux)
}

func writeJSON(w http.ResponseWriter, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text)
}

func (h *handler) post(w http.ResponseWriter, r *http.Request) {
	spans, status, err := h.read(w, r)
	if err != nil {
		http.Error(w, err.Error(), status)
		return
	}
	h.store.Add(spans)
	w.WriteHeader(http.StatusAccepted)
}

// read decodes the body of a request. With an error it returns the status of the answer.
func (h *handler) read(w http.ResponseWriter, r *http.Request) ([]*model.SpanModel, int, error) {
	var body io.Reader = http.MaxBytesReader(w, r.Body, h.maxRequest)
	if strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") {
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			return nil, http.StatusBadRequest, fmt.Errorf("cannot gunzip spans: %w", err)
		}
		defer unzipped.Close()
		body = unzipped
	}
	text, err := io.ReadAll(io.LimitReader(body, h.maxRequest+1))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge) || int64(len(text)) > h.maxRequest:
		return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("the spans are larger than %d bytes", h.maxRequest)
	case err != nil:
		return nil, http.StatusBadRequest, fmt.Errorf("cannot read spans: %w", err)
	}
	spans, err := Decode(text, r.Header.Get("Content-Type"))
	if err != nil {
		return nil, http.StatusBadRequest, err
	}
	return spans, 0, nil
}

func (h *handler) traces(w http.ResponseWriter, r *http.Request) {
	q, err := ParseQuery(r.URL.Query(), time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writeJSON(w, wireTraces(h.store.Find(q)))
}

func (h *handler) trace(w http.ResponseWriter, r *http.Request) {
	id, err := parseTraceID(r.PathValue("id"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	spans := h.store.Trace(id)
	if spans == nil {
		http.Error(w, r.PathValue("id")+" not found", http.StatusNotFound)
		return
	}
	writeJSON(w, wire(spans))
}

func (h *handler) traceMany(w http.ResponseWriter, r *http.Request) {
	list := r.URL.Query().Get("traceIds")
	if list == "" {
		http.Error(w, "traceIds parameter is empty", http.StatusBadRequest)
		return
	}
	found := [][]model.SpanModel{}
	for _, text := range strings.Split(list, ",") {
		id, err := parseTraceID(strings.TrimSpace(text))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if spans := h.store.Trace(id); spans != nil {
			found = append(found, spans)
		}
	}
	writeJSON(w, wireTraces(found))
}

func (h *handler) services(w http.ResponseWriter, _ *http.Request) { writeJSON(w, h.store.Services()) }

func (h *handler) spans(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, h.store.Spans(r.URL.Query().Get("serviceName")))
}

func (h *handler) remoteServices(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, h.store.RemoteServices(r.URL.Query().Get("serviceName")))
}
