package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/actuator/guard"
	"github.com/tppfaas/tppfaas/prewarm/controller"
	"github.com/tppfaas/tppfaas/prewarm/controller/page"
	"github.com/tppfaas/tppfaas/prewarm/internal/guarded"
	"github.com/tppfaas/tppfaas/prewarm/learn"
	"github.com/tppfaas/tppfaas/prewarm/mirror"
	"github.com/tppfaas/tppfaas/prewarm/share"
	"github.com/tppfaas/tppfaas/prewarm/source"
	"github.com/tppfaas/tppfaas/prewarm/source/arrivals"
	"github.com/tppfaas/tppfaas/prewarm/source/otlp"
)

// Server is a controller with all that belongs to it. Run must be called once.
type Server struct {
	o          Options
	controller *controller.Controller
	page       *page.Page
	policy     *learn.Policy   // nil if it is another one
	instance   *share.Instance // nil if it shares nothing
	otlp       *otlp.Receiver
	arrivals   *arrivals.Receiver
	guard      *guarded.Guard
	listener   net.Listener
	// Those of gRPC are nil if it is not served.
	grpcGuard    *guarded.Guard
	grpcListener net.Listener
	sources      []named
	close        []func() error
}

// named is a source with the sink that it tells.
type named struct {
	name   string
	source source.Source
	sink   source.Sink
}

// New reads models and state and listens, so that what is wrong is known before anything begins.
func New(ctx context.Context, o Options) (*Server, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Shutdown == 0 {
		o.Shutdown = 10 * time.Second
	}
	s := &Server{o: o}
	if err := s.build(ctx); err != nil {
		return nil, and(err, s.undo())
	}
	return s, nil
}

// build makes all parts. What it has opened is closed by undo, also after an error.
func (s *Server) build(ctx context.Context) error {
	o := &s.o
	models, names, err := readModels(o.Models)
	if err != nil {
		return err
	}
	var others *learn.Learned // what another server has learned
	if o.Share != nil && o.Share.Learned != "" {
		if others, err = learn.ReadLearned(o.Share.Learned); err != nil {
			return err
		}
		names = append(names, others.Functions()...)
	}
	var journal *controller.Journal
	var saved *controller.Saved
	learned := ""
	if o.State != "" {
		if journal, saved, err = controller.OpenJournal(o.State); err != nil {
			return err
		}
		s.close = append(s.close, journal.Close)
		learned = filepath.Join(o.State, "learned")
	}
	core := controller.Options{
		Epoch: time.Now().Truncate(time.Second), Act: o.Act, Scales: setsReplicas(o.Policy), Loads: o.Loads, Policy: o.Policy, Version: o.Version, Log: o.Log, DefaultMemoryMB: o.MemoryMB,
		Platform: Default(), Actuator: "none",
	}
	if saved != nil {
		core.Epoch = epochOf(saved, time.Now())
	}
	if o.Actuator != nil {
		core.Platform, core.Actuator = o.Actuator.Platform(), o.Actuator.Name()
	}
	core.Platform.Arrivals = true // the sources tell of them, whatever the actuator is
	core.Functions = s.functions(names, saved)
	if o.Share != nil {
		core.Epoch = core.Epoch.Add(-o.Share.Rebuild - time.Hour) // what is rebuilt was before now
		if s.instance, err = s.newInstance(ctx, core, models, others); err != nil {
			return err
		}
		s.close = append(s.close, s.closeInstance)
		return s.buildController(ctx, s.instance.Engine(), controller.RunOptions{Shutdown: o.Shutdown})
	}
	if s.policy, err = o.newPolicy(ctx, &core, models, learned); err != nil {
		return err
	}
	if s.policy != nil {
		s.close = append(s.close, s.policy.Close)
	}
	m, err := saved.NewMirror(mirror.Options{
		Epoch: core.Epoch, Platform: core.Platform, Replicas: o.Loads, Functions: core.Functions, Describe: s.describe, DefaultMemoryMB: o.MemoryMB,
	}, time.Now(), o.Log)
	if err != nil {
		return err
	}
	c, err := controller.NewCore(core, m)
	if err != nil {
		return err
	}
	run := controller.RunOptions{Journal: journal, Saved: saved, Shutdown: o.Shutdown}
	if s.policy != nil && learned != "" && o.Learn {
		run.Keep = func() (func() error, error) {
			snapshot, err := s.policy.Snapshot()
			if err != nil {
				return nil, err
			}
			return func() error { return snapshot.Save(learned) }, nil
		}
	}
	return s.buildController(ctx, c, run)
}

// closeInstance ends what is shared.
func (s *Server) closeInstance() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.o.Shutdown)
	defer cancel()
	return s.instance.Close(ctx)
}

// buildController makes the controller of an engine, and what stands around it.
func (s *Server) buildController(ctx context.Context, engine controller.Engine, run controller.RunOptions) error {
	o := &s.o
	if o.Act {
		run.NewGuard = func(done func(actuator.Command, []actuator.Result)) (*guard.Guard, error) {
			limits := o.Limits
			limits.Done = done
			return guard.New(o.Actuator, limits)
		}
	}
	var err error
	if s.controller, err = controller.New(engine, run); err != nil {
		return err
	}
	s.close = append(s.close, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), o.Shutdown)
		defer cancel()
		return s.controller.Close(ctx)
	})
	s.page = page.New(s.controller, page.Options{})
	sources := o.Sources
	if s.instance != nil {
		sources = s.instance.Sources(s.controller)
	}
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		one := named{name, sources[name], s.controller.Sink(name)}
		if counting, ok := one.source.(interface{ Counts() source.Counts }); ok {
			s.controller.Count(one.sink, counting.Counts)
		}
		s.sources = append(s.sources, one)
	}
	return s.listen(ctx)
}

// epochOf returns the epoch that the times in a state count from: its own, unless the clock was ahead when it was written, so that its last time is yet to
// come. That is then taken to be now, or all times would be ahead for as long as the state is there.
func epochOf(saved *controller.Saved, now time.Time) time.Time {
	if saved.Epoch.Add(saved.Last).After(now) {
		return now.Add(-saved.Last)
	}
	return saved.Epoch
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
func (s *Server) listen(ctx context.Context) error {
	otlpSink, arrivalsSink := s.controller.Sink("otlp"), s.controller.Sink("arrivals")
	s.otlp, s.arrivals = otlp.New(otlpSink, otlp.Options{}), arrivals.New(arrivalsSink, arrivals.Options{})
	s.controller.Count(otlpSink, s.otlp.Counts)
	s.controller.Count(arrivalsSink, s.arrivals.Counts)
	open := func(what, address string) (*guarded.Guard, net.Listener, error) {
		g, err := s.o.guarded(address)
		if err != nil {
			return nil, nil, err
		}
		l, err := g.Listen(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", what, err)
		}
		s.close = append(s.close, func() error { return ignoreClosed(l.Close()) })
		return g, l, nil
	}
	var err error
	if s.guard, s.listener, err = open("HTTP", s.o.Listen); err != nil {
		return err
	}
	if s.o.GRPC != "" {
		s.grpcGuard, s.grpcListener, err = open("gRPC", s.o.GRPC)
	}
	return err
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

// Controller returns the controller.
func (s *Server) Controller() *controller.Controller { return s.controller }

// URL returns where the page is.
func (s *Server) URL() string {
	if s.guard.Secure() {
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
	parts.Go(func() { fail("HTTP", s.guard.ServeHTTP(serving, s.listener, s.handler())) })
	if s.grpcListener != nil {
		server := s.grpcGuard.NewServer(otlp.MaxMessage)
		s.otlp.Register(server)
		parts.Go(func() { fail("gRPC", s.grpcGuard.ServeGRPC(serving, s.grpcListener, server)) })
	}
	err := s.controller.Run(ctx)

	stopServing()
	if !s.o.Act && s.o.Actuator != nil { // of one that acts the guard has taken care
		closing, done := context.WithTimeout(context.Background(), s.o.Shutdown)
		err = and(err, s.o.Actuator.Close(closing))
		done()
	}
	if s.policy != nil {
		err = and(err, s.policy.Close())
		if s.o.State != "" && s.o.Learn {
			if saved := s.policy.Save(filepath.Join(s.o.State, "learned")); saved != nil {
				err = and(err, fmt.Errorf("what was learned is lost: %w", saved))
			}
		}
	}
	parts.Wait()
	if s.instance != nil {
		err = and(err, s.closeInstance())
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = and(cause, err)
	}
	return err
}

// and returns both errors as one, in one line.
func and(one, other error) error {
	switch {
	case one == nil:
		return other
	case other == nil:
		return one
	}
	return fmt.Errorf("%w; and %w", one, other)
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
		s.controller.Fail(one.sink, nil)
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

// ReadToken returns the token in a file, without what is white around it.
func ReadToken(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(text)), nil
}
