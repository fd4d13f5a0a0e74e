package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/internal/circuit"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
)

// Reasons for which something is held, in the chain of Result.Err, or of the error of Do.
var (
	ErrClosed   = errors.New("the controller is ending")
	ErrFull     = errors.New("too many commands are waiting")
	ErrPaused   = errors.New("paused")
	ErrLimit    = errors.New("a limit is reached")
	ErrCoolDown = errors.New("it has failed lately")
	ErrInterval = errors.New("it was asked for a moment ago")
	ErrOpen     = errors.New("the platform has failed too often")
	ErrTooLate  = errors.New("it has waited too long")
	ErrReplaced = errors.New("a later command takes its place")
)

// ErrTimeout is in the chain of Result.Err where the actuator has not come to an end in time.
var ErrTimeout = errors.New("no outcome in time")

// Guard carries out commands by an actuator. It is safe for concurrent use.
type Guard struct {
	actuator actuator.Actuator
	options  Options
	acting   context.Context // of what is in flight
	breakOff context.CancelCauseFunc
	wake     chan struct{} // signals that something may have become possible
	closing  chan struct{} // closed when no more commands are taken
	ended    chan struct{} // closed when all commands that were waiting have been told of

	mu       sync.Mutex
	queue    []waiting
	inFlight int // containers
	acts     int // commands
	circuit  circuit.Circuit
	next     time.Time // when the next command may begin
	standing standing
	paused   string
	closed   bool
	err      error
	idle     sync.Cond // signals that no command is in flight
}

// waiting is a command that waits.
type waiting struct {
	command  actuator.Command
	since    time.Time
	released int // containers of it that do not count any more
}

// State is how a Guard is doing.
type State struct {
	// Waiting are commands, and InFlight containers that are being asked for.
	Waiting, InFlight int
	// Standing and StandingMB are containers that have been asked for, and were neither released nor have reached the end of their time.
	Standing, StandingMB int
	// Circuit is closed, open or half open, and Failures how many commands have failed in a row.
	Circuit  string
	Failures int
	// Paused is the reason for a pause, "" if there is none.
	Paused string
	// Err is why the last command that failed did, nil once one has succeeded.
	Err error
}

// New returns a Guard around an actuator, which belongs to it from then on: Close closes both.
func New(a actuator.Actuator, o Options) (*Guard, error) {
	if a == nil {
		return nil, errors.New("a guard needs an actuator")
	}
	o, err := o.complete()
	if err != nil {
		return nil, fmt.Errorf("guard of %s: %w", a.Name(), err)
	}
	g := &Guard{
		actuator: a, options: o, circuit: o.circuit(), standing: newStanding(&o),
		wake: make(chan struct{}, 1), closing: make(chan struct{}), ended: make(chan struct{}),
	}
	g.idle.L = &g.mu
	g.acting, g.breakOff = context.WithCancelCause(context.Background())
	go g.run()
	return g, nil
}

// Name is that of the actuator.
func (g *Guard) Name() string { return g.actuator.Name() }

// Platform is that of the actuator.
func (g *Guard) Platform() prewarm.Platform { return g.actuator.Platform() }

// Do takes a command, and returns at once. Unless there is an error, Options.Done is told what has become of it.
func (g *Guard) Do(c actuator.Command) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closed:
		return ErrClosed
	case len(g.queue) >= g.options.Queue:
		return fmt.Errorf("%w: %d", ErrFull, len(g.queue))
	}
	g.queue = append(g.queue, waiting{command: c, since: time.Now()})
	g.signal()
	return nil
}

// Release says that n containers of the command do not count any more for the limits: they have been used, or are gone. Those of a command
// count at most until its Until.
func (g *Guard) Release(command uint64, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.IndexFunc(g.queue, func(w waiting) bool { return w.command.ID == command }); i >= 0 {
		g.queue[i].released += max(n, 0) // as soon as it begins
	}
	g.standing.release(command, n)
	g.signal()
}

// Pause holds all commands, also those that wait, until Resume. What is in flight goes on.
func (g *Guard) Pause(reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if reason == "" {
		reason = "no reason was given"
	}
	g.paused = reason
	g.signal()
}

// Resume ends a pause.
func (g *Guard) Resume() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.paused = ""
}

// State says how it is doing.
func (g *Guard) State() State {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.standing.expire(now)
	s := State{
		Waiting: len(g.queue), InFlight: g.inFlight, Standing: g.standing.containers, StandingMB: g.standing.memoryMB,
		Circuit: "closed", Failures: g.circuit.Failures(), Paused: g.paused, Err: g.err,
	}
	if g.circuit.Open() {
		s.Circuit = "open"
		if g.circuit.Trial() || g.circuit.Wait(now) == 0 {
			s.Circuit = "half open"
		}
	}
	return s
}

// Close holds what waits, breaks off what is in flight, tells Options.Done of all, and closes the actuator, which gives back what it can. The
// context bounds how long it waits.
func (g *Guard) Close(ctx context.Context) error {
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		close(g.closing)
	}
	g.mu.Unlock()
	g.breakOff(ErrClosed)
	done := make(chan struct{})
	go func() {
		<-g.ended
		g.mu.Lock()
		defer g.mu.Unlock()
		for g.acts > 0 {
			g.idle.Wait()
		}
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("%s has not come to an end: %w", g.Name(), ctx.Err())
	}
	return errors.Join(err, g.actuator.Close(ctx))
}

// signal lets run look at what waits. The caller has the lock.
func (g *Guard) signal() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// run begins what waits as soon as it may, and tells of what is held.
func (g *Guard) run() {
	defer close(g.ended)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		g.mu.Lock()
		held, begun, pause := g.pass(time.Now())
		closed := g.closed
		g.mu.Unlock()
		for _, b := range begun {
			go g.act(b)
		}
		for _, h := range held {
			g.options.Done(h.command, actuator.Fill(nil, h.command, actuator.Result{Outcome: actuator.Held, Asked: h.at, Ready: h.at, Err: h.err}))
		}
		if closed {
			return
		}
		timer.Reset(pause)
		select {
		case <-g.wake:
		case <-g.closing:
		case <-timer.C:
		}
	}
}

// held is a command that is not tried.
type held struct {
	command actuator.Command
	at      time.Time
	err     error
}

// begun is a command that is being carried out: n of the containers that it asks for, the others being held because of err.
type begun struct {
	command actuator.Command
	at      time.Time
	n       int
	err     error
}

// pass looks at all commands that wait, in their order. It returns those that are held, those that begin now, and the time until it should look
// again at the latest.
func (g *Guard) pass(now time.Time) ([]held, []begun, time.Duration) {
	var (
		hold  []held
		begin []begun
		stay  = g.queue[:0]
		pause = time.Hour
		stuck = false // what comes behind waits too
	)
	g.standing.expire(now)
	latest := latestScales(g.queue)
	for i, w := range g.queue {
		b := begun{command: w.command, at: now, n: w.command.N}
		err := g.refuse(now, w)
		if last, ok := latest[w.command.Function]; err == nil && w.command.Kind == actuator.Scale && ok && last > i {
			err = ErrReplaced
		}
		if err == nil && !stuck && !g.standing.scaling(&w.command) {
			b.n, b.err = g.standing.room(&w.command, g.options.InFlight)
			switch wait := g.next.Sub(now); {
			case b.n == 0 && w.command.N > 0:
				err = b.err
			case wait > 0:
				pause, stuck = min(pause, wait), true
			case g.inFlight+b.slots() > g.options.InFlight:
				stuck = true
			case !g.circuit.Allow(now):
				err = fmt.Errorf("%w, it is left alone for %v", ErrOpen, g.circuit.Wait(now).Round(time.Millisecond))
				if g.circuit.Trial() {
					err = fmt.Errorf("%w, and is being tried", ErrOpen)
				}
			default:
				g.begin(now, &b)
				g.standing.release(w.command.ID, w.released)
				begin = append(begin, b)
				continue
			}
		}
		if err != nil {
			hold = append(hold, held{w.command, now, err})
			continue
		}
		stay = append(stay, w)
		pause = min(pause, until(now, w.since, g.options.Wait))
	}
	clear(g.queue[len(stay):])
	g.queue = stay
	return hold, begin, pause
}

// latestScales returns where the last Scale of each function stands in a queue, nil if there is none.
func latestScales(queue []waiting) map[string]int {
	var latest map[string]int
	for i := range queue {
		if c := &queue[i].command; c.Kind == actuator.Scale {
			if latest == nil {
				latest = map[string]int{}
			}
			latest[c.Function] = i
		}
	}
	return latest
}

// until returns the time until it has waited for too long.
func until(now, since time.Time, most time.Duration) time.Duration {
	return min(max(most-now.Sub(since), 0), time.Hour) + time.Nanosecond // most may be the longest time that there is
}

// refuse returns why a command is not to be tried, whatever is in flight.
func (g *Guard) refuse(now time.Time, w waiting) error {
	c := &w.command
	switch {
	case g.closed:
		return ErrClosed
	case g.paused != "":
		return fmt.Errorf("%w: %s", ErrPaused, g.paused)
	case now.Sub(w.since) > g.options.Wait:
		return fmt.Errorf("%w, %v", ErrTooLate, g.options.Wait)
	case !c.Until.IsZero() && !now.Before(c.Until):
		return fmt.Errorf("%w, its effect should have ended", ErrTooLate)
	}
	return g.standing.early(now, c)
}

func (b *begun) slots() int {
	if b.command.Kind == actuator.Scale {
		return 1
	}
	return b.n
}

// begin takes what a command needs. The caller has the lock.
func (g *Guard) begin(now time.Time, b *begun) {
	g.inFlight += b.slots()
	g.acts++
	if g.options.Pace > 0 {
		g.next = now.Add(g.options.Pace * time.Duration(b.slots()))
	}
	g.standing.begin(now, &b.command, b.n)
}

// act carries a command out, tells of it, and gives back what it took.
func (g *Guard) act(b begun) {
	c := b.command
	c.N = b.n
	ctx, cancel := context.WithTimeoutCause(g.acting, g.options.Timeout, fmt.Errorf("%w, %v", ErrTimeout, g.options.Timeout))
	defer cancel()
	type outcome struct {
		results []actuator.Result
		err     error
	}
	done := make(chan outcome, 1)
	go func() {
		results, err := g.actuator.Act(ctx, c)
		done <- outcome{results, err}
	}()
	var o outcome
	hangs := false
	select {
	case o = <-done:
	case <-ctx.Done():
		// Let it return what it knows. One that hangs all the same keeps its place in flight, but nobody waits for it.
		patience := time.NewTimer(min(g.options.Timeout/8, time.Second))
		select {
		case o = <-done:
		case <-patience.C:
			hangs = true
		}
		patience.Stop()
		switch cause := context.Cause(ctx); {
		case o.err == nil && len(o.results) >= c.Results():
		case o.err == nil || o.err == ctx.Err(): //nolint:errorlint // one that says more is kept
			o.err = cause
		default:
			o.err = fmt.Errorf("%w: %w", cause, o.err)
		}
	}
	results := complete(o.results, c, b.at, o.err)
	g.settle(b, results, o.err)
	if b.n < b.command.N && c.Kind != actuator.Scale {
		results = actuator.Fill(results, b.command, actuator.Result{Outcome: actuator.Held, Asked: b.at, Ready: b.at, Err: b.err})
	} else if b.err != nil && results[0].Err == nil {
		results[0].Err = b.err // it was carried out, but for less
	}
	g.options.Done(b.command, results)
	if hangs {
		<-done
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight -= b.slots()
	g.acts--
	g.standing.scaled(&c)
	g.signal()
	g.idle.Broadcast()
}

// complete returns as many results as the command has: what is missing has failed.
func complete(results []actuator.Result, c actuator.Command, asked time.Time, err error) []actuator.Result {
	results = slices.Clone(results)
	now := time.Now()
	missing := err
	if missing == nil {
		missing = errors.New("the actuator does not say what has become of it")
	}
	results = actuator.Fill(results, c, actuator.Result{Outcome: actuator.Failed, Err: missing})[:c.Results()]
	for i := range results {
		r := &results[i]
		if r.Asked.IsZero() {
			r.Asked = asked
		}
		if r.Ready.IsZero() {
			r.Ready = now
		}
		if r.Outcome == actuator.Failed && r.Err == nil {
			r.Err = missing
		}
	}
	return results
}

// settle counts what came of a command.
func (g *Guard) settle(b begun, results []actuator.Result, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	stands, came := 0, 0
	for _, r := range results {
		switch r.Outcome {
		case actuator.Created, actuator.Unknown, actuator.Dry:
			stands++
			came++
		case actuator.Collapsed:
			came++
			if b.command.Kind == actuator.Renew {
				stands++ // it is kept
			}
		case actuator.Failed:
			if err == nil {
				err = r.Err
			}
		case actuator.Held:
		}
	}
	function := b.command.Function
	var unavailable *actuator.UnavailableError
	var none *actuator.NoFunctionError
	switch isUnavailable := errors.As(err, &unavailable); {
	case err == nil && came == 0, errors.Is(err, ErrClosed), g.closed && err != nil:
		g.circuit.Rest(now, 0) // it says nothing about the platform
	case err == nil:
		g.circuit.Success(now)
		g.standing.succeeded(function)
		g.err = nil
	case isUnavailable && came > 0:
		g.circuit.Success(now)
		g.circuit.Rest(now, unavailable.After)
	case isUnavailable:
		g.circuit.Failure(now, unavailable.After, "")
	case came > 0:
		g.circuit.Success(now)
		g.standing.failed(now, function, err)
	case errors.Is(err, ErrTimeout):
		g.circuit.Failure(now, 0, "")
		g.standing.failed(now, function, err)
	case errors.As(err, &none): // an application that was removed, of however many functions, holds up no other
		g.circuit.Rest(now, 0)
		g.standing.failed(now, function, err)
	default:
		g.circuit.Failure(now, 0, function)
		g.standing.failed(now, function, err)
	}
	if err != nil {
		g.err = err
	}
	g.standing.settle(now, &b.command, b.n, stands)
}
