package openwhisk

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
)

// Bounds that nobody needs to choose.
const (
	mostOverlapping = 64                     // invocations of one command
	recordPause     = 100 * time.Millisecond // between two looks for a record that is not there yet
	longestWait     = time.Minute            // that OpenWhisk lets a blocking invocation wait
	answerBytes     = 1 << 20
	heldFor         = time.Hour // for which a function that does not know warm-ups is left alone
	ignoringRoom    = 10_000    // such functions that are remembered
)

// Options say where OpenWhisk is and what is known of it.
type Options struct {
	// APIHost is the address of the API; without a scheme it is https.
	APIHost string
	// Key is user:password. Alternatively KeyFile is the name of a file that contains it.
	Key, KeyFile string
	// Insecure leaves the certificate unchecked.
	Insecure bool
	// Package is the package of functions whose name has none. Without it each is looked for in all packages.
	Package string
	// Linger is how long a warm-up occupies its container, so that those that begin at the same time need others; by default 50 ms. One of a function
	// that has no container, as far as is known, does not linger.
	Linger time.Duration
	// IdleTimeout is after what time OpenWhisk removes an idle container; by default 10 min, as it does.
	IdleTimeout time.Duration
	// Renew says that idle times may be renewed: an invocation that an idle container answers at once has OpenWhisk keep it for as long again.
	Renew bool
	// Patience bounds the time in which a warm-up is repeated that OpenWhisk refuses because it has too much to do; by default 1 s.
	Patience time.Duration
}

// ErrIgnored says that a function does not know warm-ups: it was run as if it had been invoked. It is then left alone for an hour.
var ErrIgnored = errors.New("the function does not know warm-ups and was run: it lacks the lines that docs/instrument.md shows")

// Actuator warms containers of an OpenWhisk.
type Actuator struct {
	options Options
	client  *whisk.Client
	http    *http.Client
	closed  context.Context // done when it is closed
	end     context.CancelFunc

	mu       sync.Mutex
	acting   sync.WaitGroup
	ignoring map[string]time.Time // functions that do not know warm-ups, and since when that is known

	where where
}

// New returns an Actuator. It makes no request yet.
func New(o Options) (*Actuator, error) {
	base, err := whisk.ParseAddress(o.APIHost)
	if err != nil {
		return nil, fmt.Errorf("OpenWhisk's address %q: %w", o.APIHost, err)
	}
	o.Linger = cmp.Or(o.Linger, 50*time.Millisecond)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 10*time.Minute)
	o.Patience = cmp.Or(o.Patience, time.Second)
	if o.Linger < 0 || o.Linger > time.Second {
		return nil, fmt.Errorf("a warm-up lingers between 0 and 1 s, and not %v", o.Linger)
	}
	a := &Actuator{options: o, http: whisk.NewHTTPClient(o.Insecure, mostOverlapping), ignoring: map[string]time.Time{}}
	a.client, err = whisk.New(whisk.Options{
		Base: base, Key: o.Key, KeyFile: o.KeyFile, HTTP: a.http, MaxAnswer: answerBytes, UserAgent: "tppfaas-prewarm",
		Timeout: longestWait + 15*time.Second,
	})
	if err != nil {
		return nil, err
	}
	a.where.client = a.client
	a.closed, a.end = context.WithCancel(context.Background())
	return a, nil
}

// Name returns openwhisk.
func (a *Actuator) Name() string { return "openwhisk" }

// Platform is a platform that can start containers, and does with them as it likes.
func (a *Actuator) Platform() prewarm.Platform {
	return prewarm.Platform{Warm: true, Late: prewarm.OwnContainer, FirstCall: true, Renew: a.options.Renew, IdleTimeout: a.options.IdleTimeout}
}

// payload is what the function answers at once.
type payload struct {
	Prewarm marker `json:"prewarm"`
}

type marker struct {
	LingerMS float64 `json:"linger_ms"`
}

// answer is the function's.
type answer struct {
	Prewarmed bool   `json:"prewarmed"`
	Cold      *bool  `json:"cold"`
	Instance  string `json:"instance"`
}

// Act invokes the function as often as containers are to be warmed, at the same time; and once more for each that is idle as far as is known, which
// would take one of these invocations, unless it is these that are to be renewed. The first error is that of all.
func (a *Actuator) Act(ctx context.Context, c actuator.Command) ([]actuator.Result, error) {
	if c.Kind == actuator.Scale {
		return nil, fmt.Errorf("OpenWhisk: %s: %w", c.Kind, actuator.ErrKind)
	}
	ctx, done, err := a.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	action, err := a.action(ctx, c.Function)
	if err != nil {
		return nil, a.classify(c.Function, err)
	}
	now := time.Now()
	if err := a.refuses(c.Function, now); err != nil {
		return actuator.Fill(nil, c, actuator.Result{Outcome: actuator.Held, Asked: now, Ready: now, Err: err}), nil
	}
	n := c.Results()
	if n == 0 {
		return nil, nil
	}
	if n > mostOverlapping {
		n = mostOverlapping
	}
	idle := max(c.Idle, 0) // each takes an invocation
	if c.Kind == actuator.Renew {
		idle = 0 // these are what it is for
	}
	all := make([]actuator.Result, min(n+idle, mostOverlapping))
	linger := a.options.Linger
	if len(all) == 1 && (c.There == 0 || c.Kind == actuator.Renew) {
		linger = 0
	}
	var running sync.WaitGroup
	for i := range all {
		running.Go(func() { all[i] = a.warm(ctx, c.Function, action, linger) })
	}
	running.Wait()
	// What the idle ones have taken is no news of a Warm.
	slices.SortStableFunc(all, func(a, b actuator.Result) int { return cmp.Compare(rank(a.Outcome), rank(b.Outcome)) })
	results := actuator.Fill(all[:n], c, actuator.Result{
		Outcome: actuator.Held, Asked: now, Ready: time.Now(), Err: fmt.Errorf("at most %d warm-ups overlap", mostOverlapping),
	})
	for _, r := range results {
		if r.Outcome == actuator.Failed {
			return results, r.Err
		}
	}
	return results, nil
}

// rank orders outcomes by what they tell.
func rank(o actuator.Outcome) int {
	return slices.Index([]actuator.Outcome{actuator.Created, actuator.Unknown, actuator.Failed, actuator.Collapsed}, o)
}

// begin returns a context that ends when the actuator is closed, and counts what is going on until done is called.
func (a *Actuator) begin(ctx context.Context) (_ context.Context, done func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed.Err() != nil {
		return nil, nil, fmt.Errorf("OpenWhisk: %w", actuator.ErrClosed)
	}
	a.acting.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(a.closed, cancel)
	return ctx, func() { stop(); cancel(); a.acting.Done() }, nil
}

// refuses returns an error for a function that has shown that it does not know warm-ups.
func (a *Actuator) refuses(function string, now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	since, ok := a.ignoring[function]
	if !ok {
		return nil
	}
	if now.Sub(since) >= heldFor {
		delete(a.ignoring, function)
		return nil
	}
	return fmt.Errorf("%s: %w", function, ErrIgnored)
}

// warm invokes the function once.
func (a *Actuator) warm(ctx context.Context, function, action string, linger time.Duration) actuator.Result {
	r := actuator.Result{Outcome: actuator.Failed, Asked: time.Now()}
	var o whisk.Outcome
	retry := whisk.Retry{First: 100 * time.Millisecond, Max: time.Second, Patience: a.options.Patience, AtMostOnce: true, Passes: passes}
	err := retry.Do(ctx, func() (err error) {
		wait := longestWait
		if end, ok := ctx.Deadline(); ok {
			wait = min(wait, time.Until(end))
		}
		o, err = a.client.InvokeBlocking(ctx, action, payload{marker{float64(linger) / float64(time.Millisecond)}}, wait)
		return err
	})
	if err == nil && !o.Ended {
		o, err = a.await(ctx, o.ActivationID)
	}
	r.Ready = time.Now()
	if err != nil {
		var e *whisk.Error
		if errors.As(err, &e) && e.Kind == whisk.NotFound {
			a.where.forget(function)
		}
		r.Err = a.classify(function, err)
		return r
	}
	var said answer
	// A result of another form is none of a warm-up.
	_ = json.Unmarshal(o.Result, &said)
	switch {
	case said.Prewarmed && (said.Cold != nil && *said.Cold || said.Cold == nil && o.Cold):
		r.Outcome, r.Instance = actuator.Created, said.Instance
	case said.Prewarmed:
		r.Outcome, r.Instance = actuator.Collapsed, said.Instance
	case strings.HasPrefix(o.Error, "action developer error"), strings.HasPrefix(o.Error, "whisk internal error"):
		r.Err = fmt.Errorf("%s: %s", function, o.Error) // it has not come to run, or not to answer
	default:
		r.Err = fmt.Errorf("%s: %w", function, ErrIgnored)
		a.ignores(function, r.Ready)
	}
	return r
}

// ignores remembers that a function does not know warm-ups.
func (a *Actuator) ignores(function string, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.ignoring) < ignoringRoom {
		a.ignoring[function] = now
	}
}

// passes reports whether OpenWhisk may soon take what it has refused. Where too many came in the last minute, it takes none before the next.
func passes(e *whisk.Error) bool {
	return e.AsksToWait() && !perMinute(e) || e.Kind == whisk.Overloaded
}

func perMinute(e *whisk.Error) bool {
	return e.Kind == whisk.Throttled && strings.Contains(e.Text, "in the last minute")
}

// await returns what has become of an activation that OpenWhisk has not waited for.
func (a *Actuator) await(ctx context.Context, id string) (whisk.Outcome, error) {
	for {
		o, err := a.client.Outcome(ctx, id)
		var e *whisk.Error
		pause := recordPause
		switch {
		case err == nil:
			return o, nil
		case ctx.Err() != nil:
			return o, fmt.Errorf("activation %s has not ended: %w", id, ctx.Err())
		case errors.Is(err, whisk.ErrNotYet):
		case !errors.As(err, &e) || !e.Temporary():
			return o, err
		default:
			pause = max(pause, e.RetryAfter)
		}
		_ = whisk.Sleep(ctx, pause) // the next answer says that there is no time left
	}
}

// classify says whether an error is that of OpenWhisk as a whole, or names the function.
func (a *Actuator) classify(function string, err error) error {
	if a.closed.Err() != nil {
		return fmt.Errorf("%s: %w", function, actuator.ErrClosed)
	}
	var e *whisk.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("%s: %w", function, err)
	}
	switch e.Kind {
	case whisk.Throttled, whisk.Overloaded, whisk.Unreachable, whisk.Untrusted, whisk.NoTLS, whisk.Unauthorized, whisk.ServerError:
		after := e.RetryAfter
		if perMinute(e) { // it counts by the minutes of its clock
			after = max(after, time.Until(time.Now().Truncate(time.Minute).Add(time.Minute)))
		}
		return &actuator.UnavailableError{Err: err, After: after}
	case whisk.NotFound:
		err = &actuator.NoFunctionError{Err: err}
	}
	return fmt.Errorf("%s: %w", function, err)
}

// MemoryMB returns the memory of a container of the function, in MiB: its limit.
func (a *Actuator) MemoryMB(ctx context.Context, function string) (int, error) {
	ctx, done, err := a.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	name, err := a.action(ctx, function)
	if err != nil {
		return 0, a.classify(function, err)
	}
	action, err := a.client.Action(ctx, name)
	if err != nil {
		return 0, a.classify(function, err)
	}
	if action.Limits == nil || action.Limits.Memory <= 0 {
		return 0, fmt.Errorf("%s: OpenWhisk does not say how much memory it has", function)
	}
	return action.Limits.Memory, nil
}

// Check asks OpenWhisk for something that needs the key, so that a wrong address or key is known before anything is warmed. It changes nothing.
func (a *Actuator) Check(ctx context.Context) error {
	ctx, done, err := a.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	return a.client.Check(ctx, whisk.Packages)
}

// Close breaks off what it is doing. There is nothing to give back: OpenWhisk removes the containers that nobody uses.
func (a *Actuator) Close(ctx context.Context) error {
	a.mu.Lock()
	a.end()
	a.mu.Unlock()
	defer a.http.CloseIdleConnections()
	return actuator.Wait(ctx, &a.acting)
}
