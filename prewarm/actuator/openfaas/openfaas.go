package openfaas

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/openfaas/faas-provider/types"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/tppfaas/tppfaas/internal/errorfs"
	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
)

// Options say where the gateway is and what is known of it.
type Options struct {
	// Gateway is the address of the gateway; without a scheme it is https.
	Gateway string
	// User and Password are those of its basic authentication; both "" for none.
	User, Password string
	// Insecure leaves the certificate unchecked.
	Insecure bool
	// Namespace is that of functions whose name has none (NAME.NAMESPACE); "" for the gateway's own.
	Namespace string
	// IdleTimeout is what policies are told: after what time a replica that is not used is given back; by default 10 min.
	IdleTimeout time.Duration
	// State is the file in which it notes what it has started, so that this is given back after a restart too; "" for none.
	State string
	// Timeout bounds each request; by default 10 s.
	Timeout time.Duration

	disk errorfs.FS // in tests; nil is that of the system
}

// Actuator sets numbers of replicas of an OpenFaaS.
type Actuator struct {
	options Options
	gateway whisk.Server
	http    *http.Client
	key     string
	closed  context.Context // done when it is closed
	end     context.CancelFunc
	wake    chan struct{} // signals that there is something to give back earlier
	giving  chan struct{} // closed when nothing is given back any more

	saving    sync.Mutex // of the state
	mu        sync.Mutex
	acting    sync.WaitGroup
	functions map[string]*function
}

// New returns an Actuator. It reads the state, and makes no request yet, unless something is due to be given back.
func New(o Options) (*Actuator, error) {
	base, err := whisk.ParseAddress(o.Gateway)
	if err != nil {
		return nil, fmt.Errorf("the gateway's address %q: %w", o.Gateway, err)
	}
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 10*time.Minute)
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	if o.disk == nil {
		o.disk = errorfs.OS{}
	}
	a := &Actuator{options: o, http: whisk.NewHTTPClient(o.Insecure, 8), wake: make(chan struct{}, 1), giving: make(chan struct{})}
	if o.User != "" || o.Password != "" {
		a.key = o.User + ":" + o.Password
		if err := whisk.CheckKey(a.key); err != nil {
			return nil, fmt.Errorf("user and password of the gateway: %w", err)
		}
	}
	a.gateway = whisk.Server{
		Name: "the OpenFaaS gateway at " + whisk.DisplayAddress(base), Base: base, HTTP: a.http, Timeout: o.Timeout, MaxAnswer: 4 << 20, UserAgent: "tppfaas-prewarm",
	}
	if a.functions, err = load(o.State); err != nil {
		return nil, err
	}
	a.closed, a.end = context.WithCancel(context.Background())
	go a.giveBack()
	return a, nil
}

// Name returns openfaas.
func (a *Actuator) Name() string { return "openfaas" }

// Platform is a platform whose invocations wait for a replica that is being started.
func (a *Actuator) Platform() prewarm.Platform {
	return prewarm.Platform{Warm: true, Late: prewarm.TakesStarting, IdleTimeout: a.options.IdleTimeout}
}

// functionName is how Kubernetes lets functions be called.
var functionName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// query returns the name and the namespace of a function.
func (a *Actuator) query(function string) (name, namespace string, err error) {
	name, namespace, _ = strings.Cut(function, ".")
	namespace = cmp.Or(namespace, a.options.Namespace)
	if !functionName.MatchString(name) || namespace != "" && !functionName.MatchString(namespace) {
		return "", "", fmt.Errorf("%q is no name of a function of OpenFaaS", function)
	}
	return name, namespace, nil
}

// read asks for the state of a function.
func (a *Actuator) read(ctx context.Context, function string) (types.FunctionStatus, error) {
	var s types.FunctionStatus
	name, namespace, err := a.query(function)
	if err != nil {
		return s, err
	}
	err = a.gateway.Do(ctx, whisk.Request{
		Method: http.MethodGet, Path: "system/function/" + name, Query: query(namespace), Key: a.key,
		Check: func() error {
			switch {
			case s.Name != name:
				return fmt.Errorf("this is not function %s", name)
			case s.Replicas > mostReplicas:
				return fmt.Errorf("function %s cannot have %d replicas", name, s.Replicas)
			}
			return nil
		},
	}, &s)
	return s, a.classify(function, err)
}

// scale asks for a number of replicas. The gateway takes the namespace from the query, and the clients of OpenFaaS send it in the body.
func (a *Actuator) scale(ctx context.Context, function string, replicas int) error {
	name, namespace, err := a.query(function)
	if err != nil {
		return err
	}
	err = a.gateway.Do(ctx, whisk.Request{
		Method: http.MethodPost, Path: "system/scale-function/" + name, Query: query(namespace), Key: a.key,
		Body: types.ScaleServiceRequest{ServiceName: name, Namespace: namespace, Replicas: uint64(max(replicas, 0))},
	}, nil)
	return a.classify(function, err)
}

func query(namespace string) url.Values {
	if namespace == "" {
		return nil
	}
	return url.Values{"namespace": {namespace}}
}

// classify says whether an error is that of the gateway as a whole, or names the function.
func (a *Actuator) classify(function string, err error) error {
	var e *whisk.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &e):
		return fmt.Errorf("%s: %w", function, err)
	}
	switch e.Kind {
	case whisk.Throttled, whisk.Overloaded, whisk.Unreachable, whisk.Untrusted, whisk.NoTLS, whisk.Unauthorized, whisk.Forbidden:
		return &actuator.UnavailableError{Err: err, After: e.RetryAfter}
	case whisk.NotFound:
		err = &actuator.NoFunctionError{Err: err}
	}
	return fmt.Errorf("%s: %w", function, err)
}

// begin returns a context that ends when the actuator is closed, and counts what is going on until done is called.
func (a *Actuator) begin(ctx context.Context) (_ context.Context, done func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed.Err() != nil {
		return nil, nil, fmt.Errorf("OpenFaaS: %w", actuator.ErrClosed)
	}
	a.acting.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(a.closed, cancel)
	return ctx, func() { stop(); cancel(); a.acting.Done() }, nil
}

// Act raises the number of replicas by N (Warm), or to N if it is lower (Scale), until the command's Until, and waits until they are available. A
// command that has been carried out before is not carried out again.
func (a *Actuator) Act(ctx context.Context, c actuator.Command) ([]actuator.Result, error) {
	if c.Kind != actuator.Warm && c.Kind != actuator.Scale {
		return nil, fmt.Errorf("OpenFaaS: %s: %w", c.Kind, actuator.ErrKind)
	}
	ctx, done, err := a.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if c.Results() == 0 {
		return nil, nil
	}
	asked := time.Now()
	target, set, err := a.change(ctx, c.Function, func(f *function) { f.add(c) })
	a.signal()
	if err != nil {
		return actuator.Fail(c, err), err
	}
	return a.await(ctx, c, target, set, asked)
}

// await waits until replicas are available, and returns a result for each: of those up to the target as many as the gateway has set.
func (a *Actuator) await(ctx context.Context, c actuator.Command, target, set int, asked time.Time) ([]actuator.Result, error) {
	var results []actuator.Result
	var trouble error // the last one of the gateway
	first := target   // the number that has to be available for the first result
	if c.Kind == actuator.Warm {
		first = target - c.N + 1
	}
	for pause := 50 * time.Millisecond; ; pause = min(pause*3/2, time.Second) {
		s, err := a.read(ctx, c.Function)
		now := time.Now()
		if err != nil {
			// The number is set: that nobody says what has become of it is no reason to ask for it elsewhere.
			if trouble == nil || ctx.Err() == nil {
				trouble = err
			}
			if wait, passes := a.passes(err); passes && whisk.Sleep(ctx, max(pause, wait)) == nil {
				continue
			}
			return a.unknown(ctx, c, results, asked, trouble)
		}
		for len(results) < c.Results() && int(s.AvailableReplicas) >= first+len(results) {
			results = append(results, actuator.Result{Outcome: actuator.Created, Asked: asked, Ready: now})
		}
		if len(results) == c.Results() {
			return results, nil
		}
		most := min(int(s.Replicas), set)
		if most < first+len(results) && set >= first+len(results) && a.hasSet(c.Function, int(s.Replicas)) {
			// Another command has lowered the number, or the time of this one is over.
			return actuator.Fill(results, c, actuator.Result{Outcome: actuator.Unknown, Asked: asked, Ready: now}), nil
		}
		if most < first+len(results) { // a limit of the gateway, or somebody else
			err := fmt.Errorf("%s: the gateway has %d replicas in place of %d", c.Function, most, target)
			return actuator.Fill(results, c, actuator.Result{Outcome: actuator.Failed, Asked: asked, Ready: now, Err: err}), err
		}
		if whisk.Sleep(ctx, pause) != nil {
			return a.unknown(ctx, c, results, asked, fmt.Errorf("%s: its replicas are not available yet: %w", c.Function, ctx.Err()))
		}
	}
}

// passes reports whether the gateway may say later what it does not now, and how long it asks to be left alone.
func (a *Actuator) passes(err error) (after time.Duration, passes bool) {
	var e *whisk.Error
	if !errors.As(err, &e) {
		return 0, false
	}
	return e.RetryAfter, e.Temporary()
}

// unknown fills up results of a command whose number was set, and of which the gateway does not say more because of an error: that the function is not there any more
// is a failure.
func (a *Actuator) unknown(ctx context.Context, c actuator.Command, results []actuator.Result, asked time.Time, err error) ([]actuator.Result, error) {
	r := actuator.Result{Outcome: actuator.Unknown, Asked: asked, Ready: time.Now()}
	var none *actuator.NoFunctionError
	switch {
	case ctx.Err() != nil && a.closed.Err() != nil:
		err = fmt.Errorf("%s: %w", c.Function, actuator.ErrClosed)
	case errors.As(err, &none):
		r.Outcome = actuator.Failed
	}
	r.Err = err
	return actuator.Fill(results, c, r), err
}

// hasSet reports whether a number of replicas is the one that was set last, or the platform's own.
func (a *Actuator) hasSet(name string, replicas int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.functions[name]
	return f == nil || f.Set == replicas || f.Before == replicas
}

// MemoryMB returns the memory of a replica of the function, in MiB: its limit.
func (a *Actuator) MemoryMB(ctx context.Context, function string) (int, error) {
	ctx, done, err := a.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	s, err := a.read(ctx, function)
	if err != nil {
		return 0, err
	}
	if s.Limits == nil || s.Limits.Memory == "" {
		return 0, fmt.Errorf("%s has no limit of memory", function)
	}
	q, err := resource.ParseQuantity(s.Limits.Memory)
	if err != nil {
		return 0, fmt.Errorf("%s: its limit of memory, %q: %w", function, s.Limits.Memory, err)
	}
	if q.Sign() <= 0 {
		return 0, fmt.Errorf("%s: its limit of memory, %q, is no amount", function, s.Limits.Memory)
	}
	return int((q.Value()-1)>>20) + 1, nil
}

// Close breaks off what it is doing, and gives back what it has started, for as long as the context allows.
func (a *Actuator) Close(ctx context.Context) error {
	a.mu.Lock()
	first := a.closed.Err() == nil
	a.end()
	a.mu.Unlock()
	if !first {
		return nil
	}
	defer a.http.CloseIdleConnections()
	err := actuator.Wait(ctx, &a.acting)
	select {
	case <-a.giving:
	case <-ctx.Done():
		return ctx.Err()
	}
	var running sync.WaitGroup
	var errs []error
	var mu sync.Mutex
	for _, f := range a.all() {
		running.Go(func() {
			_, _, err := a.change(ctx, f.Name, func(f *function) { f.Leases, f.Scale = nil, nil })
			if none := (*actuator.NoFunctionError)(nil); err != nil && !errors.As(err, &none) { // it has none, if it is not there
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("giving back replicas: %w", err))
			}
		})
	}
	running.Wait()
	return errors.Join(append(errs, err)...)
}
