package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/actuator/guard"
	"github.com/tppfaas/tppfaas/prewarm/controller"
	"github.com/tppfaas/tppfaas/prewarm/controller/page"
	"github.com/tppfaas/tppfaas/prewarm/learn"
	"github.com/tppfaas/tppfaas/prewarm/mirror"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// Server is a controller with all that belongs to it. Run must be called once.
type Server struct {
	o          Options
	controller *controller.Controller
	page       *page.Page
	policy     *learn.Policy // nil if it is another one
	listener   net.Listener
	http       *http.Server
	grpc       *grpcServer
	sources    []named
	close      []func() error
}

// named is a source with the sink that it tells.
type named struct {
	name   string
	source source.Source
	sink   source.Sink
}

// New reads models and state and listens, so that what is wrong is known before anything begins.
func New(ctx context.Context, o Options) (s *Server, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Shutdown == 0 {
		o.Shutdown = 10 * time.Second
	}
	s = &Server{o: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.undo())
		}
	}()
	models, names, err := readModels(o.Models)
	if err != nil {
		return nil, err
	}
	var journal *controller.Journal
	var saved *controller.Saved
	learned := ""
	if o.State != "" {
		if journal, saved, err = controller.OpenJournal(o.State); err != nil {
			return nil, err
		}
		s.close = append(s.close, journal.Close)
		learned = filepath.Join(o.State, "learned")
	}
	core := controller.Options{
		Epoch: time.Now().Truncate(time.Second), Act: o.Act, Scales: o.Scales, Loads: o.Loads, Policy: o.Policy, Version: o.Version, Log: o.Log, DefaultMemoryMB: o.MemoryMB,
		Platform: Default(), Actuator: "none",
	}
	if saved != nil && saved.Epoch.Before(time.Now()) {
		core.Epoch = saved.Epoch
	}
	if o.Actuator != nil {
		core.Platform, core.Actuator = o.Actuator.Platform(), o.Actuator.Name()
	}
	core.Functions = s.functions(names, saved)
	if s.policy, err = o.newPolicy(ctx, &core, models, learned); err != nil {
		return nil, err
	}
	if s.policy != nil {
		s.close = append(s.close, s.policy.Close)
	}
	m, err := mirror.New(mirror.Options{
		Epoch: core.Epoch, Platform: core.Platform, Replicas: o.Loads, Functions: core.Functions, Describe: s.describe, DefaultMemoryMB: o.MemoryMB,
	})
	if err != nil {
		return nil, err
	}
	c, err := controller.NewCore(core, m)
	if err != nil {
		return nil, err
	}
	run := controller.RunOptions{Journal: journal, Saved: saved, Shutdown: o.Shutdown}
	if o.Act {
		run.NewGuard = func(done func(actuator.Command, []actuator.Result)) (*guard.Guard, error) {
			limits := o.Limits
			limits.Done = done
			return guard.New(o.Actuator, limits)
		}
	}
	if s.controller, err = controller.New(c, run); err != nil {
		return nil, err
	}
	s.page = page.New(s.controller, page.Options{})
	for _, name := range slices.Sorted(maps.Keys(o.Sources)) {
		s.sources = append(s.sources, named{name, o.Sources[name], s.controller.Sink(name)})
	}
	return s, s.listen()
}

// functions returns the functions that are known beforehand: those of the models, and those that the state has.
func (s *Server) functions(names []string, saved *controller.Saved) []prewarm.Function {
	var list []prewarm.Function
	known := map[string]bool{}
	add := func(f prewarm.Function) {
		if !known[f.Name] && f.Name != "" {
			known[f.Name] = true
			list = append(list, f)
		}
	}
	memory := map[string]int{}
	if saved != nil {
		for _, f := range saved.Functions {
			memory[f.Name] = f.MemoryMB
		}
	}
	for _, name := range names {
		f := s.describe(name)
		if m := memory[name]; m > 0 {
			f.MemoryMB = m
		}
		add(f)
	}
	if saved != nil {
		for _, old := range saved.Functions {
			f := s.describe(old.Name)
			f.MemoryMB = max(old.MemoryMB, 1)
			add(f)
		}
	}
	return list
}

// describe returns what is known of a function.
func (s *Server) describe(name string) prewarm.Function {
	f := prewarm.Function{Name: name, MemoryMB: s.o.MemoryMB}
	if f.MemoryMB == 0 {
		f.MemoryMB = 256
	}
	if s.o.Applications != nil {
		f.Application = s.o.Applications(name)
	}
	return f
}

// listen opens the listeners.
func (s *Server) listen() error {
	var config *tls.Config
	if s.o.Cert != "" {
		pair, err := tls.LoadX509KeyPair(s.o.Cert, s.o.Key)
		if err != nil {
			return fmt.Errorf("certificate %s: %w", s.o.Cert, err)
		}
		config = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	var err error
	if s.listener, err = net.Listen("tcp", s.o.Listen); err != nil {
		return err
	}
	s.close = append(s.close, func() error { return ignoreClosed(s.listener.Close()) })
	s.http = &http.Server{
		Handler: s.handler(), TLSConfig: config, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
	}
	if s.o.GRPC != "" {
		if s.grpc, err = newGRPC(s.o.GRPC, config, s.o.Token, s.controller.Sink("otlp/grpc")); err != nil {
			return err
		}
		s.close = append(s.close, s.grpc.close)
	}
	return nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// undo closes what New has opened.
func (s *Server) undo() error {
	var all error
	for _, f := range slices.Backward(s.close) {
		all = errors.Join(all, f())
	}
	s.close = nil
	return all
}

// Addr returns the address for HTTP, and GRPCAddr that for gRPC, nil if there is none.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Controller returns the controller.
func (s *Server) Controller() *controller.Controller { return s.controller }

// URL returns where the page is.
func (s *Server) URL() string {
	if s.o.Cert != "" {
		return "https://" + s.listener.Addr().String()
	}
	return "http://" + s.listener.Addr().String()
}

// Run serves until the context is done, and then ends what is under way. An error says what could not go on, or not be ended well.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var parts sync.WaitGroup
	fail := func(what string, err error) {
		if err != nil && ctx.Err() == nil {
			s.o.Log.Error(what, "error", err)
			cancel(fmt.Errorf("%s: %w", what, err))
		}
	}
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	parts.Go(func() { fail("the page", s.page.Run(serving)) })
	for _, one := range s.sources {
		parts.Go(func() { s.follow(ctx, one) })
	}
	s.http.BaseContext = func(net.Listener) context.Context { return serving }
	parts.Go(func() {
		var err error
		if s.http.TLSConfig != nil {
			err = s.http.ServeTLS(s.listener, "", "")
		} else {
			err = s.http.Serve(s.listener)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			fail("serving HTTP", err)
		}
	})
	if s.grpc != nil {
		parts.Go(func() { fail("serving gRPC", s.grpc.run(ctx)) })
	}
	err := s.controller.Run(ctx)

	stopServing()
	closing, done := context.WithTimeout(context.Background(), s.o.Shutdown)
	defer done()
	if shut := s.http.Shutdown(closing); shut != nil {
		_ = s.http.Close() // those that are still served are cut off
	}
	if s.grpc != nil {
		s.grpc.stop(closing)
	}
	if s.policy != nil {
		err = errors.Join(err, s.policy.Close())
		if s.o.State != "" && s.o.Learn {
			if saved := s.policy.Save(filepath.Join(s.o.State, "learned")); saved != nil {
				err = errors.Join(err, fmt.Errorf("what was learned is lost: %w", saved))
			}
		}
	}
	parts.Wait()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = errors.Join(cause, err)
	}
	return err
}

// Times between attempts of a source that cannot go on.
const (
	firstAgain = time.Second
	lastAgain  = time.Minute
)

// follow runs a source, and again when it cannot go on.
func (s *Server) follow(ctx context.Context, one named) {
	again := firstAgain
	for ctx.Err() == nil {
		begun := time.Now()
		err := one.source.Run(ctx, one.sink)
		if err == nil || ctx.Err() != nil {
			return
		}
		s.o.Log.Warn("a source cannot go on; it is tried again", "source", one.name, "error", err, "after", again)
		s.controller.Fail(one.sink, err)
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return
		}
		if again = min(2*again, lastAgain); time.Since(begun) > 2*lastAgain {
			again = firstAgain
		}
	}
}

// readToken returns the token in a file, without what is white around it.
func ReadToken(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	token := string(trim(text))
	switch {
	case len(token) < 16:
		return "", fmt.Errorf("%s: a token has 16 characters at least, and this one has %d", path, len(token))
	case len(token) > 4096:
		return "", fmt.Errorf("%s: a token has 4096 characters at most", path)
	}
	return token, nil
}
