package rest

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
)

// Server is a running platform. Its methods may be called from several goroutines.
type Server struct {
	options   Options
	listener  net.Listener
	http      http.Server
	info      []byte
	origin    []string            // the header Access-Control-Allow-Origin; nil for none
	callers   map[string]Identity // by the value of the header Authorization
	throttles map[string]*throttle
	runtime   container.Runtime
	backend   *runtimeBackend
	engine    *localwhisk.Platform

	store       store
	versions    int // number of action versions ever deployed; protected by the store's lock
	activations *activationStore

	freeMemory *time.Timer // returns memory to the system some time after a large request

	ctx    context.Context // done when the platform is closing
	cancel context.CancelFunc
	wait   sync.WaitGroup // goroutines that run sequences
	served chan struct{}  // closed when the HTTP server has ended

	closeOnce sync.Once
	closeErr  error
	done      chan struct{} // closed by Close
}

// Start starts a platform, and returns when it answers requests. The platform ends when ctx is done or Close is called; Close must be called
// in both cases. An address that cannot be listened on and invalid options are errors. The Runtime is closed with the platform, and where there is
// an error.
func Start(ctx context.Context, options Options) (*Server, error) {
	options.defaults()
	if options.Runtime == nil {
		return nil, errors.New("localwhisk: there is no Runtime to start containers with")
	}
	var s *Server
	err := options.validate()
	if err == nil {
		s, err = start(ctx, options, options.Runtime)
	}
	if err != nil {
		return nil, errors.Join(err, options.Runtime.Close())
	}
	return s, nil
}

func start(ctx context.Context, options Options, runtime container.Runtime) (*Server, error) {
	s := &Server{
		options: options, runtime: runtime, info: infoDocument(options.Limits), callers: map[string]Identity{}, throttles: map[string]*throttle{},
		store:       store{actions: map[string]*action{}, packages: map[string]*pkg{}, triggers: map[string]*trigger{}, rules: map[string]*rule{}},
		activations: newActivationStore(options.Limits.Activations, options.Limits.ActivationBytes),
		served:      make(chan struct{}), done: make(chan struct{}),
	}
	if options.Origin != "" {
		s.origin = []string{options.Origin}
	}
	s.freeMemory = time.AfterFunc(time.Hour, debug.FreeOSMemory)
	s.freeMemory.Stop()
	for _, id := range options.Identities {
		s.callers["Basic "+base64.StdEncoding.EncodeToString([]byte(id.Auth))] = id
		s.throttles[id.Namespace] = &throttle{}
	}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.backend = newRuntimeBackend(s.ctx, runtime, options.Log)
	if c := options.Starts; c != nil {
		if err := c.Validate(); err != nil {
			s.cancel()
			return nil, err
		}
		s.backend.delays = localwhisk.NewStartDelays(localwhisk.RealClock{}, *c, options.StartSeed)
	}
	config := localwhisk.RealTimeConfig(options.MemoryMB)
	if c := options.Starts; c != nil {
		config.ParallelCreations = c.ParallelCreations
	}
	config.PauseGrace, config.IdleTimeout = options.PauseGrace, options.IdleTimeout
	var err error
	// The activation ids, which the seed determines, must differ from those of earlier runs.
	if s.engine, err = localwhisk.NewWithBackend(localwhisk.RealClock{}, config, rand.Uint64(), s.backend); err != nil {
		s.cancel()
		return nil, err
	}
	var listen net.ListenConfig
	if s.listener, err = listen.Listen(ctx, "tcp", options.Listen); err != nil {
		s.cancel()
		return nil, fmt.Errorf("localwhisk: %w", err)
	}
	s.http = http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		// It ends also the wait for a blocking invocation's result, which may begin when the body has just been read.
		ReadTimeout:    2*time.Minute + options.Limits.BlockingWait,
		IdleTimeout:    2 * time.Minute,
		MaxHeaderBytes: 64 << 10,
	}
	if options.TLS != nil {
		s.listener = tlsListener(s.listener, options.TLS)
	}
	go func() {
		defer close(s.served)
		if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			s.options.Log.Error("serving ended", "error", err)
		}
	}()
	stop := context.AfterFunc(ctx, func() { s.Close() })
	context.AfterFunc(s.ctx, func() { stop() })
	return s, nil
}

// tlsListener returns a listener for HTTPS. HTTP/2 is not offered: handlers set headers in the spelling of HTTP/1.1.
func tlsListener(l net.Listener, config *tls.Config) net.Listener {
	config = config.Clone()
	config.NextProtos = []string{"http/1.1"}
	return tls.NewListener(l, config)
}

// URL returns the base URL of the API, without the path /api/v1: http://127.0.0.1:PORT.
func (s *Server) URL() string {
	scheme := "http"
	if s.options.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + s.listener.Addr().String()
}

// Auth returns the key, UUID:KEY, of the first namespace.
func (s *Server) Auth() string { return s.options.Identities[0].Auth }

// Namespace returns the name of the first namespace.
func (s *Server) Namespace() string { return s.options.Identities[0].Namespace }

// Done returns a channel that is closed when the platform has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// Close ends the platform: it stops answering requests, ends those that wait for an activation, and kills all containers. It returns when all
// containers are gone. Further calls wait for the first.
func (s *Server) Close() error {
	s.closeOnce.Do(func() {
		s.cancel()
		s.freeMemory.Stop()
		// Blocking invocations are answered with their activation ids. That takes no time unless a client does not read.
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := s.http.Shutdown(ctx); err != nil {
			s.closeErr = s.http.Close()
		}
		<-s.served
		s.closeErr = errors.Join(s.closeErr, s.runtime.Close())
		s.wait.Wait()
		s.backend.close()
		close(s.done)
	})
	<-s.done
	return s.closeErr
}
