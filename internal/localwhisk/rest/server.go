package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server is a running platform. Its methods may be called from several goroutines.
type Server struct {
	options  Options
	listener net.Listener
	http     http.Server
	served   chan struct{}

	closeOnce sync.Once
	closeErr  error
	done      chan struct{}
}

// Start starts a platform that serves until ctx is done or Close is called, whichever is first; Close must be called in both
// cases. It returns once requests are answered. An address that cannot be listened on and options that contradict each other
// are errors.
func Start(ctx context.Context, options Options) (*Server, error) {
	options.defaults()
	if err := options.validate(); err != nil {
		return nil, err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", options.Listen)
	if err != nil {
		return nil, fmt.Errorf("localwhisk: %w", err)
	}
	s := &Server{options: options, listener: listener, served: make(chan struct{}), done: make(chan struct{})}
	s.http = http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	go func() {
		defer close(s.served)
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.options.Log.Error("serving ended", "error", err)
		}
	}()
	stop := context.AfterFunc(ctx, func() { s.Close() })
	go func() { <-s.done; stop() }()
	return s, nil
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ping", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "pong") })
	return mux
}

// URL returns the base URL of the API, without the path /api/v1: http://127.0.0.1:PORT.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Auth returns the key, UUID:KEY, of the first namespace.
func (s *Server) Auth() string { return s.options.Identities[0].Auth }

// Namespace returns the name of the first namespace.
func (s *Server) Namespace() string { return s.options.Identities[0].Namespace }

// Done is closed when the platform has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// Close ends the platform: it answers no more requests, ends those that wait, and kills all containers. It returns when all
// is gone. Further calls wait for the first.
func (s *Server) Close() error {
	s.closeOnce.Do(func() {
		s.closeErr = s.http.Close()
		<-s.served
		close(s.done)
	})
	<-s.done
	return s.closeErr
}
