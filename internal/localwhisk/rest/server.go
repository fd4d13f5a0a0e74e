package rest

import (
	"context"
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
	callers   map[string]Identity // by their Authorization header
	throttles map[string]*throttle
	runtime   container.Runtime
	processes *processes
	engine    *localwhisk.Platform

	store       store
	versions    int // of all actions, ever; under the store's lock
	activations *activations

	tidyUp *time.Timer // gives memory back some time after a large request

	ctx    context.Context // done when the platform is to end
	cancel context.CancelFunc
	wait   sync.WaitGroup // for sequences
	served chan struct{}

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
	if options.Runtime == nil {
		return nil, errors.New("localwhisk: there is no Runtime to start containers with")
	}
	s, err := start(ctx, options, options.Runtime)
	if err != nil {
		return nil, errors.Join(err, options.Runtime.Close())
	}
	return s, nil
}

func start(ctx context.Context, options Options, runtime container.Runtime) (*Server, error) {
	s := &Server{
		options: options, runtime: runtime, info: infoDocument(options.Limits), callers: map[string]Identity{}, throttles: map[string]*throttle{},
		store:       store{actions: map[string]*action{}, packages: map[string]*pack{}, triggers: map[string]*trigger{}, rules: map[string]*rule{}},
		activations: newActivations(options.Limits.Activations, options.Limits.ActivationBytes),
		served:      make(chan struct{}), done: make(chan struct{}),
	}
	s.tidyUp = time.AfterFunc(time.Hour, debug.FreeOSMemory)
	s.tidyUp.Stop()
	for _, id := range options.Identities {
		s.callers["Basic "+base64.StdEncoding.EncodeToString([]byte(id.Auth))] = id
		s.throttles[id.Namespace] = &throttle{}
	}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.processes = newProcesses(s.ctx, runtime, options.Log)
	config := localwhisk.RealTimeConfig(options.MemoryMB)
	config.PauseGrace, config.IdleTimeout = options.PauseGrace, options.IdleTimeout
	var err error
	// The seed makes the activation ids, which must differ from those of a run before.
	if s.engine, err = localwhisk.NewWithBackend(localwhisk.RealClock{}, config, rand.Uint64(), s.processes); err != nil {
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
		ReadTimeout:       2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
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
		s.cancel()
		s.tidyUp.Stop()
		// Who waits for an activation is answered with its id; that takes no time, unless a client does not read.
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := s.http.Shutdown(ctx); err != nil {
			s.closeErr = s.http.Close()
		}
		<-s.served
		s.closeErr = errors.Join(s.closeErr, s.runtime.Close())
		s.wait.Wait()
		s.processes.close()
		close(s.done)
	})
	<-s.done
	return s.closeErr
}
