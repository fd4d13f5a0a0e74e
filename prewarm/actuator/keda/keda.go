package keda

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
)

// Options say where KEDA finds the scaler, and what is known of the platform.
type Options struct {
	// Listener is where it listens. It is needed, and belongs to the Actuator.
	Listener net.Listener
	// TLS is its certificate, and what it asks of KEDA's (tlsClientCert of the trigger); nil for none, which only loopback should have.
	TLS *tls.Config
	// IdleTimeout is what policies are told: after what time a replica that is not used is given back; by default 10 min.
	IdleTimeout time.Duration
}

// Bounds of what is kept and served.
const (
	mostFunctions = 10_000
	mostLeases    = 1000   // of a function
	mostStreams   = 10_000 // of a connection
	messageBytes  = 1 << 20
)

// Actuator answers KEDA. It is no client of Kubernetes and needs no rights there.
type Actuator struct {
	options Options
	server  *grpc.Server
	served  chan error // what ended the server
	wake    chan struct{}
	closing chan struct{} // closed when nothing is wanted any more
	expired chan struct{} // closed when nothing expires any more

	mu        sync.Mutex
	closed    bool
	functions map[string]*function
}

// function is what is wanted of a function: the most of all that has not ended.
type function struct {
	leases  []lease
	wanted  int
	changed chan struct{} // closed when wanted changes
	streams int           // that follow it
}

// lease is a number of replicas that is wanted until some time.
type lease struct {
	command uint64
	scale   bool
	n       int
	until   time.Time
}

// New returns an Actuator that listens.
func New(o Options) (*Actuator, error) {
	if o.Listener == nil {
		return nil, errors.New("an external scaler of KEDA needs an address to listen on")
	}
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 10*time.Minute)
	options := []grpc.ServerOption{
		grpc.MaxConcurrentStreams(mostStreams), grpc.MaxRecvMsgSize(messageBytes), grpc.ConnectionTimeout(20 * time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	}
	if o.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(o.TLS)))
	}
	a := &Actuator{
		options: o, server: grpc.NewServer(options...), served: make(chan error, 1), wake: make(chan struct{}, 1), closing: make(chan struct{}),
		expired: make(chan struct{}), functions: map[string]*function{},
	}
	a.server.RegisterService(a.service(), a)
	go func() { a.served <- a.server.Serve(o.Listener) }()
	go a.expire()
	return a, nil
}

// Name returns keda.
func (a *Actuator) Name() string { return "keda" }

// Platform is a platform whose invocations wait for a replica that is being started.
func (a *Actuator) Platform() prewarm.Platform {
	return prewarm.Platform{Warm: true, Late: prewarm.TakesStarting, IdleTimeout: a.options.IdleTimeout}
}

// Act notes how many replicas are wanted until the command's Until: N more than there are (Warm), or N in all (Scale), in which case what was
// asked for by an earlier Scale ends. It does not wait for KEDA, which does not say what it does.
func (a *Actuator) Act(ctx context.Context, c actuator.Command) ([]actuator.Result, error) {
	if c.Kind != actuator.Warm && c.Kind != actuator.Scale {
		return nil, fmt.Errorf("KEDA: %s: %w", c.Kind, actuator.ErrKind)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.Results() == 0 {
		return nil, nil
	}
	now := time.Now()
	if err := a.want(c, now); err != nil {
		return nil, fmt.Errorf("KEDA: %s: %w", c.Function, err)
	}
	return actuator.Fill(nil, c, actuator.Result{Outcome: actuator.Unknown, Asked: now, Ready: now}), nil
}

// want notes what a command wants.
func (a *Actuator) want(c actuator.Command, now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return actuator.ErrClosed
	}
	f := a.functions[c.Function]
	if f == nil {
		if len(a.functions) >= mostFunctions {
			return fmt.Errorf("there are %d functions already", len(a.functions))
		}
		f = &function{changed: make(chan struct{})}
		a.functions[c.Function] = f
	}
	l := lease{command: c.ID, scale: c.Kind == actuator.Scale, n: max(c.N, 0), until: c.Until}
	if !l.scale {
		l.n += max(c.There, 0)
	}
	if l.until.IsZero() {
		l.until = now.Add(a.options.IdleTimeout)
	}
	f.remove(func(o lease) bool { return o.command == l.command || l.scale && o.scale })
	if len(f.leases) >= mostLeases {
		a.update(c.Function, f, now)
		return fmt.Errorf("there are %d commands already", len(f.leases))
	}
	f.leases = append(f.leases, l)
	a.update(c.Function, f, now)
	select {
	case a.wake <- struct{}{}:
	default:
	}
	return nil
}

func (f *function) remove(which func(lease) bool) {
	kept := f.leases[:0]
	for _, l := range f.leases {
		if !which(l) {
			kept = append(kept, l)
		}
	}
	f.leases = kept
}

// update computes what is wanted, tells those who wait if it has changed, and forgets a function of which nothing is wanted. The caller has the lock.
func (a *Actuator) update(name string, f *function, now time.Time) {
	f.remove(func(l lease) bool { return !now.Before(l.until) })
	wanted := 0
	for _, l := range f.leases {
		wanted = max(wanted, l.n)
	}
	if wanted != f.wanted {
		f.wanted = wanted
		close(f.changed)
		f.changed = make(chan struct{})
	}
	a.forget(name, f)
}

// forget forgets a function that nobody wants anything of or follows. The caller has the lock.
func (a *Actuator) forget(name string, f *function) {
	if len(f.leases) == 0 && f.streams == 0 {
		delete(a.functions, name)
	}
}

// wanted returns how many replicas of a function are wanted.
func (a *Actuator) wanted(name string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f := a.functions[name]; f != nil {
		return f.wanted
	}
	return 0
}

// follow calls send at once with how many replicas of a function are wanted, and again whenever that changes, until it fails or the context is done.
// When the actuator is closed, nothing is wanted any more.
func (a *Actuator) follow(ctx context.Context, name string, send func(wanted int) error) error {
	a.mu.Lock()
	f := a.functions[name]
	switch {
	case a.closed:
		a.mu.Unlock()
		return actuator.ErrClosed
	case f == nil && len(a.functions) >= mostFunctions:
		a.mu.Unlock()
		return fmt.Errorf("there are %d functions already", mostFunctions)
	case f == nil:
		f = &function{changed: make(chan struct{})}
		a.functions[name] = f
	}
	f.streams++
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		f.streams--
		a.forget(name, f)
	}()
	for {
		a.mu.Lock()
		n, changed := f.wanted, f.changed
		a.mu.Unlock()
		if err := send(n); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-a.closing:
			if n > 0 {
				if err := send(0); err != nil {
					return err
				}
			}
			return actuator.ErrClosed
		}
	}
}

// expire ends what has reached its time, until the actuator is closed.
func (a *Actuator) expire() {
	defer close(a.expired)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		a.mu.Lock()
		now, pause := time.Now(), time.Hour
		for name, f := range a.functions {
			if len(f.leases) > 0 {
				a.update(name, f, now)
			}
			for _, l := range f.leases {
				pause = min(pause, l.until.Sub(now))
			}
		}
		a.mu.Unlock()
		timer.Reset(pause)
		select {
		case <-timer.C:
		case <-a.wake:
		case <-a.closing:
			return
		}
	}
}

// Close tells KEDA that nothing is wanted any more, as far as it listens, and ends the server; the context bounds that.
func (a *Actuator) Close(ctx context.Context) error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil
	}
	a.closed = true
	for name, f := range a.functions {
		f.leases = nil
		a.update(name, f, time.Now())
	}
	close(a.closing)
	a.mu.Unlock()
	<-a.expired
	stopped := make(chan struct{})
	go func() {
		a.server.GracefulStop()
		close(stopped)
	}()
	var err error
	select {
	case <-stopped:
	case <-ctx.Done():
		err = fmt.Errorf("KEDA: %w", ctx.Err())
		a.server.Stop()
		<-stopped
	}
	if served := <-a.served; served != nil && !errors.Is(served, grpc.ErrServerStopped) {
		err = errors.Join(err, fmt.Errorf("KEDA: %w", served))
	}
	return err
}
